//! What a match becomes: literal text, and groups of the pattern.

/// A text that has become longer than this is not carried on, bytes: no name of a line is as long, and rules that each
/// double a name would fill the memory.
pub const LONGEST: usize = 64 << 10;

/// Text with groups of a match put in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// As it is.
    Text(String),
    /// What a group matched; nothing if it took no part in the match, or does not exist.
    Group {
        /// 0 is the whole match.
        index: usize,
        /// Letters of it.
        case: Case,
        /// Whether its dots become `_`.
        dots_to_underscores: bool,
    },
}

impl Part {
    /// What a group matched, as it is.
    #[must_use]
    pub const fn group(index: usize) -> Self {
        Self::Group { index, case: Case::Keep, dots_to_underscores: false }
    }
}

/// What happens to the letters of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Case {
    /// Nothing.
    #[default]
    Keep,
    /// Small ones.
    Lower,
    /// Capitals.
    Upper,
}

impl Template {
    /// Literal text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::of(vec![Part::Text(text.into())])
    }

    /// A template of `parts`.
    #[must_use]
    pub fn of(parts: Vec<Part>) -> Self {
        let mut joined: Vec<Part> = Vec::with_capacity(parts.len());
        for part in parts {
            match (joined.last_mut(), part) {
                (_, Part::Text(text)) if text.is_empty() => {}
                (Some(Part::Text(before)), Part::Text(text)) => before.push_str(&text),
                (_, part) => joined.push(part),
            }
        }
        Self { parts: joined }
    }

    /// The pieces; no empty text, no two texts side by side.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The largest index of a group in it.
    #[must_use]
    pub fn highest_group(&self) -> Option<usize> {
        let index = |part: &Part| if let Part::Group { index, .. } = part { Some(*index) } else { None };
        self.parts.iter().filter_map(index).max()
    }

    /// Writes the template to `out`, up to the part that takes it beyond [`LONGEST`]; `group` gives the text of a
    /// group, if it took part in the match.
    pub fn expand<'g>(&self, group: impl Fn(usize) -> Option<&'g str>, out: &mut String) {
        for part in &self.parts {
            if out.len() > LONGEST {
                return;
            }
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Group { index, case, dots_to_underscores } => {
                    let text = group(*index).unwrap_or_default();
                    out.extend(text.chars().map(|c| match (c, case) {
                        ('.', _) if *dots_to_underscores => '_',
                        (c, Case::Keep) => c,
                        (c, Case::Lower) => c.to_ascii_lowercase(),
                        (c, Case::Upper) => c.to_ascii_uppercase(),
                    }));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_put_in() {
        let group = |index, case, dots_to_underscores| Part::Group { index, case, dots_to_underscores };
        let text = |text: &str| Part::Text(text.to_owned());
        let check = |parts: Vec<Part>, expected: &str| {
            let mut out = String::from(">");
            let groups = ["Ab.c", "B"];
            Template::of(parts).expand(|i| groups.get(i).copied(), &mut out);
            assert_eq!(out, format!(">{expected}"));
        };
        check(vec![text("x."), group(0, Case::Keep, false), text(".y")], "x.Ab.c.y");
        check(vec![group(0, Case::Lower, true), group(1, Case::Lower, false)], "ab_cb");
        check(vec![group(0, Case::Upper, false), group(7, Case::Keep, false)], "AB.C");
        check(vec![], "");
    }

    #[test]
    fn no_text_grows_without_end() {
        let twice = Part::Group { index: 0, case: Case::Keep, dots_to_underscores: false };
        let template = Template::of(vec![twice.clone(), twice]);
        let mut text = "ab".to_owned();
        for _ in 0..100 {
            let mut out = String::new();
            template.expand(|_| Some(&text), &mut out);
            text = out;
        }
        assert!((LONGEST..=4 * LONGEST).contains(&text.len()), "{}", text.len());
    }

    #[test]
    fn texts_are_joined() {
        let text = |text: &str| Part::Text(text.to_owned());
        assert_eq!(Template::of(vec![text("a"), text(""), text("b")]), Template::text("ab"));
        assert_eq!(Template::of(vec![text("")]).parts(), []);
        assert_eq!(Template::text("x").highest_group(), None);
    }
}
