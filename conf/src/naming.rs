//! How series with labels become names of metrics: `{__name__};{*}`, or `prom.{job}.{__name__}.{*}`.
//!
//! A template is a dotted path, and tags behind it as Graphite writes them (`path;tag=value`, in the order of their
//! names). `{label}` is the value of a label; an element or a tag whose label is not there is left out. `{*}` is all
//! labels that the template does not name, in the order of their names: `name.value` in the path, `name=value` among
//! the tags. Characters that an element or a tag cannot have are replaced, so no label can make another element, tag
//! or line.

use crate::model::flux::{Escape, Influx, Prometheus};
use skyline_core::name::is_blank;
use skyline_core::problem::Problem;

/// A label: its name and its value.
pub type Label<'a> = (&'a [u8], &'a [u8]);

/// A template, ready to be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    path: Vec<Element>,
    tags: Vec<Tag>,
    escape: Escape,
    /// Labels that `{*}` has not: those that are named, and those to drop.
    not_others: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Element {
    Pieces(Vec<Piece>),
    Others,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Tag {
    /// The tag's name and its value.
    Named(Vec<u8>, Vec<Piece>),
    Others,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Label(Vec<u8>),
}

/// Where a text stands: each place has characters of its own that it cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Element,
    TagName,
    TagValue,
}

impl Template {
    /// The one of `[flux.prometheus]`.
    ///
    /// # Errors
    /// What is wrong with the template.
    pub fn of_prometheus(settings: &Prometheus) -> Result<Self, Problem> {
        Self::new(&settings.template, settings.escape, &settings.drop_labels)
    }

    /// The one of `[flux.influx]`.
    ///
    /// # Errors
    /// What is wrong with the template.
    pub fn of_influx(settings: &Influx) -> Result<Self, Problem> {
        Self::new(&settings.template, settings.escape, &settings.drop_labels)
    }

    /// A template of its text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str, escape: Escape, drop: &[String]) -> Result<Self, Problem> {
        let mut parts = text.split(';');
        let path = parts.next().unwrap_or_default();
        let path = path.split('.').map(element).collect::<Result<Vec<_>, _>>()?;
        let tags = parts.map(tag).collect::<Result<Vec<_>, _>>()?;
        let others = path.iter().filter(|e| **e == Element::Others).count()
            + tags.iter().filter(|t| **t == Tag::Others).count();
        if others > 1 {
            return Err(wrong("{*} is there twice"));
        }
        let of_pieces = |pieces: &[Piece]| {
            let label = |piece: &Piece| match piece {
                Piece::Label(name) => Some(name.clone()),
                Piece::Text(_) => None,
            };
            pieces.iter().filter_map(label).collect::<Vec<_>>()
        };
        let mut not_others: Vec<Vec<u8>> = drop.iter().map(|name| name.clone().into_bytes()).collect();
        for element in &path {
            if let Element::Pieces(pieces) = element {
                not_others.extend(of_pieces(pieces));
            }
        }
        for tag in &tags {
            if let Tag::Named(_, pieces) = tag {
                not_others.extend(of_pieces(pieces));
            }
        }
        Ok(Self { path, tags, escape, not_others })
    }

    /// Appends the name of a series. `labels` are in the order of their names; those with an empty value count as not
    /// there. False, with nothing appended, if no element of the path is left.
    pub fn write(&self, labels: &[Label<'_>], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        for element in &self.path {
            let before = out.len();
            match element {
                Element::Pieces(pieces) => {
                    if before > start {
                        out.push(b'.');
                    }
                    if !self.pieces(pieces, labels, Place::Element, out) {
                        out.truncate(before);
                    }
                }
                Element::Others => {
                    for (name, value) in self.others(labels) {
                        for text in [name, value] {
                            if out.len() > start {
                                out.push(b'.');
                            }
                            self.escaped(text, Place::Element, out);
                        }
                    }
                }
            }
        }
        if out.len() == start {
            return false;
        }
        match self.tags.as_slice() {
            [] => {}
            [Tag::Others] => {
                for (name, value) in self.others(labels) {
                    self.tag(name, value, out);
                }
            }
            tags => self.sorted(tags, labels, out),
        }
        true
    }

    /// All tags, in the order of their names.
    fn sorted(&self, tags: &[Tag], labels: &[Label<'_>], out: &mut Vec<u8>) {
        // Names, and values as they are written.
        let mut all: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for tag in tags {
            match tag {
                Tag::Named(name, pieces) => {
                    let mut value = Vec::new();
                    if self.pieces(pieces, labels, Place::TagValue, &mut value) {
                        all.push((name.clone(), value));
                    }
                }
                Tag::Others => all.extend(self.others(labels).map(|(name, value)| {
                    let mut written = Vec::new();
                    self.escaped(value, Place::TagValue, &mut written);
                    (name.to_vec(), written)
                })),
            }
        }
        all.sort();
        for (name, value) in &all {
            self.tag_name(name, out);
            out.extend_from_slice(value);
        }
    }

    fn tag(&self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        self.tag_name(name, out);
        self.escaped(value, Place::TagValue, out);
    }

    /// A tag up to its value.
    fn tag_name(&self, name: &[u8], out: &mut Vec<u8>) {
        out.push(b';');
        if name == b"name" {
            // Graphite's tag `name` is the path.
            out.extend_from_slice(b"label_");
        }
        self.escaped(name, Place::TagName, out);
        out.push(b'=');
    }

    /// Labels with a value that the template does not name.
    fn others<'l, 'a>(&self, labels: &'l [Label<'a>]) -> impl Iterator<Item = Label<'a>> + use<'l, 'a, '_> {
        let is_other = |(name, value): &&Label<'_>| {
            !value.is_empty() && !self.not_others.iter().any(|known| known.as_slice() == *name)
        };
        labels.iter().filter(is_other).copied()
    }

    /// Whether all labels are there.
    fn pieces(&self, pieces: &[Piece], labels: &[Label<'_>], place: Place, out: &mut Vec<u8>) -> bool {
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Label(wanted) => {
                    let found = labels.iter().find(|(name, value)| wanted == name && !value.is_empty());
                    let Some((_, value)) = found else { return false };
                    self.escaped(value, place, out);
                }
            }
        }
        true
    }

    fn escaped(&self, text: &[u8], place: Place, out: &mut Vec<u8>) {
        let start = out.len();
        for chunk in text.utf8_chunks() {
            for c in chunk.valid().chars() {
                let mut bytes = [0; 4];
                let bytes = c.encode_utf8(&mut bytes).as_bytes();
                let is_good = place.allows(c)
                    && (c != '%' || self.escape == Escape::Underscore)
                    // Graphite takes no value that begins so.
                    && (c != '~' || out.len() > start);
                match self.escape {
                    _ if is_good => out.extend_from_slice(bytes),
                    Escape::Underscore => out.push(b'_'),
                    Escape::Percent => {
                        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                        let digit = |n: u8| DIGITS.get(usize::from(n & 15)).copied().unwrap_or(b'0');
                        out.extend(bytes.iter().flat_map(|byte| [b'%', digit(byte >> 4), digit(*byte)]));
                    }
                }
            }
            // What is no text makes no name: it is refused as a whole.
            out.extend_from_slice(chunk.invalid());
        }
    }
}

