//! The file of the register: `destinations`, little-endian: `"SDR1"`; u32 number of destinations, for each:
//!
//! ```text
//! u32 length, name        of its reader in the journal, UTF-8
//! u8  when_behind         0 spool, 1 block, 2 shed
//! u64 mark                points
//! u64 catch_up            points a second
//! u64 resend              bytes
//! u32 frame               points a pickle frame
//! f64 resume              share of the mark
//! f64 connect, stall, retry_min, retry_max     seconds
//! u32 keep-alive: idle, interval    seconds; u32 probes
//! u32 endpoints, for each a u8 and what it stands for
//!   0 a server:
//!     u32 length, host    UTF-8
//!     u16 port
//!     u8  has instance    0 or 1; with 1: u32 length, instance, UTF-8
//!     u8  protocol        0 plaintext, 1 pickle, 2 protobuf
//!     u8  transport       0 TCP, 1 UDP
//!     u8  packing         0 plain, 1 gzip, 2 lz4
//!     u8  every address   0 or 1
//!     u8  has TLS         0 or 1; with 1:
//!       u8 has ca         0 or 1; with 1: u32 length, path
//!       u8 has identity   0 or 1; with 1: u32 length, path of the certificate, u32 length, path of its key
//!   1 a file:
//!     u32 length, path
//! ```
//!
//! and the CRC-32 of all that. Paths are bytes as the system has them. The file is replaced as a whole
//! ([`skyline_core::file::replace`]).

use super::{Way, Ways};
use crate::bytes::Rest;
use skyline_conf::model::keepalive::Keepalive;
use skyline_conf::model::relay::{Sending, WhenBehind};
use skyline_conf::routing::{Endpoint, Packing, Protocol, Server, Tls, Transport};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 4] = *b"SDR1";

const BEHIND: [WhenBehind; 3] = [WhenBehind::Spool, WhenBehind::Block, WhenBehind::Shed];
const PROTOCOLS: [Protocol; 3] = [Protocol::Plaintext, Protocol::Pickle, Protocol::Protobuf];
const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::Udp];
const PACKINGS: [Packing; 3] = [Packing::Plain, Packing::Gzip, Packing::Lz4];

/// The file's content.
pub(super) fn encode(ways: &Ways) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + 128 * ways.len());
    out.extend_from_slice(&MAGIC);
    put_length(&mut out, ways.len());
    for (reader, way) in ways {
        put_bytes(&mut out, reader.as_bytes());
        put_sending(&mut out, &way.sending);
        put_length(&mut out, way.endpoints.len());
        for endpoint in &way.endpoints {
            match endpoint {
                Endpoint::Server(server) => {
                    out.push(0);
                    put_server(&mut out, server);
                }
                Endpoint::File(path) => {
                    out.push(1);
                    put_path(&mut out, path);
                }
            }
        }
    }
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// Lengths of what is in the settings are far below 4 Gi.
fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&(length as u32).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_path(out: &mut Vec<u8>, path: &Path) {
    put_bytes(out, path.as_os_str().as_bytes());
}

/// 0, or 1 and what `put` adds.
fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

/// The place of `value` in `all`, which has each.
fn put_one_of<T: PartialEq>(out: &mut Vec<u8>, all: &[T], value: &T) {
    out.push((0..).zip(all).find(|(_, one)| *one == value).map_or(u8::MAX, |(place, _)| place));
}

fn put_sending(out: &mut Vec<u8>, sending: &Sending) {
    let Sending {
        when_behind,
        mark_points,
        catch_up_points_per_second,
        resend_bytes,
        points_per_frame,
        connect_seconds,
        stall_seconds,
        retry_min_seconds,
        retry_max_seconds,
        resume_share,
        keepalive: Keepalive { idle_seconds, interval_seconds, probes },
    } = sending;
    put_one_of(out, &BEHIND, when_behind);
    for number in [mark_points, catch_up_points_per_second, resend_bytes] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&points_per_frame.to_le_bytes());
    for number in [resume_share, connect_seconds, stall_seconds, retry_min_seconds, retry_max_seconds] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for number in [idle_seconds, interval_seconds, probes] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn put_server(out: &mut Vec<u8>, server: &Server) {
    let Server { host, port, instance, protocol, transport, packing, tls, every_address } = server;
    put_bytes(out, host.as_bytes());
    out.extend_from_slice(&port.to_le_bytes());
    put_option(out, instance.as_ref(), |out, instance| put_bytes(out, instance.as_bytes()));
    put_one_of(out, &PROTOCOLS, protocol);
    put_one_of(out, &TRANSPORTS, transport);
    put_one_of(out, &PACKINGS, packing);
    out.push(u8::from(*every_address));
    put_option(out, tls.as_ref(), |out, Tls { ca, identity }| {
        put_option(out, ca.as_ref(), |out, ca| put_path(out, ca));
        put_option(out, identity.as_ref(), |out, (certificate, key)| {
            put_path(out, certificate);
            put_path(out, key);
        });
    });
}

/// What a file's content says; `None`: it is damaged, or of another version.
pub(super) fn decode(bytes: &[u8]) -> Option<Ways> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut rest = Rest(body);
    (rest.take::<4>()? == MAGIC).then_some(())?;
    let mut ways = Ways::new();
    for _ in 0..rest.u32()? {
        let reader = string(&mut rest)?;
        let sending = sending(&mut rest)?;
        let mut endpoints = Vec::new();
        for _ in 0..rest.u32()? {
            endpoints.push(match rest.u8()? {
                0 => Endpoint::Server(server(&mut rest)?),
                1 => Endpoint::File(path(&mut rest)?),
                _ => return None,
            });
        }
        ways.insert(reader, Way { endpoints, sending });
    }
    rest.0.is_empty().then_some(ways)
}

