//! From the settings to what the client wants: addresses, password, certificates.

use super::error::Error;
use redis::io::tcp::TcpSettings;
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo,
    TlsCertificates,
};
use skyline_conf::model::redis::Redis;
use skyline_conf::secret::Secret;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

/// A file of certificates may be so long, bytes.
const LONGEST: u64 = 4 << 20;

/// What every connection needs to know.
#[derive(Clone)]
pub(super) struct Access {
    user: String,
    password: Option<Secret>,
    database: u32,
    certificates: TlsCertificates,
    pub(super) timeout: Duration,
}

impl Access {
    /// Reads the password and the certificates.
    pub(super) fn new(settings: &Redis) -> Result<Self, Error> {
        let credentials = settings.credentials();
        let password =
            credentials.password().map_err(|missing| Error::refused(missing.what, missing.advice))?;
        let root_cert = pem("redis.ca_file", &settings.ca_file)?;
        let own = pem("redis.certificate_file", &settings.certificate_file)?;
        // The file holds both, and each reader takes what it looks for.
        let client_tls = own.map(|pem| ClientTlsConfig { client_cert: pem.clone(), client_key: pem });
        Ok(Self {
            user: settings.user.clone(),
            password,
            database: settings.database,
            certificates: TlsCertificates { client_tls, root_cert },
            timeout: Duration::try_from_secs_f64(settings.timeout_seconds).unwrap_or(Duration::from_secs(5)),
        })
    }

    /// User, password and database.
    fn login(&self) -> RedisConnectionInfo {
        let mut login = RedisConnectionInfo::default().set_db(i64::from(self.database));
        if let Some(password) = &self.password {
            login = login.set_password(password.reveal());
            if !self.user.is_empty() {
                login = login.set_username(&self.user);
            }
        }
        login
    }

    /// Whether there is a password at all.
    pub(super) const fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// For `rediss://`: whom to trust, and what to show.
    pub(super) fn certificates(&self) -> TlsCertificates {
        self.certificates.clone()
    }

    /// A client for a server; nothing is connected.
    pub(super) fn client(&self, address: &Address) -> Result<Client, Error> {
        self.client_with(address, self.login())
    }

    /// The same for a sentinel, which may want the password or none, and has no databases.
    pub(super) fn sentinel(&self, address: &Address, with_password: bool) -> Result<Client, Error> {
        let login = if with_password { self.login().set_db(0) } else { RedisConnectionInfo::default() };
        self.client_with(address, login)
    }

    fn client_with(&self, address: &Address, login: RedisConnectionInfo) -> Result<Client, Error> {
        let (plain, is_tls) = match address {
            Address::Unix(path) => (ConnectionAddr::Unix(path.into()), false),
            Address::Tcp { host, port, tls: false } => (ConnectionAddr::Tcp(host.clone(), *port), false),
            Address::Tcp { host, port, tls: true } => (
                ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None },
                true,
            ),
        };
        let info: ConnectionInfo = plain
            .into_connection_info()?
            .set_redis_settings(login)
            .set_tcp_settings(TcpSettings::default().set_nodelay(true).set_user_timeout(self.timeout));
        if is_tls {
            // Here the files are taken apart; what is wrong in them is said now.
            return Client::build_with_tls(info, self.certificates.clone()).map_err(|error| {
                Error::refused(
                    format!("the certificates for Redis cannot be used: {error}"),
                    "write them in PEM form; redis.certificate_file holds the certificate and its key",
                )
            });
        }
        Ok(Client::open(info)?)
    }
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Unix(String),
    Tcp { host: String, port: u16, tls: bool },
}

impl Address {
    /// An address of the settings, which were checked.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::refused(
                "an address in redis.servers is not one of a Redis server",
                "write unix:///PATH, redis://HOST:PORT or rediss://HOST:PORT",
            )
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        if scheme == "unix" {
            return Ok(Self::Unix(rest.to_owned()));
        }
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = port.parse().map_err(|_| wrong())?;
        match scheme {
            "redis" => Ok(Self::Tcp { host, port, tls: false }),
            "rediss" => Ok(Self::Tcp { host, port, tls: true }),
            _ => Err(wrong()),
        }
    }

    /// Whether it is asked over TLS.
    pub(super) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }
}

/// The bytes of a PEM file; none without a path.
fn pem(key: &str, path: &Path) -> Result<Option<Vec<u8>>, Error> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let refused = |why: String| {
        let what = format!("the file {} cannot be used: {why}", path.display());
        Error::refused(what, format!("name a PEM file that the node can read in {key}"))
    };
    let is_file = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?.is_file();
    if !is_file {
        return Err(refused("it is no file".to_owned()));
    }
    let file = std::fs::File::open(path).map_err(|error| refused(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(|error| refused(error.to_string()))?;
    if !bytes.windows(11).any(|w| w == b"-----BEGIN ") {
        return Err(refused("it has nothing in PEM form".to_owned()));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let tcp = |host: &str, port, tls| Address::Tcp { host: host.into(), port, tls };
        assert_eq!(Address::parse("unix:///run/redis.sock"), Ok(Address::Unix("/run/redis.sock".into())));
        assert_eq!(Address::parse("redis://h:1"), Ok(tcp("h", 1, false)));
        assert_eq!(Address::parse("rediss://[::1]:6379"), Ok(tcp("::1", 6379, true)));
        for bad in ["", "h:1", "http://h:1", "redis://h", "redis://h:x"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_missing_password_or_certificate_is_named() {
        let settings = Redis { password_file: "/no/such/password".into(), ..Redis::default() };
        let error = Access::new(&settings).map(drop).unwrap_err();
        assert!(error.to_string().contains("/no/such/password"), "{error}");
        let settings = Redis { ca_file: "/etc/hostname".into(), ..Redis::default() };
        let error = Access::new(&settings).map(drop).unwrap_err();
        assert!(error.to_string().contains("redis.ca_file"), "{error}");
    }
}
