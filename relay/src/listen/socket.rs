//! A connected socket, TCP or Unix.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::Poll;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected socket.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.writable().await,
            Self::Unix(stream) => stream.writable().await,
        }
    }

    /// Writes what fits in now.
    pub(super) fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// Reads what is there. Unlike `try_read` it knows that nothing is left when the buffer was not
    /// filled, which saves a system call for every burst.
    async fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        let read = poll_fn(|cx| {
            let outcome = match self {
                Self::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
                Self::Unix(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            };
            Poll::Ready(match outcome {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => Err(ErrorKind::WouldBlock.into()),
            })
        });
        read.await.map(|()| buffer.filled().len())
    }
}

/// Reads until nothing is left or the buffer is full: how much, and whether the stream has ended.
pub(super) async fn fill(stream: &mut Stream, buffer: &mut [u8]) -> (usize, bool) {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        let wanted = room.len();
        match stream.read_now(room).await {
            Ok(0) => return (filled, true),
            Ok(read) => {
                filled += read;
                if read < wanted {
                    break;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The peer has gone; what it had sent completely is taken.
            Err(_) => return (filled, true),
        }
    }
    (filled, false)
}
