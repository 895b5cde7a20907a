//! gRPC by hand over the `h2` crate: what a generated client hides has to be seen here.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::{RecvStream, SendStream, client, client::ResponseFuture};
use http::{HeaderMap, Method, Request, StatusCode};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
};
use tokio_rustls::TlsConnector;
use tonic::{Code, Status};

use super::Target;

/// Nothing here takes longer; what does is stuck.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what must happen, not for ever.
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::time::timeout(PATIENCE, future)
        .await
        .with_context(|| format!("{what} takes longer than {PATIENCE:?}"))
}

/// Bytes that all streams of a connection may send before they are read; generated
/// clients have some megabytes too.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// One HTTP/2 connection.
#[derive(Clone)]
pub(super) struct Connection {
    requests: client::SendRequest<Bytes>,
    authority: String,
    scheme: &'static str,
    ended: watch::Receiver<Option<Ended>>,
}

/// How a connection ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// The reason of the server's GOAWAY.
    pub(super) go_away: Option<h2::Reason>,
    /// What h2 said of it, when it was not a clean end.
    pub(super) said: String,
}

impl Connection {
    pub(super) async fn open(target: &Target) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(&target.address).await?;
        stream.set_nodelay(true)?;
        match &target.tls {
            None => Self::handshake(target, stream).await,
            Some(config) => {
                let name = "localhost".try_into()?;
                let stream = TlsConnector::from(Arc::clone(config))
                    .connect(name, stream)
                    .await?;
                ensure!(
                    stream.get_ref().1.alpn_protocol() == Some(b"h2"),
                    "the server does not choose h2 by ALPN"
                );
                Self::handshake(target, stream).await
            }
        }
    }

    async fn handshake<I>(target: &Target, io: I) -> anyhow::Result<Self>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut builder = client::Builder::new();
        // What the server allows is what counts.
        builder
            .initial_max_send_streams(0)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .enable_push(false);
        let (requests, connection) = builder.handshake(io).await?;
        let (end, ended) = watch::channel(None);
        tokio::spawn(async move {
            let result = connection.await;
            let go_away = (result.as_ref().err())
                .filter(|error| error.is_go_away() && error.is_remote())
                .and_then(h2::Error::reason);
            // The server had closed its side in order (a reset before that is another
            // error): what broke is a write of ours that crossed it, as a window's update
            // for the last answer does.
            let crossed = |error: &h2::Error| {
                let kind = error.get_io().map(std::io::Error::kind);
                kind == Some(std::io::ErrorKind::BrokenPipe)
            };
            let said = result.err().filter(|error| !crossed(error));
            let said = said.map(|error| error.to_string()).unwrap_or_default();
            let _ = end.send(Some(Ended { go_away, said }));
        });
        Ok(Self {
            requests,
            authority: target.address.clone(),
            scheme: if target.tls.is_some() {
                "https"
            } else {
                "http"
            },
            ended,
        })
    }

    /// Begins a call; its message or messages follow.
    pub(super) async fn start(&self, path: &str, metadata: &HeaderMap) -> anyhow::Result<Call> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}://{}{path}", self.scheme, self.authority))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        for (name, value) in metadata {
            request.headers_mut().append(name, value.clone());
        }
        self.send(request).await
    }

    async fn send(&self, request: Request<()>) -> anyhow::Result<Call> {
        let mut requests = self.requests.clone().ready().await?;
        let (response, sender) = requests.send_request(request, false)?;
        Ok(Call {
            sender,
            response: Some(response),
            body: None,
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            buffer: BytesMut::new(),
        })
    }

    /// A whole call with one message.
    pub(super) async fn unary(
        &self,
        path: &str,
        metadata: &HeaderMap,
        message: &[u8],
    ) -> anyhow::Result<Answer> {
        self.framed(path, metadata, framed(0, message)).await
    }

    /// A whole call with these bytes as they are.
    pub(super) async fn framed(
        &self,
        path: &str,
        metadata: &HeaderMap,
        bytes: Bytes,
    ) -> anyhow::Result<Answer> {
        soon(path, async {
            let mut call = self.start(path, metadata).await?;
            call.send(bytes, true).await?;
            call.answer().await
        })
        .await?
    }

    /// A page of the server, such as `/metrics`.
    pub(super) async fn page(&self, path: &str) -> anyhow::Result<String> {
        let uri = format!("{}://{}{path}", self.scheme, self.authority);
        let read = async {
            let mut call = self.send(Request::get(uri).body(())?).await?;
            call.sender.send_data(Bytes::new(), true)?;
            while call.fill().await? {}
            anyhow::Ok(String::from_utf8(call.buffer.to_vec())?)
        };
        soon(path, read).await?
    }

    /// Calls in flight at once that the server allows.
    pub(super) fn allowed(&self) -> usize {
        self.requests.current_max_send_streams()
    }

    /// Waits for the server's GOAWAY.
    pub(super) async fn told_to_go(&self) -> anyhow::Result<h2::Reason> {
        let told = async {
            loop {
                match self.requests.clone().ready().await {
                    // h2 has no event for it; it refuses new streams from then on.
                    Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                    Err(error) => return error,
                }
            }
        };
        let error = soon("GOAWAY", told).await?;
        ensure!(
            error.is_go_away() && error.is_remote(),
            "no GOAWAY: {error}"
        );
        error.reason().context("a reason")
    }

    /// Waits until the connection is over.
    pub(super) async fn ended(&self) -> anyhow::Result<Ended> {
        let mut ended = self.ended.clone();
        let end = soon("the connection's end", ended.wait_for(Option::is_some)).await??;
        end.clone().context("it has ended")
    }
}

