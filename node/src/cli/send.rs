//! Sending points to a node, as carbon and its senders do.

use anyhow::Context as _;
use serde_pickle::SerOptions;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Points a frame.
const POINTS: usize = 500;

/// A point as a pickle holds it.
pub(crate) type Point = (String, (f64, f64));

/// An address to connect to for one that is listened on: loopback for "any".
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    address
}

/// A connection to a pickle port.
#[derive(Debug)]
pub(crate) struct PickleSender(TcpStream);

impl PickleSender {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("pickle port {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Sends points in frames of protocol 2.
    pub(crate) async fn send(&mut self, points: &[Point]) -> anyhow::Result<()> {
        for chunk in points.chunks(POINTS) {
            let body = serde_pickle::to_vec(&chunk, SerOptions::new().proto_v2())?;
            let length = u32::try_from(body.len())?.to_be_bytes();
            self.0.write_all(&[&length[..], &body].concat()).await?;
        }
        self.0.flush().await?;
        Ok(())
    }
}

/// Sends points as lines.
pub(crate) async fn send_lines(address: SocketAddr, points: &[Point]) -> anyhow::Result<()> {
    let lines: String =
        points.iter().map(|(name, (time, value))| format!("{name} {value} {time}\n")).collect();
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(lines.as_bytes()).await?;
    Ok(stream.shutdown().await?)
}
