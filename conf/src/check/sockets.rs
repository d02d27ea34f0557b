//! Addresses that are listened on: no two alike, HTTP on loopback only.

use super::Findings;
use crate::keys::grouped;
use crate::model::Settings;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// One address with its key.
#[derive(Debug, Clone, Copy)]
struct Listening {
    key: &'static str,
    address: SocketAddr,
    /// An IPv6 wildcard that takes IPv4 too: it has no IPv4 neighbour of its kind on that port.
    both_families: bool,
}

impl Listening {
    /// Whether the system refuses to open both.
    fn clashes(&self, other: &Self) -> bool {
        let (a, b) = (self.address, other.address);
        if a.port() != b.port() || a.port() == 0 {
            return false;
        }
        if a.is_ipv4() == b.is_ipv4() {
            return a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
        }
        self.both_families || other.both_families
    }
}

fn listening(key: &'static str, addresses: &[SocketAddr]) -> Vec<Listening> {
    let both = |a: &SocketAddr| {
        a.is_ipv6()
            && a.ip().is_unspecified()
            && !addresses.iter().any(|b| b.is_ipv4() && b.port() == a.port())
    };
    addresses.iter().map(|a| Listening { key, address: *a, both_families: both(a) }).collect()
}

fn streams(settings: &Settings) -> Vec<Listening> {
    [
        listening("listen.plaintext_tcp", &settings.listen.plaintext_tcp),
        listening("listen.pickle_tcp", &settings.listen.pickle_tcp),
        listening("listen.protobuf_tcp", &settings.listen.protobuf_tcp),
        listening("listen.stream", &addresses_of_streams(settings)),
        listening(PROXY, &settings.render_proxy.addresses),
        listening("flux.listen", if settings.flux.is_on() { &settings.flux.listen } else { &[] }),
        listening("http.api", &settings.http.api),
        listening("http.status", &settings.http.status),
    ]
    .concat()
}

fn addresses_of_streams(settings: &Settings) -> Vec<SocketAddr> {
    settings.listen.stream.iter().filter_map(|stream| stream.address).collect()
}

fn datagrams(settings: &Settings) -> Vec<Listening> {
    let listen = &settings.listen;
    [
        listening("listen.plaintext_udp", &listen.plaintext_udp),
        listening("listen.msgpack_udp", &listen.msgpack_udp),
    ]
    .concat()
}

/// Longest line that carbon takes, bytes.
const CARBON_LINE: u32 = skyline_core::name::MAX_LINE_BYTES as u32;

/// The key of our own TCP listener that a connection to `address` would reach, given that `address` belongs to
/// this host.
#[must_use]
pub fn own_listener(settings: &Settings, address: SocketAddr) -> Option<&'static str> {
    let to = Listening { key: "", address, both_families: false };
    streams(settings).into_iter().find(|ours| ours.clashes(&to)).map(|ours| ours.key)
}

/// The key of the listener that answers as a Graphite.
pub(super) const PROXY: &str = "render_proxy.addresses";

/// The address that a host is without asking anybody.
fn ip_of(host: &str) -> Option<IpAddr> {
    match host.to_ascii_lowercase().as_str() {
        "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
        host => host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical()),
    }
}

/// Whether what goes to a host stays on this machine for certain.
pub(super) fn is_loopback(host: &str) -> bool {
    ip_of(host).is_some_and(|ip| ip.is_loopback())
}

/// The key of our own TCP listener that `host` and `port` lead to, as far as that is certain without asking anybody.
pub(super) fn listener_of(settings: &Settings, host: &str, port: u16) -> Option<&'static str> {
    let ip = ip_of(host)?;
    // A connection to "any" goes to loopback. Of another address only its being listed by name shows that it is ours.
    let is_listed = |own: &Listening| own.address.ip() == ip && own.address.port() == port;
    let is_ours = ip.is_loopback() || ip.is_unspecified() || streams(settings).iter().any(is_listed);
    if is_ours { own_listener(settings, SocketAddr::new(ip, port)) } else { None }
}

pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    for all in [streams(settings), datagrams(settings)] {
        for (i, one) in all.iter().enumerate() {
            if let Some(other) = all.iter().take(i).find(|other| other.clashes(one)) {
                let taken = match (other.key == one.key, other.address == one.address) {
                    (true, true) => "is there twice".to_owned(),
                    (true, false) => format!("is part of {}, which is listed too", other.address),
                    (false, true) => format!("is used by {} too", other.key),
                    (false, false) => format!("and {} of {} are one to the system", other.address, other.key),
                };
                findings.problem(
                    one.key,
                    format!("{} {taken}", one.address),
                    "give each listener its own port",
                );
            }
            if let IpAddr::V6(ip) = one.address.ip()
                && let Some(plain) = ip.to_ipv4_mapped()
            {
                let message = format!("{} cannot be bound: it is {plain} in another form", one.address);
                findings.problem(one.key, message, format!("write {plain}:{}", one.address.port()));
            }
            if one.address.port() == 0 {
                let message =
                    format!("{}: the system chooses the port, another one at each start", one.address);
                findings.warning(one.key, message, "write a port number");
            }
        }
    }
    let mut seen: HashMap<&Path, ()> = HashMap::new();
    let plain = settings.listen.plaintext_unix.iter().map(|path| ("listen.plaintext_unix", path));
    let streams = settings.listen.stream.iter().filter_map(|s| Some(("listen.stream", s.unix.as_ref()?)));
    for (key, path) in plain.chain(streams) {
        if seen.insert(path, ()).is_some() {
            findings.problem(key, format!("{} is there twice", path.display()), "remove one");
        }
        if path.as_os_str().is_empty() {
            findings.problem(key, "a path is empty", "remove it");
        }
    }
    loopback(settings, findings);
    none_at_all(settings, findings);
    let listen = &settings.listen;
    if listen.max_line_bytes > CARBON_LINE {
        let message = format!(
            "carbon closes a connection on a line of more than {} bytes",
            grouped(CARBON_LINE.into(), ',')
        );
        findings.warning(
            "listen.max_line_bytes",
            message,
            "leave it at that, unless nothing behind the node is carbon",
        );
    }
    if u64::from(listen.max_frame_bytes) > settings.journal.max_bytes / 4 {
        let frame = grouped(listen.max_frame_bytes.into(), ',');
        let message = format!("a frame may have {frame} bytes, more than a quarter of journal.max_bytes");
        findings.warning("listen.max_frame_bytes", message, "make the frame smaller or the journal larger");
    }
}

fn loopback(settings: &Settings, findings: &mut Findings) {
    for (key, addresses) in [("http.api", &settings.http.api), ("http.status", &settings.http.status)] {
        for address in addresses.iter().filter(|a| !a.ip().is_loopback()) {
            let message = format!(
                "{address} is not a loopback address, and anybody who reaches it could read and remove"
            );
            let advice = format!(
                "write 127.0.0.1:{}, and put a proxy with a login in front to reach it from elsewhere",
                address.port()
            );
            findings.problem(key, message, advice);
        }
    }
}

fn none_at_all(settings: &Settings, findings: &mut Findings) {
    let listen = &settings.listen;
    let ip = [
        &listen.plaintext_tcp,
        &listen.plaintext_udp,
        &listen.pickle_tcp,
        &listen.protobuf_tcp,
        &listen.msgpack_udp,
    ];
    let others = listen.plaintext_unix.is_empty() && listen.stream.is_empty();
    let brings = settings.flux.is_on() || (settings.vista.enabled && !settings.vista.fetch.is_empty());
    if ip.iter().all(|list| list.is_empty()) && others && !brings {
        let advice = "give one of its lists an address, for example plaintext_tcp = [\"0.0.0.0:2003\"]";
        findings.warning("listen", "every listener is off: no point can come in", advice);
    }
}
