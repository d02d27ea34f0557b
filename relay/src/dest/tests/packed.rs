//! Peers that unpack and decrypt.

use super::rig::{Rig, destination, eventually, free_address, numbers, server};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use skyline_conf::routing::{Packing, Server, Tls};
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A peer that collects what each connection brings, decrypted.
pub(super) struct Peer {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<Vec<u8>>>>,
    /// What went wrong with a connection.
    errors: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    fn new(tls: Option<Arc<ServerConfig>>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), tls)
    }

    pub(super) fn on(listener: TcpListener, tls: Option<Arc<ServerConfig>>) -> Self {
        let address = listener.local_addr().unwrap();
        let (connections, errors) = (Arc::default(), Arc::default());
        let peer = Self { address, connections, errors };
        let (connections, errors) = (Arc::clone(&peer.connections), Arc::clone(&peer.errors));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let index = {
                    let mut all = connections.lock().unwrap();
                    all.push(Vec::new());
                    all.len() - 1
                };
                let (connections, errors, tls) = (Arc::clone(&connections), Arc::clone(&errors), tls.clone());
                std::thread::spawn(move || {
                    let add = |bytes: &[u8]| connections.lock().unwrap()[index].extend_from_slice(bytes);
                    let outcome = match tls {
                        None => collect(stream, add),
                        Some(config) => {
                            let tls = ServerConnection::new(config).unwrap();
                            collect(StreamOwned::new(tls, stream), add)
                        }
                    };
                    errors.lock().unwrap().extend(outcome.err().map(|error| error.to_string()));
                });
            }
        });
        peer
    }

    /// Numbers of the points of all connections, unpacked.
    pub(super) fn numbers(&self, packing: Packing) -> Vec<u64> {
        self.connections.lock().unwrap().iter().flat_map(|wire| numbers(&unpack(packing, wire))).collect()
    }
}

fn collect(mut from: impl Read, add: impl Fn(&[u8])) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            read => add(&buffer[..read]),
        }
    }
}

/// All that can be unpacked.
fn unpack(packing: Packing, wire: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = wire;
    // What comes last may not be whole: it is read as far as it goes.
    match packing {
        Packing::Plain => plain.extend_from_slice(wire),
        Packing::Gzip => drop(collect_into(flate2::read::MultiGzDecoder::new(wire), &mut plain)),
        Packing::Lz4 => {
            while !rest.is_empty()
                && collect_into(lz4_flex::frame::FrameDecoder::new(&mut rest), &mut plain).is_ok()
            {
            }
        }
    }
    plain
}

fn collect_into(mut from: impl Read, plain: &mut Vec<u8>) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            read => plain.extend_from_slice(&buffer[..read]),
        }
    }
}

/// An authority, and files of what it has signed.
pub(super) struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("ca.pem"), &pem).unwrap();
        Self { dir, issuer: Issuer::new(params, key), pem }
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Files of a certificate for `name` and its key.
    pub(super) fn identity(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |end: &str| self.dir.path().join(format!("{name}.{end}"));
        std::fs::write(file("crt"), certificate.pem()).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        (file("crt"), file("key"))
    }

    /// A server for `name`; `mutual`: that asks for a certificate of this authority.
    pub(super) fn server(&self, name: &str, mutual: bool) -> Arc<ServerConfig> {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let (certificate, key) = self.identity(name);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if mutual {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
        Arc::new(builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap())
    }
}

