//! The address of the database that is imported: `mysql://USER@HOST:PORT/DATABASE`, or with a socket.

use super::error::Error;
use skyline_conf::secret::Secret;
use sqlx::ConnectOptions as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where the database is, and who asks. Holds no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    user: String,
    host: String,
    port: u16,
    database: String,
    socket: Option<PathBuf>,
}

/// What to write instead.
const FORM: &str = "write mysql://USER@HOST:PORT/DATABASE, or mysql://USER@localhost/DATABASE?socket=/run/mysqld/mysqld.sock";

impl FromStr for Address {
    type Err = Error;

    /// Takes an address apart. One that holds a password is refused, and not repeated.
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Address { problem: format!("{why}: {FORM}") };
        let rest = ["mysql://", "mariadb://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let rest = rest.ok_or_else(|| wrong("it does not begin with mysql://"))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if let Some((user, _)) = place.rsplit_once('@')
            && user.contains(':')
        {
            return Err(Error::Address {
                problem: "it holds a password, which others of this machine can see: leave it out, write it on the \
                          first line of a file that only you can read, and give --password-file FILE (or set a \
                          variable and give --password-env NAME)"
                    .to_owned(),
            });
        }
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let key = part.split('=').next().unwrap_or_default();
            if key != "socket" {
                return Err(wrong(&format!(
                    "it has `{key}` behind the question mark, where only `socket` may be"
                )));
            }
        }
        // What sqlx says of an address may repeat it; it is right in all but its form here.
        let options = MySqlConnectOptions::from_str(&format!("mysql://{rest}"))
            .map_err(|_| wrong("it is no address"))?;
        let socket = options.get_socket().cloned();
        let database = options.get_database().unwrap_or_default().to_owned();
        if database.is_empty() || database.contains('/') {
            return Err(wrong("it names no database"));
        }
        if place.starts_with('@') || !place.contains('@') {
            return Err(wrong("it names no user"));
        }
        let url = options.to_url_lossy();
        let has_host = place.rsplit_once('@').is_some_and(|(_, host)| !host.starts_with(['/', ':']));
        if url.host_str().is_none() || (socket.is_none() && !has_host) {
            return Err(wrong("it names no host"));
        }
        if socket.as_ref().is_some_and(|path| !path.is_absolute()) {
            return Err(wrong("the socket is no absolute path"));
        }
        Ok(Self {
            user: options.get_username().to_owned(),
            host: options.get_host().trim_matches(['[', ']']).to_owned(),
            port: options.get_port(),
            database,
            socket,
        })
    }
}

impl Address {
    /// Name of the database there.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The name that the database has in the record unless the operator gives it one: the address without the
    /// user.
    #[must_use]
    pub fn source_name(&self) -> String {
        match &self.socket {
            Some(path) => format!("{}:{}", path.display(), self.database),
            None => format!("{}:{}/{}", self.host.to_lowercase(), self.port, self.database),
        }
    }

    /// How it is connected to. With an authority the server must prove who it is; without one the connection is
    /// encrypted where the server can.
    pub(super) fn options(&self, password: Option<&Secret>, ca: Option<&PathBuf>) -> MySqlConnectOptions {
        let mut options = MySqlConnectOptions::new()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .database(&self.database)
            .charset("utf8mb4")
            .timezone(Some("+00:00".to_owned()));
        if let Some(path) = &self.socket {
            options = options.socket(path).ssl_mode(MySqlSslMode::Disabled);
        } else if let Some(ca) = ca {
            options = options.ssl_ca(ca).ssl_mode(MySqlSslMode::VerifyIdentity);
        }
        if let Some(password) = password {
            options = options.password(password.reveal());
        }
        options.disable_statement_logging()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.source_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn good(text: &str, shown: &str) {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
    }

    #[test]
    fn addresses() {
        good("mysql://skyline@db1:3307/skyline", "skyline@db1:3307/skyline");
        good("mariadb://u@10.0.0.1/old", "u@10.0.0.1:3306/old");
        good("mysql://u%40x@DB.example.net/skyline", "u@x@db.example.net:3306/skyline");
        good("mysql://u@[::1]:3306/skyline", "u@::1:3306/skyline");
        good("mysql://u@localhost/sky?socket=/run/my.sock", "u@/run/my.sock:sky");
    }

    #[track_caller]
    fn bad(text: &str, why: &str) {
        let error = text.parse::<Address>().unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn addresses_that_cannot_be() {
        bad("postgres://u@h/x", "does not begin with mysql://");
        bad("mysql://u:hunter2@h/x", "--password-file");
        bad("mysql://u:hunter2@x@h/x", "--password-file");
        bad("mysql://u@h", "names no database");
        bad("mysql://u@h/", "names no database");
        bad("mysql://h/x", "names no user");
        bad("mysql://@h/x", "names no user");
        bad("mysql://u@/x", "no address");
        bad("mysql://u@h:99999/x", "no address");
        bad("mysql://u@h/x?ssl-mode=REQUIRED", "`ssl-mode`");
        bad("mysql://u@h/x?socket=run/a", "absolute");
    }
}
