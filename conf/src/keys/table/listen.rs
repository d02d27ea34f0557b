//! The keys of `[listen]`: listeners, and the tables of `listen.streams`.

use super::{DAY, GIB, key};
use crate::keys::{Item, Key, Kind};
use Kind::{Address, Addresses, Choice, List, Number, Path, Paths, Whole};

pub(super) const KEYS: &[Key] = &[
    key("listen.plaintext_tcp", Addresses, "", "Carbon lines over TCP."),
    key("listen.plaintext_udp", Addresses, "", "Carbon lines over UDP."),
    key("listen.plaintext_unix", Paths, "", "Carbon lines over Unix stream sockets."),
    key(
        "listen.pickle_tcp",
        Addresses,
        "",
        "Carbon pickles over TCP. 2024 is the port to which Skyline's documentation points carbon-relay.",
    ),
    key(
        "listen.protobuf_tcp",
        Addresses,
        "",
        "Carbon's protobuf over TCP. carbon's own example has it on port 2005.",
    ),
    key(
        "listen.msgpack_udp",
        Addresses,
        "",
        "msgpack [name, [timestamp, value]] over UDP, one a datagram. Skyline used port 2025.",
    ),
    key(
        "listen.stream",
        List(&STREAM),
        "",
        "Stream listeners that are compressed, encrypted, or have a protocol of their own, each a table.",
    ),
    key(
        "listen.max_connections",
        Whole(1, u32::MAX as u64),
        "connections",
        "Connections at once over all stream listeners. New ones beyond it wait until others end.",
    ),
    key(
        "listen.idle_seconds",
        Number(0.0, 365.0 * DAY),
        "seconds",
        "A connection that has sent nothing for so long is closed. 0: never.",
    ),
    key(
        "listen.max_line_bytes",
        Whole(64, 32_768),
        "bytes",
        "Longest line without its newline. Longer ones are refused and counted.",
    ),
    key(
        "listen.max_frame_bytes",
        Whole(64, 64 << 20),
        "bytes",
        "Longest frame (pickle, protobuf). A longer one closes its connection, as carbon does.",
    ),
    key(
        "listen.timestamp_resolution_seconds",
        Whole(0, 86_400),
        "seconds",
        "Timestamps are rounded down to a multiple of this. 0: they are left as they are.",
    ),
    key(
        "listen.udp_buffer_bytes",
        Whole(4_096, 2 * GIB - 1),
        "bytes",
        "Receive buffer asked for on each UDP socket. The system may grant less: net.core.rmem_max.",
    ),
    key(
        "listen.when_full",
        Choice(&["block", "shed"]),
        "",
        "Stream listeners, when the journal cannot take a batch: block = stop reading until it can; shed = refuse the batch and count it.",
    ),
    key(
        "listen.udp_when_full",
        Choice(&["block", "shed"]),
        "",
        "UDP listeners, when the journal cannot take a batch: as when_full. With block the system drops what its buffer does not hold.",
    ),
    key(
        "listen.keepalive.idle_seconds",
        Whole(0, 32_767),
        "seconds",
        "A TCP connection of a sender on which nothing moves for so long is probed. 0: it is not.",
    ),
    key("listen.keepalive.interval_seconds", Whole(1, 32_767), "seconds", "Time between probes."),
    key(
        "listen.keepalive.probes",
        Whole(1, 127),
        "probes",
        "The connection is given up when so many in a row are not answered.",
    ),
];

pub(in crate::keys) static STREAM: Item = Item {
    what: "a stream",
    keys: STREAM_KEYS,
    or_text: false,
    example: "{ address = \"0.0.0.0:2013\", packing = \"gzip\" }",
    missing: |table| {
        let both = table.contains_key("address") == table.contains_key("unix");
        both.then_some("either `address` or `unix` is needed, for example `address = \"0.0.0.0:2013\"`")
    },
};

const STREAM_KEYS: &[Key] = &[
    key("listen.stream.address", Address, "", "TCP: the IP address and port to listen on."),
    key("listen.stream.unix", Path, "", "Unix stream socket: its path. Either this or address."),
    key(
        "listen.stream.protocol",
        Choice(&["plaintext", "pickle", "protobuf"]),
        "",
        "What the bytes mean once they are decrypted and unpacked. Default: plaintext.",
    ),
    key(
        "listen.stream.packing",
        Choice(&["plain", "gzip", "lz4"]),
        "",
        "How the bytes are compressed, within TLS: gzip = one stream, flushed in pieces, or several one after the other; lz4 = frames, one after the other. Default: plain.",
    ),
    key("listen.stream.tls", Kind::One(&TLS), "", "How the bytes are encrypted. Left out: not at all."),
];

static TLS: Item = Item {
    what: "tls",
    keys: TLS_KEYS,
    or_text: false,
    example: "{ certificate = \"/etc/skyline/node.pem\" }",
    missing: |table| {
        let message = "the `certificate` is missing, for example `certificate = \"/etc/skyline/node.pem\"`";
        (!table.contains_key("certificate")).then_some(message)
    },
};

const TLS_KEYS: &[Key] = &[
    key(
        "listen.stream.tls.certificate",
        Path,
        "",
        "PEM file with the listener's certificate, then those between it and its authority. All files are read again when they change, at most a second later, for new connections.",
    ),
    key(
        "listen.stream.tls.key",
        Path,
        "",
        "PEM file with its private key. Left out: it is in the certificate's file.",
    ),
    key(
        "listen.stream.tls.client_ca",
        Path,
        "",
        "PEM file with the authorities of senders, which must then show a certificate of one of them (mTLS). Left out: none is asked for.",
    ),
    key(
        "listen.stream.tls.min_version",
        Choice(&["1.2", "1.3"]),
        "",
        "Oldest version of TLS that is spoken. Default: 1.2.",
    ),
];
