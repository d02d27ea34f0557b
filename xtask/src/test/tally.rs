//! Counting what test programs say in their closing lines.

use crate::cargo;
use anyhow::Context as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;

/// What one program came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Summary {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl Summary {
    /// One thing that went wrong.
    pub(super) const fn failure() -> Self {
        Self { passed: 0, failed: 1 }
    }
}

/// All programs together.
#[derive(Debug, Default)]
pub(super) struct Tally(Vec<(String, Summary)>);

impl Tally {
    pub(super) fn add(&mut self, what: &str, summary: Summary) {
        self.0.push((what.to_owned(), summary));
    }

    /// Names of what had failures.
    pub(super) fn failures(&self) -> Vec<&str> {
        self.0.iter().filter(|(_, s)| s.failed > 0).map(|(name, _)| name.as_str()).collect()
    }

    /// Whether anything ran.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, summary)| *summary == Summary::default())
    }

    /// The closing line.
    pub(super) fn line(&self) -> String {
        let sum = |of: fn(&Summary) -> u64| self.0.iter().map(|(_, s)| of(s)).sum::<u64>();
        format!("{} passed, {} failed", sum(|s| s.passed), sum(|s| s.failed))
    }
}

/// Runs a command, passes its output on, and adds up what `read` finds in its lines.
/// A command that fails without a failure in its lines counts as one.
pub(super) fn watch(command: &mut Command, read: fn(&str) -> Option<Summary>) -> anyhow::Result<Summary> {
    println!("$ {}", cargo::shown(command));
    let (lines, arriving) = mpsc::sync_channel(1_000);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{}` cannot be started", cargo::shown(command)))?;
    let pass_on = |stream: Option<Box<dyn Read + Send>>| {
        let lines = lines.clone();
        std::thread::spawn(move || {
            for line in stream.into_iter().flat_map(|s| BufReader::new(s).split(b'\n')).map_while(Result::ok)
            {
                if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        })
    };
    let readers = [
        pass_on(child.stdout.take().map(|s| Box::new(s) as _)),
        pass_on(child.stderr.take().map(|s| Box::new(s) as _)),
    ];
    drop(lines);
    let mut summary = Summary::default();
    let mut out = std::io::stdout();
    for line in arriving {
        writeln!(out, "{line}")?;
        if let Some(more) = read(&line) {
            summary.passed += more.passed;
            summary.failed += more.failed;
        }
    }
    for reader in readers {
        drop(reader.join());
    }
    if !child.wait()?.success() && summary.failed == 0 {
        summary.failed = 1;
    }
    Ok(summary)
}

/// The number before a word: `12` for `passed` in `... 12 passed, ...`.
fn count(line: &str, word: &str) -> Option<u64> {
    let mut words = line.split_whitespace();
    let mut before = words.next()?;
    for this in words {
        if this.trim_end_matches([',', ';', '.']) == word {
            return before.parse().ok();
        }
        before = this;
    }
    None
}

/// `     Summary [   1.2s] 40 tests run: 38 passed (1 slow), 1 failed, 1 timed out, 3 skipped`
pub(super) fn nextest(line: &str) -> Option<Summary> {
    let line = line.trim_start().strip_prefix("Summary [")?;
    let (_, line) = line.split_once("run:")?;
    // "1 timed out", "2 exec failed": the word that ends them stands for them.
    let failed = count(line, "failed").unwrap_or(0)
        + before_words(line, &["timed", "out"])
        + before_words(line, &["exec", "failed"]);
    Some(Summary { passed: count(line, "passed").unwrap_or(0), failed })
}

fn before_words(line: &str, words: &[&str]) -> u64 {
    let all: Vec<_> = line.split_whitespace().map(|word| word.trim_end_matches(',')).collect();
    all.windows(words.len() + 1)
        .find_map(|window| window.split_first().filter(|(_, rest)| *rest == words)?.0.parse().ok())
        .unwrap_or(0)
}

/// `test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s`
pub(super) fn cargo_test(line: &str) -> Option<Summary> {
    let line = line.strip_prefix("test result: ")?;
    Some(Summary { passed: count(line, "passed")?, failed: count(line, "failed")? })
}

/// `12 passed, 0 failed`
pub(super) fn plain(line: &str) -> Option<Summary> {
    let (passed, failed) = line.trim_end().strip_suffix(" failed")?.split_once(" passed, ")?;
    Some(Summary { passed: passed.parse().ok()?, failed: failed.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(read: fn(&str) -> Option<Summary>, line: &str, expected: Option<(u64, u64)>) {
        assert_eq!(read(line), expected.map(|(passed, failed)| Summary { passed, failed }));
    }

    #[test]
    fn closing_lines_are_read() {
        check(nextest, "     Summary [   0.012s] 7 tests run: 7 passed, 0 skipped", Some((7, 0)));
        check(
            nextest,
            "     Summary [   9.0s] 9 tests run: 6 passed (1 slow), 2 failed, 1 timed out, 4 skipped",
            Some((6, 3)),
        );
        check(
            nextest,
            "     Summary [   9.0s] 9 tests run: 8 passed, 1 exec failed, 4 skipped",
            Some((8, 1)),
        );
        check(nextest, "     Summary [   9.0s] 2/9 tests run: 1 passed, 1 failed, 4 skipped", Some((1, 1)));
        check(nextest, "        PASS [   0.012s] a::b 1 passed", None);
        check(
            cargo_test,
            "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
            Some((5, 0)),
        );
        check(cargo_test, "test result: FAILED. 3 passed; 2 failed; 0 ignored", Some((3, 2)));
        check(cargo_test, "test a::b ... ok", None);
        check(plain, "12 passed, 3 failed", Some((12, 3)));
        check(plain, "12 passed, 3 failed in all", None);
        check(plain, "x passed, 3 failed", None);
    }

    #[test]
    fn a_program_that_only_ends_badly_counts_as_one_failure() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 4 passed, 0 failed; echo 1 passed, 0 failed >&2; exit 3"]);
        let summary = watch(&mut command, plain).unwrap();
        assert_eq!(summary, Summary { passed: 5, failed: 1 });
        let mut tally = Tally::default();
        tally.add("a", summary);
        tally.add("b", Summary { passed: 2, failed: 0 });
        assert_eq!((tally.line().as_str(), tally.failures()), ("7 passed, 1 failed", vec!["a"]));
    }
}
