//! A connection on which nothing is said.
//!
//! hyper's own timeout for a request's head begins once it knows which version of
//! HTTP is spoken, and it waits for the first bytes without any limit. This is
//! that limit.

use std::{
    io::{Error, ErrorKind, IoSlice, Result},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// HTTP/2 is known by its preface, which has 24 bytes.
const ENOUGH: usize = 24;

/// A connection whose first bytes must come in time.
pub(super) struct Preface<I> {
    io: I,
    read: usize,
    /// Gone once there was enough.
    limit: Option<Pin<Box<Sleep>>>,
}

impl<I> Preface<I> {
    pub(super) fn new(io: I, limit: Duration) -> Self {
        Self {
            io,
            read: 0,
            limit: Some(Box::pin(sleep(limit))),
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Preface<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        let Some(limit) = &mut self.limit else {
            return polled;
        };
        if polled.is_pending() {
            ready!(limit.as_mut().poll(cx));
            let nothing = Error::new(ErrorKind::TimedOut, "no request came");
            return Poll::Ready(Err(nothing));
        }
        self.read += buf.filled().len() - before;
        if self.read >= ENOUGH {
            self.limit = None;
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Preface<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_or_too_little_ends() {
        for said in ["", "PRI * HTTP/2"] {
            let (mut client, server) = duplex(64);
            client.write_all(said.as_bytes()).await.unwrap();
            let mut server = Preface::new(server, Duration::from_secs(10));
            let mut all = Vec::new();
            let error = server.read_to_end(&mut all).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_began_may_pause() {
        let (mut client, server) = duplex(64);
        client.write_all(&[7; ENOUGH]).await.unwrap();
        let mut server = Preface::new(server, Duration::from_secs(10));
        server.read_exact(&mut [0; ENOUGH]).await.unwrap();
        let later = tokio::spawn(async move { server.read_u8().await });
        tokio::time::advance(Duration::from_secs(60)).await;
        client.write_u8(9).await.unwrap();
        assert_eq!(later.await.unwrap().unwrap(), 9);
    }
}
