//! Lines, pickles and protobuf: the bytes of a case over a real socket, and what the journal then holds.

use crate::case::{self, Outcome};
use crate::memory;
use crate::points::{Expected, Taken};
use crate::rig::{Rig, Settings};
use base64::Engine as _;
use serde_json::Value;
use skyline_core::batch::Listener;
use std::io::{ErrorKind, Read as _};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, sleep, timeout};

/// A case may take so long.
const LIMIT: Duration = Duration::from_secs(20);
/// Points that are wanted, or the end of a connection that is, may take so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Once all wanted points are there, a connection that stays open so long is one that stays open.
const GRACE: Duration = Duration::from_millis(25);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);
/// Between two pieces of a stream, so that they are read apart.
const BETWEEN_PIECES: Duration = Duration::from_millis(5);
/// A stream is at most so long once inflated, bytes.
const LONGEST: u64 = 64 << 20;
/// Sent after the datagrams of a case: once it is there, they are.
const LAST: &str = "conformance.last";

/// Rigs by their settings, each started at its first case.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    rigs: Vec<Rig>,
}

/// What is sent, and where.
struct Stream {
    listener: Listener,
    pieces: Vec<Vec<u8>>,
}

impl Wire {
    /// Runs one case; `usual` is the listener of cases that do not name a protocol.
    pub(crate) async fn run(&mut self, case: &Value, usual: Listener) -> Outcome {
        let expected = Expected::of(case)?;
        let stream = Stream::of(case, usual)?;
        let rig = self.rig(settings(case)?)?;
        // What an earlier case that failed left behind is not this one's.
        rig.drain(&mut Vec::new())?;
        let before = memory::peak();
        let sent = async {
            match stream.listener {
                Listener::PlaintextUdp => Ok((datagrams(rig, &stream).await?, None)),
                _ => connection(rig, &stream, &expected).await.map(|(points, closed)| (points, Some(closed))),
            }
        };
        let (points, closed) = timeout(LIMIT, sent).await.map_err(|_| format!("not done in {LIMIT:?}"))??;
        expected.judge(&points)?;
        match (expected.closed, closed) {
            (Some(true), Some(false)) => Err("the connection is not closed".to_owned()),
            (Some(false), Some(true)) => Err("the connection is closed".to_owned()),
            _ => memory::check(before),
        }
    }

    fn rig(&mut self, settings: Settings) -> Result<&mut Rig, String> {
        let at = match self.rigs.iter().position(|rig| rig.settings == settings) {
            Some(at) => at,
            None => {
                let rig = Rig::start(settings).map_err(|error| format!("no rig: {error:#}"))?;
                self.rigs.push(rig);
                self.rigs.len() - 1
            }
        };
        self.rigs.get_mut(at).ok_or_else(|| "no rig".to_owned())
    }

    /// Stops all rigs.
    pub(crate) async fn stop(self) {
        for rig in self.rigs {
            rig.stop().await;
        }
    }
}

impl Stream {
    fn of(case: &Value, usual: Listener) -> Result<Self, String> {
        let listener = match case::text(case, "proto") {
            "tcp" | "" => usual,
            "udp" => Listener::PlaintextUdp,
            other => return Err(format!("unknown proto `{other}`")),
        };
        let decode = |key| {
            let decoded = base64::engine::general_purpose::STANDARD.decode(case::text(case, key));
            decoded.map_err(|error| format!("`{key}`: {error}"))
        };
        let bytes = if case.get("zin").is_some() { inflate(&decode("zin")?)? } else { decode("in")? };
        Ok(Self { listener, pieces: pieces(&bytes, case)? })
    }
}

fn inflate(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut whole = Vec::new();
    let read = flate2::read::ZlibDecoder::new(bytes).take(LONGEST).read_to_end(&mut whole);
    read.map(|_| whole).map_err(|error| format!("`zin`: {error}"))
}

