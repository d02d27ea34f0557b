//! TLS of listeners: certificates that may change while the node runs, and one sender's session.

mod files;

use files::Stamp;
use rustls::server::{NoServerSessionStorage, ServerConnection};
use rustls::sign::SingleCertAndKey;
use rustls::{ServerConfig, SupportedProtocolVersion};
use skyline_certificate as certificate;
use skyline_conf::model::listen::{Tls, TlsVersion};
use std::io::{self, BufRead as _, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Whether the files have changed is looked at so often at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Bytes that one step decrypts, about.
const STEP_BYTES: usize = 128 << 10;

/// What a listener needs to speak TLS.
#[derive(Debug)]
pub(super) struct Acceptor {
    settings: Tls,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// Of the files when they were read last, whether or not they were good.
    stamps: Vec<Option<Stamp>>,
    looked: Instant,
}

impl Acceptor {
    /// Reads the files.
    ///
    /// # Errors
    /// A file that cannot be read or used, by name.
    pub(super) fn load(settings: &Tls) -> io::Result<Self> {
        let stamps = stamps(settings);
        let current = Current { config: config(settings)?, stamps, looked: Instant::now() };
        Ok(Self { settings: settings.clone(), current: Mutex::new(current) })
    }

    /// A session for a new connection, with the certificates as they are now. Files that have become
    /// unusable are logged, once for each change, and those before them stay in use.
    pub(super) fn session(&self) -> Result<Session, rustls::Error> {
        ServerConnection::new(self.config()).map(|connection| Session { connection: Box::new(connection) })
    }

    fn config(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now.duration_since(current.looked) >= LOOK_EVERY {
            current.looked = now;
            let stamps = stamps(&self.settings);
            if stamps != current.stamps {
                current.stamps = stamps;
                let certificate = self.settings.certificate.display();
                match config(&self.settings) {
                    Ok(config) => {
                        current.config = config;
                        tracing::info!(%certificate, "certificates read again");
                    }
                    Err(error) => {
                        tracing::error!(%certificate, %error, "changed certificates cannot be used; those from before stay in use");
                    }
                }
            }
        }
        Arc::clone(&current.config)
    }
}

fn paths(settings: &Tls) -> impl Iterator<Item = &Path> {
    let others = [settings.key.as_deref(), settings.client_ca.as_deref()];
    std::iter::once(settings.certificate.as_path()).chain(others.into_iter().flatten())
}

/// Taken before the files are read: a change in between then shows at the next look.
fn stamps(settings: &Tls) -> Vec<Option<Stamp>> {
    paths(settings).map(Stamp::of).collect()
}

fn config(settings: &Tls) -> io::Result<Arc<ServerConfig>> {
    let key_file = settings.key.as_ref().unwrap_or(&settings.certificate);
    let unusable = |path: &Path, error: &dyn std::fmt::Display| {
        io::Error::new(ErrorKind::InvalidData, format!("{}: {error}", path.display()))
    };
    let versions: &[&SupportedProtocolVersion] = match settings.min_version {
        TlsVersion::V12 => &[&rustls::version::TLS12, &rustls::version::TLS13],
        TlsVersion::V13 => &[&rustls::version::TLS13],
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| unusable(&settings.certificate, &error))?;
    let builder = match &settings.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let trust =
                certificate::client_trust(certificate::authorities(path, files::certificates)?, &provider);
            builder.with_client_cert_verifier(trust.map_err(|error| unusable(path, &error))?)
        }
    };
    let (chain, key) = (files::certificates(&settings.certificate)?, files::key(key_file)?);
    let own = certificate::certified(chain, key, &provider)
        .map_err(|error| unusable(&settings.certificate, &error))?;
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    // A session that is taken up again would be one of certificates that may have been replaced since. Senders
    // stay connected, so it would save little.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// One connection's end of TLS. Does no I/O of its own but through what it is given.
#[derive(Debug)]
pub(super) struct Session {
    connection: Box<ServerConnection>,
}

impl Session {
    /// Whether the handshake is not done yet.
    pub(super) fn is_greeting(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Decrypts from the front of `input` until `out` has enough or `input` is used up; true if the peer has said
    /// that it sends nothing more.
    pub(super) fn open(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, String> {
        loop {
            if self.drain(out) {
                return Ok(true);
            }
            if input.is_empty() || out.len() >= STEP_BYTES {
                return Ok(false);
            }
            if self.connection.read_tls(input).map_err(|error| error.to_string())? == 0 {
                return Ok(true);
            }
            self.connection.process_new_packets().map_err(|error| error.to_string())?;
        }
    }

    /// Takes what is decrypted; true if that was all there will ever be.
    fn drain(&mut self, out: &mut Vec<u8>) -> bool {
        let mut reader = self.connection.reader();
        loop {
            match reader.fill_buf() {
                Ok([]) => return true,
                Ok(text) => {
                    let length = text.len();
                    out.extend_from_slice(text);
                    reader.consume(length);
                }
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }

    /// Writes what is due to the peer, as far as `to` takes it: whether that was all.
    pub(super) fn send(&mut self, to: &mut impl io::Write) -> io::Result<bool> {
        while self.connection.wants_write() {
            match self.connection.write_tls(to) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// To be sent before the connection is closed.
    pub(super) fn say_goodbye(&mut self) {
        self.connection.send_close_notify();
    }
}
