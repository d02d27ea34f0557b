//! The register of destinations: how each that has a position in the journal is sent to.
//!
//! A position tells how much is sent, not in which form. A destination that is taken out of the settings is still
//! owed what waits for it, after a restart too, and a port that takes pickles, TLS or packed streams can do nothing
//! with lines. So how a destination is sent to is entered before points are routed to it, and stays until
//! its position is forgotten.
//!
//! The file is JSON, by the names of the readers; a key that a later version has added has its default in a file of
//! this one. It is replaced as a whole, so that half of it is never there.

use super::Error;
use serde::{Deserialize, Serialize};
use skyline_conf::model::relay::Sending;
use skyline_conf::routing::Endpoint;
use skyline_core::file;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Name of the file in the folder of the state.
const NAME: &str = "destinations.json";

/// How points go to a destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Way {
    /// The first that can be reached is used.
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) sending: Sending,
}

/// Ways by the names of the destinations' readers.
type Ways = BTreeMap<String, Way>;

/// See the module.
#[derive(Debug)]
pub(super) struct Register {
    path: PathBuf,
    ways: Ways,
    /// What the file holds, as far as that is known.
    written: Vec<u8>,
}

/// Why the register of the last run cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("it is not there")]
    Missing,
    #[error("it is damaged, or of another version: {0}")]
    Damaged(serde_json::Error),
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
}

/// What happens when the file cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwritten {
    /// Nothing is changed.
    Refuse,
    /// The change counts all the same, and is written with the next.
    GoOn,
}

