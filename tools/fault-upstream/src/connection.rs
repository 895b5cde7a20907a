//! One TCP connection that a handler can reset. A plain drop of a socket says FIN;
//! only `SO_LINGER` of 0 makes it say RST, as a crashed peer or a load balancer does.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{Router, extract::Request};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
};
use tower::ServiceExt as _;

/// Resets the connection that a request came by. Every request carries one in its
/// extensions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resetter(Arc<Switch>);

#[derive(Debug, Default)]
struct Switch {
    asked: AtomicBool,
    notify: Notify,
}

impl Resetter {
    /// Resets the connection. What was flushed before still arrives.
    pub(crate) async fn reset(&self) -> Infallible {
        // One turn for hyper to flush what it holds.
        tokio::task::yield_now().await;
        self.0.asked.store(true, Ordering::Release);
        self.0.notify.notify_one();
        std::future::pending().await
    }
}

/// Serves one connection, HTTP/1.1 or HTTP/2, until it ends or is reset.
pub(crate) async fn serve(stream: TcpStream, router: Router) {
    let resetter = Resetter::default();
    let io = Resettable {
        stream,
        switch: Arc::clone(&resetter.0),
    };
    let extension = resetter.clone();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(extension.clone());
        router.clone().oneshot(request)
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    tokio::select! {
        // An error here is the client's: the record says how its request ended.
        _ = builder.serve_connection(TokioIo::new(io), service) => {}
        () = resetter.0.notify.notified() => {}
    }
}

/// A stream that says RST when it is dropped after a reset was asked for.
struct Resettable {
    stream: TcpStream,
    switch: Arc<Switch>,
}

impl Drop for Resettable {
    fn drop(&mut self) {
        if self.switch.asked.load(Ordering::Acquire) {
            // It fails only on a socket that is gone already.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Resettable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Resettable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
