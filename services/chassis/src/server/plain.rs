//! What is neither gRPC nor REST of a service: probes, metrics, the OpenAPI
//! document, and a first page for people.

use std::{
    convert::Infallible,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use http::{HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use signalbox_transcode::{ErrorShape, Info, Transcoder};
use tonic::{Code, Status, body::Body};
use tower::util::BoxCloneSyncService;
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

use super::{
    Request, Response, ResponseFuture, ServerError,
    identify::{REQUEST_ID, identify},
    step::{Next, Step},
};
use crate::{ApiError, error::reason, telemetry::Metrics};

/// How long a browser may remember what it is allowed.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// Whether new requests are welcome.
#[derive(Clone)]
pub(super) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub(super) fn ready() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    pub(super) fn set_draining(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What the plain pages show.
#[derive(Clone)]
pub(super) struct Plain {
    pub(super) metrics: Metrics,
    pub(super) transcoder: Transcoder,
    pub(super) names: Vec<&'static str>,
    pub(super) ready: Readiness,
}

/// The plain pages, and `services` behind them.
pub(super) fn router(
    plain: Plain,
    services: BoxCloneSyncService<Request, Response, Infallible>,
    cors: Option<CorsLayer>,
) -> Router {
    let openapi = Arc::new(OnceLock::<String>::new());
    let documented = plain.clone();
    let services = tower::service_fn(move |request: http::Request<axum::body::Body>| {
        let services = services.clone();
        async move { tower::ServiceExt::oneshot(services, request.map(Body::new)).await }
    });
    let mut router = Router::new()
        .route("/", get(first_page))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route(
            "/openapi.json",
            get(move || async move {
                let text =
                    openapi.get_or_init(|| documented.transcoder.openapi(&info()).to_string());
                ([(CONTENT_TYPE, "application/json")], text.clone())
            }),
        )
        .with_state(plain)
        .fallback_service(services);
    if let Some(cors) = cors {
        router = router.layer(cors);
    }
    router.layer(axum::middleware::from_fn(identify))
}

/// Browsers may call from these origins, with gRPC-Web or REST.
///
/// # Errors
/// An origin that no browser can have.
pub(super) fn cors(origins: &[String]) -> Result<Option<CorsLayer>, ServerError> {
    if origins.is_empty() {
        return Ok(None);
    }
    let exposed = [
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
        REQUEST_ID,
        "retry-after",
    ];
    let layer = CorsLayer::new()
        .allow_methods(Any)
        // `*` would not do: for browsers it never includes `authorization`.
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(PREFLIGHT_AGE)
        .expose_headers(exposed.map(HeaderName::from_static));
    if origins.iter().any(|origin| origin == "*") {
        return Ok(Some(layer.allow_origin(Any)));
    }
    let origins: Result<Vec<HeaderValue>, _> = origins
        .iter()
        .enumerate()
        .map(|(index, text)| origin(index, text))
        .collect();
    Ok(Some(layer.allow_origin(AllowOrigin::list(origins?))))
}

/// An origin as browsers send it: scheme and host, and no path, not even `/`.
fn origin(index: usize, text: &str) -> Result<HeaderValue, ServerError> {
    let host = text.split_once("://").map(|(_, host)| host);
    let value = host
        .filter(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', '*']))
        .and_then(|_| HeaderValue::from_str(text).ok());
    value.ok_or_else(|| ServerError::Config {
        key: format!("server.cors_allowed_origins[{index}]"),
        detail: format!("`{text}` is no origin; write it as `https://app.example`, or `*` for all"),
    })
}

fn info() -> Info {
    Info {
        title: "Signalbox".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: "Routes prompts to models, turns text into vectors, and keeps personal data in. The same \
                      contract is served over gRPC."
            .to_owned(),
    }
}

async fn readyz(State(plain): State<Plain>) -> impl IntoResponse {
    match plain.ready.is_ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

async fn metrics(State(plain): State<Plain>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        plain.metrics.render(),
    )
}

async fn first_page(State(plain): State<Plain>) -> String {
    let mut page = format!(
        "Signalbox {}\n\nServices (gRPC, gRPC-Web, REST):\n",
        env!("CARGO_PKG_VERSION")
    );
    for name in &plain.names {
        page.push_str(&format!("  {name}\n"));
    }
    page.push_str("\nREST: /openapi.json   Metrics: /metrics   Probes: /healthz /readyz\n");
    page
}

/// Lets through what is gRPC, or gRPC-Web, by now; nothing serves the rest.
#[derive(Clone)]
pub(super) struct OnlyGrpc;

impl Step for OnlyGrpc {
    fn call(&self, request: Request, next: &mut impl Next) -> ResponseFuture {
        if is_grpc(&request) {
            return Box::pin(next.call(request));
        }
        let answer = not_found(request.uri().path());
        Box::pin(async move { Ok(answer) })
    }
}

pub(super) fn is_grpc(request: &Request) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The answer to a path that nothing serves.
fn not_found(path: &str) -> Response {
    let message = format!("nothing is served at {path}; GET /openapi.json lists the paths");
    let status = Status::from(ApiError::new(Code::NotFound, reason::NOT_FOUND, message));
    signalbox_transcode::error_response(&status, ErrorShape::GoogleRpc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_that_no_browser_sends_is_named() {
        for text in ["https://app.example", "http://localhost:5173", "null://x"] {
            assert!(origin(0, text).is_ok(), "{text}");
        }
        for text in [
            "app.example",
            "https://",
            "https://app.example/",
            "https://*.example",
            "",
        ] {
            let error = origin(1, text).err().map(|error| error.to_string());
            let said = error.unwrap_or_default();
            assert!(
                said.starts_with("server.cors_allowed_origins[1]: "),
                "{text}: {said}"
            );
        }
    }
}
