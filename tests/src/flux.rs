//! A node that takes points over HTTP, and single requests to it.

use crate::node::{Node, Setup};
use crate::port;
use anyhow::Context as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Its key, by the name of `test`.
pub const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Longest wait for an answer.
const LIMIT: Duration = Duration::from_secs(30);

/// Starts it; `more` stands behind what the settings say of its key, with a comma in front.
///
/// # Errors
///
/// As [`Setup::start`].
pub fn flux(setup: Setup, more: &str) -> anyhow::Result<(Node, SocketAddr)> {
    let address = port::free();
    let setup = setup
        .file("flux.key", &format!("{KEY}\n"))
        .with("flux.listen", format!("[\"{address}\"]"))
        .with("flux.api_keys", format!("[{{ name = \"test\", key_file = \"flux.key\"{more} }}]"));
    Ok((setup.start()?, address))
}

/// Sends a request with the key; the status and the whole answer. `headers`: each with its line end.
///
/// # Errors
///
/// When there is no answer.
pub fn send(to: SocketAddr, path: &str, headers: &str, body: &[u8]) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect(to)?;
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: flux\r\nConnection: close\r\nX-Api-Key: {KEY}\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    // Who is refused early may be told before all is sent.
    let sent = stream.write_all(body);
    answer(&mut stream).with_context(|| format!("{sent:?}"))
}

/// The answer that ends a connection: its status and all of it.
///
/// # Errors
///
/// When there is none.
pub fn answer(stream: &mut TcpStream) -> anyhow::Result<(u16, String)> {
    stream.set_read_timeout(Some(LIMIT))?;
    let mut text = Vec::new();
    let read = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok());
    status.map(|status| (status, text)).with_context(|| format!("no answer: {read:?}"))
}

/// Sends carbon's lines.
///
/// # Errors
///
/// As [`send`].
pub fn lines(to: SocketAddr, text: &str) -> anyhow::Result<(u16, String)> {
    send(to, "/flux/metric_data_post", "Content-Type: text/plain\r\n", text.as_bytes())
}
