//! The connections of a sink: bytes to points.

use super::Check;
use super::state::{Batch, Shared};
use crate::encode::Protocol;
use crate::unpickle::Unpickler;
use std::io::Read;
use std::net::UdpSocket;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Splits `name value timestamp`; any further white space makes it malformed.
pub fn parse_line(line: &[u8]) -> Option<(&[u8], f64, i64)> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let ts_at = memchr::memrchr(b' ', line)?;
    let value_at = memchr::memrchr(b' ', &line[..ts_at])?;
    let name = &line[..value_at];
    if name.is_empty() || memchr::memchr(b' ', name).is_some() {
        return None;
    }
    let value = std::str::from_utf8(&line[value_at + 1..ts_at]).ok()?.parse().ok()?;
    let ts = std::str::from_utf8(&line[ts_at + 1..]).ok()?;
    let ts = match ts.parse::<i64>() {
        Ok(t) => t,
        Err(_) => ts.parse::<f64>().ok()? as i64,
    };
    Some((name, value, ts))
}

const READ_BUFFER: usize = 256 * 1024;

/// Bytes that are not yet a whole line or frame stay at the front of the buffer.
struct Buffer {
    data: Vec<u8>,
    fill: usize,
}

impl Buffer {
    fn read(&mut self, from: &mut impl Read) -> std::io::Result<usize> {
        if self.data.len() - self.fill < READ_BUFFER / 2 {
            self.data.resize(self.data.len() * 2, 0);
        }
        let n = from.read(&mut self.data[self.fill..])?;
        self.fill += n;
        Ok(n)
    }

    fn consume(&mut self, n: usize) {
        self.data.copy_within(n..self.fill, 0);
        self.fill -= n;
    }
}

pub(super) fn tcp(shared: &Shared, listener: usize, mut stream: impl Read) {
    let plain = shared.args.protocol != Protocol::Pickle;
    let count_only = plain && shared.args.check == Check::None;
    let mut buf = Buffer { data: vec![0; READ_BUFFER], fill: 0 };
    let mut un = Unpickler::default();
    let mut batch = Batch::default();
    let (start, mut done) = (Instant::now(), 0u64);
    loop {
        let n = match buf.read(&mut stream) {
            Ok(0) | Err(_) => break,
            Ok(n) => n,
        };
        if count_only {
            batch.points = memchr::memchr_iter(b'\n', &buf.data[..buf.fill]).count() as u64;
            buf.fill = 0;
        } else if plain {
            let mut at = 0;
            for end in memchr::memchr_iter(b'\n', &buf.data[..buf.fill]) {
                shared.line(&mut batch, &buf.data[at..end]);
                at = end + 1;
            }
            buf.consume(at);
        } else {
            let mut at = 0;
            while let Some(head) = buf.data[..buf.fill].get(at..at + 4) {
                let len = u32::from_be_bytes(head.try_into().expect("4 bytes")) as usize;
                let Some(body) = buf.data[..buf.fill].get(at + 4..at + 4 + len) else {
                    break;
                };
                if un.points(body, |n, t, v| shared.point(&mut batch, n, t, v)).is_err() {
                    batch.malformed += 1;
                }
                at += 4 + len;
            }
            buf.consume(at);
        }
        done += batch.points;
        shared.account(listener, n, &mut batch);
        if let Some(r) = shared.args.max_rate {
            let due = start + Duration::from_secs_f64(done as f64 / r);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        if shared.stop.load(Relaxed) {
            break;
        }
    }
}

pub(super) fn udp(shared: &Shared, listener: usize, socket: &UdpSocket) {
    let mut buf = vec![0; 65_536];
    let mut batch = Batch::default();
    while let Ok(n) = socket.recv(&mut buf) {
        let lines = buf[..n].split(|&b| b == b'\n').filter(|l| !l.is_empty());
        if shared.args.check == Check::None {
            batch.points = lines.count() as u64;
        } else {
            lines.for_each(|l| shared.line(&mut batch, l));
        }
        shared.account(listener, n, &mut batch);
        if shared.stop.load(Relaxed) {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_parse_as_relays_write_them() {
        assert_eq!(parse_line(b"a.b 1.5 1700000000"), Some((&b"a.b"[..], 1.5, 1_700_000_000)));
        assert_eq!(parse_line(b"a.b 1e3 1700000000.0\r"), Some((&b"a.b"[..], 1000.0, 1_700_000_000)));
        for bad in [&b"a.b 1"[..], b"a.b x 1", b"a b 1 1", b" 1 1", b"", b"a.b  1"] {
            assert_eq!(parse_line(bad), None, "{:?}", String::from_utf8_lossy(bad));
        }
    }
}
