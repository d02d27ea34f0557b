//! `whitelist.conf` and `blacklist.conf`: one expression a line, searched for.

use super::{Note, lines};
use crate::routing::pattern::{Dialect, Pattern};

/// Reads a list; a line that is no expression is left out with a note, as in carbon.
#[must_use]
pub fn read(text: &str) -> (Vec<Pattern>, Vec<Note>) {
    let (mut patterns, mut notes) = (Vec::new(), Vec::new());
    for (number, line) in lines(text) {
        let pattern = line.trim();
        // Only in the first column: behind a blank it belongs to the expression.
        if pattern.is_empty() || line.starts_with('#') {
            continue;
        }
        match Pattern::new(pattern, Dialect::Python) {
            Ok(pattern) => patterns.push(pattern),
            Err(bad) => {
                let note = Note::new(number, pattern, format!("the line is left out: {}", bad.why));
                notes.push(note.advise("correct the expression"));
            }
        }
    }
    (patterns, notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists() {
        let (patterns, notes) = read("# all\n^a\\.  \r\n\n # b\n(bad\nx$");
        let texts: Vec<_> = patterns.iter().map(Pattern::as_str).collect();
        assert_eq!(texts, ["^a\\.", "# b", "x$"]);
        assert_eq!(notes.len(), 1);
        assert_eq!((notes[0].line, notes[0].key.as_str()), (Some(5), "(bad"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|[#()\\[\\]*+?{},.\\\\a-c \n]){0,100}") {
            drop(read(&text));
        }
    }
}
