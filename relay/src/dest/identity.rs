//! What a destination is called: by its reader in the journal, and to people.
//!
//! The reader's name is what a position is saved under, so it must outlive changes of everything but the
//! place that points go to.

use skyline_conf::routing::{Destination, Endpoint, Server, Transport};
use skyline_core::shard::name_hash;

/// How names of destinations' readers begin.
pub(super) const READER_PREFIX: &str = "dest:";
/// Behind the prefix, for a server that takes datagrams: it may have the port of another that takes streams.
const UDP: &str = "udp:";
/// Longest label that is a reader's name as it stands, bytes; the journal takes 1024.
const MAX_LABEL: usize = 900;

/// The name of a destination's reader in the journal: `dest:host:port[:instance]` for one server over TCP,
/// `dest:udp:host:port[:instance]` for one over UDP, `dest:` and the label for a file and for several
/// endpoints. A label that is too long is cut and told apart by its hash.
#[must_use]
pub fn reader_of(destination: &Destination) -> String {
    match destination.endpoints.as_slice() {
        [Endpoint::Server(server)] => format!("{READER_PREFIX}{}", shown(server)),
        _ => {
            let label = destination.label.as_str();
            let cut = label.floor_char_boundary(MAX_LABEL);
            match label.get(..cut).filter(|cut| cut.len() < label.len()) {
                Some(cut) => format!("{READER_PREFIX}{cut}~{:016x}", name_hash(label.as_bytes())),
                None => format!("{READER_PREFIX}{label}"),
            }
        }
    }
}

/// What people call the destination of a reader: its name without the prefix.
pub(super) fn name(reader: &str) -> &str {
    reader.strip_prefix(READER_PREFIX).unwrap_or(reader)
}

/// A server as it is written: `host:port[:instance]`, with `udp:` before it where that is how it is sent to.
pub(super) fn shown(server: &Server) -> String {
    let udp = if server.transport == Transport::Udp { UDP } else { "" };
    format!("{udp}{server}")
}

/// An endpoint as it is written.
pub(super) fn endpoint(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Server(server) => shown(server),
        Endpoint::File(path) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skyline_conf::routing::{Packing, Protocol};

    fn one(label: &str, server: Server) -> Destination {
        Destination { label: label.into(), endpoints: vec![Endpoint::Server(server)] }
    }

    #[test]
    fn a_reader_is_named_after_the_place() {
        let server = || Server::plain("h", 1, Some("a:pickle".into()));
        let check = |destination: &Destination, expected: &str| assert_eq!(reader_of(destination), expected);
        check(&one("x", server()), "dest:h:1:a:pickle");
        check(&one("y", Server { protocol: Protocol::Pickle, ..server() }), "dest:h:1:a:pickle");
        check(&one("y", Server { packing: Packing::Gzip, ..server() }), "dest:h:1:a:pickle");
        check(&one("x", Server::plain("::1", 5, None)), "dest:[::1]:5");
        check(&one("x", Server { transport: Transport::Udp, ..server() }), "dest:udp:h:1:a:pickle");
        let file = Destination { label: "out".into(), endpoints: vec![Endpoint::File("/x".into())] };
        check(&file, "dest:out");
        let two = Destination { endpoints: vec![Endpoint::Server(server()); 2], label: "é".repeat(1000) };
        assert!(reader_of(&two).len() < 1000 && reader_of(&two).starts_with("dest:éé"));
        assert_ne!(reader_of(&two), reader_of(&Destination { label: "é".repeat(1001), ..two.clone() }));
    }
}
