//! Spans of time as people write them: `90days`, `24hours`, `15d`.

/// Longest span, seconds: ten years.
const MOST: i64 = 10 * 366 * 86_400;

/// A span in seconds; none if the text is none, or beyond ten years.
#[must_use]
pub fn seconds(text: &str) -> Option<i64> {
    let text = text.trim().trim_start_matches('-');
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(at);
    let unit = match unit.trim() {
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 604_800,
        _ => return None,
    };
    let span = digits.parse::<i64>().ok()?.checked_mul(unit)?;
    (1..=MOST).contains(&span).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let check = |text: &str, expected: Option<i64>| assert_eq!(seconds(text), expected, "{text}");
        check("90days", Some(7_776_000));
        check("24hours", Some(86_400));
        check("15d", Some(1_296_000));
        check("30m", Some(1_800));
        check("2 weeks", Some(1_209_600));
        check("-10minutes", Some(600));
        for none in ["", "d", "0d", "7", "7x", "99999999999999999999d", "400000d", "1.5d"] {
            check(none, None);
        }
    }
}