impl Place {
    /// Whether a character may stand there as it is. Other letters than ASCII's may.
    fn allows(self, c: char) -> bool {
        match self {
            Self::Element => {
                c.is_ascii_alphanumeric()
                    || (!c.is_ascii() && !is_blank(c))
                    || matches!(c, '_' | '-' | ':' | '+' | '@' | '#' | '%' | '~')
            }
            Self::TagName => !is_blank(c) && !matches!(c, ';' | '!' | '^' | '='),
            Self::TagValue => !is_blank(c) && c != ';',
        }
    }
}

/// Whether `text` can be the beginning of a name: elements with dots between them.
#[must_use]
pub fn is_prefix(text: &str) -> bool {
    text.split('.').all(|element| !element.is_empty() && element.chars().all(|c| Place::Element.allows(c)))
}

fn wrong(what: &str) -> Problem {
    Problem::new(what, "write it as in `{__name__};{*}` or `prom.{job}.{__name__}.{*}`")
}

fn element(text: &str) -> Result<Element, Problem> {
    match text {
        "{*}" => Ok(Element::Others),
        "" => Err(wrong("an element of the path is empty")),
        _ => pieces(text, Place::Element).map(Element::Pieces),
    }
}

fn tag(text: &str) -> Result<Tag, Problem> {
    if text == "{*}" {
        return Ok(Tag::Others);
    }
    if let Some((name, value)) = text.split_once('=') {
        let is_name = !name.is_empty() && name != "name" && name.chars().all(|c| Place::TagName.allows(c));
        if !is_name || value.is_empty() || name.contains(['{', '}']) {
            return Err(wrong(&format!("`{}` is no tag", text.escape_debug())));
        }
        return Ok(Tag::Named(name.into(), pieces(value, Place::TagValue)?));
    }
    match pieces(text, Place::TagValue)?.as_slice() {
        [Piece::Label(name)] => Ok(Tag::Named(name.clone(), vec![Piece::Label(name.clone())])),
        _ => Err(wrong(&format!("`{}` is no tag", text.escape_debug()))),
    }
}

