//! Addresses of graphs and data: one builder for links in messages and for what the node fetches itself.
//!
//! Times are seconds, so that no zone of any host matters. Every part is percent-encoded, so that no name, however
//! odd, ends a parameter or begins another.

use crate::signed::Signer;
use std::fmt::Write as _;

/// What a graph shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Graph<'a> {
    /// Name of the metric.
    pub metric: &'a str,
    /// Whether its increases are shown.
    pub counter: bool,
    /// From when, seconds.
    pub from: i64,
    /// Until when.
    pub until: i64,
    /// Title; empty: none.
    pub title: &'a str,
    /// Colour of the line; empty: the usual one.
    pub colour: &'a str,
    /// More parameters, each with `&` in front, encoded already (`render_proxy.graph_settings`).
    pub settings: &'a str,
}

impl Graph<'_> {
    /// Title as the reference writes it: `Skyline Analyzer - ALERT at 24 hours - 12`.
    #[must_use]
    pub fn usual_title(context: &str, hours: u32, value: f64, counter: bool) -> String {
        let counter = if counter { " - derivative graph" } else { "" };
        format!("Skyline {context} - ALERT at {hours} hours{counter} - {value}")
    }

    /// The query of a picture, without `?`. None: the name has characters that mean something else to Graphite and cannot
    /// be freed of it.
    #[must_use]
    pub fn picture(&self) -> Option<String> {
        let mut query = self.times();
        query.push_str("&target=");
        encode(&mut query, &format!("cactiStyle({})", self.target()?));
        query.push_str(self.settings);
        if !self.title.is_empty() {
            query.push_str("&title=");
            encode(&mut query, self.title);
        }
        if !self.colour.is_empty() {
            query.push_str("&colorList=");
            encode(&mut query, self.colour);
        }
        Some(query)
    }

    /// The query of the data. None: as [`Graph::picture`].
    #[must_use]
    pub fn data(&self) -> Option<String> {
        let mut query = self.times();
        query.push_str("&target=");
        encode(&mut query, &self.target()?);
        query.push_str("&format=json");
        Some(query)
    }

    fn times(&self) -> String {
        format!("from={}&until={}", self.from, self.until)
    }

    fn target(&self) -> Option<String> {
        let name = quoted(self.metric)?;
        Some(if self.counter { format!("nonNegativeDerivative({name})") } else { name })
    }
}

/// The address of a picture for a message: through the proxy at `public_url`, signed until `end`, seconds, so that whoever
/// has the message sees it without a login. None: as [`Graph::picture`].
#[must_use]
pub fn signed_picture(public_url: &str, graph: &Graph<'_>, signer: &Signer, end: i64) -> Option<String> {
    Some(address(public_url, "render", &signer.sign(&graph.picture()?, end)))
}

/// A name as targets write it: what is special there is freed by `\`. None: blanks and wildcards cannot be freed.
#[must_use]
pub fn quoted(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            c if c.is_whitespace() || c.is_control() => return None,
            '*' | '?' | '[' | ']' => return None,
            '(' | ')' | '{' | '}' | ',' | '\'' | '"' | '\\' | '|' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    (!out.is_empty()).then_some(out)
}

/// The address of a question: `base` without its final slash, the path of `render`, one slash between them, and the query.
#[must_use]
pub fn address(base: &str, render_path: &str, query: &str) -> String {
    format!("{}/{}?{query}", base.trim_end_matches('/'), render_path.trim_start_matches('/'))
}

/// A text with everything encoded that is no letter, digit, `-`, `_`, `.` or `~`.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    encode(&mut out, text);
    out
}

/// Appends a text with everything encoded that is no letter, digit, `-`, `_`, `.` or `~`.
pub fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else if write!(out, "%{byte:02X}").is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Params;
    use crate::target::{Target, parse};
    use proptest::prelude::*;

    fn graph(metric: &str, counter: bool) -> Graph<'_> {
        let (from, until) = (1_569_313_600, 1_569_400_000);
        Graph { metric, counter, from, until, title: "", colour: "", settings: "" }
    }

    #[test]
    fn queries() {
        let times = "from=1569313600&until=1569400000";
        assert_eq!(graph("a.b", false).picture().unwrap(), format!("{times}&target=cactiStyle%28a.b%29"));
        let counter = format!("{times}&target=cactiStyle%28nonNegativeDerivative%28a.b%29%29");
        assert_eq!(graph("a.b", true).picture().unwrap(), counter);
        assert_eq!(graph("a.b", false).data().unwrap(), format!("{times}&target=a.b&format=json"));
        let title = Graph::usual_title("Analyzer", 24, 12.5, true);
        let all = Graph { title: &title, colour: "orange", settings: "&width=588", ..graph("a", false) };
        let expected = format!(
            "{times}&target=cactiStyle%28a%29&width=588&title=Skyline%20Analyzer%20-%20ALERT%20at%2024%20hours%20-%20derivative%20graph%20-%2012.5&colorList=orange"
        );
        assert_eq!(all.picture().unwrap(), expected);
    }

    #[test]
    fn addresses() {
        let check = |base: &str, path: &str, expected: &str| assert_eq!(address(base, path, "x=1"), expected);
        check("http://g:8080", "render", "http://g:8080/render?x=1");
        check(
            "https://g/",
            "/api/datasources/proxy/1/render",
            "https://g/api/datasources/proxy/1/render?x=1",
        );
        check("https://g/p/", "render", "https://g/p/render?x=1");
    }

    #[test]
    fn signed_pictures() {
        let signer = Signer::new(b"key");
        let link = signed_picture("https://sky/", &graph("a.b", false), &signer, 100).unwrap();
        let query = link.strip_prefix("https://sky/render?").unwrap();
        assert_eq!(signer.check(query, 99).unwrap(), graph("a.b", false).picture().unwrap());
        assert_eq!(signed_picture("https://sky", &graph("a b", false), &signer, 100), None);
    }

    #[test]
    fn odd_names() {
        assert_eq!(quoted("a(b).c,d").unwrap(), "a\\(b\\).c\\,d");
        for name in ["", "a b", "a\nb", "a.*", "a?", "a[1]"] {
            assert_eq!(graph(name, false).picture(), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_comes_back_whole_and_nothing_else(name in "\\PC{1,30}", title in "\\PC{0,20}") {
            let graph = Graph { title: &title, ..graph(&name, false) };
            if let Some(query) = graph.data() {
                let params = Params::read(&query, None, b"");
                prop_assert_eq!(params.one("format"), Some("json"));
                let target = parse(params.one("target").unwrap()).unwrap();
                prop_assert_eq!(target, Target::Path { path: name.clone(), is_pattern: false });
                let picture = graph.picture().unwrap();
                let params = Params::read(&picture, None, b"");
                prop_assert_eq!(params.one("title").unwrap_or_default(), &title);
            }
        }
    }
}
