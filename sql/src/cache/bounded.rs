//! A connection whose answers are bounded before anybody makes room for them.
//!
//! The protocol's reader makes room for as many bytes as the head of a value announces, and reads a line to
//! its end however long it is. Whatever answers at that address is held to what memcached may say here:
//! lines of at most [`MAX_LINE`] bytes, values of at most [`MAX_BYTES`](super::entry::MAX_BYTES).

use super::entry::MAX_BYTES;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest line, bytes: a head with a key of 250.
const MAX_LINE: usize = 512;

/// A socket.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

/// A socket that ends in an error as soon as an answer is out of bounds.
pub(super) struct Bounded {
    socket: Box<dyn Socket>,
    answer: Answer,
}

impl Bounded {
    pub(super) fn new(socket: Box<dyn Socket>) -> Self {
        Self { socket, answer: Answer::default() }
    }
}

/// Where in an answer the bytes are that came last.
#[derive(Debug, Default)]
struct Answer {
    /// What there is of a line.
    line: Vec<u8>,
    /// Bytes of a value, with its end of line, that are still to come.
    value: usize,
}

impl Answer {
    /// Goes on over `bytes`, which have not been seen by anybody yet.
    fn follow(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.value > 0 {
                let (value, rest) = bytes.split_at(self.value.min(bytes.len()));
                self.value -= value.len();
                bytes = rest;
                continue;
            }
            let end = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
            let (line, rest) = bytes.split_at(end);
            if self.line.len() + line.len() > MAX_LINE {
                return Err(Error::new(
                    ErrorKind::InvalidData,
                    "the answer is not memcached's: its line is too long",
                ));
            }
            self.line.extend_from_slice(line);
            bytes = rest;
            if self.line.ends_with(b"\n") {
                self.value = announced(&self.line)?;
                self.line.clear();
            }
        }
        Ok(())
    }
}

/// Bytes that follow a line: of `VALUE KEY FLAGS BYTES`, the value and its end of line.
fn announced(line: &[u8]) -> Result<usize> {
    let Some(rest) = line.strip_prefix(b"VALUE ") else { return Ok(0) };
    let word = std::str::from_utf8(rest).ok().and_then(|rest| rest.split(' ').nth(2));
    match word.and_then(|bytes| bytes.trim_end().parse::<usize>().ok()) {
        Some(bytes) if bytes <= MAX_BYTES => Ok(bytes + 2),
        _ => Err(Error::new(ErrorKind::InvalidData, "a value is larger than this node puts there")),
    }
}

impl AsyncRead for Bounded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.socket).poll_read(cx, buf))?;
        Poll::Ready(this.answer.follow(buf.filled().get(before..).unwrap_or_default()))
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether an answer is followed to its end, in pieces of `size` bytes.
    fn follows(answer: &[u8], size: usize) -> bool {
        let mut place = Answer::default();
        answer.chunks(size).all(|piece| place.follow(piece).is_ok())
    }

    #[test]
    fn answers_are_bounded() {
        let check = |answer: &[u8], expected: bool| {
            for size in [1, 3, 7, 1 << 20] {
                let shown = String::from_utf8_lossy(answer.get(..60).unwrap_or(answer)).into_owned();
                assert_eq!(follows(answer, size), expected, "{shown} in pieces of {size}");
            }
        };
        check(b"VALUE k 0 5\r\na\nb\nc\r\nEND\r\n", true);
        check(b"VALUE k 0 0\r\n\r\nVALUE l 0 1 17\r\n\n\r\nEND\r\n", true);
        // A line within a value is not one of the answer.
        check(b"VALUE k 0 23\r\nVALUE k 0 99999999999\r\n\r\nEND\r\n", true);
        check(b"VALUE k 0 99999999999999999\r\n", false);
        check(b"VALUE k 0 1000001\r\n", false);
        check(b"VALUE k 0 -1\r\n", false);
        check(b"VALUE k 0\r\n", false);
        check(b"VALUE k\r\n", false);
        check(&[b'x'; 600], false);
        check(b"VALUE k 0 1\r\nxyVALUE k 0 9999999999\r\n", true);
        check(b"VALUE k 0 1\r\nx\r\nVALUE k 0 9999999999\r\n", false);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), size in 1_usize..50) {
            let _followed = follows(&bytes, size);
        }
    }
}
