//! `cluster`.

use super::reader::{Parsed, Reader};
use crate::crelay::Address;
use crate::crelay::syntax::{
    At, Cluster, Codec, Hash, Host, HostTls, HostTransport, Kind, Members, Protocol, Sharing, Statement,
};
use nom::Parser;
use nom::branch::alt;
use nom::combinator::opt;
use nom::multi::many0;

/// Words that are parts of a cluster or of a server. Where one stands in the wrong order it must not pass for a
/// server, so a server of that name is written in quotes.
const PARTS: [&str; 6] = ["useall", "replication", "dynamic", "proto", "type", "transport"];

pub(super) const CODECS: [(&str, Codec); 4] =
    [("plain", Codec::Plain), ("gzip", Codec::Gzip), ("lz4", Codec::Lz4), ("snappy", Codec::Snappy)];

pub(super) const PROTOCOLS: [(&str, Protocol); 2] = [("udp", Protocol::Udp), ("tcp", Protocol::Tcp)];

pub(super) fn cluster<'t>(r: &Reader, input: &'t str) -> Parsed<'t, Statement> {
    let (input, _) = r.keyword("cluster", input)?;
    let (input, name) = r.word("the name of the cluster", input)?;
    let (input, members) = alt((|i| servers(r, i), |i| hashed(r, i), |i| files(r, i))).parse(input)?;
    Ok((input, Statement::Cluster(Cluster { name, members })))
}

fn servers<'t>(r: &Reader, input: &'t str) -> Parsed<'t, Members> {
    let sharings = [
        ("forward", Sharing::Forward),
        ("any_of", Sharing::AnyOf),
        ("failover", Sharing::Failover),
        ("lb", Sharing::Lb),
    ];
    let (input, sharing) = r.one_of(&sharings, input)?;
    let (input, use_all) = opt(|i| r.keyword("useall", i)).parse(input)?;
    let (input, hosts) = hosts(r, input)?;
    Ok((input, Members::Servers { sharing: sharing.value, use_all: use_all.is_some(), hosts }))
}

fn hashed<'t>(r: &Reader, input: &'t str) -> Parsed<'t, Members> {
    let hashes = [("carbon_ch", Hash::Carbon), ("fnv1a_ch", Hash::Fnv1a), ("jump_fnv1a_ch", Hash::Jump)];
    let (input, hash) = r.one_of(&hashes, input)?;
    let (input, replication) = opt(|i| {
        let (i, _) = r.keyword("replication", i)?;
        r.number(i)
    })
    .parse(input)?;
    let (input, dynamic) = opt(|i| r.keyword("dynamic", i)).parse(input)?;
    let (input, hosts) = hosts(r, input)?;
    Ok((input, Members::Hashed { hash: hash.value, replication, dynamic, hosts }))
}

fn files<'t>(r: &Reader, input: &'t str) -> Parsed<'t, Members> {
    let (input, _) = r.keyword("file", input)?;
    let (input, with_sender) = opt(|i| r.keyword("ip", i)).parse(input)?;
    let (input, first) = r.word("a path", input)?;
    let (input, others) = many0(|i| r.word("a path", i)).parse(input)?;
    let mut paths = vec![first];
    paths.extend(others);
    Ok((input, Members::Files { with_sender, paths }))
}

fn hosts<'t>(r: &Reader, input: &'t str) -> Parsed<'t, Vec<At<Host>>> {
    let (input, first) = host(r, input)?;
    let (input, others) = many0(|i| host(r, i)).parse(input)?;
    let mut hosts = vec![first];
    hosts.extend(others);
    Ok((input, hosts))
}

fn host<'t>(r: &Reader, input: &'t str) -> Parsed<'t, At<Host>> {
    let (_, word) = r.word_but("a server (host, or host:port)", &PARTS, input)?;
    let (input, address) =
        r.reading("a server (host, or host:port)", input, |text| Some(text.parse::<Address>()))?;
    let (input, instance) = opt(|i| {
        let (i, ()) = r.symbol('=', i)?;
        r.word("an instance", i)
    })
    .parse(input)?;
    let (input, protocol) = opt(|i| {
        let (i, _) = r.keyword("proto", i)?;
        r.one_of(&PROTOCOLS, i)
    })
    .parse(input)?;
    let (input, kind) = opt(|i| {
        let (i, _) = r.keyword("type", i)?;
        r.one_of(&[("linemode", Kind::Lines), ("syslog", Kind::Syslog)], i)
    })
    .parse(input)?;
    let (input, transport) = opt(|i| transport(r, i)).parse(input)?;
    Ok((input, At::new(word.at, Host { address: address.value, instance, protocol, kind, transport })))
}

fn transport<'t>(r: &Reader, input: &'t str) -> Parsed<'t, At<HostTransport>> {
    let (input, begin) = r.keyword("transport", input)?;
    let (input, codec) = r.one_of(&CODECS, input)?;
    let (input, tls) = opt(|i| {
        let (i, mutual) = r.one_of(&[("ssl", false), ("mtls", true)], i)?;
        if !mutual.value {
            return Ok((i, At::new(mutual.at, HostTls::Ssl)));
        }
        let (i, certificate) = r.word("the PEM file of a certificate", i)?;
        let (i, key) = r.word("the PEM file of its key", i)?;
        let tls = HostTls::Mutual { certificate: certificate.value, key: key.value };
        Ok((i, At::new(mutual.at, tls)))
    })
    .parse(input)?;
    Ok((input, At::new(begin.at, HostTransport { codec: codec.value, tls })))
}