/// A call under way.
pub(super) struct Call {
    sender: SendStream<Bytes>,
    response: Option<ResponseFuture>,
    body: Option<RecvStream>,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    buffer: BytesMut,
}

/// A call's end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    pub(super) headers: HeaderMap,
    pub(super) trailers: HeaderMap,
    /// The messages, and whether each came compressed.
    pub(super) messages: Vec<(bool, Bytes)>,
}

impl Answer {
    /// The one message of a call that went well.
    pub(super) fn message(mut self) -> anyhow::Result<(bool, Bytes)> {
        self.ok()?;
        ensure!(self.messages.len() == 1, "{} messages", self.messages.len());
        self.messages.pop().context("one message")
    }

    pub(super) fn ok(&self) -> anyhow::Result<()> {
        self.code(Code::Ok)
    }

    pub(super) fn code(&self, code: Code) -> anyhow::Result<()> {
        ensure!(
            self.status.code() == code,
            "{:?} instead of {code:?}: {}",
            self.status.code(),
            self.status.message()
        );
        Ok(())
    }
}

impl Call {
    /// Sends bytes as the server's windows allow.
    pub(super) async fn send(&mut self, mut bytes: Bytes, end: bool) -> anyhow::Result<()> {
        if bytes.is_empty() {
            return Ok(self.sender.send_data(bytes, end)?);
        }
        while !bytes.is_empty() {
            self.sender.reserve_capacity(bytes.len());
            let capacity = std::future::poll_fn(|cx| self.sender.poll_capacity(cx)).await;
            let Some(Ok(capacity)) = capacity else {
                // The server has answered already and wants no more.
                return Ok(());
            };
            let piece = bytes.split_to(capacity.min(bytes.len()));
            let last = end && bytes.is_empty();
            if self.sender.send_data(piece, last).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends a message.
    pub(super) async fn message(&mut self, message: &[u8]) -> anyhow::Result<()> {
        self.send(framed(0, message), false).await
    }

    /// No more messages.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        Ok(self.sender.send_data(Bytes::new(), true)?)
    }

    /// Ends it without waiting, as a client does that cancels.
    pub(super) fn reset(mut self) {
        self.sender.send_reset(h2::Reason::CANCEL);
    }

    /// Waits for the answer's head.
    pub(super) async fn head(&mut self) -> anyhow::Result<()> {
        if let Some(response) = self.response.take() {
            let (head, body) = response.await?.into_parts();
            (self.status, self.headers, self.body) = (head.status, head.headers, Some(body));
        }
        Ok(())
    }

    async fn fill(&mut self) -> anyhow::Result<bool> {
        self.head().await?;
        let body = self.body.as_mut().context("the head is there")?;
        let Some(data) = body.data().await else {
            return Ok(false);
        };
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        self.buffer.extend_from_slice(&data);
        Ok(true)
    }

    /// The next message, and whether it is compressed.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<(bool, Bytes)>> {
        loop {
            if let [flag, length @ ..] = &self.buffer[..]
                && let Some(length) = length
                    .first_chunk()
                    .map(|b| u32::from_be_bytes(*b) as usize)
                && self.buffer.len() >= 5 + length
            {
                let flag = *flag;
                self.buffer.advance(5);
                return Ok(Some((flag == 1, self.buffer.split_to(length).freeze())));
            }
            if !self.fill().await? {
                ensure!(self.buffer.is_empty(), "the answer ends within a message");
                return Ok(None);
            }
        }
    }

    /// Reads all that is left.
    pub(super) async fn answer(mut self) -> anyhow::Result<Answer> {
        self.head().await?;
        let mut messages = Vec::new();
        while let Some(message) = self.next().await? {
            messages.push(message);
        }
        let trailers = match &mut self.body {
            Some(body) => body.trailers().await?.unwrap_or_default(),
            None => HeaderMap::new(),
        };
        if self.status != StatusCode::OK {
            bail!("HTTP {}", self.status);
        }
        let status = Status::from_header_map(&trailers)
            .or_else(|| Status::from_header_map(&self.headers))
            .context("no grpc-status")?;
        Ok(Answer {
            status,
            headers: self.headers,
            trailers,
            messages,
        })
    }
}

/// A message with gRPC's prefix: this flag and its length.
pub(super) fn framed(flag: u8, message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(5 + message.len());
    bytes.put_u8(flag);
    bytes.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    bytes.extend_from_slice(message);
    bytes.freeze()
}
