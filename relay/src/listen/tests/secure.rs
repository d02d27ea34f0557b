//! TLS: servers and senders with certificates of their own making.

use super::FRAME;
use super::node::{ANY, Node};
use crate::listen::Listeners;
use flate2::Compression;
use flate2::write::GzEncoder;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use skyline_conf::model::listen::{Listen, Packing, Protocol, Stream, Tls, TlsVersion};
use skyline_core::batch::Listener;
use skyline_core::reject::Reject;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, PEM.
struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        Pair { certificate: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }

    fn pem(&self) -> String {
        self.0.pem()
    }
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A listener with a certificate of `authority`, both in one file.
fn server(dir: &Path, authority: &Authority) -> Tls {
    let Pair { certificate, key } = authority.issue();
    Tls { certificate: write(dir, "node.pem", &format!("{certificate}{key}")), ..Tls::default() }
}

/// A sender that trusts `authority` and shows `own`.
fn client(
    authority: &Authority,
    own: Option<&Pair>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let builder = builder.with_root_certificates(roots);
    Arc::new(match own {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
            builder
                .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap())
                .unwrap()
        }
    })
}

/// Sends, says that this was all, and reads until the node closes.
async fn send(address: SocketAddr, config: &Arc<ClientConfig>, bytes: &[u8]) -> io::Result<()> {
    let (config, bytes) = (Arc::clone(config), bytes.to_vec());
    let sent = tokio::task::spawn_blocking(move || {
        let socket = std::net::TcpStream::connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let connection =
            ClientConnection::new(config, "localhost".try_into().unwrap()).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, socket);
        stream.write_all(&bytes)?;
        stream.conn.send_close_notify();
        stream.flush()?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    });
    sent.await.unwrap()
}

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];
const OLD: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
const NEW: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

fn secure(tls: Tls) -> Stream {
    Stream { tls: Some(tls), ..Stream::default() }
}

#[tokio::test]
async fn lines_over_tls() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new());
    let mut node = Node::with(secure(server(dir.path(), &authority)));
    let mut want = String::new();
    for versions in [OLD, NEW] {
        let lines: String = (0..50_000).map(|i| format!("servers.web.{i} {i} 1700000000\n")).collect();
        send(node.stream(), &client(&authority, None, versions), format!("{lines}cut").as_bytes())
            .await
            .unwrap();
        want.push_str(&lines);
        node.has(&want).await;
    }
    node.refuses(Listener::PlaintextTcp, Reject::CutLine, 2).await;
    // An authority that the sender does not know.
    let stranger = client(&Authority::new(), None, BOTH);
    send(node.stream(), &stranger, b"a 1 1\n").await.unwrap_err();
    node.refuses(Listener::PlaintextTcp, Reject::Tls, 1).await;
    node.stop().await;
}

#[tokio::test]
async fn frames_within_gzip_within_tls() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new());
    let mut node = Node::with(Stream {
        protocol: Protocol::Pickle,
        packing: Packing::Gzip,
        ..secure(server(dir.path(), &authority))
    });
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&FRAME.repeat(1_000)).unwrap();
    send(node.stream(), &client(&authority, None, BOTH), &encoder.finish().unwrap()).await.unwrap();
    node.has(&"a.b 1.5 5\n".repeat(1_000)).await;
    send(node.stream(), &client(&authority, None, BOTH), FRAME).await.ok();
    node.refuses(Listener::PickleTcp, Reject::Packing, 1).await;
    node.stop().await;
}

#[tokio::test]
async fn senders_need_a_certificate() {
    let (dir, authority, senders) = (TempDir::new().unwrap(), Authority::new(), Authority::new());
    let client_ca = Some(write(dir.path(), "senders.pem", &senders.pem()));
    let mut node = Node::with(secure(Tls { client_ca, ..server(dir.path(), &authority) }));
    let good = senders.issue();
    for versions in [OLD, NEW] {
        send(node.stream(), &client(&authority, Some(&good), versions), b"a 1 1\n").await.unwrap();
    }
    node.has("a 1 1\na 1 1\n").await;
    let wrong = authority.issue();
    for (own, versions) in [(None, OLD), (None, NEW), (Some(&wrong), OLD), (Some(&wrong), NEW)] {
        send(node.stream(), &client(&authority, own, versions), b"b 1 1\n").await.unwrap_err();
    }
    node.refuses(Listener::PlaintextTcp, Reject::Tls, 4).await;
    node.has("a 1 1\na 1 1\n").await;
    node.stop().await;
}