fn bytes<'b>(rest: &mut Rest<'b>) -> Option<&'b [u8]> {
    let length = rest.u32()?;
    rest.bytes(length as usize)
}

fn string(rest: &mut Rest<'_>) -> Option<String> {
    std::str::from_utf8(bytes(rest)?).ok().map(str::to_owned)
}

fn path(rest: &mut Rest<'_>) -> Option<PathBuf> {
    bytes(rest).map(|bytes| OsStr::from_bytes(bytes).into())
}

/// `None` within: 0 stands there.
fn option<'b, T>(rest: &mut Rest<'b>, read: impl FnOnce(&mut Rest<'b>) -> Option<T>) -> Option<Option<T>> {
    if flag(rest)? { read(rest).map(Some) } else { Some(None) }
}

fn flag(rest: &mut Rest<'_>) -> Option<bool> {
    match rest.u8()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn one_of<T: Copy>(rest: &mut Rest<'_>, all: &[T]) -> Option<T> {
    all.get(usize::from(rest.u8()?)).copied()
}

fn sending(rest: &mut Rest<'_>) -> Option<Sending> {
    Some(Sending {
        when_behind: one_of(rest, &BEHIND)?,
        mark_points: rest.u64()?,
        catch_up_points_per_second: rest.u64()?,
        resend_bytes: rest.u64()?,
        points_per_frame: rest.u32()?,
        resume_share: rest.f64()?,
        connect_seconds: rest.f64()?,
        stall_seconds: rest.f64()?,
        retry_min_seconds: rest.f64()?,
        retry_max_seconds: rest.f64()?,
        keepalive: Keepalive {
            idle_seconds: rest.u32()?,
            interval_seconds: rest.u32()?,
            probes: rest.u32()?,
        },
    })
}

fn server(rest: &mut Rest<'_>) -> Option<Server> {
    Some(Server {
        host: string(rest)?,
        port: rest.u16()?,
        instance: option(rest, string)?,
        protocol: one_of(rest, &PROTOCOLS)?,
        transport: one_of(rest, &TRANSPORTS)?,
        packing: one_of(rest, &PACKINGS)?,
        every_address: flag(rest)?,
        tls: option(rest, |rest| {
            let ca = option(rest, path)?;
            let identity = option(rest, |rest| Some((path(rest)?, path(rest)?)))?;
            Some(Tls { ca, identity })
        })?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn everything() -> Ways {
        let server = Server {
            instance: Some("a".into()),
            protocol: Protocol::Pickle,
            transport: Transport::Tcp,
            packing: Packing::Gzip,
            tls: Some(Tls { ca: Some("/ca".into()), identity: Some(("/crt".into(), "/key".into())) }),
            every_address: true,
            ..Server::plain("host.example", 2004, None)
        };
        let others = [
            Server { tls: Some(Tls::default()), protocol: Protocol::Protobuf, ..server.clone() },
            Server { packing: Packing::Lz4, ..Server::plain("::1", 65_535, Some(String::new())) },
            Server { transport: Transport::Udp, ..Server::plain("h", 1, None) },
        ];
        let odd = PathBuf::from(OsStr::from_bytes(b"/a b\n\xff"));
        let sending = |when_behind| Sending {
            when_behind,
            mark_points: u64::MAX,
            catch_up_points_per_second: 2,
            resend_bytes: 3,
            points_per_frame: 4,
            connect_seconds: 0.1,
            stall_seconds: 0.2,
            retry_min_seconds: 0.3,
            retry_max_seconds: f64::INFINITY,
            resume_share: 0.5,
            keepalive: Keepalive { idle_seconds: 5, interval_seconds: 6, probes: 7 },
        };
        let all = others.into_iter().map(Endpoint::Server).collect();
        let way = |endpoints, when_behind| Way { endpoints, sending: sending(when_behind) };
        Ways::from([
            ("dest:one".to_owned(), way(vec![Endpoint::Server(server)], WhenBehind::Block)),
            ("dest:é".to_owned(), way(all, WhenBehind::Shed)),
            ("dest:file".to_owned(), way(vec![Endpoint::File(odd)], WhenBehind::Spool)),
            ("dest:none".to_owned(), way(Vec::new(), WhenBehind::Spool)),
        ])
    }

    #[test]
    fn everything_reads_back() {
        assert_eq!(decode(&encode(&everything())), Some(everything()));
        assert_eq!(decode(&encode(&Ways::new())), Some(Ways::new()));
    }

    #[test]
    fn a_damaged_file_is_not_read() {
        let whole = encode(&everything());
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            assert_eq!(decode(&bad), None, "byte {at}");
            assert_eq!(decode(&whole[..at]), None, "cut at {at}");
        }
    }

    fn sealed(mut body: Vec<u8>) -> Vec<u8> {
        let crc = crc32fast::hash(&body);
        body.extend_from_slice(&crc.to_le_bytes());
        body
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(at in 0_usize..600, bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            decode(&bytes);
            let whole = encode(&everything());
            let mut body = whole[..whole.len() - 4].to_vec();
            let at = at.min(body.len());
            let end = (at + bytes.len()).min(body.len());
            body.splice(at..end, bytes);
            decode(&sealed(body));
        }
    }
}
