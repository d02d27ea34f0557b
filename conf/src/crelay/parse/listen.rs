//! `listen`, `statistics`, `send statistics to`.

use super::cluster::{CODECS, PROTOCOLS};
use super::reader::{Parsed, Reader};
use super::rules::{clusters, send_to, stop};
use crate::crelay::Address;
use crate::crelay::address::parse_port;
use crate::crelay::syntax::{
    At, Listen, ListenTls, ListenTransport, Protocol, Receptor, SendStatistics, Statement, Statistics,
};
use nom::Parser;
use nom::combinator::opt;
use nom::multi::many0;
use std::net::IpAddr;

pub(super) fn statistics<'t>(r: &Reader, input: &'t str) -> Parsed<'t, Statement> {
    let (input, _) = r.keyword("statistics", input)?;
    let (input, every) = opt(|i| {
        let (i, _) = r.phrase(&["submit", "every"], i)?;
        let (i, every) = r.number(i)?;
        let (i, _) = r.keyword("seconds", i)?;
        Ok((i, every))
    })
    .parse(input)?;
    let (input, reset) = opt(|i| r.phrase(&["reset", "counters", "after", "interval"], i)).parse(input)?;
    let (input, prefix) = opt(|i| {
        let (i, _) = r.phrase(&["prefix", "with"], i)?;
        r.word("a prefix", i)
    })
    .parse(input)?;
    let (input, send_to) = opt(|i| send_to(r, i)).parse(input)?;
    let (input, stop) = stop(r, input)?;
    let statistics = Statistics { every, reset: reset.is_some(), prefix, send_to, stop };
    Ok((input, Statement::Statistics(statistics)))
}

pub(super) fn send_statistics<'t>(r: &Reader, input: &'t str) -> Parsed<'t, Statement> {
    let (input, _) = r.phrase(&["send", "statistics", "to"], input)?;
    let (input, to) = clusters(r, input)?;
    let (input, stop) = stop(r, input)?;
    Ok((input, Statement::SendStatistics(SendStatistics { to, stop })))
}

pub(super) fn listen<'t>(r: &Reader, input: &'t str) -> Parsed<'t, Statement> {
    let (input, _) = r.phrase(&["listen", "type", "linemode"], input)?;
    let (input, transport) = opt(|i| transport(r, i)).parse(input)?;
    let (input, first) = receptor(r, input)?;
    let (input, others) = many0(|i| receptor(r, i)).parse(input)?;
    let mut receptors = vec![first];
    receptors.extend(others);
    Ok((input, Statement::Listen(Listen { transport, receptors })))
}

fn transport<'t>(r: &Reader, input: &'t str) -> Parsed<'t, At<ListenTransport>> {
    let (input, begin) = r.keyword("transport", input)?;
    let (input, codec) = r.one_of(&CODECS, input)?;
    let (input, tls) = opt(|i| tls(r, i)).parse(input)?;
    Ok((input, At::new(begin.at, ListenTransport { codec: codec.value, tls })))
}

fn tls<'t>(r: &Reader, input: &'t str) -> Parsed<'t, At<ListenTls>> {
    let (input, mutual) = r.one_of(&[("ssl", false), ("mtls", true)], input)?;
    let (input, pem) = r.word("a PEM file", input)?;
    let clause = |keyword: &'static str, what: &'static str, i| {
        opt(|i| {
            let (i, _) = r.keyword(keyword, i)?;
            r.word(what, i)
        })
        .parse(i)
    };
    let (input, at_least) = clause("protomin", "a version of TLS", input)?;
    let (input, at_most) = clause("protomax", "a version of TLS", input)?;
    let (input, ciphers) = clause("ciphers", "a list of ciphers", input)?;
    let (input, suites) = clause("ciphersuites", "a list of cipher suites", input)?;
    let tls = ListenTls { mutual: mutual.value, pem, at_least, at_most, ciphers, suites };
    Ok((input, At::new(mutual.at, tls)))
}

/// How an address is listened on.
#[derive(Clone, Copy)]
enum Through {
    Internet(Protocol),
    Unix,
}

fn receptor<'t>(r: &Reader, input: &'t str) -> Parsed<'t, At<Receptor>> {
    const WHAT: &str = "an address, a port or a path";
    let (behind, word) = r.word(WHAT, input)?;
    let (behind, _) = r.keyword("proto", behind)?;
    let [udp, tcp] = PROTOCOLS.map(|(word, protocol)| (word, Through::Internet(protocol)));
    let (behind, through) = r.one_of(&[tcp, udp, ("unix", Through::Unix)], behind)?;
    let (_, receptor) = r.reading(WHAT, input, |text| {
        Some(match through.value {
            Through::Internet(protocol) => internet(text, protocol),
            Through::Unix => Ok(Receptor::Unix(text.to_owned())),
        })
    })?;
    Ok((behind, At::new(word.at, receptor.value)))
}

fn internet(text: &str, protocol: Protocol) -> Result<Receptor, String> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(Receptor::Internet { ip: None, port: Some(parse_port(text)?), protocol });
    }
    let address: Address = text.parse()?;
    let ip: IpAddr = address.host.parse().map_err(|_| {
        format!("`{}` is not an address of this machine: write an IP address or a port", address.host)
    })?;
    Ok(Receptor::Internet { ip: Some(ip), port: address.port, protocol })
}
