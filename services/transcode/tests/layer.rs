//! Requests and responses through the layer, around a service that only records.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::Duration;

use common::{
    frame, golden, grpc_body, grpc_response, ok, read_rich, request, rich, rich_message, signalbox,
    text, through,
};
use http::{Method, Request, Response, StatusCode, Version};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use signalbox_transcode::{ErrorShape, Lookup, RestRequest, error_response};
use tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The request message as JSON, where the layer let the request through.
async fn sent(request: Request<Body>) -> Result<Value, String> {
    let (response, seen) = through(rich(), request, ok(vec![])).await;
    match seen {
        Some(seen) => Ok(json_of(&read_rich(&seen.body))),
        None => Err(text(response).await),
    }
}

fn json_of(message: &DynamicMessage) -> Value {
    let options = prost_reflect::SerializeOptions::new().use_proto_field_name(true);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .unwrap()
}

#[tokio::test]
async fn a_rest_request_becomes_a_grpc_request() {
    let mut rest = request(
        "POST",
        "http://host:1/v1/rich?text=ignored",
        r#"{"text":"a"}"#,
    );
    let headers = rest.headers_mut();
    headers.insert(
        "content-type",
        "application/json; charset=utf-8".parse().unwrap(),
    );
    headers.insert("content-length", "12".parse().unwrap());
    headers.insert("authorization", "Bearer k".parse().unwrap());
    headers.insert("connection", "keep-alive".parse().unwrap());
    headers.insert("x-request-timeout", "1.5".parse().unwrap());
    rest.extensions_mut().insert(7u8);
    let (_, seen) = through(rich(), rest, ok(vec![])).await;
    let seen = seen.unwrap();
    assert_eq!(seen.parts.method, Method::POST);
    assert_eq!(seen.parts.uri, "http://host:1/rich.v1.RichService/Take");
    assert_eq!(seen.parts.version, Version::HTTP_2);
    let header = |name: &str| {
        seen.parts
            .headers
            .get(name)
            .map(|v| v.to_str().unwrap().to_owned())
    };
    assert_eq!(header("content-type").as_deref(), Some("application/grpc"));
    assert_eq!(header("te").as_deref(), Some("trailers"));
    assert_eq!(header("authorization").as_deref(), Some("Bearer k"));
    assert_eq!(header("grpc-timeout").as_deref(), Some("1500000u"));
    assert_eq!(header("content-length"), None);
    assert_eq!(header("connection"), None);
    assert_eq!(seen.parts.extensions.get(), Some(&7u8));
    let rest = seen.parts.extensions.get::<RestRequest>().unwrap();
    assert_eq!(&*rest.template, "/v1/rich");
    assert_eq!(&*rest.rpc, "rich.v1.RichService.Take");
    assert_eq!(seen.body, frame(&[0x72, 1, b'a']));
}