impl Register {
    /// The register in `state_dir`, without those whose readers are not in `known`; and why it is empty although
    /// some are. In that case nothing is known of them.
    pub(super) fn open(state_dir: &Path, known: &[String]) -> (Self, Option<Fault>) {
        let path = state_dir.join(NAME);
        let (written, fault) = match std::fs::read(&path) {
            Ok(bytes) => (bytes, None),
            Err(error) if error.kind() == ErrorKind::NotFound => (Vec::new(), Some(Fault::Missing)),
            Err(error) => (Vec::new(), Some(Fault::Unreadable(error))),
        };
        let (mut ways, fault) = match fault {
            Some(fault) => (Ways::new(), Some(fault)),
            None => match serde_json::from_slice(&written) {
                Ok(ways) => (ways, None),
                Err(error) => (Ways::new(), Some(Fault::Damaged(error))),
            },
        };
        ways.retain(|reader, _| known.contains(reader));
        // A folder in which nothing has ever been sent has no register either.
        let fault = fault.filter(|fault| !matches!(fault, Fault::Missing) || !known.is_empty());
        (Self { path, ways, written }, fault)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How the destination of this reader is sent to; `None`: that is not known.
    pub(super) fn way(&self, reader: &str) -> Option<&Way> {
        self.ways.get(reader)
    }

    /// Enters ways in place of those that the same destinations had. Writes the file if that changes it.
    ///
    /// # Errors
    /// [`Error::Register`] when it cannot be written; `unwritten` says what holds then. What is no change is never
    /// refused.
    pub(super) fn enter(
        &mut self,
        new: impl IntoIterator<Item = (String, Way)>,
        unwritten: Unwritten,
    ) -> Result<(), Error> {
        let mut ways = self.ways.clone();
        ways.extend(new);
        self.replace(ways, unwritten)
    }

    /// Takes out a destination that is gone.
    ///
    /// # Errors
    /// [`Error::Register`] when that cannot be written; it is out all the same, and written with the next change.
    pub(super) fn remove(&mut self, reader: &str) -> Result<(), Error> {
        let mut ways = self.ways.clone();
        ways.remove(reader);
        self.replace(ways, Unwritten::GoOn)
    }

    fn replace(&mut self, ways: Ways, unwritten: Unwritten) -> Result<(), Error> {
        let outcome = self.write(&ways);
        if outcome.is_ok() || unwritten == Unwritten::GoOn {
            self.ways = ways;
        } else if ways == self.ways {
            // It was told when it could not be written the first time.
            return Ok(());
        }
        outcome.map_err(|source| Error::Register { path: self.path.clone(), source })
    }

    fn write(&mut self, ways: &Ways) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(ways)?;
        if bytes != self.written {
            // Changes are seldom, so they are always waited for until they are on the disk.
            file::replace(&self.path, &bytes, true)?;
            self.written = bytes;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skyline_conf::model::relay::WhenBehind;
    use skyline_conf::routing::{Packing, Protocol, Server, Tls, Transport};

    fn way(port: u16) -> Way {
        Way { endpoints: vec![Endpoint::Server(Server::plain("h", port, None))], sending: Sending::default() }
    }

    fn of(readers: &[(&str, u16)]) -> Vec<(String, Way)> {
        readers.iter().map(|(reader, port)| ((*reader).to_owned(), way(*port))).collect()
    }

    fn known(readers: &[&str]) -> Vec<String> {
        readers.iter().map(|reader| (*reader).to_owned()).collect()
    }

    #[test]
    fn what_is_entered_is_there_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let (mut register, fault) = Register::open(dir.path(), &[]);
        assert!(fault.is_none(), "nothing was ever sent: {fault:?}");
        register.enter(of(&[("a", 1), ("b", 2)]), Unwritten::Refuse).unwrap();
        register.enter(of(&[("b", 3), ("c", 4)]), Unwritten::Refuse).unwrap();
        register.remove("c").unwrap();
        let (register, fault) = Register::open(dir.path(), &known(&["a", "b", "c"]));
        assert!(fault.is_none(), "{fault:?}");
        assert_eq!(register.ways, of(&[("a", 1), ("b", 3)]).into_iter().collect());
        let (mut register, _) = Register::open(dir.path(), &known(&["b"]));
        assert_eq!(register.way("a"), None, "its position is gone");
        register.remove("b").unwrap();
        assert_eq!(Register::open(dir.path(), &known(&["a", "b"])).0.ways, Ways::new());
    }

    #[test]
    fn everything_that_tells_how_to_send_is_kept() {
        let server = Server {
            instance: Some("a".into()),
            protocol: Protocol::Pickle,
            packing: Packing::Gzip,
            tls: Some(Tls { ca: Some("/ca".into()), identity: Some(("/crt".into(), "/key".into())) }),
            every_address: true,
            ..Server::plain("host.example", 2004, None)
        };
        let endpoints = vec![
            Endpoint::Server(server.clone()),
            Endpoint::Server(Server { tls: Some(Tls::default()), protocol: Protocol::Protobuf, ..server }),
            Endpoint::Server(Server { transport: Transport::Udp, ..Server::plain("::1", 65_535, None) }),
            Endpoint::File("/a b\n".into()),
        ];
        let sending = Sending {
            when_behind: WhenBehind::Shed,
            mark_points: u64::MAX,
            retry_max_seconds: 0.1 + 0.2,
            ..Sending::default()
        };
        let dir = tempfile::tempdir().unwrap();
        let way = Way { endpoints, sending };
        let (mut register, _) = Register::open(dir.path(), &[]);
        register.enter([("a".to_owned(), way.clone())], Unwritten::Refuse).unwrap();
        let (register, fault) = Register::open(dir.path(), &known(&["a"]));
        assert!(fault.is_none(), "{fault:?}");
        assert_eq!(register.way("a"), Some(&way));
    }

    #[test]
    fn what_a_later_version_has_added_has_its_default() {
        let dir = tempfile::tempdir().unwrap();
        let (mut register, _) = Register::open(dir.path(), &[]);
        register.enter(of(&[("a", 1)]), Unwritten::Refuse).unwrap();
        let path = dir.path().join(NAME);
        let mut text: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        text["a"]["sending"].as_object_mut().unwrap().remove("keepalive").unwrap();
        std::fs::write(&path, text.to_string()).unwrap();
        let (register, fault) = Register::open(dir.path(), &known(&["a"]));
        assert!(fault.is_none(), "{fault:?}");
        assert_eq!(register.way("a"), Some(&way(1)));
    }

    #[test]
    fn a_register_that_is_lost_is_told_and_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let check = |known: &[String], expected: Option<&str>| {
            let (register, fault) = Register::open(dir.path(), known);
            assert_eq!(fault.map(|fault| fault.to_string()).as_deref(), expected);
            assert_eq!(register.ways, Ways::new());
            register
        };
        check(&[], None);
        check(&known(&["a"]), Some("it is not there"));
        std::fs::write(&path, "nonsense").unwrap();
        let damaged = "it is damaged, or of another version: expected ident at line 1 column 2";
        check(&[], Some(damaged));
        let mut register = check(&known(&["a"]), Some(damaged));
        register.enter(of(&[("a", 1)]), Unwritten::Refuse).unwrap();
        let (register, fault) = Register::open(dir.path(), &known(&["a"]));
        assert!(fault.is_none() && register.way("a") == Some(&way(1)));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let (_, fault) = Register::open(dir.path(), &[]);
        assert!(fault.unwrap().to_string().starts_with("it cannot be read: "));
    }

    #[test]
    fn what_cannot_be_written_is_refused_or_counts_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let (mut register, _) = Register::open(&state, &[]);
        let error = register.enter(of(&[("a", 1)]), Unwritten::Refuse).unwrap_err().to_string();
        assert!(error.contains("state/destinations.json") && error.contains("full"), "{error}");
        assert_eq!(register.way("a"), None);
        register.enter(of(&[("a", 1)]), Unwritten::GoOn).unwrap_err();
        assert_eq!(register.way("a"), Some(&way(1)));
        register.enter(of(&[("a", 1)]), Unwritten::Refuse).expect("no change");
        register.enter(of(&[("a", 2)]), Unwritten::Refuse).unwrap_err();
        std::fs::create_dir(&state).unwrap();
        register.enter(of(&[("b", 2)]), Unwritten::Refuse).unwrap();
        let (register, _) = Register::open(&state, &known(&["a", "b"]));
        assert_eq!(register.ways, of(&[("a", 1), ("b", 2)]).into_iter().collect(), "both are written now");
    }

    #[test]
    fn what_changes_nothing_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let (mut register, _) = Register::open(dir.path(), &[]);
        register.enter(of(&[("a", 1)]), Unwritten::Refuse).unwrap();
        std::fs::remove_file(dir.path().join(NAME)).unwrap();
        register.enter(of(&[("a", 1)]), Unwritten::Refuse).unwrap();
        register.remove("b").unwrap();
        assert!(!dir.path().join(NAME).exists());
    }
}
