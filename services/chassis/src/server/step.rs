//! One step of a request's way to its handler, and the tower service that it makes
//! around the next one.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use tower::layer::{LayerFn, layer_fn};
use tower_service::Service;

use super::{Request, Response, ResponseFuture};

/// What a step stands in front of.
pub(super) trait Next:
    Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>
{
}

impl<S> Next for S where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>
{
}

/// Something to do with every request.
pub(super) trait Step: Sized {
    /// Answers a request, by itself or through `next`, which is ready.
    fn call(&self, request: Request, next: &mut impl Next) -> ResponseFuture;

    /// The service of this step in front of `next`.
    fn around<S>(self, next: S) -> Stepped<Self, S> {
        Stepped { step: self, next }
    }
}

/// A step in front of the next one.
#[derive(Clone)]
pub(super) struct Stepped<T, S> {
    step: T,
    next: S,
}

impl<T: Step, S: Next> Service<Request> for Stepped<T, S> {
    type Response = Response;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> ResponseFuture {
        self.step.call(request, &mut self.next)
    }
}

/// The layer of a step.
pub(super) fn layer<T, S>(step: T) -> LayerFn<impl Fn(S) -> Stepped<T, S> + Clone>
where
    T: Step + Clone,
{
    layer_fn(move |next| step.clone().around(next))
}