#[tokio::test]
async fn path_variables_fill_fields_and_nested_fields() {
    let found = sent(request("GET", "/v1/rich/a%2Fb%20c", ""))
        .await
        .unwrap();
    assert_eq!(found, json!({"text": "a/b c"}));
    let put = request(
        "PUT",
        "/v1/rich/x",
        r#"{"child":{"age":3,"name":"y"},"text":"t"}"#,
    );
    assert_eq!(
        sent(put).await.unwrap(),
        json!({"child": {"age": 3, "name": "x"}, "text": "t"})
    );
    let patch = request("PATCH", "/v1/rich/x?text=t&child.age=9", r#"{"age":4}"#);
    assert_eq!(
        sent(patch).await.unwrap(),
        json!({"child": {"age": 4, "name": "x"}, "text": "t"})
    );
    let read = request("GET", "/v1/names/shelves/1/books/a%2Fb/c%20d:read", "");
    assert_eq!(
        sent(read).await.unwrap(),
        json!({"text": "shelves/1/books/a%2Fb/c d"})
    );
    let problem = sent(request("GET", "/v1/rich/%ff", "")).await.unwrap_err();
    assert!(
        problem.contains("text: its percent escapes are not UTF-8"),
        "{problem}"
    );
}

#[tokio::test]
async fn query_parameters_fill_what_neither_path_nor_body_gives() {
    let query = "anInt32=5&texts=a&texts=b+c&color=COLOR_RED&colors=-3&child.age=2&child.children=x\
                 &a_bool=true&time=2024-05-06T07:08:09Z&span=1.5s&mask=aB,c&wrapped_number=7\
                 &text=ignored&unknown=1&child.nope=2&data=-_8&a_double=NaN&&";
    let query = query.replace("&child.children=x", "");
    let found = sent(request("GET", &format!("/v1/rich/t?{query}"), ""))
        .await
        .unwrap();
    let expected = json!({
        "text": "t", "an_int32": 5, "texts": ["a", "b c"], "color": "COLOR_RED",
        "colors": ["COLOR_NEGATIVE"], "child": {"age": 2}, "a_bool": true,
        "time": "2024-05-06T07:08:09Z", "span": "1.500s", "mask": "aB,c", "wrapped_number": "7",
        "data": "+/8=", "a_double": "NaN",
    });
    assert_eq!(found, expected);
    for (query, expected) in [
        ("an_int32=x", "an_int32: expected a 32-bit integer"),
        ("child.age=1.5", "child.age: expected a 32-bit integer"),
        ("time=now", "time: expected an RFC 3339 time"),
        (
            "counts=1",
            "counts: it cannot be given as a query parameter",
        ),
        (
            "children=1",
            "children: it cannot be given as a query parameter",
        ),
        ("texts=%ff", "texts: its percent escapes are not UTF-8"),
    ] {
        let problem = sent(request("GET", &format!("/v1/rich/t?{query}"), ""))
            .await
            .unwrap_err();
        assert!(problem.contains(expected), "{problem}");
    }
}

#[tokio::test]
async fn an_empty_body_is_an_empty_message_and_null_is_not() {
    assert_eq!(
        sent(request("POST", "/v1/rich", "")).await.unwrap(),
        json!({})
    );
    assert_eq!(
        sent(request("POST", "/v1/rich", " \n")).await.unwrap(),
        json!({})
    );
    let whole = sent(request("POST", "/v1/rich", "null")).await;
    let problem = whole.unwrap_err();
    assert!(
        problem.contains("body: expected an object, found null"),
        "{problem}"
    );
    assert_eq!(
        sent(request("PATCH", "/v1/rich/x", "null")).await.unwrap(),
        json!({"child": {"name": "x"}})
    );
}

#[tokio::test]
async fn response_body_answers_with_one_field() {
    let message = || {
        let json = json!({"texts": ["a", "b"], "child": {"name": "c"}});
        DynamicMessage::deserialize(rich_message("rich.v1.Rich"), &json)
            .unwrap()
            .encode_to_vec()
    };
    let (response, _) = through(rich(), request("PATCH", "/v1/rich/x", ""), ok(message())).await;
    assert_eq!(text(response).await, r#"["a","b"]"#);
    let read = || request("GET", "/v1/names/shelves/1/books/2:read", "");
    let (response, _) = through(rich(), read(), ok(message())).await;
    assert_eq!(
        text(response).await,
        r#"{"name":"c","age":0,"children":[]}"#
    );
    let (response, _) = through(rich(), read(), ok(vec![])).await;
    assert_eq!(text(response).await, "null");
}

#[tokio::test]
async fn grpc_and_unknown_paths_pass_through_untouched() {
    let mut grpc = request("POST", "/v1/rich", "raw");
    grpc.headers_mut().insert(
        "content-type",
        "application/grpc-web+proto".parse().unwrap(),
    );
    for request in [grpc, request("GET", "/metrics", "raw")] {
        let uri = request.uri().clone();
        let answer = || Response::builder().status(204).body(Body::empty()).unwrap();
        let (response, seen) = through(rich(), request, answer).await;
        let seen = seen.unwrap();
        assert_eq!((seen.parts.uri.clone(), &seen.body[..]), (uri, &b"raw"[..]));
        assert!(seen.parts.extensions.get::<RestRequest>().is_none());
        assert_eq!(response.status(), 204);
    }
}

#[tokio::test]
async fn refusals_look_like_this() {
    let mut typed = request("POST", "/v1/chat/completions", "a=b");
    typed.headers_mut().insert(
        "content-type",
        "application/x-www-form-urlencoded".parse().unwrap(),
    );
    let mut packed = request("POST", "/v1/rich", "x");
    packed
        .headers_mut()
        .insert("content-encoding", "gzip".parse().unwrap());
    let mut timeout = request("GET", "/v1/rich/x", "");
    timeout
        .headers_mut()
        .insert("x-request-timeout", "soon".parse().unwrap());
    let mut declared = request("POST", "/v1/rich", "{}");
    declared
        .headers_mut()
        .insert("content-length", "65537".parse().unwrap());
    let chat = |body: &str| request("POST", "/v1/chat/completions", body.to_owned());
    let cases = [
        (
            "openai_invalid_field",
            signalbox(),
            chat(r#"{"messages":[{},{},{"role":5}]}"#),
        ),
        (
            "openai_invalid_json",
            signalbox(),
            chat("{\n  \"model\": }"),
        ),
        ("openai_media_type", signalbox(), typed),
        (
            "openai_method",
            signalbox(),
            request("GET", "/v1/chat/completions", ""),
        ),
        (
            "rpc_invalid_field",
            rich(),
            request("POST", "/v1/rich", r#"{"texts":[1]}"#),
        ),
        (
            "rpc_not_utf8",
            rich(),
            request("POST", "/v1/rich", &b"{\"text\":\"\xff\"}"[..]),
        ),
        ("rpc_encoding", rich(), packed),
        ("rpc_timeout", rich(), timeout),
        (
            "rpc_too_large",
            rich(),
            request("POST", "/v1/rich", vec![b' '; 65_537]),
        ),
        ("rpc_declared_too_large", rich(), declared),
        ("rpc_method", rich(), request("DELETE", "/v1/rich/x", "")),
    ];
    for (name, transcoder, request) in cases {
        let (response, seen) = through(transcoder, request, ok(vec![])).await;
        assert!(seen.is_none(), "{name} must not reach the service");
        insta::assert_snapshot!(name, golden(response).await);
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read_to_its_end() {
    use http_body_util::StreamBody;
    let pulled = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = pulled.clone();
    let endless = futures_util::stream::repeat_with(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok::<_, Status>(http_body::Frame::data(bytes::Bytes::from_static(
            &[b' '; 1024],
        )))
    });
    let endless = Request::post("/v1/rich")
        .body(Body::new(StreamBody::new(endless)))
        .unwrap();
    let (response, _) = through(rich(), endless, ok(vec![])).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(pulled.load(std::sync::atomic::Ordering::Relaxed), 65);
}

fn rich_status() -> Status {
    let mut details = ErrorDetails::with_error_info(
        "OVERLOADED",
        "signalbox",
        [("limit".to_owned(), "8".to_owned())],
    );
    details.set_retry_info(Some(Duration::from_millis(1_200)));
    details.add_bad_request_violation("messages[0].role", "expected one of user");
    details.add_quota_failure_violation("caller:alice", "8 at once");
    details.set_request_info("r-1", "");
    Status::with_error_details(Code::ResourceExhausted, "too busy", details)
}

#[tokio::test]
async fn error_responses_look_like_this() {
    insta::assert_snapshot!(
        "error_openai",
        golden(error_response(&rich_status(), ErrorShape::OpenAi)).await
    );
    insta::assert_snapshot!(
        "error_rpc",
        golden(error_response(&rich_status(), ErrorShape::GoogleRpc)).await
    );
    let unknown = tonic_types::pb::Status {
        code: 5,
        message: "gone".into(),
        details: vec![prost_types::Any {
            type_url: "type.googleapis.com/a.B".into(),
            value: vec![1, 2],
        }],
    };
    let status = Status::with_details(Code::NotFound, "gone", unknown.encode_to_vec().into());
    insta::assert_snapshot!(
        "error_rpc_unknown_detail",
        golden(error_response(&status, ErrorShape::GoogleRpc)).await
    );
    let plain = Status::new(Code::NotFound, "gone");
    insta::assert_snapshot!(
        "error_openai_plain",
        golden(error_response(&plain, ErrorShape::OpenAi)).await
    );
}

#[test]
fn codes_map_to_http_as_google_rpc_documents() {
    for (code, http) in [
        (Code::Ok, 200),
        (Code::Cancelled, 499),
        (Code::Unknown, 500),
        (Code::InvalidArgument, 400),
        (Code::DeadlineExceeded, 504),
        (Code::NotFound, 404),
        (Code::AlreadyExists, 409),
        (Code::PermissionDenied, 403),
        (Code::ResourceExhausted, 429),
        (Code::FailedPrecondition, 400),
        (Code::Aborted, 409),
        (Code::OutOfRange, 400),
        (Code::Unimplemented, 501),
        (Code::Internal, 500),
        (Code::Unavailable, 503),
        (Code::DataLoss, 500),
        (Code::Unauthenticated, 401),
    ] {
        let response = error_response(&Status::new(code, ""), ErrorShape::GoogleRpc);
        assert_eq!(response.status().as_u16(), http, "{code:?}");
    }
}

#[tokio::test]
async fn errors_of_the_service_arrive_in_headers_or_in_trailers() {
    let trailers = || grpc_response(grpc_body(vec![], &rich_status()));
    let after_message = || grpc_response(grpc_body(vec![vec![]], &rich_status()));
    let headers_only = || rich_status().into_http::<Body>();
    for answer in [
        trailers as fn() -> Response<Body>,
        after_message,
        headers_only,
    ] {
        let (response, _) = through(rich(), request("POST", "/v1/rich", "{}"), answer).await;
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["content-type"], "application/json");
        assert!(!response.headers().contains_key("grpc-status-details-bin"));
        let body: Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(
            (&body["code"], &body["message"]),
            (&json!(8), &json!("too busy"))
        );
    }
}

#[tokio::test]
async fn metadata_of_the_service_becomes_headers() {
    let (response, _) = through(rich(), request("POST", "/v1/rich", "{}"), ok(vec![])).await;
    assert_eq!(response.headers()["x-request-id"], "r-1");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert!(!response.headers().contains_key("secret-bin"));
    assert!(!response.headers().contains_key("grpc-status"));
}

#[tokio::test]
async fn a_broken_service_is_an_internal_error() {
    let good = frame(&[]);
    let bodies: [fn(&[u8]) -> Body; 5] = [
        |_| grpc_body(vec![], &Status::ok("")),
        |_| grpc_body(vec![vec![0x08]], &Status::ok("")),
        |_| grpc_body(vec![vec![], vec![]], &Status::ok("")),
        |good| {
            Body::new(http_body_util::Full::new(bytes::Bytes::copy_from_slice(
                good,
            )))
        },
        |_| {
            Body::new(http_body_util::Full::new(bytes::Bytes::from_static(&[
                1, 0, 0, 0, 0,
            ])))
        },
    ];
    for (at, body) in bodies.into_iter().enumerate() {
        let good = good.clone();
        let answer = move || grpc_response(body(&good));
        let (response, _) = through(rich(), request("POST", "/v1/rich", "{}"), answer).await;
        assert_eq!(response.status(), 500, "case {at}");
    }
    let foreign = || Response::builder().status(401).body(Body::empty()).unwrap();
    let (response, _) = through(rich(), request("POST", "/v1/rich", "{}"), foreign).await;
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn streams_are_events_or_lines_as_accepted() {
    let answer = |status: Status| {
        move || grpc_response(grpc_body(vec![vec![0x72, 1, b'a'], vec![]], &status))
    };
    let list = |accept: &str| {
        let mut list = request("GET", "/v1/rich:stream", "");
        list.headers_mut().insert("accept", accept.parse().unwrap());
        list
    };
    let short = |text: String| {
        let mut out = String::new();
        for line in text.lines() {
            out.push_str(&line.chars().take(48).collect::<String>());
            out.push('\n');
        }
        out
    };
    let broken = || Status::new(Code::Unavailable, "gone");
    let (response, _) = through(
        rich(),
        list("text/html, text/event-stream;q=0.9"),
        answer(Status::ok("")),
    )
    .await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-cache");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    insta::assert_snapshot!("stream_events", short(text(response).await));
    let (response, _) = through(rich(), list("text/event-stream"), answer(broken())).await;
    insta::assert_snapshot!("stream_events_broken", short(text(response).await));
    let (response, _) = through(rich(), list("*/*"), answer(broken())).await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    insta::assert_snapshot!("stream_lines_broken", short(text(response).await));
}

#[test]
fn lookup_tells_routes_methods_and_nothing_apart() {
    let transcoder = signalbox();
    let found = transcoder.lookup(&Method::POST, "/v1/embeddings/jobs/7:cancel");
    let Lookup::Route {
        rpc,
        template,
        errors,
    } = found
    else {
        panic!("{found:?}")
    };
    assert_eq!(
        &*rpc,
        "signalbox.embeddings.v1.EmbeddingsService.CancelEmbeddingJob"
    );
    assert_eq!(
        (&*template, errors),
        ("/v1/embeddings/jobs/{job_id}:cancel", ErrorShape::GoogleRpc)
    );
    let found = transcoder.lookup(&Method::DELETE, "/v1/router/policy");
    assert_eq!(
        found,
        Lookup::MethodNotAllowed {
            allow: "GET, PATCH".into()
        }
    );
    assert_eq!(
        transcoder.lookup(&Method::GET, "/metrics"),
        Lookup::NotFound
    );
}