/// All points come, once and in order, and the end is in order too.
async fn all_come(peer: &Peer, to: Server) {
    let (dir, packing) = (TempDir::new().unwrap(), to.packing);
    let what = format!("{to:?}");
    let rig = Rig::of(dir.path(), vec![destination("x", [to])]);
    rig.log(0..1).await;
    eventually(&format!("a point that comes alone is not held back: {what}"), || {
        peer.numbers(packing) == [0]
    })
    .await;
    rig.log(1..50_000).await;
    eventually(&format!("all have come: {what}"), || peer.numbers(packing).len() >= 50_000).await;
    assert_eq!(peer.numbers(packing), (0..50_000).collect::<Vec<_>>(), "{what}");
    rig.delivered(0, 50_000).await;
    let status = rig.status(0);
    assert!(status.connected && status.repeats == 0 && status.last_error.is_none(), "{status:?}");
    let journal = rig.journal.clone();
    assert!(rig.drain().await.left().is_empty());
    let mut figures = Vec::new();
    journal.figures(&mut figures);
    // What is proved to be read is not held for another time.
    let reader = journal.reader(&journal.orphans()[0], skyline_journal::Scope::Routed).unwrap();
    assert_eq!(reader.held(), u64::MAX, "the peer has ended its side in order: {what}");
}

#[tokio::test]
async fn packed_points_come_whole() {
    for packing in [Packing::Gzip, Packing::Lz4] {
        let peer = Peer::new(None);
        all_come(&peer, Server { packing, ..server(peer.address) }).await;
        if packing == Packing::Gzip {
            let wire = peer.connections.lock().unwrap()[0].clone();
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(wire.as_slice())
                .read_to_end(&mut plain)
                .expect("the stream is ended");
            assert!(wire.len() * 4 < plain.len(), "{} of {}", wire.len(), plain.len());
        }
    }
}

#[tokio::test]
async fn encrypted_points_come_whole() {
    let authority = Authority::new();
    for packing in [Packing::Plain, Packing::Gzip, Packing::Lz4] {
        let peer = Peer::new(Some(authority.server("localhost", false)));
        let tls = Some(Tls { ca: Some(authority.ca()), identity: None });
        all_come(&peer, Server { packing, tls, host: "localhost".into(), ..server(peer.address) }).await;
    }
}

#[tokio::test]
async fn both_sides_show_a_certificate() {
    let authority = Authority::new();
    let peer = Peer::new(Some(authority.server("127.0.0.1", true)));
    let tls = Tls { ca: Some(authority.ca()), identity: Some(authority.identity("this.node")) };
    all_come(&peer, Server { tls: Some(tls), ..server(peer.address) }).await;
}

#[tokio::test]
async fn who_cannot_be_trusted_gets_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    let check = async |tls: Option<Arc<ServerConfig>>, ours: Tls, expected: &str| {
        let (dir, peer) = (TempDir::new().unwrap(), Peer::new(tls));
        let to = Server { tls: Some(ours), host: "localhost".into(), ..server(peer.address) };
        let rig = Rig::of(dir.path(), vec![destination("x", [to])]);
        rig.log(0..100).await;
        let error = || rig.status(0).last_error.unwrap_or_default();
        eventually(&format!("it says {expected:?}"), || error().contains(expected)).await;
        assert!(peer.connections.lock().unwrap().iter().all(Vec::is_empty));
    };
    let trusting = |authority: &Authority| Tls { ca: Some(authority.ca()), identity: None };
    let good = || Some(authority.server("localhost", false));
    let untrusted = format!("signed by no authority in {}", other.ca().display());
    check(good(), trusting(&other), &untrusted).await;
    check(good(), Tls::default(), "the system trusts").await;
    check(Some(authority.server("other.host", false)), trusting(&authority), "not for the name `localhost`")
        .await;
    let none = Tls { ca: Some(authority.dir.path().join("none.pem")), identity: None };
    check(good(), none, "none.pem").await;
    let wrong = Tls { ca: Some(authority.identity("x").1), identity: None };
    check(good(), wrong, "x.key: it has none in PEM form").await;
    check(Some(authority.server("localhost", true)), trusting(&authority), "TLS: received fatal alert").await;
    let foreign = Tls { ca: Some(authority.ca()), identity: Some(other.identity("this.node")) };
    check(Some(authority.server("localhost", true)), foreign, "TLS: received fatal alert").await;
}

