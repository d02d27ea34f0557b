//! A connection whose peer may say only so much in answer to what it was told: libraries that read an answer to its end,
//! or a line to its end, hold no more than that.

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use lettre::transport::smtp::client::AsyncTokioStream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

/// A stream that fails once its peer has said more than so much since the last write.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    inner: S,
    limit: usize,
    /// Bytes that were read since the last write.
    said: usize,
}

impl<S> Bounded<S> {
    /// `limit`: bytes of an answer.
    pub(super) const fn new(inner: S, limit: usize) -> Self {
        Self { inner, limit, said: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.said > this.limit {
            let problem = format!("the answer has more than {} KiB", this.limit >> 10);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, problem)));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buf);
        this.said += buf.filled().len().saturating_sub(before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.said = 0;
        Pin::new(&mut this.inner).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Bounded<TcpStream> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }
}

impl Connection for Bounded<TcpStream> {
    fn connected(&self) -> Connected {
        self.inner.connected()
    }
}

/// Connects as another does; the connections are [`Bounded`].
#[derive(Debug, Clone)]
pub(super) struct Bounding {
    pub(super) inner: HttpConnector,
    /// Bytes of an answer.
    pub(super) limit: usize,
}

impl Service<Uri> for Bounding {
    type Response = TokioIo<Bounded<TcpStream>>;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = super::Later<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, place: Uri) -> Self::Future {
        let (connecting, limit) = (self.inner.call(place), self.limit);
        Box::pin(async move { Ok(TokioIo::new(Bounded::new(connecting.await?.into_inner(), limit))) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn an_answer_is_bounded_and_a_conversation_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(64 << 10);
        let mut ours = Bounded::new(ours, 1_024);
        let mut piece = vec![0; 1_000];
        for _ in 0..10 {
            ours.write_all(b"more").await.unwrap();
            theirs.write_all(&piece).await.unwrap();
            ours.read_exact(&mut piece).await.unwrap();
        }
        theirs.write_all(&[0; 10_000]).await.unwrap();
        drop(theirs);
        let mut rest = Vec::new();
        let error = ours.read_to_end(&mut rest).await.unwrap_err();
        assert!(error.to_string().contains("more than 1 KiB"), "{error}");
        assert!(rest.len() < 4_096, "{}", rest.len());
    }
}
