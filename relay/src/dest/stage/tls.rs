//! TLS towards a server. Certificates are read anew for each connection, so that renewed files count
//! without a restart.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};
use skyline_certificate::{self as certificate, Names};
use skyline_conf::routing::Tls;
use std::fmt::Display;
use std::io::{Error, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;

/// Makes TLS of a connection that has just been made.
///
/// # Errors
/// A file cannot be used, or one side does not trust the other: says which and what.
pub(super) async fn handshake(
    socket: &mut TcpStream,
    host: &str,
    settings: &Tls,
) -> Result<ClientConnection, Error> {
    let files = settings.clone();
    let config = spawn_blocking(move || config(&files)).await.map_err(Error::other)??;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| invalid(format!("TLS: `{host}` is no name that a certificate can have")))?;
    let mut tls =
        ClientConnection::new(Arc::new(config), name).map_err(|error| invalid(format!("TLS: {error}")))?;
    // What is given to it is bounded.
    tls.set_buffer_limit(None);
    let mut buffer = [0; 4096];
    loop {
        flush(&mut tls, socket).await?;
        if !tls.is_handshaking() {
            return Ok(tls);
        }
        let read = socket.read(&mut buffer).await?;
        let mut bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            let what = "TLS: closed by the peer before it was set up; is it a TLS port?";
            return Err(Error::new(ErrorKind::UnexpectedEof, what));
        }
        while !bytes.is_empty() {
            tls.read_tls(&mut bytes)?;
            if let Err(error) = tls.process_new_packets() {
                // Tells the peer why, if it still listens.
                drop(flush(&mut tls, socket).await);
                return Err(invalid(refusal(&error, host, settings)));
            }
        }
    }
}

async fn flush(tls: &mut ClientConnection, socket: &mut TcpStream) -> Result<(), Error> {
    let mut wire = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut wire)?;
    }
    socket.write_all(&wire).await
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, what.into())
}

/// Why there is no TLS with `host`, and what to look at.
fn refusal(error: &rustls::Error, host: &str, settings: &Tls) -> String {
    use rustls::Error::InvalidCertificate;
    match error {
        // A wrong signature: an authority of the same name, with another key.
        InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            let trusted = match &settings.ca {
                Some(ca) => format!("in {}", ca.display()),
                None => "among those that the system trusts".to_owned(),
            };
            format!("TLS: the certificate of {host} is signed by no authority {trusted}")
        }
        InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("TLS: the certificate is not for the name `{host}`: {error}"),
        rustls::Error::InvalidMessage(_) => format!("TLS: {error}; is it a TLS port?"),
        _ => format!("TLS: {error}"),
    }
}

/// Reads the files. May block.
fn config(settings: &Tls) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trusted = trusted(settings.ca.as_deref())?;
    let trust =
        certificate::server_trust(trusted, Names::Free, &provider).map_err(|error| match &settings.ca {
            Some(path) => unusable("authority", path, error),
            None => invalid(format!("TLS: the authorities that the system trusts cannot be used: {error}")),
        })?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(format!("TLS: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(trust);
    let Some((chain, key)) = &settings.identity else { return Ok(builder.with_no_client_auth()) };
    let certificates = certificates(chain)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("private key", key, error))?;
    let own = certificate::certified(certificates, secret, &provider)
        .map_err(|error| unusable("certificate and key", chain, error))?;
    Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))))
}

/// The certificates of a file or a folder of files; without one those of the system.
fn trusted(ca: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, Error> {
    if let Some(path) = ca {
        return certificate::authorities(path, certificates);
    }
    let found = rustls_native_certs::load_native_certs();
    // One that cannot be read is no reason to trust none of the others.
    let mut roots = RootCertStore::empty();
    let usable = found.certs.into_iter().filter(|certificate| roots.add(certificate.clone()).is_ok());
    let usable: Vec<_> = usable.collect();
    if usable.is_empty() {
        let why = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
        return Err(invalid(format!(
            "TLS: the system trusts no authority{why}; install its certificates, or name a file of them"
        )));
    }
    Ok(usable)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    // A pipe would be waited for.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Err(unusable("certificate", path, "it is a pipe or a device, not a file"));
    }
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match all {
        Ok(all) if all.is_empty() => Err(unusable("certificate", path, "it has none in PEM form")),
        Ok(all) => Ok(all),
        Err(error) => Err(unusable("certificate", path, error)),
    }
}

fn unusable(what: &str, path: &Path, why: impl Display) -> Error {
    invalid(format!("TLS: no {what} from {}: {why}", path.display()))
}
