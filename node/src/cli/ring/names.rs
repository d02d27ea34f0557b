//! Where the names come from that two files are compared for.

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use skyline_core::shard::name_hash;
use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

/// What takes longer shows how far it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// Names between two looks at the clock.
const LOOK: u64 = 1 << 10;

/// Parts of names that are made up.
const ROLES: [&str; 8] = ["web", "app", "db", "cache", "queue", "mail", "proxy", "batch"];
const FIGURES: [&str; 8] = [
    "cpu.user",
    "cpu.system",
    "memory.used",
    "disk.sda.reads",
    "net.eth0.rx_bytes",
    "load.shortterm",
    "requests.count",
    "requests.p99",
];

/// Where names came from, and how many they were.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "source", rename_all = "lowercase")]
pub(super) enum Source {
    /// A file, or standard input.
    File {
        file: String,
        names: u64,
        /// Lines that repeat a name.
        repeated: u64,
    },
    /// They were made up.
    Sample {
        names: u64,
        example: String,
        /// How far a share may be off, with a probability of 95 %.
        error: f64,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, names, repeated: 0 } => write!(f, "{names} from {file}"),
            Self::File { file, names, repeated } => {
                write!(f, "{names} from {file}; {repeated} more lines repeat one")
            }
            Self::Sample { names, example, error } => write!(
                f,
                "{names} that are made up, such as {example}: shares are estimates (within {:.1} %, 19 times of \
                 20), and rules for names of yours see none of them",
                error * 100.0
            ),
        }
    }
}

/// The names, one after the other.
pub(super) struct Names {
    from: From,
    given: u64,
    /// Hashes of those of a file that were given; those that are made up differ.
    seen: HashSet<u64>,
    repeated: u64,
    line: String,
    start: Instant,
    bar: Option<ProgressBar>,
}

enum From {
    Lines { shown: String, lines: Box<dyn BufRead>, bytes: Option<u64>, read: u64 },
    Sample { next: u64, count: u64 },
}

impl Names {
    /// Those of a file (`-`: standard input), or `sample` made-up ones.
    pub(super) fn open(file: Option<&Path>, sample: u64) -> anyhow::Result<Self> {
        let from = match file {
            None => From::Sample { next: 0, count: sample },
            Some(path) if path == Path::new("-") => {
                let lines = Box::new(io::stdin().lock());
                From::Lines { shown: "standard input".to_owned(), lines, bytes: None, read: 0 }
            }
            Some(path) => {
                let shown = path.display().to_string();
                let file = File::open(path).with_context(|| shown.clone())?;
                let bytes = file.metadata().ok().map(|about| about.len()).filter(|bytes| *bytes > 0);
                From::Lines { shown, lines: Box::new(BufReader::new(file)), bytes, read: 0 }
            }
        };
        Ok(Self {
            from,
            given: 0,
            seen: HashSet::new(),
            repeated: 0,
            line: String::new(),
            start: Instant::now(),
            bar: None,
        })
    }

    /// The next one; each is given once.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<&str>> {
        loop {
            if !self.read()? {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
                return Ok(None);
            }
            let name = self.line.trim();
            if name.is_empty() {
                continue;
            }
            let is_made_up = matches!(self.from, From::Sample { .. });
            if is_made_up || self.seen.insert(name_hash(name.as_bytes())) {
                break;
            }
            self.repeated += 1;
        }
        self.given += 1;
        if self.given.is_multiple_of(LOOK) {
            self.progress();
        }
        Ok(Some(self.line.trim()))
    }

    /// Fills the line with the next one; false at the end.
    fn read(&mut self) -> anyhow::Result<bool> {
        self.line.clear();
        match &mut self.from {
            From::Lines { shown, lines, read, .. } => {
                let bytes = lines.read_line(&mut self.line).with_context(|| shown.clone())?;
                *read += bytes as u64;
                Ok(bytes > 0)
            }
            From::Sample { next, count } => {
                if next == count {
                    return Ok(false);
                }
                self.line = made_up(*next);
                *next += 1;
                Ok(true)
            }
        }
    }

    /// Shows how far it is once it takes long; on a terminal only.
    fn progress(&mut self) {
        if self.bar.is_none() && self.start.elapsed() < PATIENCE {
            return;
        }
        let (at, of) = match &self.from {
            From::Lines { bytes, read, .. } => (*read, *bytes),
            From::Sample { next, count } => (*next, Some(*count)),
        };
        let bar = self.bar.get_or_insert_with(|| {
            let bar = of.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let style = ProgressStyle::with_template(if of.is_some() {
                "{wide_bar} {percent} %, {eta} left: {msg}"
            } else {
                "{spinner} {msg}"
            });
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        bar.set_position(at);
        bar.set_message(format!("{} names", self.given));
    }

    /// Where they came from.
    pub(super) fn source(&self) -> Source {
        let names = self.given;
        match &self.from {
            From::Lines { shown, .. } => Source::File { file: shown.clone(), names, repeated: self.repeated },
            From::Sample { count, .. } => {
                // Two standard deviations of a share of one half, where it is the largest.
                let error = 0.98 / (*count as f64).sqrt();
                Source::Sample { names, example: made_up(0), error }
            }
        }
    }
}

/// The name with that number. Those of two numbers differ; each part comes about as often as the others.
fn made_up(i: u64) -> String {
    let of = |list: &[&'static str; 8], at: u64| list.get((at % 8) as usize).copied().unwrap_or_default();
    let (figure, rest) = (of(&FIGURES, i), i / 8);
    let (role, host) = (of(&ROLES, rest), rest / 8);
    format!("servers.{role}{host:04}.{figure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: &mut Names) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(name) = names.next().unwrap() {
            all.push(name.to_owned());
        }
        all
    }

    #[test]
    fn names_of_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a.b\r\n\n  c;t=x \na.b\nd").unwrap();
        let mut names = Names::open(Some(file.path()), 5).unwrap();
        assert_eq!(all(&mut names), ["a.b", "c;t=x", "d"]);
        let file = file.path().display().to_string();
        assert_eq!(names.source(), Source::File { file: file.clone(), names: 3, repeated: 1 });
        assert_eq!(names.source().to_string(), format!("3 from {file}; 1 more lines repeat one"));
        assert!(Names::open(Some(Path::new("/nonexistent")), 5).is_err());
    }

    #[test]
    fn made_up_names_differ_and_are_the_same_each_time() {
        let sample = || Names::open(None, 20_000).unwrap();
        let (mut names, mut again) = (sample(), sample());
        let made = all(&mut names);
        assert_eq!((made.len(), names.repeated), (20_000, 0));
        assert_eq!(made, all(&mut again));
        let Source::Sample { names: 20_000, example, error } = names.source() else { panic!() };
        assert_eq!(example, made[0]);
        assert!((error - 0.00693).abs() < 1e-5, "{error}");
    }
}
