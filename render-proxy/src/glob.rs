//! Patterns of names as finders have them: `servers.web*.cpu.{user,system}`, `disk.sd[a-c]`, `a.**`.
//!
//! A wildcard never crosses a dot, but `**` alone between two dots is any depth, also none; at the end of a pattern it is
//! at least one part. Matching takes time linear in
//! the name for each part of the pattern, whatever the pattern is.

/// Longest pattern, bytes.
const MAX_TEXT: usize = 1_024;
/// Patterns that the braces of one part stand for, at most.
const MAX_CHOICES: usize = 256;

/// A pattern of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// `**`: any number of parts.
    Depth,
    /// One of these.
    Any(Vec<Vec<Token>>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Run,
    Class { ranges: Vec<(char, char)>, not: bool },
}

impl Glob {
    /// Reads a pattern; none if it is too long or stands for too much.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let parts = split(text).into_iter().map(|part| {
            if part == "**" {
                return Some(Part::Depth);
            }
            let mut choices = vec![String::new()];
            spread(part, &mut choices)?;
            Some(Part::Any(choices.iter().map(|choice| tokens(choice)).collect()))
        });
        let mut parts = parts.collect::<Option<Vec<_>>>()?;
        parts.dedup_by(|next, part| *next == Part::Depth && *part == Part::Depth);
        if parts.last() == Some(&Part::Depth) {
            parts.push(Part::Any(vec![vec![Token::Run]]));
        }
        Some(Self { parts })
    }

    /// Parts of the names that it stands for; none: that differs.
    #[must_use]
    pub fn depth(&self) -> Option<usize> {
        (!self.parts.contains(&Part::Depth)).then_some(self.parts.len())
    }

    /// Whether a name is one of those.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        // Positions in the pattern that can be reached: time is parts × parts at most.
        let mut reached = vec![false; self.parts.len() + 1];
        open(&self.parts, &mut reached, 0);
        for word in name.split('.') {
            let mut next = vec![false; self.parts.len() + 1];
            for (i, part) in self.parts.iter().enumerate() {
                if !reached.get(i).copied().unwrap_or(false) {
                    continue;
                }
                match part {
                    Part::Depth => open(&self.parts, &mut next, i),
                    Part::Any(choices) if choices.iter().any(|choice| is_match(choice, word)) => {
                        open(&self.parts, &mut next, i + 1);
                    }
                    Part::Any(_) => {}
                }
            }
            reached = next;
        }
        reached.last().copied().unwrap_or(false)
    }
}

/// Marks a position, and those behind parts that may be nothing.
fn open(parts: &[Part], reached: &mut [bool], from: usize) {
    for i in from..=parts.len() {
        if let Some(place) = reached.get_mut(i) {
            *place = true;
        }
        if !matches!(parts.get(i), Some(Part::Depth)) {
            return;
        }
    }
}

/// Parts between the dots that stand outside of braces and brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut braces, mut class) = (Vec::new(), 0, 0_usize, false);
    for (i, c) in text.char_indices() {
        match c {
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            '[' => class = true,
            ']' => class = false,
            '.' if braces == 0 && !class => {
                parts.extend(text.get(start..i));
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

/// All that the braces of a part stand for, appended to each of `so_far`.
fn spread(part: &str, so_far: &mut Vec<String>) -> Option<()> {
    let Some(open) = part.find('{') else {
        so_far.iter_mut().for_each(|text| text.push_str(part));
        return Some(());
    };
    let (before, rest) = part.split_at(open);
    let (mut depth, mut start, mut choices, mut end) = (0_usize, 1, Vec::new(), None);
    for (i, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    choices.extend(rest.get(start..i));
                    end = Some(i + 1);
                    break;
                }
            }
            ',' if depth == 1 => {
                choices.extend(rest.get(start..i));
                start = i + 1;
            }
            _ => {}
        }
    }
    let behind = rest.get(end?..)?;
    so_far.iter_mut().for_each(|text| text.push_str(before));
    let base = std::mem::take(so_far);
    for choice in choices {
        let mut these = base.clone();
        spread(choice, &mut these)?;
        so_far.append(&mut these);
        if so_far.len() > MAX_CHOICES {
            return None;
        }
    }
    spread(behind, so_far)?;
    (so_far.len() <= MAX_CHOICES).then_some(())
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let token = match c {
            '*' if tokens.last() == Some(&Token::Run) => continue,
            '*' => Token::Run,
            '?' => Token::One,
            '[' => match class(rest.as_str()) {
                Some((class, behind)) => {
                    rest = behind.chars();
                    class
                }
                None => Token::Char('['),
            },
            c => Token::Char(c),
        };
        tokens.push(token);
    }
    tokens
}

