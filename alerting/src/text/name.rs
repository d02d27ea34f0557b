//! Names from outside, as people see them: literally, on one line, and unable to turn the text around them.

use std::fmt::Write as _;

/// A name without characters that act instead of being seen: control characters, line separators, and marks that
/// change the direction of what follows are written as escapes.
#[must_use]
pub fn literal(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if acts(c) => {
                // Writing to a text does not fail.
                _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Whether a character acts on others, or on the line, instead of being seen.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// A text of at most `most` characters: what is too much is left out in its middle, where names differ least.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(1);
    let tail = kept / 2;
    let head = kept - tail;
    let begin: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(count - tail).collect();
    format!("{begin}…{end}")
}

/// A name within a line of text: with letters of scripts that are written from right to left it is isolated, so that
/// the words beside it stay where they are.
#[must_use]
pub fn isolated(text: &str) -> String {
    if text.chars().any(is_right_to_left) { format!("\u{2068}{text}\u{2069}") } else { text.to_owned() }
}

/// Letters of Hebrew, Arabic and the other scripts that are written from right to left.
const fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_escaped_and_what_is_seen_is_kept() {
        let check = |name: &str, expected: &str| assert_eq!(literal(name), expected);
        check("stats.web01.cpu;a=b", "stats.web01.cpu;a=b");
        check("a\r\nBcc: x@y", "a\\r\\nBcc: x@y");
        check("a\0b\u{7f}\u{85}", "a\\u{0}b\\u{7f}\\u{85}");
        check("abc\u{202e}fed", "abc\\u{202e}fed");
        check("a\u{2028}b\u{200b}c", "a\\u{2028}b\\u{200b}c");
        check("مقياس", "مقياس");
        check("👩\u{200d}💻 <b> \\n", "👩\u{200d}💻 <b> \\n");
    }

    #[test]
    fn long_ones_lose_their_middle() {
        let check = |text: &str, most, expected: &str| assert_eq!(shortened(text, most), expected);
        check("abcdef", 6, "abcdef");
        check("abcdefgh", 6, "abc…gh");
        check("ααββγγδδ", 5, "αα…δδ");
        check("abc", 1, "…");
        check("abc", 0, "…");
    }

    #[test]
    fn names_from_right_to_left_are_isolated() {
        assert_eq!(isolated("a.b"), "a.b");
        assert_eq!(isolated("חם"), "\u{2068}חם\u{2069}");
    }
}