fn pieces(text: &str, place: Place) -> Result<Vec<Piece>, Problem> {
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let (before, behind) = rest.split_once('{').map_or((rest, None), |(b, r)| (b, Some(r)));
        if before.contains('}') || !before.chars().all(|c| place.allows(c)) {
            return Err(wrong(&format!("`{}` has characters that it cannot have", text.escape_debug())));
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before.into()));
        }
        let Some(behind) = behind else { return Ok(pieces) };
        let Some((label, after)) = behind.split_once('}') else {
            return Err(wrong(&format!("`{}` has no }}", text.escape_debug())));
        };
        if label.is_empty() || label == "*" {
            let message = format!("`{{{label}}}` stands for itself only, in `{}`", text.escape_debug());
            return Err(wrong(&message));
        }
        pieces.push(Piece::Label(label.into()));
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check_with(template: &str, escape: Escape, drop: &[&str], labels: &[(&str, &str)], expected: &str) {
        let drop: Vec<String> = drop.iter().map(|&name| name.to_owned()).collect();
        let template = Template::new(template, escape, &drop).unwrap();
        let mut labels: Vec<Label<'_>> = labels.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        labels.sort_unstable();
        let mut out = b"before ".to_vec();
        let has_name = template.write(&labels, &mut out);
        assert_eq!(has_name, !expected.is_empty());
        assert_eq!(String::from_utf8(out).unwrap(), format!("before {expected}"));
    }

    fn check(template: &str, expected: &str) {
        let labels = [
            ("__name__", "http_requests_total"),
            ("job", "shop"),
            ("instance", "10.0.0.1:9100"),
            ("path", "/a b;c=d"),
            ("empty", ""),
        ];
        check_with(template, Escape::Underscore, &["path"], &labels, expected);
    }

    #[test]
    fn names() {
        check("{__name__};{*}", "http_requests_total;instance=10.0.0.1:9100;job=shop");
        check("prom.{job}.{__name__}.{*}", "prom.shop.http_requests_total.instance.10_0_0_1:9100");
        check("{job}-{__name__}", "shop-http_requests_total");
        check("a.{none}.{empty}.{job}", "a.shop");
        check("{none}", "");
        check("{*}", "__name__.http_requests_total.instance.10_0_0_1:9100.job.shop");
        check("{__name__};{job}", "http_requests_total;job=shop");
        check(
            "{__name__};zone=eu-{job};{*};at={path}",
            "http_requests_total;at=/a_b_c=d;instance=10.0.0.1:9100;zone=eu-shop",
        );
        check("{__name__};{none};{job}", "http_requests_total;job=shop");
    }

    #[test]
    fn nothing_becomes_another_element_or_line() {
        let labels = [("a", "x.y"), ("b", "../é"), ("c", "1\n2 3%"), ("d", "~"), ("name", "n")];
        check_with("m.{*}", Escape::Underscore, &[], &labels, "m.a.x_y.b.___é.c.1_2_3%.d._.name.n");
        check_with(
            "m.{*}",
            Escape::Percent,
            &["name"],
            &labels,
            "m.a.x%2Ey.b.%2E%2E%2Fé.c.1%0A2%203%25.d.%7E",
        );
        let blanks = [("a", "x\u{85}y\u{2028}z")];
        check_with("m.{a}", Escape::Underscore, &[], &blanks, "m.x_y_z");
        check_with("m;{a}", Escape::Percent, &[], &blanks, "m;a=x%C2%85y%E2%80%A8z");
        check_with("m;{*}", Escape::Underscore, &[], &labels, "m;a=x.y;b=../é;c=1_2_3%;d=_;label_name=n");
    }

    #[test]
    fn templates_that_are_none() {
        for text in [
            "",
            "a..b",
            "{",
            "{a",
            "a}b",
            "{}",
            "a{*}",
            "{*}.{*}",
            "{*};{*}",
            "a;",
            "a;b",
            "a;=c",
            "a;b=",
            "a b",
            "a;name={x}",
            "a/b",
        ] {
            assert!(Template::new(text, Escape::Percent, &[]).is_err(), "{text}");
        }
        for text in ["shop", "shop.eu-1"] {
            assert!(is_prefix(text), "{text}");
        }
        for text in ["", "a.", ".a", "a b", "a;b", "a..b", "a\u{a0}b"] {
            assert!(!is_prefix(text), "{text}");
        }
    }

    proptest! {
        /// What percent makes of two different values is different, and a name stays one name.
        #[test]
        fn percent_keeps_apart(a in ".{0,12}", b in ".{0,12}", template in prop::sample::select(vec!["m.{*}", "m;{*}", "m.{x}"])) {
            let template = Template::new(template, Escape::Percent, &[]).unwrap();
            let of = |value: &str| {
                let mut out = Vec::new();
                assert!(template.write(&[(b"x", value.as_bytes())], &mut out));
                assert!(skyline_core::name::for_line(&out).is_ok());
                assert!(out.iter().filter(|b| **b == b'.').count() <= 2 || out.contains(&b';'));
                out
            };
            prop_assert_eq!(of(&a) == of(&b), a == b);
        }
    }
}
