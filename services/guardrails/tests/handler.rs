//! The service as its callers see it: in process, and once through a real server.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use signalbox_guardrails::{Engine, GuardrailsConfig, Handler};
use signalbox_proto::guardrails::v1::{
    Action, BatchCheckTextRequest, CheckTextRequest, CreateModerationRequest, ListDetectorsRequest,
    RedactTextRequest, guardrails_service_client::GuardrailsServiceClient,
    guardrails_service_server::GuardrailsServiceServer,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Status,
    transport::{Endpoint, Server},
};
use tonic_types::StatusExt as _;

type InProcess = GuardrailsServiceClient<GuardrailsServiceServer<Handler>>;

fn client_with(config: &GuardrailsConfig) -> InProcess {
    let engine = Arc::new(Engine::new(config).unwrap());
    GuardrailsServiceClient::new(signalbox_guardrails::service(engine))
}

fn client() -> InProcess {
    client_with(&GuardrailsConfig::default())
}

fn text(text: impl Into<String>) -> CheckTextRequest {
    CheckTextRequest {
        text: text.into(),
        ..CheckTextRequest::default()
    }
}

fn batch(texts: Vec<String>) -> BatchCheckTextRequest {
    BatchCheckTextRequest {
        texts,
        ..BatchCheckTextRequest::default()
    }
}

/// The field that a refusal names and what it says about it.
fn violation(status: &Status) -> (String, String) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_details_bad_request().unwrap();
    let first = &details.field_violations[0];
    (first.field.clone(), first.description.clone())
}

