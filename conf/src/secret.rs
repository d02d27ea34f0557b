//! Passwords: in files or variables, never in the settings, never shown.

use skyline_core::problem::Problem;
use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A password. Neither form of printing shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret of a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for who sends it to its server.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is what somebody has given, in a time that says nothing of where they differ.
    #[must_use]
    pub fn is(&self, given: &[u8]) -> bool {
        let differs = |all: u8, (x, y): (&u8, &u8)| all | (x ^ y);
        self.0.len() == given.len()
            && std::hint::black_box(self.0.as_bytes().iter().zip(given).fold(0, differs)) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Who a server is asked as, and where the password is.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// Name of the user; empty: none is given.
    pub user: &'a str,
    /// File whose first line is the password; empty: none.
    pub file: &'a Path,
    /// Variable of the environment that holds it; empty: none.
    pub variable: &'a str,
}

impl Credentials<'_> {
    /// Whether a file or a variable is named.
    #[must_use]
    pub fn is_named(&self) -> bool {
        !self.file.as_os_str().is_empty() || !self.variable.is_empty()
    }

    /// The password; none where neither a file nor a variable is named. The file wins.
    ///
    /// # Errors
    /// What is named is not there.
    pub fn password(&self) -> Result<Option<Secret>, Problem> {
        if !self.file.as_os_str().is_empty() {
            let path = self.file.display();
            let text = crate::bounded::read(self.file).map_err(|error| {
                let advice = if error.kind() == std::io::ErrorKind::NotFound {
                    "write the secret on its first line, readable by the user that runs the node alone"
                } else {
                    "give it to the user that runs the node"
                };
                Problem::new(format!("the file {path} cannot be read: {error}"), advice)
            })?;
            let line = text.lines().next().filter(|line| !line.is_empty()).ok_or_else(|| {
                Problem::new(format!("the file {path} is empty"), "write the secret on its first line")
            })?;
            return Ok(Some(Secret::new(line)));
        }
        if self.variable.is_empty() {
            return Ok(None);
        }
        match std::env::var(self.variable) {
            Ok(text) if !text.is_empty() => Ok(Some(Secret::new(text))),
            _ => {
                let advice = "set it to the secret, or name a file instead";
                Err(Problem::new(format!("the variable {} is not set", self.variable), advice))
            }
        }
    }
}

/// An address as it may be shown: without what stands before an `@` where a host belongs. Users and passwords have
/// keys of their own, but somebody may have written one there.
#[must_use]
pub fn shown(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let place = rest.split('?').next().unwrap_or_default();
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    // A password may have slashes: what is behind the first is a name only if it is one.
    let is_host = host.rsplit_once(':').is_none_or(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    match rest.rsplit_once('@') {
        Some((_, behind)) if host.contains('@') || !is_host || path.contains('/') => {
            format!("{}(hidden)@{behind}", address.strip_suffix(rest).unwrap_or_default())
        }
        _ => address.to_owned(),
    }
}

/// A text that may be an address in a wrong place, as it may be shown: see [`shown`]. Addresses of mail stay whole.
#[must_use]
pub fn guarded(text: &str) -> String {
    let has_password = text.rsplit_once('@').is_some_and(|(before, _)| before.contains(':'));
    if has_password { shown(text) } else { text.to_owned() }
}

/// Whether others than its owner and group can read a file.
#[must_use]
pub fn is_open_to_all(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_a_password() {
        let check = |address: &str, expected: &str| assert_eq!(shown(address), expected);
        for plain in [
            "mysql://db:3306/skyline",
            "mysql://db/odd@name",
            "mysql:///skyline?socket=/run/m@1/sock",
            "redis://[::1]:6379",
            "unix:///run/redis.sock",
            "",
        ] {
            check(plain, plain);
        }
        check("mysql://u:hunter2@db:3306/skyline", "mysql://(hidden)@db:3306/skyline");
        check("mysql://u:hun/ter2@db/skyline", "mysql://(hidden)@db/skyline");
        check("mysql://u:1/hunter2@db/skyline", "mysql://(hidden)@db/skyline");
        check("mysql://u:hunt@er2@db/skyline", "mysql://(hidden)@db/skyline");
        check("redis://:hunter2@h:6379", "redis://(hidden)@h:6379");
        check("u:hunter2@db", "(hidden)@db");
    }

    #[test]
    fn texts_in_wrong_places_are_shown_without_a_password() {
        let check = |text: &str, expected: &str| assert_eq!(guarded(text), expected);
        for plain in ["", "joe", "joe@b.test", "Joe <joe@b.test>", "a:1", "http://a/b"] {
            check(plain, plain);
        }
        check("http://u:hunter2@x/", "http://(hidden)@x/");
        check("u:hunter2@x", "(hidden)@x");
        check("http://u:hun/ter2@x", "http://(hidden)@x");
    }

    #[test]
    fn passwords_come_from_where_the_settings_say() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let of = |file: &Path, variable: &str| Credentials { user: "", file, variable }.password();
        let none = Path::new("");
        assert_eq!(of(none, "").unwrap(), None);
        assert!(of(&file, "").unwrap_err().to_string().contains("cannot be read"));
        std::fs::write(&file, "\n").unwrap();
        assert!(of(&file, "").unwrap_err().to_string().contains("is empty"));
        std::fs::write(&file, "a b&%/c\nnot this\n").unwrap();
        let secret = of(&file, "PATH").unwrap().unwrap();
        assert_eq!(secret.reveal(), "a b&%/c");
        assert_eq!(format!("{secret:?}"), "(secret)");
        assert_eq!(of(none, "PATH").unwrap().unwrap().reveal(), std::env::var("PATH").unwrap());
        assert!(of(none, "SKYLINE_NO_SUCH").unwrap_err().to_string().contains("SKYLINE_NO_SUCH"));
    }

    #[test]
    fn files_open_to_all_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "x").unwrap();
        for (mode, open) in [(0o600, false), (0o640, false), (0o644, true)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_open_to_all(&file), open, "{mode:o}");
        }
    }
}
