//! Writing SVG: numbers with one decimal, and text from outside always escaped.

use super::text::{Face, printable};
use std::fmt::Write as _;

/// Fonts of a reader who has not ours.
const FAMILY: &str = "'DejaVu Sans', Verdana, sans-serif";

/// Lengths below this are written as 0, pixels.
const SEEN: f64 = 0.05;

/// Which part of a text is at its `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// Its left end.
    Start,
    /// Its middle.
    Middle,
    /// Its right end.
    End,
}

/// How a text is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style<'a> {
    /// Height, pixels.
    pub(super) size: f64,
    /// Colour.
    pub(super) colour: &'a str,
    /// Which font.
    pub(super) face: Face,
    /// Where it stands.
    pub(super) anchor: Anchor,
    /// Colour of a rim that keeps it legible over lines.
    pub(super) rim: Option<&'a str>,
}

/// An SVG that is being written.
#[derive(Debug)]
pub(super) struct Svg(String);

impl Svg {
    /// An empty picture of a size, told as `title` and `description` to those who do not see it.
    pub(super) fn new((width, height): (u32, u32), title: &str, description: &str) -> Self {
        let (title, description) = (shown(title), shown(description));
        let mut svg = Self(String::with_capacity(32 << 10));
        svg.write(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{FAMILY}\">\n\
             <title>{title}</title>\n<desc>{description}</desc>\n"
        ));
        svg
    }

    /// Writes mark-up as it is.
    pub(super) fn write(&mut self, markup: std::fmt::Arguments<'_>) {
        #[expect(clippy::let_underscore_must_use, reason = "writing to memory does not fail")]
        let _ = self.0.write_fmt(markup);
    }

    /// A filled rectangle; none where nothing of it would be seen: a width of 0 is no rectangle to painters.
    pub(super) fn rectangle(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        fill: &str,
        cover: &str,
    ) {
        if width < SEEN || height < SEEN {
            return;
        }
        self.write(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{fill}\" fill-opacity=\"{cover}\" shape-rendering=\"crispEdges\"/>\n",
            Short(x),
            Short(y),
            Short(width),
            Short(height)
        ));
    }

    /// A line; `dashes` as SVG writes them, `none` for none.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64, dashes: &str) {
        self.write(format_args!(
            "<path d=\"M{} {}L{} {}\" stroke=\"{colour}\" stroke-width=\"{}\" stroke-dasharray=\"{dashes}\"/>\n",
            Short(from.0),
            Short(from.1),
            Short(to.0),
            Short(to.1),
            Short(width)
        ));
    }

    /// A line along a path.
    pub(super) fn stroke(&mut self, path: &str, colour: &str, width: f64) {
        self.write(format_args!(
            "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"{}\" stroke-linejoin=\"bevel\"/>\n",
            Short(width)
        ));
    }

    /// A text from anywhere: it stands there as it is, in its order.
    pub(super) fn text(&mut self, (x, y): (f64, f64), text: &str, style: Style<'_>) {
        let Style { size, colour, face, anchor, rim } = style;
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = match face {
            Face::Regular => "",
            Face::Bold => " font-weight=\"bold\"",
        };
        self.write(format_args!(
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\"{weight} fill=\"{colour}\" text-anchor=\"{anchor}\"",
            Short(x),
            Short(y),
            Short(size)
        ));
        if let Some(rim) = rim {
            self.write(format_args!(
                " stroke=\"{rim}\" stroke-width=\"{}\" stroke-linejoin=\"round\" paint-order=\"stroke\"",
                Short(size * 0.32)
            ));
        }
        self.write(format_args!(">{}</text>\n", shown(text)));
    }

    /// The whole.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

/// A text as XML holds it, with what cannot be seen made visible.
pub(super) fn shown(text: &str) -> String {
    escaped(&printable(text))
}

/// A text that XML and HTML show as it is, between tags and in attributes.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A length with one decimal, and without one that is nought.
pub(super) struct Short(pub(super) f64);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No drawing is larger; what is far outside of it is cut off there.
        let tenths = (self.0 * 10.0).round().clamp(-1e6, 1e6) as i64;
        let (sign, tenths) = (if tenths < 0 { "-" } else { "" }, tenths.unsigned_abs());
        match tenths % 10 {
            0 => write!(f, "{sign}{}", tenths / 10),
            rest => write!(f, "{sign}{}.{rest}", tenths / 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        let check = |length: f64, expected: &str| assert_eq!(Short(length).to_string(), expected);
        check(12.0, "12");
        check(12.34, "12.3");
        check(-0.04, "0");
        check(-0.5, "-0.5");
        check(f64::NAN, "0");
        check(1e300, "100000");
    }

    #[test]
    fn nothing_from_outside_is_mark_up() {
        assert_eq!(shown("<a href='x'>&\"</a>"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
        assert_eq!(shown("a\u{0}b\u{202e}c"), "a\u{2039}U+0000\u{203a}b\u{2039}U+202E\u{203a}c");
    }
}
