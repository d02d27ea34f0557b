//! Text from anywhere: what the fonts lack made visible, how wide it is, and long names shortened in the middle.

use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider as _};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

/// DejaVu Sans: Latin, Greek, Cyrillic, punctuation and signs.
pub(super) const REGULAR: &[u8] = include_bytes!("../../font/DejaVuSans-subset.ttf");
/// DejaVu Sans Bold, fewer of them.
pub(super) const BOLD: &[u8] = include_bytes!("../../font/DejaVuSans-Bold-subset.ttf");

/// What stands for a character that the fonts have no picture of.
const BOX: char = '\u{25af}';
/// What stands for what was left out.
const LEFT_OUT: char = '\u{2026}';

/// A font of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// Most text.
    Regular,
    /// Titles.
    Bold,
}

/// Widths of characters, in parts of the font's height.
#[derive(Debug)]
struct Widths(HashMap<char, f64>);

static WIDTHS: LazyLock<[Widths; 2]> = LazyLock::new(|| [Widths::of(REGULAR), Widths::of(BOLD)]);

impl Widths {
    fn of(font: &[u8]) -> Self {
        let Ok(font) = FontRef::new(font) else { return Self(HashMap::new()) };
        let metrics = font.glyph_metrics(Size::new(1.0), LocationRef::default());
        let width = |(code, glyph)| {
            Some((char::from_u32(code)?, f64::from(metrics.advance_width(glyph).unwrap_or(0.6))))
        };
        Self(font.charmap().mappings().filter_map(width).collect())
    }
}

fn widths(face: Face) -> &'static HashMap<char, f64> {
    let [regular, bold] = &*WIDTHS;
    match face {
        Face::Regular => &regular.0,
        Face::Bold => &bold.0,
    }
}

/// Whether a character has no picture of its own: it moves, joins or hides others.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}'
            | '\u{205f}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bcaf}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A text in which every character can be seen and stands where it is: those that hide or move others as their code, those
/// that the fonts lack as a box. Nothing of it is written from right to left.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let known = widths(Face::Regular);
    let is_plain = |c: char| c.is_ascii_graphic() || (c != ' ' && !is_hidden(c) && known.contains_key(&c));
    let mut before = ' ';
    // A space between words is itself; of others XML would keep one or none.
    let is_fine = |c: char| {
        let fine = is_plain(c) || (c == ' ' && before != ' ');
        before = c;
        fine
    };
    if text.chars().all(is_fine) && !text.ends_with(' ') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' => out.push('\u{a0}'),
            c if is_plain(c) => out.push(c),
            c if is_hidden(c) => out.push_str(&format!("\u{2039}U+{:04X}\u{203a}", u32::from(c))),
            _ => out.push(BOX),
        }
    }
    Cow::Owned(out)
}

/// Width of a printable text, pixels.
pub(super) fn width(text: &str, size: f64, face: Face) -> f64 {
    text.chars().map(|c| advance(c, face)).sum::<f64>() * size
}

fn advance(c: char, face: Face) -> f64 {
    // A character that the bold font lacks comes from the other.
    let found = widths(face).get(&c).or_else(|| widths(Face::Regular).get(&c));
    found.copied().unwrap_or(0.6)
}

/// A text no wider than `room` pixels: where it is longer, its middle is left out.
pub(super) fn shortened(text: &str, room: f64, size: f64, face: Face) -> Cow<'_, str> {
    let text = printable(text);
    if width(&text, size, face) <= room {
        return text;
    }
    let half = (room / size - advance(LEFT_OUT, face)) / 2.0;
    let fits = |characters: &mut dyn Iterator<Item = char>| {
        let mut used = 0.0;
        characters
            .take_while(|c| {
                used += advance(*c, face);
                used <= half
            })
            .count()
    };
    let first = fits(&mut text.chars());
    let last = fits(&mut text.chars().rev());
    let skipped = text.chars().count().saturating_sub(last);
    let mut out: String = text.chars().take(first).collect();
    out.push(LEFT_OUT);
    out.extend(text.chars().skip(skipped));
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_fonts_lack_is_seen() {
        let check = |text: &str, expected: &str| assert_eq!(printable(text), expected);
        check("stats.web01.cpu", "stats.web01.cpu");
        check("größe.Ωμέγα.ёж", "größe.Ωμέγα.ёж");
        check("温度.\u{1f525}.\u{5e9}", "\u{25af}\u{25af}.\u{25af}.\u{25af}");
        check("a\u{202e}b\nc", "a\u{2039}U+202E\u{203a}b\u{2039}U+000A\u{203a}c");
        check("a b  c", "a\u{a0}b\u{a0}\u{a0}c");
        check("a b", "a b");
        check(" a", "\u{a0}a");
    }

    #[test]
    fn long_names_keep_both_ends() {
        let name = format!("servers.{}.cpu.user", "x".repeat(300));
        let short = shortened(&name, 200.0, 11.0, Face::Regular);
        assert!(short.starts_with("servers.x") && short.ends_with("cpu.user"), "{short}");
        assert!(width(&short, 11.0, Face::Regular) <= 200.0);
        assert_eq!(shortened("short", 200.0, 11.0, Face::Regular), "short");
    }

    #[test]
    fn fonts_are_read() {
        assert!(widths(Face::Regular).len() > 800, "{}", widths(Face::Regular).len());
        assert!(widths(Face::Bold).len() > 300);
        assert!((width("0000", 10.0, Face::Regular) - 25.4).abs() < 0.5);
    }

    proptest! {
        #[test]
        fn any_text_fits_and_is_visible(text in any::<String>(), room in 20.0..600.0) {
            let short = shortened(&text, room, 11.0, Face::Regular);
            prop_assert!(width(&short, 11.0, Face::Regular) <= room);
            prop_assert!(short.chars().all(|c| widths(Face::Regular).contains_key(&c)));
        }
    }
}
