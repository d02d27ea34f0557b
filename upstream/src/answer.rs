//! Answers, as they come or whole.

use crate::body::Body;
use crate::error::Error;
use bytes::{Buf as _, Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use std::io::Read as _;

/// What unpacks to more bytes is unpacked beside the runtime, whose other tasks would stand still.
const AT_ONCE: usize = 64 << 10;

/// The head of an answer; its body is still to come.
#[derive(Debug)]
pub struct Opened {
    /// Any status: a 500 is an answer too.
    pub status: StatusCode,
    /// As they came.
    pub headers: HeaderMap,
    /// Bounded.
    pub body: Body,
    /// The longest body, bytes.
    pub(crate) limit: usize,
    /// Whether a packed body is unpacked by [`Opened::whole`].
    pub(crate) unpack: bool,
    /// Name and address of the server.
    pub(crate) server: String,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Whole {
    /// Any status.
    pub status: StatusCode,
    /// As they came, but for those that no longer hold of a body that was unpacked.
    pub headers: HeaderMap,
    /// Within the bound.
    pub body: Bytes,
}

impl Opened {
    /// Reads the body.
    ///
    /// # Errors
    /// It is too long, late, or broken.
    pub async fn whole(self) -> Result<Whole, Error> {
        let Self { status, mut headers, body, limit, unpack, server } = self;
        let mut body = body.collect().await?.to_bytes();
        let packed =
            headers.get(CONTENT_ENCODING).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"gzip"));
        if unpack && packed && !body.is_empty() {
            body = unpacked(body, limit, server).await?;
            headers.remove(CONTENT_ENCODING);
            headers.remove(CONTENT_LENGTH);
        }
        Ok(Whole { status, headers, body })
    }
}

impl Opened {
    /// Reads so many bytes of the body at most, as they came. The status stands however the body goes on: of one that is
    /// longer, late or broken there is what came before.
    pub async fn beginning(self, most: usize) -> Whole {
        let Self { status, headers, mut body, .. } = self;
        let mut start = BytesMut::new();
        while start.len() < most
            && let Some(Ok(frame)) = body.frame().await
        {
            start.extend_from_slice(frame.data_ref().map(Bytes::as_ref).unwrap_or_default());
        }
        start.truncate(most);
        Whole { status, headers, body: start.freeze() }
    }
}

async fn unpacked(body: Bytes, limit: usize, server: String) -> Result<Bytes, Error> {
    let mut packed = MultiGzDecoder::new(body.reader()).take(u64::MAX);
    let mut read = move |out: &mut Vec<u8>, most: usize| {
        packed.set_limit(u64::try_from(most).unwrap_or(u64::MAX));
        packed.read_to_end(out).map_err(|error| format!("gzip: {error}"))
    };
    let mut out = Vec::new();
    let whole = match read(&mut out, AT_ONCE.min(limit).saturating_add(1)) {
        Ok(_) if out.len() > AT_ONCE && limit > AT_ONCE => {
            let rest = move || read(&mut out, limit - AT_ONCE).map(|_| out);
            let unpacked = tokio::task::spawn_blocking(rest).await;
            unpacked.unwrap_or_else(|_| Err("unpacking ended early".to_owned()))
        }
        read => read.map(|_| out),
    };
    match whole {
        Ok(out) if out.len() > limit => Err(Error::TooLarge { server, limit }),
        Ok(out) => Ok(Bytes::from(out)),
        Err(reason) => Err(Error::Broken { server, reason }),
    }
}
