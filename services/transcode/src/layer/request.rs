//! A REST request as the gRPC request that it stands for.

use std::future::poll_fn;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Uri, Version, header};
use http_body::Body as _;
use http_body_util::Full;
use tonic::{Status, body::Body};

use crate::{
    headers,
    routes::Found,
    status,
    transcoder::{BodyRule, FRAME_HEAD, Inner, RestRequest},
};

/// The RPC that the request goes to, and the request.
///
/// # Errors
/// What is wrong with it, for the caller.
pub(super) async fn to_grpc(
    inner: &Inner,
    index: usize,
    request: Request<Body>,
) -> Result<(usize, Request<Body>), Status> {
    let route = &inner.routes[index];
    let (mut parts, body) = request.into_parts();
    let body = if route.body == BodyRule::None {
        Bytes::new()
    } else {
        read(&parts.headers, body, inner.max_request).await?
    };
    let text = text(&parts.headers, &body)?;
    let path = parts.uri.path();
    let Found::Route(_, segments) = inner.table.find(&parts.method, path) else {
        return Err(status::internal("the route of this request was lost"));
    };
    let query = parts.uri.query().unwrap_or_default();
    let frame = inner
        .request_frame(route, &segments, query, text)
        .map_err(status::invalid)?;
    let target = inner.target(route, frame.get(FRAME_HEAD..).unwrap_or_default());

    headers::to_grpc(&mut parts.headers)?;
    let rpc = &inner.rpcs[target];
    let method = std::mem::replace(&mut parts.method, Method::POST);
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.path_and_query = Some(rpc.path.clone());
    parts.uri = Uri::from_parts(uri).unwrap_or_else(|_| rpc.path.clone().into());
    parts.version = Version::HTTP_2;
    parts.extensions.insert(RestRequest {
        method,
        template: route.text.clone(),
        rpc: rpc.name.clone(),
    });
    let body = Body::new(Full::new(Bytes::from(frame)));
    Ok((target, Request::from_parts(parts, body)))
}

/// The body, as far as the limit.
async fn read(headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Bytes, Status> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let declared: u64 = declared.and_then(|text| text.parse().ok()).unwrap_or(0);
    if declared > limit as u64 {
        return Err(status::too_large(limit));
    }
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if first.len() + joined.len() + data.len() > limit {
            return Err(status::too_large(limit));
        }
        if first.is_empty() && joined.is_empty() {
            first = data;
            continue;
        }
        if !first.is_empty() {
            joined.reserve((declared as usize).max(first.len() + data.len()));
            joined.extend_from_slice(&std::mem::take(&mut first));
        }
        joined.extend_from_slice(&data);
    }
    Ok(if joined.is_empty() {
        first
    } else {
        joined.freeze()
    })
}

/// The body as text, when its headers say that it is JSON.
fn text<'b>(headers: &HeaderMap, body: &'b [u8]) -> Result<&'b str, Status> {
    if body.is_empty() {
        return Ok("");
    }
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let message = "a body with a content-encoding is not accepted; send it uncompressed";
        return Err(status::unsupported_media_type(message));
    }
    if let Some(value) = headers.get(header::CONTENT_TYPE)
        && !is_json(value.to_str().unwrap_or_default())
    {
        let message = format!(
            "the content-type {:?} is not accepted; send application/json in UTF-8",
            crate::fault::shorten(&String::from_utf8_lossy(value.as_bytes()))
        );
        return Err(status::unsupported_media_type(message));
    }
    str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        let message = format!("it is not UTF-8: byte {at} is wrong");
        status::invalid(crate::fault::Report::Json(message))
    })
}

/// `application/json` or `application/...+json`, in UTF-8 where a charset is named.
fn is_json(content_type: &str) -> bool {
    let lower = content_type.to_ascii_lowercase();
    let mut parts = lower.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let json = media == "application/json"
        || (media.starts_with("application/") && media.ends_with("+json"));
    let utf8 = parts
        .filter_map(|part| part.strip_prefix("charset="))
        .all(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"));
    json && utf8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_media_type_and_charset() {
        for accepted in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/merge-patch+json",
        ] {
            assert!(is_json(accepted), "{accepted}");
        }
        for refused in [
            "text/plain",
            "application/json; charset=latin1",
            "",
            "application/x-json2",
        ] {
            assert!(!is_json(refused), "{refused}");
        }
    }
}