/// The bytes cut at `chunks`: so many, then so many, then the rest.
fn pieces(bytes: &[u8], case: &Value) -> Result<Vec<Vec<u8>>, String> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for length in case::list(case, "chunks") {
        let length = length.as_u64().and_then(|n| usize::try_from(n).ok()).ok_or("`chunks`: not a length")?;
        let (piece, after) = rest.split_at_checked(length).ok_or("`chunks`: longer than the stream")?;
        pieces.push(piece.to_vec());
        rest = after;
    }
    pieces.push(rest.to_vec());
    Ok(pieces)
}

fn settings(case: &Value) -> Result<Settings, String> {
    let mut settings = Settings::default();
    for (key, value) in case.get("settings").and_then(Value::as_object).into_iter().flatten() {
        let value =
            value.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or_else(|| format!("{key}: {value}"))?;
        match key.as_str() {
            "MIN_TIMESTAMP_RESOLUTION" => settings.resolution = value,
            "PICKLE_RECEIVER_MAX_LENGTH" => settings.max_frame = value,
            other => return Err(format!("unknown setting `{other}`")),
        }
    }
    Ok(settings)
}

/// Sends the pieces over a connection: the points that were taken, and whether the node closed it
/// although the sender had not.
async fn connection(
    rig: &mut Rig,
    stream: &Stream,
    expected: &Expected,
) -> Result<(Vec<Taken>, bool), String> {
    let socket = TcpStream::connect(rig.address(stream.listener)?).await;
    let mut socket = socket.map_err(|error| format!("connect: {error}"))?;
    socket.set_nodelay(true).map_err(|error| format!("TCP_NODELAY: {error}"))?;
    let mut points = Vec::new();
    let mut closed = false;
    for (i, piece) in stream.pieces.iter().enumerate() {
        if i > 0 {
            sleep(BETWEEN_PIECES).await;
        }
        // It may be closed in the middle of what is sent.
        closed = closed || socket.write_all(piece).await.is_err();
    }
    let begun = Instant::now();
    let mut complete = None;
    while !closed && begun.elapsed() < PATIENCE {
        closed = is_closed(&socket)?;
        rig.drain(&mut points)?;
        if complete.is_none() && points.len() >= expected.len() {
            complete = Some(Instant::now());
        }
        let settled = complete.is_some_and(|at| at.elapsed() >= GRACE);
        if settled && expected.closed != Some(true) {
            break;
        }
        sleep(LOOK).await;
    }
    if !closed {
        // The node takes what it still has, then closes its side as well.
        if socket.shutdown().await.is_ok() {
            timeout(PATIENCE, ended(&socket))
                .await
                .map_err(|_| "the connection does not end".to_owned())??;
        }
    }
    rig.drain(&mut points)?;
    Ok((points, closed))
}

/// Whether the node has closed the connection. It never sends anything.
fn is_closed(socket: &TcpStream) -> Result<bool, String> {
    match socket.try_read(&mut [0; 64]) {
        Ok(0) => Ok(true),
        Ok(sent) => Err(format!("the node sent {sent} bytes")),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(_) => Ok(true),
    }
}

async fn ended(socket: &TcpStream) -> Result<(), String> {
    while !is_closed(socket)? {
        if socket.readable().await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Sends the pieces as datagrams: the points that were taken.
async fn datagrams(rig: &mut Rig, stream: &Stream) -> Result<Vec<Taken>, String> {
    let failed = |error| format!("udp: {error}");
    let socket = UdpSocket::bind("127.0.0.1:0").await.map_err(failed)?;
    socket.connect(rig.address(stream.listener)?).await.map_err(failed)?;
    for piece in &stream.pieces {
        socket.send(piece).await.map_err(failed)?;
    }
    socket.send(format!("{LAST} 1 1\n").as_bytes()).await.map_err(failed)?;
    let mut points = Vec::new();
    let begun = Instant::now();
    loop {
        rig.drain(&mut points)?;
        if points.last().is_some_and(|point| point.name == LAST.as_bytes()) {
            points.pop();
            return Ok(points);
        }
        if begun.elapsed() > PATIENCE {
            return Err("the listener takes no datagram after these".to_owned());
        }
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests;
