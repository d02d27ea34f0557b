//! The register of destinations: how each that has a position in the journal is sent to.
//!
//! A position tells how much is sent, not in which form. A destination that is taken out of the settings is still
//! owed what waits for it, after a restart too, and a port that takes pickles, TLS or packed streams can do nothing
//! with lines. So how a destination is sent to is entered before points are routed to it, and stays until
//! its position is forgotten.

mod format;

use super::Error;
use skyline_conf::model::relay::Sending;
use skyline_conf::routing::Endpoint;
use skyline_core::file;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Name of the file in the folder of the state.
const NAME: &str = "destinations";

/// How points go to a destination.
#[derive(Debug, Clone, PartialEq)]
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
    #[error("it is damaged, or of another version")]
    Damaged,
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
        let (mut ways, fault) = match (format::decode(&written), fault) {
            (Some(ways), None) => (ways, None),
            (None, None) => (Ways::new(), Some(Fault::Damaged)),
            (_, fault) => (Ways::new(), fault),
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
        let bytes = format::encode(&ways);
        let outcome = if bytes == self.written {
            Ok(())
        } else {
            // Changes are seldom, so they are always waited for until they are on the disk.
            file::replace(&self.path, &bytes, true)
        };
        if outcome.is_ok() {
            self.written = bytes;
        }
        if outcome.is_ok() || unwritten == Unwritten::GoOn {
            self.ways = ways;
        } else if ways == self.ways {
            // It was told when it could not be written the first time.
            return Ok(());
        }
        outcome.map_err(|source| Error::Register { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skyline_conf::routing::Server;

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
        check(&[], Some("it is damaged, or of another version"));
        let mut register = check(&known(&["a"]), Some("it is damaged, or of another version"));
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
        assert!(error.contains("state/destinations") && error.contains("full"), "{error}");
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
