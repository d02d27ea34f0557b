//! The language of targets: `alias(nonNegativeDerivative(servers.*.requests), "requests")`.
//!
//! A target is a path, a call, or either with calls behind `|`, each of which takes what is before it as its first
//! argument. Arguments are targets, numbers, texts, `true`, `false`, `none`, and `name=value` behind them. In a path `\` makes
//! the next character a plain one. Length, depth and number of arguments are bounded.

/// Longest target, bytes.
pub const MAX_TEXT: usize = 16 << 10;
/// Deepest nesting of calls.
const MAX_DEPTH: usize = 32;
/// Calls and arguments of a target together.
const MAX_NODES: usize = 1_024;

/// A target.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// A name or a pattern of names, as it was written, without the marks before special characters.
    Path {
        /// The path.
        path: String,
        /// Whether it may stand for several names.
        is_pattern: bool,
    },
    /// A function of others.
    Call {
        /// Its name.
        function: String,
        /// Its arguments in order.
        arguments: Vec<Argument>,
        /// Those that have names.
        named: Vec<(String, Argument)>,
    },
}

/// An argument of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// A path or call.
    Target(Target),
    /// A number.
    Number(f64),
    /// A text in quotes, without them.
    Text(String),
    /// `true` or `false`.
    Switch(bool),
    /// `none`.
    None,
}

/// A text that is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Longer than [`MAX_TEXT`].
    #[error("it is longer than {MAX_TEXT} bytes")]
    Long,
    /// Nested deeper than is read.
    #[error("calls are nested deeper than {MAX_DEPTH}")]
    Deep,
    /// More parts than are read.
    #[error("it has more than {MAX_NODES} parts")]
    Many,
    /// Something else was due here.
    #[error("{expected} is missing at character {at}")]
    Missing {
        /// What.
        expected: &'static str,
        /// Byte of the text, from 1.
        at: usize,
    },
}

