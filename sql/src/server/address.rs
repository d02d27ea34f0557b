//! From the settings of `[record]` to how a server is connected to.

use crate::error::Error;
use crate::place::Place;
use skyline_conf::model::record::{Record, Tls};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

/// Port of a server that the settings give none.
const PORT: u16 = 3306;

/// Address and name of the database: `mysql://ADDRESS/NAME?socket=PATH`.
fn parts(server: &str) -> Option<(&str, &str, Option<&str>)> {
    let (address, rest) = server.strip_prefix("mysql://")?.split_once('/')?;
    let (name, socket) = match rest.split_once("?socket=") {
        Some((name, socket)) => (name, Some(socket)),
        None => (rest, None),
    };
    (!name.is_empty()).then_some((address, name, socket))
}

/// How people are told of it.
pub(crate) fn place(settings: &Record) -> Place {
    let database = parts(&settings.server).map_or("skyline", |(_, name, _)| name);
    Place::Server {
        address: skyline_conf::secret::shown(&settings.server),
        database: database.to_owned(),
        user: settings.user.clone(),
    }
}

/// Host and port of `HOST`, `HOST:PORT`, `[V6]` or `[V6]:PORT`.
fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, after.strip_prefix(':'))
        }
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(PORT), |port| port.parse().ok())?;
    (!host.is_empty()).then_some((host, port))
}

/// How the server's own client is told of it.
pub(crate) fn of_client(settings: &Record) -> String {
    match parts(&settings.server) {
        Some((_, _, Some(socket))) => format!("--socket={socket}"),
        Some((address, ..)) => host_and_port(address)
            .map_or_else(String::new, |(host, port)| format!("--host={host} --port={port}")),
        None => String::new(),
    }
}

/// How it is connected to. Reads the password.
///
/// # Errors
/// [`Error::Config`] when the address makes no sense or the password is not where the settings say.
pub(crate) fn options(settings: &Record, place: &Place) -> Result<MySqlConnectOptions, Error> {
    let nonsense = || {
        Error::config(
            place,
            "is no address of a database: write mysql://HOST:PORT/DATABASE or mysql:///DATABASE?socket=/PATH",
        )
    };
    let (address, database, socket) = parts(&settings.server).ok_or_else(nonsense)?;
    let mut options = MySqlConnectOptions::new()
        .database(database)
        .username(&settings.user)
        .timezone(Some("+00:00".to_owned()))
        .charset("utf8mb4");
    options = match socket {
        Some(socket) => options.socket(socket),
        None => {
            let (host, port) = host_and_port(address).ok_or_else(nonsense)?;
            options.host(host).port(port)
        }
    };
    let password = settings.credentials().password().map_err(|e| Error::config(place, e.to_string()))?;
    if let Some(password) = password {
        options = options.password(password.reveal());
    }
    options = match settings.tls {
        Tls::Off => options.ssl_mode(MySqlSslMode::Disabled),
        Tls::Verified => options.ssl_mode(MySqlSslMode::VerifyIdentity),
    };
    if settings.tls == Tls::Verified && !settings.ca_file.as_os_str().is_empty() {
        options = options.ssl_ca(&settings.ca_file);
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let check = |text, expected| assert_eq!(parts(text), expected, "{text}");
        check("mysql://db:3307/skyline", Some(("db:3307", "skyline", None)));
        check("mysql:///skyline?socket=/run/m.sock", Some(("", "skyline", Some("/run/m.sock"))));
        check("mysql://db/", None);
        check("postgres://db/a", None);
        let check = |text, expected| assert_eq!(host_and_port(text), expected, "{text}");
        check("db", Some(("db", 3306)));
        check("db:3307", Some(("db", 3307)));
        check("[::1]", Some(("::1", 3306)));
        check("[::1]:1", Some(("::1", 1)));
        check("db:x", None);
        check("", None);
    }

    #[test]
    fn a_password_in_the_address_is_not_shown() {
        let settings = Record { server: "mysql://u:hunter2@db/skyline".into(), ..Record::default() };
        let error = options(&settings, &place(&settings)).expect_err("a user where the host belongs");
        assert!(!format!("{error} {error:?} {}", of_client(&settings)).contains("hunter2"), "{error}");
    }

    #[test]
    fn a_password_that_is_missing_is_said() {
        let settings = Record {
            server: "mysql://db/skyline".into(),
            password_env: "SKYLINE_NO_SUCH".into(),
            ..Record::default()
        };
        let error = options(&settings, &place(&settings)).expect_err("no password").to_string();
        assert!(error.contains("SKYLINE_NO_SUCH") && error.contains("record.server"), "{error}");
    }
}
