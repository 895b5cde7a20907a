//! A gRPC response as JSON, or as a stream of it.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tonic::{Code, Status, body::Body};

use super::{
    events::{Events, Format},
    frames::{Frames, Next},
};
use crate::{
    headers::pass_metadata,
    render::error_response,
    status,
    transcoder::{Transcoder, json_size},
};

/// What the caller would have of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    Events,
    Anything,
}

impl Accepted {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let events = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|range| {
                range
                    .trim()
                    .to_ascii_lowercase()
                    .starts_with("text/event-stream")
            });
        if events { Self::Events } else { Self::Anything }
    }
}

pub(super) async fn to_rest(
    transcoder: &Transcoder,
    route: usize,
    rpc: usize,
    accepted: Accepted,
    response: Response<Body>,
) -> Response<Body> {
    let inner = &transcoder.inner;
    let shape = inner.rpcs[rpc].shape;
    let (parts, body) = response.into_parts();
    let early = Status::from_header_map(&parts.headers);
    if early.is_none() && !is_grpc(&parts.headers) {
        return error_response(&foreign(parts.status), shape);
    }
    let mut frames = Frames::new(body, inner.max_response, early);
    let streaming = inner.rpcs[rpc].streaming;
    let result = if streaming {
        stream(transcoder, route, rpc, accepted, frames).await
    } else {
        unary(transcoder, route, rpc, &mut frames).await
    };
    match result {
        Ok((mut response, trailers)) => {
            let own = std::mem::take(response.headers_mut());
            pass_metadata(&parts.headers, response.headers_mut());
            pass_metadata(&trailers, response.headers_mut());
            for (name, value) in own {
                if let Some(name) = name {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
        Err(refusal) => {
            let mut response = error_response(&refusal, shape);
            let mut headers = HeaderMap::new();
            pass_metadata(&parts.headers, &mut headers);
            for (name, value) in &headers {
                response
                    .headers_mut()
                    .entry(name)
                    .or_insert_with(|| value.clone());
            }
            response
        }
    }
}

type Made = Result<(Response<Body>, HeaderMap), Status>;

async fn unary(transcoder: &Transcoder, route: usize, rpc: usize, frames: &mut Frames) -> Made {
    let inner = &transcoder.inner;
    let message = match frames.next().await {
        Next::Message(message) => message,
        Next::End(end) if end.0.code() != Code::Ok => return Err(end.0),
        Next::End(_) => return Err(status::internal("the response holds no message")),
    };
    let trailers = match frames.next().await {
        Next::End(end) if end.0.code() == Code::Ok => end.1,
        Next::End(end) => return Err(end.0),
        Next::Message(_) => return Err(status::internal("the response holds two messages")),
    };
    let mut json = Vec::with_capacity(json_size(&message));
    let field = inner.routes[route].response_body;
    inner
        .response_json(&inner.rpcs[rpc], field, &message, &mut json)
        .map_err(|corrupt| status::internal(format!("the response cannot be read: {corrupt}")))?;
    let mut response = Response::new(Body::new(Full::new(Bytes::from(json))));
    set_type(&mut response, "application/json");
    Ok((response, trailers))
}

/// Waits for the first message, so that an error before it has a status of its own.
async fn stream(
    transcoder: &Transcoder,
    route: usize,
    rpc: usize,
    accepted: Accepted,
    mut frames: Frames,
) -> Made {
    let first = frames.next().await;
    if let Next::End(end) = &first
        && end.0.code() != Code::Ok
    {
        return Err(end.0.clone());
    }
    frames.put_back(first);
    let done = transcoder.inner.rpcs[rpc].done_marker;
    let (format, content_type) = if done || accepted == Accepted::Events {
        (Format::Events { done }, "text/event-stream")
    } else {
        (Format::Lines, "application/x-ndjson")
    };
    let events = Events::new(transcoder.clone(), route, rpc, format, frames);
    let mut response = Response::new(Body::new(events));
    set_type(&mut response, content_type);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Tells a buffering proxy in front to let events through at once.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok((response, HeaderMap::new()))
}

fn set_type(response: &mut Response<Body>, content_type: &'static str) {
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    value.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// An answer that is not gRPC, by gRPC's own table of HTTP statuses.
fn foreign(http: StatusCode) -> Status {
    let code = match http.as_u16() {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        _ => Code::Internal,
    };
    Status::new(
        code,
        format!("the service answered with HTTP {http} instead of gRPC"),
    )
}
