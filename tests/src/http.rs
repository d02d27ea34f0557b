//! One HTTP/1.1 request at a time, enough to ask the node.

use anyhow::Context as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for an answer.
const LIMIT: Duration = Duration::from_secs(10);

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// `GET`.
///
/// # Errors
///
/// When no whole answer comes within ten seconds.
pub fn get(address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    ask("GET", address, path)
}

/// A request without a body.
///
/// # Errors
///
/// When no whole answer comes within ten seconds.
pub fn ask(method: &str, address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    let exchange = || {
        let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        stream.write_all(
            format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
        )?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        anyhow::Ok(bytes)
    };
    let what = || format!("{method} http://{address}{path}");
    let bytes = exchange().with_context(what)?;
    parse(&bytes).with_context(what)
}

fn parse(bytes: &[u8]) -> anyhow::Result<Answer> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").context("no end of the head")?;
    let (head, rest) = bytes.split_at(end);
    let head = String::from_utf8_lossy(head);
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status")?;
    let body = rest.get(4..).unwrap_or_default();
    let header = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    if header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
        return Ok(Answer { status, body: unchunk(body).context("a broken chunk")? });
    }
    if let Some(length) = header("content-length") {
        anyhow::ensure!(length == body.len().to_string(), "{} bytes of {length}", body.len());
    }
    Ok(Answer { status, body: body.to_vec() })
}

fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = bytes.windows(2).position(|w| w == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(bytes.get(..line)?).ok()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        let from = line + 2;
        body.extend_from_slice(bytes.get(from..from + length)?);
        bytes = bytes.get(from + length + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let check = |bytes: &str, expected: Option<(u16, &str)>| {
            let got = parse(bytes.as_bytes()).ok().map(|a| (a.status, a.text()));
            assert_eq!(got, expected.map(|(status, body)| (status, body.to_owned())), "{bytes:?}");
        };
        check("HTTP/1.1 200 OK\r\n\r\nhello", Some((200, "hello")));
        check("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", Some((404, "no")));
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nno", None);
        check(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
            Some((200, "abcd")),
        );
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab", None);
        check("hello", None);
    }
}
