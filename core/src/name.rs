//! What may be a metric's name.

use crate::reject::Reject;

/// Longest line that carbon takes, in bytes without its LF: at a longer one it closes the connection and
/// drops what came behind it (carbon:lib/carbon/protocols.py, `MAX_LENGTH` of Twisted's `LineReceiver`).
pub const MAX_LINE_BYTES: usize = 16_384;

/// Longest name that any listener takes, in bytes.
pub const MAX_NAME_BYTES: usize = MAX_LINE_BYTES;

/// Longest name that the window stores, in bytes. Longer names are relayed only.
pub const MAX_WINDOW_NAME_BYTES: usize = 2_048;

/// The name, if the window can store it: UTF-8, not empty, no control characters, at most
/// [`MAX_WINDOW_NAME_BYTES`]. The relay passes more than this on unchanged.
///
/// # Errors
/// [`Reject::WindowName`] otherwise.
pub fn for_window(name: &[u8]) -> Result<&str, Reject> {
    if name.is_empty() || name.len() > MAX_WINDOW_NAME_BYTES || name.iter().any(|b| *b < 0x20 || *b == 0x7f) {
        return Err(Reject::WindowName);
    }
    std::str::from_utf8(name).map_err(|_| Reject::WindowName)
}

/// Whether a binary protocol (pickle, msgpack, HTTP) may bring in `name`: it must survive as the
/// first field of a line. UTF-8, not empty, at most [`MAX_NAME_BYTES`], no blank, no control character
/// (a newline would inject a line downstream, and carbon splits a line at every blank of Unicode, or writes what
/// stands behind one elsewhere).
///
/// # Errors
/// [`Reject::Name`] otherwise.
pub fn for_line(name: &[u8]) -> Result<(), Reject> {
    let bad = |b: &u8| *b <= 0x20 || *b == 0x7f;
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.iter().any(bad) {
        return Err(Reject::Name);
    }
    if name.is_ascii() {
        return Ok(());
    }
    match std::str::from_utf8(name) {
        Ok(text) if !text.chars().any(is_blank) => Ok(()),
        _ => Err(Reject::Name),
    }
}

/// Whether a character separates the fields of a line, or none can see it move the cursor: blanks of Unicode and control
/// characters.
#[must_use]
pub fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// The reference's matching rule of skip and keep lists: `entry` matches `name` when it is a
/// substring, or when every dotted element of `entry` is among the elements of `name`, order and
/// position ignored (`skyline:skyline/horizon/worker.py`). An empty entry matches nothing here.
#[must_use]
pub fn entry_matches(entry: &str, name: &str) -> bool {
    if entry.is_empty() {
        return false;
    }
    name.contains(entry) || entry.split('.').all(|element| name.split('.').any(|part| part == element))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skip_list_entries_match_as_in_the_reference() {
        let check =
            |entry, name, expected| assert_eq!(entry_matches(entry, name), expected, "{entry} {name}");
        check("skyline.analyzer.", "skyline.analyzer.h1.run_time", true);
        check("skyline.analyzer.run_time", "skyline.analyzer.h1.run_time", true);
        check("run_time.analyzer", "skyline.analyzer.h1.run_time", true);
        check("skyline.analyzer.", "x.skyline.y.analyzer", false);
        check("_90", "stats.timers.app.upper_90", true);
        check("cpu", "a.cpu0.b", true);
        check("a.b", "b.x.a", true);
        check("", "any", false);
    }

    #[test]
    fn names_that_the_window_refuses() {
        assert!(for_window(b"servers.web01.cpu").is_ok());
        assert!(for_window("müller.größe;tag=wert".as_bytes()).is_ok());
        for bad in [&b""[..], b"a\0b", b"a\x7f", b"a\xff", &[b'a'; MAX_WINDOW_NAME_BYTES + 1]] {
            assert_eq!(for_window(bad), Err(Reject::WindowName));
        }
    }

    #[test]
    fn names_that_would_inject_a_line() {
        assert!(for_line(b"a.b").is_ok());
        assert!(for_line("größe.用量".as_bytes()).is_ok());
        for bad in [&b""[..], b"a b", b"a\nb 1 2", b"a\xff"] {
            assert_eq!(for_line(bad), Err(Reject::Name));
        }
        for blank in ['\u{85}', '\u{a0}', '\u{2028}', '\u{3000}'] {
            assert_eq!(for_line(format!("a{blank}b").as_bytes()), Err(Reject::Name), "{blank:?}");
        }
    }
}