#[tokio::test]
async fn the_oldest_version() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new());
    let tls = Tls { min_version: TlsVersion::V13, ..server(dir.path(), &authority) };
    let mut node = Node::with(secure(tls));
    send(node.stream(), &client(&authority, None, OLD), b"a 1 1\n").await.unwrap_err();
    send(node.stream(), &client(&authority, None, BOTH), b"b 1 1\n").await.unwrap();
    node.has("b 1 1\n").await;
    node.refuses(Listener::PlaintextTcp, Reject::Tls, 1).await;
    node.stop().await;
}

#[tokio::test]
async fn certificates_are_read_anew() {
    let (dir, first, second) = (TempDir::new().unwrap(), Authority::new(), Authority::new());
    let mut node = Node::with(secure(server(dir.path(), &first)));
    send(node.stream(), &client(&first, None, BOTH), b"a 1 1\n").await.unwrap();
    server(dir.path(), &second);
    sleep(Duration::from_millis(1_100)).await;
    send(node.stream(), &client(&second, None, BOTH), b"b 1 1\n").await.unwrap();
    send(node.stream(), &client(&first, None, BOTH), b"c 1 1\n").await.unwrap_err();
    // What cannot be used changes nothing.
    write(dir.path(), "node.pem", "nothing");
    sleep(Duration::from_millis(1_100)).await;
    send(node.stream(), &client(&second, None, BOTH), b"d 1 1\n").await.unwrap();
    node.has("a 1 1\nb 1 1\nd 1 1\n").await;
    node.stop().await;
}

#[tokio::test]
async fn garbage_and_silence() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new());
    let node = Node::with(secure(server(dir.path(), &authority)));
    let bad: [&[u8]; 3] = [b"GET / HTTP/1.1\r\n\r\n", b"a 1 1\n", &[0xff; 4_000]];
    for bytes in bad {
        let mut sender = TcpStream::connect(node.stream()).await.unwrap();
        sender.write_all(bytes).await.unwrap();
        sender.shutdown().await.unwrap();
        // An alert, then the end.
        let end = timeout(Duration::from_secs(5), sender.read_to_end(&mut Vec::new())).await;
        drop(end.expect("closed in time"));
    }
    node.refuses(Listener::PlaintextTcp, Reject::Tls, 3).await;
    // Whoever only looks whether the port is open does no harm.
    drop(TcpStream::connect(node.stream()).await.unwrap());
    let half = TcpStream::connect(node.stream()).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    assert_eq!(node.refused(Listener::PlaintextTcp, Reject::Tls), 3);
    // Neither does one that is silent at a stop.
    node.stop().await;
    drop(half);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_takes_too_long() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new());
    let node = Node::with(secure(server(dir.path(), &authority)));
    let mut sender = TcpStream::connect(node.stream()).await.unwrap();
    sender.write_all(b"\x16\x03").await.unwrap();
    sleep(Duration::from_secs(9)).await;
    assert_eq!(node.refused(Listener::PlaintextTcp, Reject::Tls), 0);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(node.refused(Listener::PlaintextTcp, Reject::Tls), 1);
    let example = node.intake.recent_refusals().remove(0);
    assert_eq!(example.text, "the handshake takes too long");
    node.stop().await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let (dir, authority) = (TempDir::new().unwrap(), Authority::new());
    let good = server(dir.path(), &authority);
    let Pair { certificate, key } = authority.issue();
    let check = |tls: Tls, expected: &[&str]| {
        let stream = vec![Stream { address: Some(ANY), ..secure(tls) }];
        let settings =
            Listen { stream, plaintext_tcp: Vec::new(), pickle_tcp: Vec::new(), ..Listen::default() };
        let error = Listeners::bind(&settings).unwrap_err().to_string();
        assert!(expected.iter().all(|part| error.contains(part)), "{error}");
    };
    let only = write(dir.path(), "only.pem", &certificate);
    let other = write(dir.path(), "other.key", &key);
    check(
        Tls { certificate: "/no/such.pem".into(), ..Tls::default() },
        &["/no/such.pem: No such file", "listen.stream"],
    );
    check(Tls { certificate: only.clone(), ..Tls::default() }, &["only.pem: there is no private key"]);
    check(Tls { certificate: other.clone(), ..Tls::default() }, &["other.key: there is no certificate"]);
    check(Tls { key: Some(other), ..good.clone() }, &["node.pem: "]);
    check(
        Tls { client_ca: Some(write(dir.path(), "ca.pem", "")), ..good },
        &["ca.pem: there is no certificate"],
    );
}
