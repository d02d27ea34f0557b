//! Parameters of a request: known, given once, and in a form that is understood.

use crate::answer;
use axum::extract::Query;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::fmt::Write as _;

/// A parameter that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bad {
    parameter: String,
    problem: String,
    allowed: &'static [&'static str],
}

impl Bad {
    /// A complaint about a parameter.
    pub(crate) fn new(parameter: &str, problem: impl Into<String>, allowed: &'static [&'static str]) -> Self {
        Self { parameter: parameter.to_owned(), problem: problem.into(), allowed }
    }
}

impl IntoResponse for Bad {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.problem, "parameter": self.parameter, "allowed": self.allowed });
        answer::document(StatusCode::BAD_REQUEST, &body)
    }
}

/// The parameters of a request, all of them in the list of allowed ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameters {
    pairs: Vec<(String, String)>,
    allowed: &'static [&'static str],
}

impl Parameters {
    /// Reads the query of `uri`.
    pub(crate) fn read(uri: &Uri, allowed: &'static [&'static str]) -> Result<Self, Bad> {
        let bad =
            |parameter: &str, problem: String| Bad { parameter: parameter.to_owned(), problem, allowed };
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| bad("", "the query cannot be read: use name=value&name=value".to_owned()))?;
        for (i, (name, _)) in pairs.iter().enumerate() {
            if !allowed.contains(&name.as_str()) {
                return Err(bad(name, format!("there is no parameter `{name}` here")));
            }
            if pairs.iter().take(i).any(|(before, _)| before == name) {
                return Err(bad(name, format!("`{name}` is given twice")));
            }
        }
        Ok(Self { pairs, allowed })
    }

    /// The value of a parameter; an empty one or `all` means none, as in the reference.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.pairs.iter().find(|(known, _)| known == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty() && *value != "all")
    }

    /// What `read` makes of the value of a parameter; it gives none for a value that it does not
    /// understand, of which `expected` says what it should be.
    pub(crate) fn parse<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Bad> {
        let Some(text) = self.get(name) else { return Ok(None) };
        read(text).map(Some).ok_or_else(|| self.bad(name, format!("`{name}` is not {expected}")))
    }

    /// A time: seconds since the epoch.
    pub(crate) fn time(&self, name: &str) -> Result<Option<f64>, Bad> {
        self.parse(name, "a time: give unix seconds or YYYYmmdd HH:MM (UTC)", time)
    }

    /// A complaint about a parameter.
    pub(crate) fn bad(&self, name: &str, problem: impl Into<String>) -> Bad {
        Bad { parameter: name.to_owned(), problem: problem.into(), allowed: self.allowed }
    }

    /// The same query with another value of one parameter.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        let others = self.pairs.iter().filter(|(known, _)| known != name);
        let mut query = String::new();
        for (known, text) in others.map(|(k, v)| (k.as_str(), v.as_str())).chain([(name, value)]) {
            if !query.is_empty() {
                query.push('&');
            }
            encode(known, &mut query);
            query.push('=');
            encode(text, &mut query);
        }
        query
    }
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _written = write!(out, "%{byte:02X}");
        }
    }
}

fn time(text: &str) -> Option<f64> {
    let digit = |i: usize| text.as_bytes().get(i).is_some_and(u8::is_ascii_digit);
    let is_date = text.len() == 14
        && text.get(8..9) == Some(" ")
        && text.get(11..12) == Some(":")
        && (0..14).all(|i| i == 8 || i == 11 || digit(i));
    if is_date {
        let date = jiff::civil::DateTime::strptime("%Y%m%d %H:%M", text).ok()?;
        return Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second() as f64);
    }
    text.parse().ok().filter(|seconds: &f64| seconds.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let check = |text, expected| assert_eq!(time(text), expected, "{text}");
        check("1569400000", Some(1_569_400_000.0));
        check("1569400000.5", Some(1_569_400_000.5));
        check("20190925 08:26", Some(1_569_399_960.0));
        check("19700101 00:00", Some(0.0));
        for bad in [
            "",
            "now",
            "NaN",
            "inf",
            "20190925",
            "2019-09-25 08:26",
            "20191325 08:26",
            "20190925 24:61",
            "+0190925 08:26",
        ] {
            // Eight digits alone are a number of seconds.
            check(bad, if bad == "20190925" { Some(20_190_925.0) } else { None });
        }
    }

    fn read(query: &str) -> Result<Parameters, Bad> {
        let uri = format!("/x?{query}").parse().expect("a uri");
        Parameters::read(&uri, &["a", "b"])
    }

    #[test]
    fn values() {
        let check = |query, expected: Option<&str>| {
            assert_eq!(read(query).expect("good").get("a"), expected, "{query}")
        };
        check("", None);
        check("a=", None);
        check("a=all", None);
        check("a=1", Some("1"));
        check("a=x%20y+z", Some("x y z"));
        check("b=1&a=%C3%BC%26", Some("ü&"));
    }

    #[test]
    fn complaints_name_the_parameter() {
        let check = |query, parameter: &str| {
            assert_eq!(read(query).expect_err("bad").parameter, parameter, "{query}")
        };
        check("c=1", "c");
        check("a=1&a=2", "a");
        check("A=1", "A");
        check("a=1&%3Cscript%3E=1", "<script>");
    }

    #[test]
    fn links_are_encoded() {
        let check = |query, expected: &str| assert_eq!(read(query).expect("good").with("b", "1-2"), expected);
        check("", "b=1-2");
        check("a=x+y", "a=x%20y&b=1-2");
        check("b=0&a=%26%25", "a=%26%25&b=1-2");
    }
}