/// A class behind its `[`, and what follows it.
fn class(text: &str) -> Option<(Token, &str)> {
    let (not, inner) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
    // A `]` at once is one of the characters.
    let first = inner.chars().next()?.len_utf8();
    let end = inner.get(first..)?.find(']')? + first;
    let characters: Vec<char> = inner.get(..end)?.chars().collect();
    let mut ranges = Vec::new();
    let mut i = 0;
    while let Some(&low) = characters.get(i) {
        match (characters.get(i + 1), characters.get(i + 2)) {
            (Some('-'), Some(&high)) => {
                ranges.push((low, high));
                i += 3;
            }
            _ => {
                ranges.push((low, low));
                i += 1;
            }
        }
    }
    Some((Token::Class { ranges, not }, inner.get(end + 1..)?))
}

fn is_match(tokens: &[Token], word: &str) -> bool {
    let word: Vec<char> = word.chars().collect();
    let (mut t, mut w) = (0, 0);
    // Where the last run began, to take one more.
    let mut back: Option<(usize, usize)> = None;
    while let Some(&c) = word.get(w) {
        match tokens.get(t) {
            Some(Token::Run) => {
                back = Some((t + 1, w));
                t += 1;
            }
            Some(token) if token.takes(c) => {
                t += 1;
                w += 1;
            }
            _ => match &mut back {
                Some((after, from)) => {
                    *from += 1;
                    (t, w) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    tokens.get(t..).is_some_and(|rest| rest.iter().all(|token| *token == Token::Run))
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::One => true,
            Self::Run => false,
            Self::Class { ranges, not } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *not
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_matched() {
        let check = |pattern: &str, name: &str, expected: bool| {
            assert_eq!(Glob::new(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        };
        for (pattern, name) in [
            ("a.b", "a.b"),
            ("a.*", "a.b"),
            ("*.b?", "a.bc"),
            ("a.*c*e", "a.bcde"),
            ("a.{b,cd}.e", "a.cd.e"),
            ("a.x{1,2{3,4}}y", "a.x24y"),
            ("a.{b}", "a.b"),
            ("a.[a-c]", "a.b"),
            ("a.[!a-c]", "a.d"),
            ("a.[]x]", "a.]"),
            ("**", "a.b.c"),
            ("a.**", "a.b.c"),
            ("a.**.c", "a.c"),
            ("a.**.c", "a.b.b.c"),
            ("a.{b.c,d}", "a.d"),
            ("s.é*", "s.éx"),
            ("a.[", "a.["),
        ] {
            check(pattern, name, true);
        }
        for (pattern, name) in [
            ("a", "a.b"),
            ("a.*", "a.b.c"),
            ("a.*", "b.b"),
            ("A.b", "a.b"),
            ("a.?", "a."),
            ("a.[a-c]", "a.d"),
            ("a.**.c", "a.b"),
            ("a.**", "a"),
            ("a.**.**", "a"),
            ("a.{b,c}", "a.d"),
        ] {
            check(pattern, name, false);
        }
    }

    #[test]
    fn parts_of_names() {
        let depth = |pattern: &str| Glob::new(pattern).unwrap().depth();
        assert_eq!((depth("a.{b.c,d}.[.]"), depth("a.**"), depth("**.b")), (Some(3), None, None));
    }

    #[test]
    fn patterns_that_stand_for_too_much() {
        assert!(Glob::new(&"{a,b}".repeat(9)).is_none());
        assert!(Glob::new(&"{a,b}".repeat(8)).is_some());
        assert!(Glob::new(&"a".repeat(1_025)).is_none());
        assert!(Glob::new("{a").is_none());
        // It takes no long time.
        let many = Glob::new(&"*a".repeat(500)).unwrap();
        assert!(!many.matches(&"a".repeat(499)));
        assert!(!Glob::new(&"**.a.".repeat(200)).unwrap().matches(&"b.".repeat(399)));
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in "[a.*?{},\\[\\]!é-]{0,30}|\\PC{0,20}", name in "[a.é]{0,20}") {
            if let Some(glob) = Glob::new(&pattern) {
                let is_open = pattern.contains(&['*', '?', '[', '{', '\u{1}'][..]);
                let odd = format!("{name}\u{1}");
                prop_assert!(is_open || !glob.matches(&odd));
            }
        }

        #[test]
        fn plain_names_match_themselves_alone(name in "[a-z.]{1,10}", other in "[a-z.]{1,10}") {
            prop_assert_eq!(Glob::new(&name).unwrap().matches(&other), name == other);
        }
    }
}
