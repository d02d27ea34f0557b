//! Which relay's language a file is written in.

use crate::{bounded, keys, relay_ng};
use std::path::Path;
use std::{fmt, io};

/// Whose language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// The node's own settings.
    Skyline,
    /// carbon's `carbon.conf`.
    Carbon,
    /// carbon-c-relay's.
    CRelay,
    /// carbon-relay-ng's TOML.
    RelayNg,
}

/// Words that begin a statement of carbon-c-relay's.
const STATEMENTS: [&str; 8] =
    ["cluster", "match", "rewrite", "aggregate", "statistics", "send", "listen", "include"];

/// Programs whose sections a `carbon.conf` has. The node's settings have a section `[relay]` too.
const PROGRAMS: [&str; 3] = ["cache", "relay", "aggregator"];

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Skyline, Self::Carbon, Self::CRelay, Self::RelayNg];

    /// The word that stands for it, as in `carbon:FILE`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Skyline => "skyline",
            Self::Carbon => "carbon",
            Self::CRelay => "c-relay",
            Self::RelayNg => "relay-ng",
        }
    }

    /// The language of that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.word() == word)
    }

    /// The language of a file, as far as it can be told.
    ///
    /// # Errors
    /// The file cannot be read, is longer than files of relays are, or is a pipe.
    pub fn of_file(path: &Path) -> io::Result<Option<Self>> {
        Ok(Self::of_text(&String::from_utf8_lossy(&bounded::bytes(path)?)))
    }

    /// Recognises the language of a text by the first line that only one of them can have, so that a file with
    /// faults is told from one of another language.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let mut section = "";
        for line in text.lines().map(str::trim) {
            let decided = match line.strip_prefix('[') {
                _ if line.is_empty() || line.starts_with(['#', ';']) => None,
                Some(header) => {
                    section = header.trim_start_matches('[').split(']').next().unwrap_or_default().trim();
                    of_section(section)
                }
                None => of_line(line, section),
            };
            if decided.is_some() {
                return decided;
            }
        }
        None
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Skyline => "settings of Skyline Node",
            Self::Carbon => "carbon.conf",
            Self::CRelay => "a file of carbon-c-relay",
            Self::RelayNg => "a file of carbon-relay-ng",
        })
    }
}

fn of_section(name: &str) -> Option<Language> {
    let program = name.split(':').next().unwrap_or_default();
    if name == "relay" {
        None
    } else if PROGRAMS.contains(&program) {
        Some(Language::Carbon)
    } else if is_ours(name) {
        Some(Language::Skyline)
    } else {
        relay_ng::SECTIONS.contains(&name).then_some(Language::RelayNg)
    }
}

fn of_line(line: &str, section: &str) -> Option<Language> {
    let end = line.find(|c: char| c.is_whitespace() || "=:;".contains(c)).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let is_key = rest.trim_start().starts_with(['=', ':']);
    if !is_key {
        return (section.is_empty() && STATEMENTS.contains(&word)).then_some(Language::CRelay);
    }
    match section {
        "" if is_ours(word) => Some(Language::Skyline),
        // carbon's keys stand in sections, and those of the node too.
        "" => Some(Language::RelayNg),
        "relay" if word.contains(|c: char| c.is_ascii_lowercase()) => Some(Language::Skyline),
        "relay" => Some(Language::Carbon),
        _ => None,
    }
}

/// Whether a dotted name is or lies in a section of the node's settings.
fn is_ours(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    keys::sections().iter().any(|section| section.name == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Language>) {
        assert_eq!(Language::of_text(text), expected, "{text}");
    }

    #[test]
    fn recognised() {
        check("# x\n[relay]\nDESTINATIONS = a:1", Some(Language::Carbon));
        check("[relay]\nRELAY_METHOD: rules", Some(Language::Carbon));
        check("[cache]\n", Some(Language::Carbon));
        check("[relay:b]\n", Some(Language::Carbon));
        check("; [node]\n[relay]\ndestinations = [\"a:1\"]", Some(Language::Skyline));
        check("[[listen.stream]]\n", Some(Language::Skyline));
        check("[relay.files]\n", Some(Language::Skyline));
        check("relay.method = \"constant\"", Some(Language::Skyline));
        check("# c\n\ncluster a forward h:1;", Some(Language::CRelay));
        check("match\n  * send to blackhole;", Some(Language::CRelay));
        check("match=x", Some(Language::RelayNg));
        check("instance = \"default\"", Some(Language::RelayNg));
        check("[[route]]\nkey = 'a'", Some(Language::RelayNg));
        check("[init]\ncmds = []", Some(Language::RelayNg));
    }

    #[test]
    fn not_recognised() {
        for text in ["", "# nothing\n", "[relay]\n", "<xml/>", "[other]\nkey = 1", "servers.a 1 2"] {
            check(text, None);
        }
    }

    #[test]
    fn the_files_of_this_project() {
        check(&crate::reference::skyline_toml(), Some(Language::Skyline));
        for language in Language::ALL {
            assert_eq!(Language::of_word(language.word()), Some(language));
        }
    }
}