#[tokio::test]
async fn a_clean_text_is_allowed_and_one_with_findings_is_to_be_redacted() {
    let mut client = client();
    let clean = client.check_text(text("hello")).await.unwrap().into_inner();
    assert_eq!(clean.action(), Action::Allow);
    assert_eq!(clean.findings, []);
    let empty = client.check_text(text("")).await.unwrap().into_inner();
    assert_eq!(empty.action(), Action::Allow);

    let found = client.check_text(text("é bob@example.com")).await.unwrap();
    let found = found.into_inner();
    assert_eq!(found.action(), Action::Redact);
    let [finding] = found.findings.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(
        (finding.r#type.as_str(), finding.detector.as_str()),
        ("EMAIL", "email")
    );
    assert_eq!((finding.start_byte, finding.end_byte), (3, 18));
    assert_eq!((finding.start_char, finding.end_char), (2, 17));
    assert_eq!(finding.reasons, ["pattern:mailbox", "rfc5321"]);
}

#[tokio::test]
async fn redaction_writes_type_labels() {
    let request = RedactTextRequest {
        text: "bob@example.com, +44 20 7946 0958, 536-22-1234, 4111 1111 1111 1111, ::1".into(),
        ..RedactTextRequest::default()
    };
    let answer = client().redact_text(request).await.unwrap().into_inner();
    assert_eq!(
        answer.text,
        "<EMAIL>, <PHONE>, <US_SSN>, <CREDIT_CARD>, <IP_ADDRESS>"
    );
    assert_eq!(answer.findings.len(), 5);
}

#[tokio::test]
async fn an_unknown_detector_is_named_with_its_place_and_the_nearest_one() {
    let mut request = text("x");
    request.detectors = vec!["email".into(), "credit-card".into()];
    let status = client().check_text(request).await.unwrap_err();
    let (field, fix) = violation(&status);
    assert_eq!(field, "detectors[1]");
    assert!(fix.contains("`credit-card`"), "{fix}");
    assert!(fix.contains("`credit_card`"), "{fix}");
    assert!(fix.contains("ListDetectors"), "{fix}");

    let mut request = text("x");
    request.detectors = vec!["email".into(); 65];
    let (field, _) = violation(&client().check_text(request).await.unwrap_err());
    assert_eq!(field, "detectors");
}

#[tokio::test]
async fn an_unknown_policy_is_refused_with_those_that_exist() {
    let mut request = text("x");
    request.policy = "default".into();
    client().check_text(request.clone()).await.unwrap();
    request.policy = "strictest".into();
    let status = client().check_text(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("`strictest`"));
    assert!(status.message().contains("`default`"));
}

#[tokio::test]
async fn a_text_over_the_limit_is_refused_with_limit_and_size() {
    let limit = GuardrailsConfig::default().max_text_bytes;
    client().check_text(text("a".repeat(limit))).await.unwrap();
    let over = text("a".repeat(limit + 1));
    let (field, fix) = violation(&client().check_text(over).await.unwrap_err());
    assert_eq!(field, "text");
    assert!(fix.contains("1048576") && fix.contains("1048577"), "{fix}");
}

#[tokio::test]
async fn a_large_batch_is_answered_in_order() {
    let texts: Vec<String> = (0..10_000)
        .map(|index| match index % 3 {
            0 => format!("user{index}@example.com"),
            1 => format!("text {index}"),
            _ => "192.0.2.1 and 192.0.2.2".into(),
        })
        .collect();
    let answer = client().batch_check_text(batch(texts)).await.unwrap();
    let results = answer.into_inner().results;
    assert_eq!(results.len(), 10_000);
    for (index, result) in results.iter().enumerate() {
        let expected = [1, 0, 2][index % 3];
        assert_eq!(result.findings.len(), expected, "{index}");
    }
}

#[tokio::test]
async fn a_batch_over_a_limit_is_refused_as_a_whole() {
    let refused = async |config: &GuardrailsConfig, texts: Vec<String>| {
        let mut client = client_with(config);
        violation(&client.batch_check_text(batch(texts)).await.unwrap_err())
    };
    let small = GuardrailsConfig {
        max_text_bytes: 10,
        max_batch_bytes: 25,
        ..GuardrailsConfig::default()
    };
    let default = GuardrailsConfig::default();
    assert_eq!(refused(&default, vec![]).await.0, "texts");
    assert_eq!(
        refused(&default, vec![String::new(); 10_001]).await.0,
        "texts"
    );
    let one_long = vec!["a".into(), "a".repeat(11)];
    assert_eq!(refused(&small, one_long).await.0, "texts[1]");
    let (field, fix) = refused(&small, vec!["a".repeat(9); 3]).await;
    assert_eq!(field, "texts");
    assert!(fix.contains("27") && fix.contains("25"), "{fix}");
}

#[tokio::test]
async fn detectors_are_listed_with_what_this_server_runs_by_default() {
    let config = GuardrailsConfig {
        detectors: vec!["email".into()],
        ..GuardrailsConfig::default()
    };
    let answer = client_with(&config)
        .list_detectors(ListDetectorsRequest {})
        .await
        .unwrap()
        .into_inner();
    let known: Vec<_> = Engine::new(&config)
        .unwrap()
        .detectors()
        .map(|it| (it.name.to_owned(), it.kind.to_owned(), it.name == "email"))
        .collect();
    let listed: Vec<_> = answer
        .detectors
        .into_iter()
        .map(|it| (it.name, it.r#type, it.default_on))
        .collect();
    assert_eq!(listed, known);
    assert!(listed.contains(&("us_ssn".into(), "US_SSN".into(), false)));
}

#[tokio::test]
async fn what_is_not_built_yet_says_so() {
    let mut client = client();
    let statuses = [client
        .create_moderation(CreateModerationRequest::default())
        .await
        .err()];
    for status in statuses {
        let status = status.unwrap();
        assert_eq!(status.code(), Code::Unimplemented);
        assert!(status.message().starts_with("GuardrailsService."));
    }
}

#[tokio::test]
async fn a_real_client_is_served_over_a_real_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let engine = Arc::new(Engine::new(&GuardrailsConfig::default()).unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(
        Server::builder()
            .add_service(signalbox_guardrails::service(engine))
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
                stopped.await.ok();
            }),
    );
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = GuardrailsServiceClient::new(endpoint.connect().await.unwrap());
    let answer = client.check_text(text("192.0.2.1")).await.unwrap();
    assert_eq!(answer.into_inner().action(), Action::Redact);
    // Larger than tonic's own limit of 4 MiB, within ours.
    let texts = vec!["lorem ipsum ".repeat(40_000); 12];
    let answer = client.batch_check_text(batch(texts)).await.unwrap();
    assert_eq!(answer.into_inner().results.len(), 12);
    drop(client);
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