/// Reads a target.
///
/// # Errors
/// It is none.
pub fn parse(text: &str) -> Result<Target, TargetError> {
    if text.len() > MAX_TEXT {
        return Err(TargetError::Long);
    }
    let mut reader = Reader { text, at: 0, nodes: 0 };
    let target = reader.target(0)?;
    reader.blanks();
    if reader.at < text.len() { Err(reader.missing("the end, a `|` or a `,`")) } else { Ok(target) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    nodes: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, c: char) -> bool {
        let is_it = self.peek() == Some(c);
        if is_it {
            self.at += c.len_utf8();
        }
        is_it
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|c| matches!(c, ' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    const fn missing(&self, expected: &'static str) -> TargetError {
        TargetError::Missing { expected, at: self.at + 1 }
    }

    /// A path or call with the calls behind it.
    fn target(&mut self, depth: usize) -> Result<Target, TargetError> {
        self.blanks();
        let mut target = self.plain(depth)?;
        loop {
            self.blanks();
            if !self.take('|') {
                return Ok(target);
            }
            self.blanks();
            let mut call = self.plain(depth)?;
            match &mut call {
                Target::Call { arguments, .. } => arguments.insert(0, Argument::Target(target)),
                Target::Path { .. } => return Err(self.missing("a function with its arguments in brackets")),
            }
            target = call;
        }
    }

    fn plain(&mut self, depth: usize) -> Result<Target, TargetError> {
        if depth > MAX_DEPTH {
            return Err(TargetError::Deep);
        }
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(TargetError::Many);
        }
        let start = self.at;
        let word = self.word();
        if !word.is_empty() {
            self.blanks();
            if self.take('(') {
                let (arguments, named) = self.arguments(depth + 1)?;
                return Ok(Target::Call { function: word, arguments, named });
            }
        }
        self.at = start;
        self.path()
    }

    /// Letters, digits and `_`, beginning with a letter.
    fn word(&mut self) -> String {
        let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
        let rest = self.rest();
        if !rest.chars().next().is_some_and(is_first) {
            return String::new();
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default().to_owned();
        self.at += end;
        word
    }

    fn arguments(&mut self, depth: usize) -> Result<(Vec<Argument>, Vec<(String, Argument)>), TargetError> {
        let (mut arguments, mut named) = (Vec::new(), Vec::new());
        self.blanks();
        if self.take(')') {
            return Ok((arguments, named));
        }
        loop {
            self.blanks();
            let start = self.at;
            let word = self.word();
            self.blanks();
            if !word.is_empty() && self.take('=') {
                named.push((word, self.argument(depth)?));
            } else {
                self.at = start;
                if !named.is_empty() {
                    return Err(self.missing("the name of the argument"));
                }
                arguments.push(self.argument(depth)?);
            }
            self.blanks();
            if self.take(')') {
                return Ok((arguments, named));
            }
            if !self.take(',') {
                return Err(self.missing("`,` or `)`"));
            }
        }
    }

    fn argument(&mut self, depth: usize) -> Result<Argument, TargetError> {
        self.blanks();
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(TargetError::Many);
        }
        if let Some(quote @ ('"' | '\'')) = self.peek() {
            return self.quoted(quote);
        }
        let rest = self.rest();
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, ',' | ')' | '(' | '|'))
            .unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        let follows = rest.get(end..).unwrap_or_default().trim_start().chars().next();
        let is_alone = matches!(follows, Some(',' | ')'));
        let simple = match word.to_ascii_lowercase().as_str() {
            "true" => Some(Argument::Switch(true)),
            "false" => Some(Argument::Switch(false)),
            "none" => Some(Argument::None),
            "inf" | "infinity" => Some(Argument::Number(f64::INFINITY)),
            _ if is_number(word) => word.parse().ok().map(Argument::Number),
            _ => None,
        };
        if let Some(simple) = simple.filter(|_| is_alone) {
            self.at += end;
            return Ok(simple);
        }
        self.target(depth).map(Argument::Target)
    }

    fn quoted(&mut self, quote: char) -> Result<Argument, TargetError> {
        self.next();
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                c if c == quote => return Ok(Argument::Text(text)),
                // Only a quote is freed; regular expressions keep what is theirs.
                '\\' if self.peek() == Some(quote) => text.extend(self.next()),
                c => text.push(c),
            }
        }
        Err(self.missing("the closing quote"))
    }

    fn path(&mut self) -> Result<Target, TargetError> {
        let (mut path, mut is_pattern) = (String::new(), false);
        let mut braces = 0_usize;
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    self.next();
                    let special = self.peek().ok_or_else(|| self.missing("a character behind `\\`"))?;
                    path.push(special);
                }
                '{' => {
                    braces += 1;
                    is_pattern = true;
                    path.push(c);
                }
                '}' if braces > 0 => {
                    braces -= 1;
                    path.push(c);
                }
                ',' if braces > 0 => path.push(c),
                '(' | ')' | ',' | '}' | '\'' | '"' | '|' => break,
                c if c.is_whitespace() || c.is_control() => break,
                '*' | '?' | '[' => {
                    is_pattern = true;
                    path.push(c);
                }
                c => path.push(c),
            }
            self.next();
        }
        if braces > 0 {
            return Err(self.missing("`}`"));
        }
        if path.is_empty() {
            Err(self.missing("a metric or a function"))
        } else {
            Ok(Target::Path { path, is_pattern })
        }
    }
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().any(|b| b.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A target as calls are usually written.
    fn shown(target: &Target) -> String {
        match target {
            Target::Path { path, is_pattern } => format!("{path}{}", if *is_pattern { "?" } else { "" }),
            Target::Call { function, arguments, named } => {
                let all = arguments.iter().map(|a| value(a));
                let named = named.iter().map(|(name, a)| format!("{name}={}", value(a)));
                format!("{function}({})", all.chain(named).collect::<Vec<_>>().join(" "))
            }
        }
    }

    fn value(argument: &Argument) -> String {
        match argument {
            Argument::Target(target) => shown(target),
            Argument::Number(n) => format!("#{n}"),
            Argument::Text(text) => format!("<{text}>"),
            Argument::Switch(on) => format!("!{on}"),
            Argument::None => "!none".into(),
        }
    }

    #[test]
    fn targets() {
        let check = |text: &str, expected: &str| assert_eq!(shown(&parse(text).unwrap()), expected, "{text}");
        check("a.b-c.d", "a.b-c.d");
        check(" a.*.{b,c{d,e}}.[0-9] ", "a.*.{b,c{d,e}}.[0-9]?");
        check("cactiStyle(nonNegativeDerivative(a.b))", "cactiStyle(nonNegativeDerivative(a.b))");
        check("aliasSub(a, \"(^.*$)\", \"\\\\1 A\")", "aliasSub(a <(^.*$)> <\\\\1 A>)");
        check(
            "f(a, 1, -2.5, 1e3, 'x\\'y', true, None, k=\"v\", n=2)",
            "f(a #1 #-2.5 #1000 <x'y> !true !none k=<v> n=#2)",
        );
        check("a.b|scale(2)|alias('x')", "alias(scale(a.b #2) <x>)");
        check("f()", "f()");
        check("constantLine(100)", "constantLine(#100)");
        check("f(123.count)", "f(123.count)");
        check("f(true.b)", "f(true.b)");
        check("a\\(b\\).c\\*", "a(b).c*");
        check("a;tag=value", "a;tag=value");
        check("é.x", "é.x");
        check("sum(a,b)", "sum(a b)");
    }

    #[test]
    fn what_is_none() {
        let deep = format!("{}a{}", "f(".repeat(40), ")".repeat(40));
        for text in [
            "",
            "f(",
            "f(a",
            "f(a,)",
            "a b",
            "f(a)b",
            "a|b",
            "{a",
            "a}",
            "f('x",
            "f(k=1, a)",
            "|f()",
            "\\",
            &deep,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse(&"a".repeat(MAX_TEXT + 1)), Err(TargetError::Long));
        assert_eq!(parse(&format!("f({})", "a,".repeat(2_000))), Err(TargetError::Many));
        assert_eq!(
            parse(&"(".repeat(10_000)).unwrap_err().to_string(),
            "a metric or a function is missing at character 1"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z(),|'\"{}\\\\*. =0-9é]{0,60}|\\PC{0,40}") {
            drop(parse(&text));
        }

        #[test]
        fn names_come_back(name in "[a-zA-Z0-9_-]{1,8}(\\.[a-zA-Z0-9_-]{1,8}){0,4}") {
            prop_assert_eq!(parse(&name), Ok(Target::Path { path: name, is_pattern: false }));
        }
    }
}
