//! Whose certificate is taken.

use crate::{Unusable, parsed};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use std::sync::Arc;

/// Whether a server's certificate that is trusted itself must be for the name under which it was sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// No: who put it there means that one, wherever it is, as OpenSSL without a name does.
    Free,
    /// Yes, if it has names (`subjectAltName`); those of the first version have none.
    Bound,
}

/// Judges servers: those of a chain to `trusted`, and those that are there themselves.
///
/// # Errors
/// One of `trusted` cannot be used.
pub fn server_trust(
    trusted: Vec<CertificateDer<'static>>,
    names: Names,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Unusable> {
    let roots = Arc::new(roots(&trusted)?);
    let chains = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build()?;
    Ok(Arc::new(Servers { chains, own: Own::new(trusted, provider), names }))
}

/// The same of clients.
///
/// # Errors
/// One of `trusted` cannot be used.
pub fn client_trust(
    trusted: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Unusable> {
    let roots = Arc::new(roots(&trusted)?);
    let chains = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider)).build()?;
    Ok(Arc::new(Clients { chains, own: Own::new(trusted, provider) }))
}

/// Takes any certificate for any name. Signatures are still checked, so that the answer comes from who has the key.
#[must_use]
pub fn no_trust(provider: &Arc<CryptoProvider>) -> Arc<dyn ServerCertVerifier> {
    Arc::new(Anybody(provider.signature_verification_algorithms))
}

fn roots(trusted: &[CertificateDer<'static>]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.clone())?;
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
        let certificate = parsed(shown)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now < certificate.validity().not_before.timestamp() {
            Err(CertificateError::NotValidYet.into())
        } else if now > certificate.validity().not_after.timestamp() {
            Err(CertificateError::Expired.into())
        } else {
            Ok(())
        }
    }

    fn signed_in_tls12(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.has(shown) {
            return signed_in_tls12(message, shown, signed, &self.algorithms);
        }
        verify_tls12_signature(message, shown, signed, &self.algorithms)
    }

    fn signed_in_tls13(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.has(shown) {
            return signed_in_tls13(message, shown, signed, &self.algorithms);
        }
        verify_tls13_signature(message, shown, signed, &self.algorithms)
    }
}

/// The signature of a handshake, made with the key of a certificate of whatever version.
fn signed_in_tls12(
    message: &[u8],
    shown: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let certificate = parsed(shown)?;
    let key = certificate.public_key().subject_public_key.as_ref();
    let of_scheme = algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
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
    message: &[u8],
    shown: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let certificate = parsed(shown)?;
    let key = SubjectPublicKeyInfoDer::from(certificate.public_key().raw);
    verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)
}

#[derive(Debug)]
struct Servers {
    chains: Arc<WebPkiServerVerifier>,
    own: Own,
    names: Names,
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
        if !self.own.has(shown) {
            return self.chains.verify_server_cert(shown, between, name, ocsp, now);
        }
        Own::in_time(shown, now)?;
        if self.names == Names::Bound && has_names(shown)? {
            verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
        }
        Ok(ServerCertVerified::assertion())
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

/// Whether it says for which hosts it is.
fn has_names(shown: &CertificateDer<'_>) -> Result<bool, CertificateError> {
    let certificate = parsed(shown)?;
    let names = certificate.subject_alternative_name().map_err(|_| CertificateError::BadEncoding)?;
    Ok(names.is_some())
}

#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signed_in_tls12(message, shown, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signed_in_tls13(message, shown, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
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
    use rustls::pki_types::pem::PemObject as _;
    use std::time::Duration;

    fn first_version() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(include_bytes!("v1.pem")).unwrap()
    }

    /// One that is signed by itself, and names a host.
    fn of_host(host: &str) -> CertificateDer<'static> {
        rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap().cert.der().clone()
    }

    fn begin(certificate: &CertificateDer<'_>) -> u64 {
        u64::try_from(parsed(certificate).unwrap().validity().not_before.timestamp()).unwrap()
    }

    /// One without names of hosts (`subjectAltName`), signed by itself or by `issuer`.
    fn nameless(issuer: Option<&rcgen::CertifiedIssuer<'_, rcgen::KeyPair>>) -> CertificateDer<'static> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        let made = match issuer {
            Some(issuer) => params.signed_by(&key, issuer),
            None => params.self_signed(&key),
        };
        made.unwrap().der().clone()
    }

    /// Whether `shown` is taken from a server that was sought as `name`.
    fn judge(
        trusted: &CertificateDer<'static>,
        shown: &CertificateDer<'static>,
        name: &'static str,
        names: Names,
        seconds: u64,
    ) -> Result<(), Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trust = server_trust(vec![trusted.clone()], names, &provider).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        trust.verify_server_cert(shown, &[], &ServerName::try_from(name).unwrap(), &[], now).map(drop)
    }

    #[test]
    fn one_that_is_trusted_itself_is_taken_in_its_time() {
        let own = first_version();
        let begin = begin(&own);
        for names in [Names::Free, Names::Bound] {
            let check = |seconds: u64, expected: Result<(), CertificateError>| {
                let got = judge(&own, &own, "127.0.0.1", names, seconds);
                assert_eq!(got, expected.map_err(Error::from), "{names:?} {seconds}");
            };
            check(begin, Ok(()));
            check(begin - 1, Err(CertificateError::NotValidYet));
            check(begin + 36_500 * 86_400 + 1, Err(CertificateError::Expired));
        }
    }

    #[test]
    fn another_of_the_same_issuer_is_not() {
        let own = first_version();
        let mut other = own.to_vec();
        // The last byte of its signature.
        *other.last_mut().unwrap() ^= 1;
        assert!(judge(&other.into(), &own, "127.0.0.1", Names::Free, begin(&own)).is_err());
        let (own, other) = (of_host("a.internal"), of_host("a.internal"));
        assert!(judge(&own, &other, "a.internal", Names::Free, 1_790_000_000).is_err());
    }

    #[test]
    fn names_count_where_they_are_to() {
        let own = of_host("a.internal");
        let check = |name: &'static str, names: Names, is_taken: bool| {
            let got = judge(&own, &own, name, names, 1_790_000_000);
            assert_eq!(got.is_ok(), is_taken, "{name} {names:?}: {got:?}");
        };
        check("a.internal", Names::Bound, true);
        check("a.internal", Names::Free, true);
        check("b.internal", Names::Free, true);
        check("b.internal", Names::Bound, false);
        check("127.0.0.1", Names::Bound, false);
    }

    #[test]
    fn without_names_only_the_very_one_is_taken() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
        let authority = issuer.as_ref().der().clone();
        let (own, other, below) = (nameless(None), nameless(None), nameless(Some(&issuer)));
        let check = |trusted: &CertificateDer<'static>, shown: &CertificateDer<'static>, is_taken: bool| {
            for names in [Names::Free, Names::Bound] {
                let got = judge(trusted, shown, "a.internal", names, 1_790_000_000);
                assert_eq!(got.is_ok(), is_taken, "{names:?}: {got:?}");
            }
        };
        check(&own, &own, true);
        check(&own, &other, false);
        check(&below, &below, true);
        // Its authority says nothing of the name.
        check(&authority, &below, false);
        check(&first_version(), &own, false);
    }
}