#[tokio::test]
async fn a_peer_that_takes_plain_lines_is_not_taken_for_one_that_knows_tls() {
    let (dir, listener) = (TempDir::new().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let to = Server { tls: Some(Tls::default()), ..server(listener.local_addr().unwrap()) };
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::io::Write::write_all(&mut stream.unwrap(), b"what?\n").unwrap();
        }
    });
    // The system may trust nobody on a machine that tests run on.
    let authority = Authority::new();
    let to = Server { tls: Some(Tls { ca: Some(authority.ca()), identity: None }), ..to };
    let rig = Rig::of(dir.path(), vec![destination("x", [to])]);
    eventually("it is told", || rig.status(0).last_error.is_some_and(|e| e.contains("is it a TLS port?")))
        .await;
}

#[tokio::test]
async fn renewed_files_count_for_the_next_connection() {
    let (dir, authority, old) = (TempDir::new().unwrap(), Authority::new(), Authority::new());
    let peer = Peer::new(Some(authority.server("127.0.0.1", false)));
    let ca = dir.path().join("ca.pem");
    std::fs::copy(old.ca(), &ca).unwrap();
    let to = Server { tls: Some(Tls { ca: Some(ca.clone()), identity: None }), ..server(peer.address) };
    let rig = Rig::of(&dir.path().join("journal"), vec![destination("x", [to])]);
    rig.log(0..100).await;
    eventually("the old one is refused", || rig.status(0).last_error.is_some()).await;
    std::fs::copy(authority.ca(), &ca).unwrap();
    eventually("the new one is taken", || peer.numbers(Packing::Plain).len() == 100).await;
}

#[tokio::test]
async fn a_reset_of_a_packed_and_encrypted_stream_costs_no_point() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tls = Some(Tls { ca: Some(authority.ca()), identity: None });
    let to = Server { packing: Packing::Gzip, tls, ..server(listener.local_addr().unwrap()) };
    let rig = Rig::of(dir.path(), vec![destination("x", [to])]);
    rig.log(0..60_000).await;
    let config = authority.server("127.0.0.1", false);
    let read_first = tokio::task::spawn_blocking({
        let config = Arc::clone(&config);
        move || {
            let (stream, _): (TcpStream, _) = listener.accept().unwrap();
            let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
            let mut read = vec![0; 100_000];
            tls.read_exact(&mut read).unwrap();
            let stream = tls.sock;
            socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
            (listener, read)
        }
    });
    let (listener, read) = read_first.await.unwrap();
    let first = numbers(&unpack(Packing::Gzip, &read));
    assert_eq!(first, (0..first.len() as u64).collect::<Vec<_>>());
    let peer = Peer::on(listener, Some(config));
    eventually("the last point has come", || peer.numbers(Packing::Gzip).last() == Some(&59_999)).await;
    let then = peer.numbers(Packing::Gzip);
    assert!(then[0] <= first.len() as u64, "{} after {} were read", then[0], first.len());
    assert_eq!(then, (then[0]..60_000).collect::<Vec<_>>(), "in order and without a gap");
    rig.delivered(0, 60_000).await;
}

#[tokio::test]
async fn what_may_not_have_been_read_is_counted_as_it_travels() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let to = Server { packing: Packing::Gzip, ..server(address) };
    let (to, mut sending) = destination("x", [to]);
    sending.resend_bytes = 100_000;
    let rig = Rig::of(dir.path(), vec![(to, sending)]);
    rig.log(0..6_000).await;
    let listener = TcpListener::bind(address).unwrap();
    let accept = move || (listener.accept().unwrap().0, listener);
    let (stream, listener) = tokio::task::spawn_blocking(accept).await.unwrap();
    rig.delivered(0, 6_000).await;
    // About 200 kB of lines have become less than may have to be sent again.
    socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(stream);
    let peer = Peer::on(listener, None);
    eventually("all come again", || peer.numbers(Packing::Gzip).last() == Some(&5_999)).await;
    assert_eq!(peer.numbers(Packing::Gzip), (0..6_000).collect::<Vec<_>>());
    assert!(peer.connections.lock().unwrap()[0].len() < 100_000);
    assert_eq!(rig.status(0).repeats, 6_000);
}
