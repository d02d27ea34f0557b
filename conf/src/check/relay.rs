//! Destinations: how they are written, that they differ, that none is this node itself.

use super::Findings;
use super::sockets::listener_of;
use crate::model::Settings;
use crate::model::relay::{DestinationEntry, Method};
use crate::nearest;
use crate::routing::{Protocol, Server, address};
use crate::secret::guarded;
use std::collections::HashSet;

const DESTINATIONS: &str = "relay.destinations";
const FORM: &str = "write host:port[:instance][:protocol] with protocol plaintext, pickle or protobuf";

pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    let relay = &settings.relay;
    let sending = &relay.sending;
    if sending.retry_min_seconds > sending.retry_max_seconds {
        let message = format!("{} s is more than relay.sending.retry_max_seconds", sending.retry_min_seconds);
        findings.problem("relay.sending.retry_min_seconds", message, "make it smaller");
    }
    if sending.resend_bytes == 0 && relay.has_destinations() {
        let message = "what a peer's socket buffer holds when its program dies is lost";
        findings.warning(
            "relay.sending.resend_bytes",
            message,
            "leave the default of 8 MiB; carbon overwrites equal points",
        );
    }
    let mut good = Vec::new();
    let mut seen = HashSet::new();
    findings.each(DESTINATIONS, &relay.destinations, |_, entry, findings| {
        let Some((text, has_protocol)) = address_of(entry) else { return };
        let shown = guarded(text);
        let read = if has_protocol { address::without_protocol(text) } else { address::read(text) };
        match read {
            Ok(written) => {
                let way = match entry {
                    DestinationEntry::Address(_) => (None, None),
                    DestinationEntry::Table(table) => (table.transport, table.every_address),
                };
                let way = (way.0.unwrap_or_default(), way.1.unwrap_or_default());
                if !seen.insert((written.host.clone(), written.port, written.instance.clone(), way)) {
                    let advice = "remove one; host, port and instance together must differ";
                    findings.problem(DESTINATIONS, format!("`{shown}` is there twice"), advice);
                }
                one(settings, DESTINATIONS, text, &written, has_protocol, findings);
                good.push(written);
            }
            Err(what) => findings.problem(DESTINATIONS, format!("`{shown}`: {what}"), FORM),
        }
    });
    // How a destination is written that has been defined elsewhere is told there; what cannot be read here is the
    // name of one, or told when the section is compiled.
    let of_clusters = || relay.cluster.iter().flat_map(|cluster| &cluster.destinations);
    let tables = of_clusters().filter(|entry| matches!(entry, DestinationEntry::Table(_)));
    let names: HashSet<&str> = relay.destinations.iter().chain(tables).filter_map(name_of).collect();
    for entry in of_clusters() {
        let Some((text, has_protocol)) = address_of(entry) else { continue };
        let is_name = matches!(entry, DestinationEntry::Address(_)) && names.contains(text.trim());
        if let Ok(written) = address::read(text)
            && !is_name
        {
            one(settings, "relay.cluster", text, &written, has_protocol, findings);
        }
    }
    method(settings, &good, findings);
}

/// The name under which a cluster may mean a destination.
fn name_of(entry: &DestinationEntry) -> Option<&str> {
    match entry {
        DestinationEntry::Address(text) => Some(text.trim()),
        DestinationEntry::Table(table) => table.name.as_deref().or(table.address.as_deref()).map(str::trim),
    }
}

/// The address of a destination, and whether it has a protocol that does not stand in it.
fn address_of(entry: &DestinationEntry) -> Option<(&str, bool)> {
    match entry {
        DestinationEntry::Address(text) => Some((text, false)),
        DestinationEntry::Table(table) => Some((table.address.as_deref()?, table.protocol.is_some())),
    }
}

fn one(
    settings: &Settings,
    key: &'static str,
    text: &str,
    written: &Server,
    has_protocol: bool,
    findings: &mut Findings,
) {
    itself(settings, key, text, written, findings);
    if !has_protocol {
        protocol(key, text, written, findings);
    }
}

/// A destination that is one of our own listeners.
fn itself(settings: &Settings, key: &'static str, text: &str, written: &Server, findings: &mut Findings) {
    if let Some(own) = listener_of(settings, &written.host, written.port) {
        let what = if own.starts_with("listen.") {
            "every point would come back for ever"
        } else {
            "it takes no lines"
        };
        let message = format!("`{text}` is this node's own {own}: {what}");
        findings.problem(key, message, "name the port of the carbon behind this node");
    }
}

/// Ports and instances that speak of another protocol than the one that is meant.
fn protocol(key: &'static str, text: &str, written: &Server, findings: &mut Findings) {
    match (written.port, written.protocol) {
        (2004 | 2014 | 2024, Protocol::Plaintext) => {
            let message =
                format!("`{text}` is sent plain lines, and {} is a usual port for pickles", written.port);
            findings.warning(key, message, format!("write `{}:pickle` if it takes pickles", text.trim()));
        }
        (2003 | 2013, Protocol::Pickle) => {
            let message =
                format!("`{text}` is sent pickles, and {} is a usual port for plain lines", written.port);
            findings.warning(key, message, "leave `:pickle` out if it takes lines");
        }
        _ => {}
    }
    let Some(instance) = written.instance.as_deref() else { return };
    let word = instance.rsplit(':').next().unwrap_or(instance);
    let near = nearest::word(word, address::PROTOCOLS.into_iter());
    let other = ["tcp", "udp", "ssl", "tls", "msgpack"].iter().any(|p| word.eq_ignore_ascii_case(p));
    let advice = match near {
        Some(near) => format!("did you mean `{near}`? The protocols are plaintext, pickle and protobuf"),
        None => "the protocols are plaintext, pickle and protobuf".to_owned(),
    };
    if instance.contains(':') {
        // The relay could take it, but lines sent to a pickle port because of a misspelt protocol are lost.
        let message = format!("`{text}`: `{word}` is no protocol, and an instance with a colon is not taken");
        findings.problem(key, message, advice);
    } else if other || near.is_some() {
        let message = format!("`{text}`: `{instance}` is taken for the name of an instance");
        findings.warning(key, message, advice);
    }
}

fn method(settings: &Settings, good: &[Server], findings: &mut Findings) {
    let relay = &settings.relay;
    let (factor, count) = (relay.replication_factor as usize, relay.destinations.len());
    if relay.method == Method::Constant {
        if factor > 1 {
            let message = "it has no effect: with method = \"constant\" every destination gets every point";
            findings.warning(
                "relay.replication_factor",
                message,
                "remove it, or set relay.method = \"consistent-hashing\"",
            );
        }
        return;
    }
    if factor > count {
        let message = format!("{factor} destinations for each metric are asked for and there are {count}");
        findings.problem("relay.replication_factor", message, "lower it or name more destinations");
        return;
    }
    let mut nodes = HashSet::new();
    for written in good {
        if !nodes.insert((&written.host, &written.instance)) {
            let message = format!("the ring cannot tell two destinations on {} apart", written.host);
            findings.problem(
                DESTINATIONS,
                message,
                "give each an instance, as in `host:2004:a` and `host:2104:b`",
            );
        }
    }
    let hosts: HashSet<&str> = good.iter().map(|written| written.host.as_str()).collect();
    if relay.diverse_replicas && factor > hosts.len() && good.len() == count {
        let message = format!(
            "{factor} different hosts for each metric are asked for and there are {}: metrics get fewer copies",
            hosts.len()
        );
        findings.warning("relay.diverse_replicas", message, "set it to false, or add hosts");
    }
}
