//! Gives every answer its request's id, whoever answers: a page, a refusal, REST
//! transcoding or a handler.

use std::sync::Arc;

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderMap, HeaderValue};

/// The header that carries a request's id, in and out.
pub(super) const REQUEST_ID: &str = "x-request-id";
const MAX_REQUEST_ID: usize = 128;

/// The middleware: from here on the request's header holds a usable id.
pub(super) async fn identify(mut request: Request, next: Next) -> Response {
    let id = HeaderValue::from_str(&request_id(request.headers()));
    if let Ok(id) = &id {
        request.headers_mut().insert(REQUEST_ID, id.clone());
    }
    let mut response = next.run(request).await;
    if let Ok(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The caller's id where it is printable and short, a new ULID otherwise.
pub(super) fn request_id(headers: &HeaderMap) -> Arc<str> {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            !id.is_empty()
                && id.len() <= MAX_REQUEST_ID
                && id.bytes().all(|byte| byte.is_ascii_graphic())
        })
        .map_or_else(|| ulid::Ulid::new().to_string().into(), Into::into)
}
