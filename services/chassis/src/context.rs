//! What the chassis knows about a request, handed to handlers as an extension.

use std::{net::SocketAddr, sync::Arc};

use tokio::time::Instant;

/// Who calls, under which id, and until when an answer is of use.
///
/// The chassis puts one into every request's extensions; [`RequestContext::of`]
/// gives an anonymous one where a handler is called without a chassis.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The request's id: the `x-request-id` that the caller sent, or a new ULID.
    pub request_id: Arc<str>,
    /// The caller's name: the name of its key, or `anonymous`.
    pub caller: Arc<str>,
    /// The other end of the connection; behind a proxy, the proxy's.
    pub peer: Option<SocketAddr>,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

impl RequestContext {
    /// The caller's name where keys are not required and none was sent.
    pub const ANONYMOUS: &str = "anonymous";

    /// A context for work that no caller asked for.
    pub fn anonymous() -> Self {
        Self {
            request_id: ulid::Ulid::new().to_string().into(),
            caller: Self::ANONYMOUS.into(),
            peer: None,
            deadline: None,
        }
    }

    /// The context of a request.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request
            .extensions()
            .get::<Self>()
            .cloned()
            .unwrap_or_else(Self::anonymous)
    }
}
