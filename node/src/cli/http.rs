//! Asking a running node over HTTP.

use super::output::program;
use anyhow::Context as _;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest answer taken, bytes.
const MAX_BODY: usize = 16 << 20;
const TIMEOUT: Duration = Duration::from_secs(5);

/// An address as a person writes it: `127.0.0.1:1501`, `localhost:1501`, `http://localhost:1501/metrics`.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let rest = text.strip_prefix("http://").unwrap_or(text);
    let host = rest.split_once('/').map_or(rest, |(host, _)| host);
    let mut found = host.to_socket_addrs().map_err(|error| format!("{error}; write HOST:PORT"))?;
    found.next().ok_or_else(|| format!("{host} has no address"))
}

/// Nobody answered in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", TIMEOUT.as_secs())]
pub(crate) struct Silent;

/// An answer: status code and body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).context("the answer is not JSON")
    }
}

/// Sends a request without a body and reads the answer.
pub(crate) async fn ask(method: Method, address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    exchange(method, address, path, None).await
}

/// Sends a request that changes something, with a body of JSON, and reads the answer.
pub(crate) async fn change(
    method: Method,
    address: SocketAddr,
    path: &str,
    body: &serde_json::Value,
) -> anyhow::Result<Answer> {
    exchange(method, address, path, Some(body.to_string())).await
}

async fn exchange(
    method: Method,
    address: SocketAddr,
    path: &str,
    json: Option<String>,
) -> anyhow::Result<Answer> {
    let ask = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", address.to_string())
            .header("connection", "close");
        if json.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::new(Bytes::from(json.unwrap_or_default())))?;
        let exchange = async {
            let answer = sender.send_request(request).await?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), MAX_BODY)
                .collect()
                .await
                .map_err(anyhow::Error::from_boxed)?;
            anyhow::Ok(Answer { status, body: body.to_bytes().to_vec() })
        };
        tokio::pin!(exchange, connection);
        // The connection is driven beside the exchange; it may end first when the node closes it.
        let mut driven = false;
        loop {
            tokio::select! {
                answer = &mut exchange => return answer,
                ended = &mut connection, if !driven => { driven = true; ended?; }
            }
        }
    };
    tokio::time::timeout(TIMEOUT, ask)
        .await
        .map_err(|_| anyhow::Error::new(Silent))
        .and_then(|answer| answer)
        .with_context(|| format!("http://{address}{path}"))
}

/// Whether nobody listens there.
pub(crate) fn is_refused(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// What to do when nobody listens at the address of a status listener.
pub(crate) fn nobody(address: SocketAddr) -> anyhow::Error {
    anyhow::anyhow!(
        "nobody listens at {address}: is the node running? Start it with `{} run`, give the same arguments here as \
         there, or name its status listener (http.status) with --address",
        program()
    )
}

/// `GET`.
pub(crate) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    ask(Method::GET, address, path).await
}

/// Whether a node's API answers there; other programs may listen on its port.
pub(crate) async fn is_node(api: SocketAddr) -> anyhow::Result<()> {
    let version = get(api, "/version").await?.json()?;
    anyhow::ensure!(version.get("SKYLINE_VERSION").is_some(), "another program answers at {api}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        let expected = SocketAddr::from(([127, 0, 0, 1], 1501));
        for text in ["127.0.0.1:1501", "http://127.0.0.1:1501", "http://127.0.0.1:1501/-/status"] {
            assert_eq!(address(text), Ok(expected), "{text}");
        }
        assert_eq!(address("localhost:1501").map(|at| at.port()), Ok(1501));
        assert!(address("127.0.0.1").unwrap_err().contains("write HOST:PORT"));
        assert!(address("").is_err());
    }
}
