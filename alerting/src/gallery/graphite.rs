//! Graphite's own chart of a metric, asked of the configured servers in their order.

use skyline_upstream::{Ask, Client};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// How every PNG begins.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The largest picture that is put into a message, bytes.
const MAX_BYTES: usize = 1 << 20;
/// Colour of the line, as in the reference's alerts.
const COLOUR: &str = "orange";

/// The Graphite servers that draw.
#[derive(Debug)]
pub struct Graphite {
    servers: Vec<(Client, String)>,
    settings: String,
}

impl Graphite {
    /// `servers` with the path of their `render` behind the address; `settings` is added to each question, such as
    /// `&bgcolor=000000`.
    #[must_use]
    pub fn new(servers: Vec<(Client, String)>, settings: impl Into<String>) -> Self {
        Self { servers, settings: settings.into() }
    }

    /// PNG of a target within `patience`; none: no server answered with a picture.
    pub async fn picture(
        &self,
        target: &str,
        from: f64,
        until: f64,
        title: &str,
        (width, height): (u32, u32),
        patience: Duration,
    ) -> Option<Vec<u8>> {
        let end = Instant::now() + patience;
        let mut question = format!("?from={}&until={}&target=", from.floor() as i64, until.ceil() as i64);
        encode(target, &mut question);
        let settings = self.settings.trim_start_matches(['&', '?']);
        if !settings.is_empty() {
            question.push('&');
            question.push_str(settings);
        }
        for (name, value) in [("width", width), ("height", height)] {
            if !settings.split('&').any(|pair| pair.split('=').next() == Some(name)) {
                // Writing to a string cannot fail.
                let _written = write!(question, "&{name}={value}");
            }
        }
        question.push_str("&title=");
        encode(title, &mut question);
        question.push_str("&colorList=");
        question.push_str(COLOUR);
        question.push_str("&format=png");
        for (server, path) in self.servers.iter().filter(|(server, _)| server.is_willing()) {
            let left = end.checked_duration_since(Instant::now())?;
            let mut ask = Ask::get(format!("/{}{question}", path.trim_matches('/')));
            ask.total = Some(left);
            ask.max_body = Some(MAX_BYTES);
            match server.ask(ask).await {
                Ok(answer) if answer.status.is_success() && answer.body.starts_with(PNG) => {
                    return Some(answer.body.to_vec());
                }
                Ok(answer) => tracing::debug!(status = %answer.status, "Graphite's answer is no picture"),
                Err(error) => tracing::debug!(%error, "no picture from Graphite"),
            }
        }
        None
    }
}

/// What Graphite is asked to draw of a metric; none: its name has characters that mean something else to Graphite.
#[must_use]
pub fn target(metric: &str, counter: bool) -> Option<String> {
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !"*?[]{}(),'\"\\;=".contains(c);
    if metric.is_empty() || !metric.chars().all(is_plain) {
        return None;
    }
    let inner = if counter { format!("nonNegativeDerivative({metric})") } else { metric.to_owned() };
    Some(format!("cactiStyle({inner})"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let check = |metric, counter, expected: Option<&str>| {
            assert_eq!(target(metric, counter).as_deref(), expected, "{metric}");
        };
        check("a.b", false, Some("cactiStyle(a.b)"));
        check("a.b", true, Some("cactiStyle(nonNegativeDerivative(a.b))"));
        for special in ["a.*", "a.b)", "", "a{b,c}", "a b", "a\nb", "disk;host=a"] {
            check(special, false, None);
        }
        let mut out = String::new();
        encode("cactiStyle(a.b)", &mut out);
        assert_eq!(out, "cactiStyle%28a.b%29");
    }
}
