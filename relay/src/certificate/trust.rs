//! Whose certificate is taken.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use std::sync::Arc;

/// Judges servers: those of a chain to `trusted`, and those that are there themselves.
///
/// # Errors
/// One of `trusted` cannot be used.
pub(crate) fn server_trust(
    trusted: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let roots = Arc::new(roots(&trusted)?);
    let chains = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
    let chains = chains.map_err(|error| error.to_string())?;
    Ok(Arc::new(Servers { chains, own: Own::new(trusted, provider) }))
}

/// The same of clients.
///
/// # Errors
/// One of `trusted` cannot be used.
pub(crate) fn client_trust(
    trusted: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let roots = Arc::new(roots(&trusted)?);
    let chains = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
    let chains = chains.map_err(|error| error.to_string())?;
    Ok(Arc::new(Clients { chains, own: Own::new(trusted, provider) }))
}

fn roots(trusted: &[CertificateDer<'static>]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.clone()).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

/// Certificates that are taken when they are shown themselves.
#[derive(Debug)]
struct Own {
    certificates: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Own {
    fn new(certificates: Vec<CertificateDer<'static>>, provider: &CryptoProvider) -> Self {
        Self { certificates, algorithms: provider.signature_verification_algorithms }
    }

    fn has(&self, shown: &CertificateDer<'_>) -> bool {
        self.certificates.iter().any(|own| own.as_ref() == shown.as_ref())
    }

    /// Whether it is valid at that time.
    fn in_time(shown: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
        let certificate = super::parsed(shown)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now < certificate.validity().not_before.timestamp() {
            Err(CertificateError::NotValidYet.into())
        } else if now > certificate.validity().not_after.timestamp() {
            Err(CertificateError::Expired.into())
        } else {
            Ok(())
        }
    }

    /// The signature of a handshake, made with the key of any certificate.
    fn signed_in_tls12(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !self.has(shown) {
            return verify_tls12_signature(message, shown, signed, &self.algorithms);
        }
        let certificate = super::parsed(shown)?;
        let key = certificate.public_key().subject_public_key.as_ref();
        let of_scheme = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
        // In TLS 1.2 a scheme does not say the curve: all are tried. One of another kind of key cannot agree.
        for candidate in of_scheme.flat_map(|(_, all)| *all) {
            if candidate.verify_signature(key, message, signed.signature()).is_ok() {
                return Ok(HandshakeSignatureValid::assertion());
            }
        }
        Err(CertificateError::BadSignature.into())
    }

    /// The same in TLS 1.3.
    fn signed_in_tls13(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !self.has(shown) {
            return verify_tls13_signature(message, shown, signed, &self.algorithms);
        }
        let certificate = super::parsed(shown)?;
        let key = SubjectPublicKeyInfoDer::from(certificate.public_key().raw);
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }
}

#[derive(Debug)]
struct Servers {
    chains: Arc<WebPkiServerVerifier>,
    own: Own,
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.own.has(shown) {
            return Own::in_time(shown, now).map(|()| ServerCertVerified::assertion());
        }
        self.chains.verify_server_cert(shown, between, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.own.signed_in_tls12(message, shown, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.own.signed_in_tls13(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.own.algorithms.supported_schemes()
    }
}

#[derive(Debug)]
struct Clients {
    chains: Arc<dyn ClientCertVerifier>,
    own: Own,
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.own.has(shown) {
            return Own::in_time(shown, now).map(|()| ClientCertVerified::assertion());
        }
        self.chains.verify_client_cert(shown, between, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.own.signed_in_tls12(message, shown, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.own.signed_in_tls13(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.own.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::pem::PemObject;
    use std::time::Duration;

    fn first_version() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(include_bytes!("v1.pem")).unwrap()
    }

    fn judge(trusted: CertificateDer<'static>, seconds: u64) -> Result<(), Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trust = server_trust(vec![trusted], &provider).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let name = ServerName::try_from("127.0.0.1").unwrap();
        trust.verify_server_cert(&first_version(), &[], &name, &[], now).map(drop)
    }

    #[test]
    fn one_that_is_trusted_itself_is_taken_in_its_time() {
        let begin =
            u64::try_from(super::super::parsed(&first_version()).unwrap().validity().not_before.timestamp())
                .unwrap();
        assert_eq!(judge(first_version(), begin), Ok(()));
        assert_eq!(judge(first_version(), begin - 1), Err(CertificateError::NotValidYet.into()));
        assert_eq!(
            judge(first_version(), begin + 36_500 * 86_400 + 1),
            Err(CertificateError::Expired.into())
        );
    }

    #[test]
    fn another_of_the_same_issuer_is_not() {
        let begin =
            u64::try_from(super::super::parsed(&first_version()).unwrap().validity().not_before.timestamp())
                .unwrap();
        let mut other = first_version().to_vec();
        // The last byte of its signature.
        *other.last_mut().unwrap() ^= 1;
        assert!(judge(other.into(), begin).is_err());
    }
}
