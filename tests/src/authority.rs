//! An authority and what it signs, as PEM files, for servers with TLS.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use std::path::{Path, PathBuf};

/// An authority; `ca.pem` in its folder is its certificate.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one that keeps its files in `folder`.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of a test");
        std::fs::write(folder.join("ca.pem"), params.self_signed(&key)?.pem())?;
        Ok(Self { folder: folder.to_owned(), issuer: Issuer::new(params, key) })
    }

    /// Where its own certificate is.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A file with a certificate for `host` and its key. `until`: the year in which it ends.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn certificate(&self, host: &str, until: i32) -> anyhow::Result<PathBuf> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, host);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let file = self.folder.join(format!("{host}-{until}.pem"));
        std::fs::write(&file, params.signed_by(&key, &self.issuer)?.pem() + &key.serialize_pem())?;
        Ok(file)
    }
}
