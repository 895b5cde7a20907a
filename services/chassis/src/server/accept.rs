//! Accepts connections, HTTP/1.1 and HTTP/2 on one port, and drains them.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{LimitsConfig, admit::Peer, preface::Preface};
use crate::telemetry::metrics::CONNECTIONS;

/// A client that has not sent its request's head by then holds a connection for
/// nothing.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// hyper has one timer for the next request's head and for the pause before it. It
/// must be longer than gateways keep an idle connection (60 s is usual), or they
/// would now and then send a request into a closed one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an idle HTTP/2 client is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const MAX_HEADER_BYTES: u32 = 64 << 10;
/// Bytes of one stream that a client may send before they are read.
const STREAM_WINDOW: u32 = 1 << 20;
/// The same for all streams of a connection together, at least.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// h2 closes a connection whose unread small frames would cost it more than half that
/// window, at 256 bytes a frame: a few hundred calls that begin at once, where the
/// window is small. So much for each stream makes room for two frames of all of them.
const WINDOW_OF_A_STREAM: u32 = 1 << 10;
/// HTTP/2 has no larger one (RFC 9113, 6.9.1).
const LARGEST_WINDOW: u32 = i32::MAX as u32;
/// Pause after a failed accept, which is nearly always a lack of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `stop`, then waits for those that are at work, at
/// most until `cut`, when all that are left are closed.
pub(super) async fn run(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    app: Router,
    limits: LimitsConfig,
    stop: CancellationToken,
    cut: CancellationToken,
) {
    let connections = Arc::new(Semaphore::new(
        limits.max_connections.clamp(1, Semaphore::MAX_PERMITS),
    ));
    let server = Connections {
        app,
        http: Arc::new(http(&limits)),
        graceful: GracefulShutdown::new(),
        cut,
    };
    let tracker = TaskTracker::new();
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            permit = Arc::clone(&connections).acquire_owned() => permit,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        if let Err(error) = &accepted {
            tracing::warn!(%error, "a connection could not be accepted");
        }
        let (Ok(permit), Ok((stream, peer))) = (permit, accepted) else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        server.spawn(
            &tracker,
            Connection {
                stream,
                peer: Peer(peer),
                permit,
            },
            tls.clone(),
        );
    }
    drop(listener);
    tracker.close();
    let Connections { graceful, .. } = server;
    tokio::select! {
        () = graceful.shutdown() => {}
        () = server.cut.cancelled() => {}
    }
    tracker.wait().await;
}

struct Connection {
    stream: TcpStream,
    peer: Peer,
    permit: OwnedSemaphorePermit,
}

struct Connections {
    app: Router,
    http: Arc<Builder<TokioExecutor>>,
    graceful: GracefulShutdown,
    cut: CancellationToken,
}

impl Connections {
    fn spawn(
        &self,
        tracker: &TaskTracker,
        connection: Connection,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) {
        let Connection {
            stream,
            peer,
            permit,
        } = connection;
        // Small frames of a stream must not wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
        let (app, http, watcher) = (
            self.app.clone(),
            Arc::clone(&self.http),
            self.graceful.watcher(),
        );
        let cut = self.cut.clone();
        tracker.spawn(async move {
            let _permit = permit;
            let _counted = Counted::new();
            let served = async {
                match tls {
                    None => drive(&http, stream, app, peer, watcher).await,
                    Some(config) => {
                        let handshake = TlsAcceptor::from(config).accept(stream);
                        match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
                            Ok(Ok(stream)) => drive(&http, stream, app, peer, watcher).await,
                            Ok(Err(error)) => {
                                tracing::debug!(%error, peer = %peer.0, "TLS handshake failed")
                            }
                            Err(_) => {
                                tracing::debug!(peer = %peer.0, "TLS handshake took too long")
                            }
                        }
                    }
                }
            };
            tokio::select! {
                () = served => {}
                () = cut.cancelled() => tracing::debug!(peer = %peer.0, "connection cut off"),
            }
        });
    }
}

/// One open connection in the metrics, until it is dropped.
struct Counted;

impl Counted {
    fn new() -> Self {
        ::metrics::gauge!(CONNECTIONS).increment(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ::metrics::gauge!(CONNECTIONS).decrement(1.0);
    }
}

async fn drive<I>(
    http: &Builder<TokioExecutor>,
    stream: I,
    app: Router,
    peer: Peer,
    watcher: hyper_util::server::graceful::Watcher,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = tower::util::MapRequest::new(
        app,
        move |mut request: http::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(peer);
            request.map(axum::body::Body::new)
        },
    );
    let connection = http.serve_connection(
        TokioIo::new(Preface::new(stream, HEAD_TIMEOUT)),
        TowerToHyperService::new(service),
    );
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(%error, peer = %peer.0, "connection ended");
    }
}

fn http(limits: &LimitsConfig) -> Builder<TokioExecutor> {
    let streams = limits.max_streams_per_connection.max(1);
    let connection_window = streams
        .saturating_mul(WINDOW_OF_A_STREAM)
        .clamp(CONNECTION_WINDOW, LARGEST_WINDOW);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(connection_window);
    builder
}
