//! Parameters of a question: from its query, and from a form in its body, `application/x-www-form-urlencoded` or
//! `multipart/form-data`. Those of the body come behind those of the query, so that they win where one counts.

/// Parameters at most.
const MOST: usize = 2_000;

/// Names and values in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads them. A body of another kind has none.
    #[must_use]
    pub fn read(query: &str, content_type: Option<&str>, body: &[u8]) -> Self {
        let mut pairs = Vec::new();
        encoded(query.as_bytes(), &mut pairs);
        let content_type = content_type.unwrap_or_default();
        let (kind, rest) = content_type.split_once(';').unwrap_or((content_type, ""));
        match kind.trim().to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => encoded(body, &mut pairs),
            "multipart/form-data" => {
                if let Some(boundary) = attribute(rest, "boundary") {
                    parts(body, &boundary, &mut pairs);
                }
            }
            _ => {}
        }
        Self(pairs)
    }

    /// The last value of a name.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// All values of a name in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

fn encoded(text: &[u8], pairs: &mut Vec<(String, String)>) {
    for pair in text.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
        if pairs.len() >= MOST {
            return;
        }
        let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(at);
        pairs.push((decoded(name), decoded(value.get(1..).unwrap_or_default())));
    }
}

/// A text without `+` and `%xx`. What is not UTF-8 becomes a mark of replacement.
fn decoded(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        match first {
            b'+' => out.push(b' '),
            b'%' => match behind
                .split_first_chunk()
                .and_then(|([high, low], behind)| Some((digit(*high)? << 4 | digit(*low)?, behind)))
            {
                Some((byte, behind)) => {
                    out.push(byte);
                    rest = behind;
                }
                None => out.push(b'%'),
            },
            byte => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

const fn digit(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

/// `name=value` or `name="value"` among those behind a semicolon.
fn attribute(text: &str, name: &str) -> Option<String> {
    text.split(';').find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches('"').to_owned())
    })
}

/// The fields of a form in parts.
fn parts(body: &[u8], boundary: &str, pairs: &mut Vec<(String, String)>) {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    if boundary.is_empty() || boundary.len() > 200 {
        return;
    }
    let mut rest = body;
    while let Some(at) = find(rest, &delimiter) {
        rest = rest.get(at + delimiter.len()..).unwrap_or_default();
        let end = find(rest, &delimiter).unwrap_or(rest.len());
        let part = rest.get(..end).unwrap_or_default();
        let Some(blank) = find(part, b"\r\n\r\n") else { continue };
        let (head, value) = part.split_at(blank);
        let value = value.get(4..).unwrap_or_default();
        let value = value.strip_suffix(b"\r\n").unwrap_or(value);
        let head = String::from_utf8_lossy(head);
        let named = head.lines().find_map(|line| {
            let (header, rest) = line.split_once(':')?;
            header.trim().eq_ignore_ascii_case("content-disposition").then(|| attribute(rest, "name"))?
        });
        if let Some(name) = named.filter(|_| pairs.len() < MOST) {
            pairs.push((name, String::from_utf8_lossy(value).into_owned()));
        }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn queries_and_forms() {
        let form = "application/x-www-form-urlencoded; charset=UTF-8";
        let params = Params::read("target=a&from=-1h&x", Some(form), b"target=b+c%20%C3%A9%2&from=-2h&=&&");
        assert_eq!(params.all("target").collect::<Vec<_>>(), ["a", "b c é%2"]);
        assert_eq!((params.one("from"), params.one("x"), params.one("y")), (Some("-2h"), Some(""), None));
        assert_eq!(Params::read("a=1", Some("application/json"), b"b=2").one("b"), None);
    }

    #[test]
    fn forms_in_parts() {
        let body = "--xYz\r\nContent-Disposition: form-data; name=\"target\"\r\n\r\na.b\r\n--xYz\r\n\
                    content-disposition: form-data; name=\"target\"\r\nContent-Type: text/plain\r\n\r\nc\r\nd\r\n--xYz--\r\n";
        let params = Params::read("", Some("multipart/form-data; boundary=xYz"), body.as_bytes());
        assert_eq!(params.all("target").collect::<Vec<_>>(), ["a.b", "c\r\nd"]);
    }

    proptest! {
        #[test]
        fn nothing_panics(query in "\\PC{0,40}", body in proptest::collection::vec(any::<u8>(), 0..80)) {
            for kind in ["multipart/form-data; boundary=-", "application/x-www-form-urlencoded"] {
                prop_assert!(Params::read(&query, Some(kind), &body).all("").count() <= 80);
            }
        }
    }
}
