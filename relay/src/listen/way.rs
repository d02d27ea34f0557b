//! Which sockets settings ask for, and how the bytes of each are read.

use super::bind::{self, Bound, Error, Place};
use super::tls::Acceptor;
use skyline_conf::model::listen::{Listen, Packing, Protocol, Stream};
use skyline_core::batch::Listener;
use std::net::SocketAddr;
use std::sync::Arc;

/// How what comes in at a socket is read.
#[derive(Debug)]
pub(super) struct Way {
    /// What it counts as; says which protocol it is.
    pub(super) listener: Listener,
    pub(super) packing: Packing,
    pub(super) tls: Option<Acceptor>,
}

/// A socket that is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Its key in `[listen]`, for people.
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) way: Arc<Way>,
}

/// All sockets that the settings ask for, in the order of their keys.
///
/// # Errors
/// Certificates of a stream that cannot be read.
pub(super) fn wanted(settings: &Listen) -> Result<Vec<Wanted>, Error> {
    let plain = |listener: Listener, place| {
        let way = Arc::new(Way { listener, packing: Packing::Plain, tls: None });
        Wanted { name: listener.label(), place, way }
    };
    let mut all = Vec::new();
    for (listener, addresses, place) in [
        (Listener::PlaintextTcp, &settings.plaintext_tcp, Place::Tcp as fn(SocketAddr) -> Place),
        (Listener::PickleTcp, &settings.pickle_tcp, Place::Tcp),
        (Listener::ProtobufTcp, &settings.protobuf_tcp, Place::Tcp),
        (Listener::PlaintextUdp, &settings.plaintext_udp, Place::Udp),
        (Listener::MsgpackUdp, &settings.msgpack_udp, Place::Udp),
    ] {
        all.extend(addresses.iter().map(|address| plain(listener, place(*address))));
    }
    let paths = settings.plaintext_unix.iter();
    all.extend(paths.map(|path| plain(Listener::PlaintextUnix, Place::Unix(path.clone()))));
    for stream in &settings.stream {
        let places = [stream.address.map(Place::Tcp), stream.unix.clone().map(Place::Unix)];
        for place in places.into_iter().flatten() {
            all.push(detailed(stream, place)?);
        }
    }
    Ok(all)
}

fn detailed(stream: &Stream, place: Place) -> Result<Wanted, Error> {
    const NAME: &str = "stream";
    let listener = match (stream.protocol, &place) {
        (Protocol::Pickle, _) => Listener::PickleTcp,
        (Protocol::Protobuf, _) => Listener::ProtobufTcp,
        (Protocol::Plaintext, Place::Unix(_)) => Listener::PlaintextUnix,
        (Protocol::Plaintext, _) => Listener::PlaintextTcp,
    };
    let tls = match stream.tls.as_ref().map(Acceptor::load).transpose() {
        Ok(tls) => tls,
        Err(error) => return Err(bind::failed(NAME, &place, error)),
    };
    let way = Arc::new(Way { listener, packing: stream.packing, tls });
    Ok(Wanted { name: NAME, place, way })
}

/// Opens those of `wanted` that `is_open` does not say to be open already.
///
/// # Errors
/// The first that cannot be opened; those before it are closed again.
pub(super) fn open(
    wanted: &[Wanted],
    settings: &Listen,
    mut is_open: impl FnMut(usize) -> bool,
) -> Result<Vec<Bound>, Error> {
    let mut bound = Vec::new();
    for (_, one) in wanted.iter().enumerate().filter(|(i, _)| !is_open(*i)) {
        let beside: Vec<SocketAddr> = wanted
            .iter()
            .filter(|other| other.name == one.name)
            .filter_map(|other| match (&one.place, &other.place) {
                (Place::Tcp(_), Place::Tcp(address)) | (Place::Udp(_), Place::Udp(address)) => Some(*address),
                _ => None,
            })
            .collect();
        bound.push(bind::open(one, &beside, settings.udp_buffer_bytes)?);
    }
    Ok(bound)
}
