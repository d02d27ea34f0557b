//! Trust: the authorities of the system or of a file, our own certificate, and no trust at all where somebody asks for it.

use crate::options::Tls;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use skyline_certificate::{Names, certified, no_trust, server_trust};
use skyline_core::problem::Problem;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// What TLS needs to know.
///
/// # Errors
/// A file that cannot be read or holds nothing of use; a system without authorities.
pub(crate) fn config(tls: &Tls, needed: bool) -> Result<ClientConfig, Problem> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Problem::new(format!("TLS cannot be set up: {error}"), "tell the makers"))?;
    let builder = if tls.insecure {
        builder.dangerous().with_custom_certificate_verifier(no_trust(&provider))
    } else if tls.ca_file.as_os_str().is_empty() {
        builder.with_root_certificates(system_roots(needed)?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(of_file(&tls.ca_file, &provider)?)
    };
    if tls.certificate_file.as_os_str().is_empty() {
        return Ok(builder.with_no_client_auth());
    }
    let path = &tls.certificate_file;
    let shown = path.display();
    let pem = read(path)?;
    let advice = "put the certificate, those between it and its authority, and its key into the file, as PEM";
    let chain = certificates(path, &pem, advice)?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| Problem::new(format!("{shown} holds no key: {error}"), advice))?;
    let own = certified(chain, key, &provider).map_err(|error| {
        Problem::new(format!("the certificate of {shown} cannot be used: {error}"), advice)
    })?;
    Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))))
}

fn system_roots(needed: bool) -> Result<Arc<RootCertStore>, Problem> {
    let store = Arc::clone(system());
    if store.is_empty() && needed {
        let advice = "install ca-certificates, or name a file with the server's authority";
        return Err(Problem::new("this system has no list of authorities", advice));
    }
    Ok(store)
}

/// Trust in the authorities of a file, and in servers whose own certificates are in it.
fn of_file(file: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Problem> {
    let advice = "put the certificate of the server's authority into the file, as PEM";
    let trusted = certificates(file, &read(file)?, advice)?;
    server_trust(trusted, Names::Bound, provider).map_err(|error| {
        Problem::new(format!("a certificate of {} cannot be used: {error}", file.display()), advice)
    })
}

/// Those of the system, read once: they are many.
fn system() -> &'static Arc<RootCertStore> {
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(store)
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path).map_err(|error| {
        let advice = "give it to the user that runs the node";
        Problem::new(format!("{} cannot be read: {error}", path.display()), advice)
    })
}

fn certificates(path: &Path, pem: &[u8], advice: &str) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(Problem::new(format!("{} holds no certificate", path.display()), advice)),
        Err(error) => Err(Problem::new(format!("{} is no PEM: {error}", path.display()), advice)),
    }
}
