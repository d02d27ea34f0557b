//! What a command says: lines on standard output, and errors as one sentence. Output that nobody
//! reads any more (`skyline check | head -1`) ends a command quietly.

use anyhow::Context as _;
use std::fmt::Arguments;
use std::io::{self, Write};

/// Nobody reads the command's output any more.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(super) struct Unread;

/// Prints a line.
///
/// # Errors
/// [`Unread`], or what keeps the output from being written.
pub(super) fn line(text: Arguments<'_>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_fmt(format_args!("{text}\n")).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Unread.into()),
        written => written.context("standard output"),
    }
}

/// [`line()`] with the arguments of `println!`.
macro_rules! say {
    ($($argument:tt)*) => { $crate::cli::output::line(format_args!($($argument)*)) };
}
pub(super) use say;

/// An error and its causes, each said once: some messages hold their cause already.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// A number of things: `1 rule`, `2 rules`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The program as it was called, so that a command that is printed can be typed.
pub(super) fn program() -> String {
    let called = std::env::args_os().next().map(|name| name.to_string_lossy().into_owned());
    let is_plain = |name: &String| {
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-'))
    };
    called.filter(is_plain).unwrap_or_else(|| "skyline".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_counted() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "rule")), ["0 rules", "1 rule", "2 rules"]);
    }

    #[test]
    fn a_cause_is_said_once() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let check = |error: anyhow::Error, expected: &str| assert_eq!(sentence(&error), expected);
        check(anyhow::Error::from(refused()).context("a"), "a: connection refused");
        check(anyhow::Error::from(refused()).context("a: connection refused"), "a: connection refused");
        check(anyhow::anyhow!("a"), "a");
    }
}
