//! One HTTP/1.1 request on a connection of its own, sent as it is written: a client that
//! tidies paths or follows redirects would hide what the checks are about.

use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Bytes};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// No answer of the checks takes as long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends a request to `host:port` and reads its answer to the end. The request's URI is
/// a path with its query; `Host` is added.
pub(crate) async fn send(
    address: &str,
    mut request: Request<Full<Bytes>>,
) -> anyhow::Result<Response<Bytes>> {
    let headers = request.headers_mut();
    headers.insert(hyper::header::HOST, address.parse()?);
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let answer = async {
            let (parts, body) = sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok(Response::from_parts(parts, body))
        };
        let answer = answer.await;
        connection.abort();
        answer
    };
    tokio::time::timeout(PATIENCE, exchange)
        .await
        .context("no answer in time")
        .flatten()
        .with_context(|| format!("a request to {address}"))
}
