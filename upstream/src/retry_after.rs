//! `Retry-After`: seconds, or a date.

use http::HeaderMap;
use http::header::RETRY_AFTER;
use std::time::Duration;

/// What an answer's `Retry-After` asks for, at `now` (seconds); none where there is none that can be read.
/// A date in the past is zero.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: f64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    #[expect(clippy::cast_precision_loss, reason = "dates are far below 2^53")]
    let seconds = date.timestamp().as_second() as f64 - now;
    Duration::try_from_secs_f64(seconds.max(0.0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn seconds_and_dates() {
        let check = |text: &'static str, expected: Option<f64>| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(retry_after(&headers, 784_111_717.0).map(|d| d.as_secs_f64()), expected, "{text}");
        };
        check("120", Some(120.0));
        check(" 0.5 ", Some(0.5));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(60.0));
        check("Sun, 06 Nov 1994 08:40:37 GMT", Some(0.0));
        check("-1", None);
        check("1e300", None);
        check("soon", None);
        assert_eq!(retry_after(&HeaderMap::new(), 0.0), None);
    }
}
