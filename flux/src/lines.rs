//! Graphite's plaintext lines as a body: `name value timestamp`, one a line. A timestamp of -1 is the time of receipt,
//! as carbon has it.

use crate::points::{Points, example};
use skyline_core::line::{self, Line};
use skyline_core::reject::Reject;

/// Takes every line. The last needs no end: a body has one of its own.
pub fn decode(text: &[u8], points: &mut Points) {
    for raw in text.split(|b| *b == b'\n') {
        if points.is_too_much() {
            return;
        }
        if raw.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match line::parse(raw) {
            Ok(Line { name, value_text, value, ts, .. }) => {
                let ts = (!line::wants_stamp(ts)).then_some(ts);
                points.take(name, ts, value, Some(value_text));
            }
            Err(why) => {
                let (field, error) = match why {
                    Reject::Fields => ("line", "is not `name value timestamp`"),
                    Reject::Name => ("metric", "is no UTF-8"),
                    Reject::Value => ("value", "is not a number"),
                    Reject::NanValue => ("value", "is not a number (NaN)"),
                    _ => ("timestamp", "is not a number"),
                };
                points.refuse(field, error.into(), example(raw), why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::tests::{bounds, summary};

    #[test]
    fn lines() {
        let mut points = Points::new(bounds());
        let text = b"a.b 1.50 1700000000\r\n\nbad\nc x 1\nd 1 y\ne nan 1\nf\xff 1 2\n  g\t2  -1\nh 3 1\ni 4 1700000001";
        decode(text, &mut points);
        let faults = ["1 line", "2 value", "3 timestamp", "4 value", "5 metric", "7 timestamp"];
        let expected = "a.b 1.50 1700000000\ng 2 1700000000\ni 4 1700000001\n";
        assert_eq!(summary(points), (expected.to_owned(), faults.map(str::to_owned).to_vec()));
    }
}
