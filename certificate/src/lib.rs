//! Certificates: whose is taken, and our own with its key, as OpenSSL takes them, for operators who bring their files along.
//!
//! A certificate that itself stands in the file of those that are trusted is trusted in its time, whatever it says of
//! itself: signed by itself, an authority's own, or of the first version of X.509. Whether it may also be for another name
//! than the one under which the server was sought is the caller's to say ([`Names`]). All others need a chain to an
//! authority of that file, and a server's must be for its name.

mod trust;

pub use trust::{Names, client_trust, no_trust, server_trust};

use rustls::CertificateError;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::Path;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// Why certificates cannot be used. Names no file: who has read it does.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// One of those that are trusted, or the key.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// Those that are trusted make no list.
    #[error(transparent)]
    Authorities(#[from] rustls::client::VerifierBuilderError),
    /// A chain without one.
    #[error("there is no certificate")]
    None,
    /// The first of a chain.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// The key of another.
    #[error("the private key is not that of the certificate")]
    OfAnother,
}

/// What a certificate says, of whatever version it is.
///
/// # Errors
/// It is none.
fn parsed<'c>(certificate: &'c CertificateDer<'_>) -> Result<X509Certificate<'c>, CertificateError> {
    let read = X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    Ok(read.1)
}

/// A chain of certificates with the key of the first.
///
/// # Errors
/// What is wrong with them.
pub fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Unusable> {
    let key = provider.key_provider.load_private_key(key)?;
    let own = chain.first().ok_or(Unusable::None)?;
    let of_another = {
        let own = parsed(own).map_err(|_| Unusable::Unreadable)?;
        key.public_key().is_some_and(|public| public.as_ref() != own.public_key().raw)
    };
    if of_another {
        return Err(Unusable::OfAnother);
    }
    Ok(CertifiedKey::new(chain, key))
}

/// All certificates at `path` as `read` reads them from a file; of a folder those of all its files, of which some
/// may be something else.
///
/// # Errors
/// Those of `read`; there is none in the folder.
pub fn authorities(
    path: &Path,
    read: impl Fn(&Path) -> io::Result<Vec<CertificateDer<'static>>>,
) -> io::Result<Vec<CertificateDer<'static>>> {
    if !path.is_dir() {
        return read(path);
    }
    let named = |kind, what: &dyn Display| io::Error::new(kind, format!("{}: {what}", path.display()));
    let mut all = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| named(error.kind(), &error))? {
        let file = entry.map_err(|error| named(error.kind(), &error))?.path();
        if file.is_file() {
            all.extend(read(&file).unwrap_or_default());
        }
    }
    if all.is_empty() {
        return Err(named(ErrorKind::InvalidData, &"no file in it has a certificate"));
    }
    Ok(all)
}
