//! InfluxDB's line protocol: `measurement,tag=value field=1.5,other=2i 1700000000000000000`.
//!
//! (docs.influxdata.com, "Line protocol reference".) `\` takes the meaning from a comma, a blank and, but in the
//! measurement, an equals sign. A field is a float, an integer (`i`, `u`), true or false (1 or 0 here), or a text in
//! `"`, which is counted and passed over: Graphite has numbers only. A line that cannot be read costs itself.

use crate::points::{Points, Skip, example};
use skyline_conf::naming::{Label, Template};
use skyline_core::line;
use skyline_core::reject::Reject;

/// Tags of a line at most, and fields.
const MOST: usize = 1_024;

/// Measurement and tags of a line at most, or the name of a field, bytes: four times what any name may have.
const LONGEST: usize = 64 << 10;

/// Unit of timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// `ns`, `n`: what holds if nothing is said.
    Nanoseconds,
    /// `us`, `u`, `µ`.
    Microseconds,
    /// `ms`.
    Milliseconds,
    /// `s`.
    Seconds,
    /// `m`.
    Minutes,
    /// `h`.
    Hours,
}

impl Precision {
    /// The one of a parameter `precision`.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        Some(match text {
            "" | "ns" | "n" => Self::Nanoseconds,
            "us" | "u" | "\u{b5}" | "\u{3bc}" => Self::Microseconds,
            "ms" => Self::Milliseconds,
            "s" => Self::Seconds,
            "m" => Self::Minutes,
            "h" => Self::Hours,
            _ => return None,
        })
    }

    /// Whole seconds: carbon's storage keeps no fraction.
    fn seconds(self, count: i64) -> f64 {
        let whole = match self {
            Self::Nanoseconds => count.div_euclid(1_000_000_000),
            Self::Microseconds => count.div_euclid(1_000_000),
            Self::Milliseconds => count.div_euclid(1_000),
            Self::Seconds => count,
            Self::Minutes => count.saturating_mul(60),
            Self::Hours => count.saturating_mul(3_600),
        };
        whole as f64
    }
}

/// Takes every field of every line.
pub fn decode(text: &[u8], precision: Precision, template: &Template, points: &mut Points) {
    let mut rest = text;
    let mut names = Names::default();
    let mut quotes = true;
    while !rest.is_empty() && !points.is_too_much() {
        let (raw, behind) = split_line(rest, &mut quotes);
        rest = behind;
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw).trim_ascii();
        if raw.is_empty() || raw.first() == Some(&b'#') {
            continue;
        }
        if let Err(error) = names.line(raw, precision, template, points) {
            points.refuse("line", error.into(), example(raw), Reject::Fields);
        }
    }
}

/// The first line and what stands behind it. A line ends outside of a quoted field, while `quotes` is set: after a
/// quote that never ends every `\n` is an end, or each of many such quotes would be looked for to the end of the body.
fn split_line<'a>(text: &'a [u8], quotes: &mut bool) -> (&'a [u8], &'a [u8]) {
    let (mut quoted, mut at) = (false, 0);
    // Whether a quote may begin: behind the first blank and an equals sign.
    let mut in_fields = false;
    let first = memchr::memchr(b'\n', text).unwrap_or(text.len());
    if !*quotes || memchr::memchr(b'"', text.get(..first).unwrap_or_default()).is_none() {
        return cut(text, first);
    }
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' if quoted => quoted = false,
            b'"' if in_fields && at.checked_sub(1).and_then(|before| text.get(before)) == Some(&b'=') => {
                quoted = true;
            }
            b' ' => in_fields = true,
            b'\n' if !quoted => return cut(text, at),
            _ => {}
        }
        at += 1;
    }
    // A quote that never ends costs its own line.
    *quotes = !quoted;
    cut(text, if quoted { first } else { text.len() })
}

fn cut(text: &[u8], at: usize) -> (&[u8], &[u8]) {
    (text.get(..at).unwrap_or(text), text.get(at + 1..).unwrap_or_default())
}

/// Buffers that lines share.
#[derive(Debug, Default)]
struct Names {
    name: Vec<u8>,
    /// Measurement and tags without their `\`.
    plain: Vec<u8>,
    /// The same of a field.
    field: Vec<u8>,
}

/// A value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Field {
    Number(f64),
    Text,
}

/// A key as it stands, and where a value's text is.
type Pair<'a> = (&'a [u8], &'a [u8]);

impl Names {
    fn line(
        &mut self,
        raw: &[u8],
        precision: Precision,
        template: &Template,
        points: &mut Points,
    ) -> Result<(), &'static str> {
        let (series, rest) = until(raw, b" ").ok_or("has no fields")?;
        let rest = rest.trim_ascii_start();
        let (fields, time) = split_fields(rest)?;
        let time = time.trim_ascii();
        let ts = if time.is_empty() {
            None
        } else {
            Some(whole(time).ok_or("has a timestamp that is no whole number")?)
        };
        let ts = ts.map(|count| precision.seconds(count));
        let fields = pairs(fields, MOST)?;
        let values: Vec<Field> = fields
            .iter()
            .map(|(_, value)| field(value))
            .collect::<Option<_>>()
            .ok_or("has a field whose value is no number, text in quotes, or true or false")?;
        if series.len() > LONGEST {
            return Err("has too long a measurement with its tags");
        }
        let (measurement, tags) = match until(series, b",") {
            Some((measurement, tags)) => (measurement, pairs(tags, MOST)?),
            None => (series, Vec::new()),
        };
        if measurement.is_empty() {
            return Err("has no measurement");
        }
        if std::str::from_utf8(raw).is_err() {
            return Err("is no UTF-8");
        }
        self.emit(template, measurement, &tags, &fields, &values, ts, points);
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a line")]
    fn emit(
        &mut self,
        template: &Template,
        measurement: &[u8],
        tags: &[Pair<'_>],
        fields: &[Pair<'_>],
        values: &[Field],
        ts: Option<f64>,
        points: &mut Points,
    ) {
        let Self { name, plain, field: own } = self;
        plain.clear();
        // Places in `plain`: it may move while it grows.
        let mut place = |text: &[u8]| {
            let start = plain.len();
            unescape(text, plain);
            start..plain.len()
        };
        let measurement = place(measurement);
        let tags: Vec<_> = tags.iter().map(|(key, value)| (place(key), place(value))).collect();
        let at = |range: &std::ops::Range<usize>| plain.get(range.clone()).unwrap_or_default();
        let mut sorted: Vec<Label<'_>> = tags.iter().map(|(k, v)| (at(k), at(v))).collect();
        sorted.retain(|(key, _)| !matches!(*key, b"measurement" | b"field"));
        sorted.push((b"measurement", at(&measurement)));
        sorted.sort_unstable();
        // Where the label `field` stands, whatever its value is.
        let (before, behind) = sorted.split_at(sorted.partition_point(|(key, _)| *key < b"field".as_slice()));
        let mut has_name = true;
        for ((key, _), value) in fields.iter().zip(values) {
            if points.is_too_much() {
                return;
            }
            let Field::Number(value) = value else {
                points.skip(Skip::Text);
                continue;
            };
            // What a name is made of is there for all fields of a line, or for none.
            if has_name {
                own.clear();
                unescape(key, own);
                let labels: Vec<Label<'_>> = before
                    .iter()
                    .copied()
                    .chain([(b"field".as_slice(), own.as_slice())])
                    .chain(behind.iter().copied())
                    .collect();
                name.clear();
                has_name = template.write(&labels, name);
            }
            if has_name {
                points.take(name, ts, *value, None);
            } else {
                let error = "has none of the tags that its name is made of";
                points.refuse("tags", error.into(), b"(no name)", Reject::Name);
            }
        }
    }
}

/// What stands before the first of `ends` that has no `\` in front, and what stands behind it.
fn until<'a>(text: &'a [u8], ends: &[u8]) -> Option<Pair<'a>> {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        if *byte == b'\\' {
            at += 2;
            continue;
        }
        if ends.contains(byte) {
            return Some(cut(text, at));
        }
        at += 1;
    }
    None
}

/// Fields, and the time behind them.
fn split_fields(text: &[u8]) -> Result<Pair<'_>, &'static str> {
    let (mut quoted, mut at) = (false, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' if quoted => quoted = false,
            b'"' if at.checked_sub(1).and_then(|before| text.get(before)) == Some(&b'=') => quoted = true,
            b' ' if !quoted => return Ok(cut(text, at)),
            _ => {}
        }
        at += 1;
    }
    if quoted { Err("has a text without an end") } else { Ok((text, b"")) }
}

/// `a=1,b="x,y"`, so many at `most`.
fn pairs(mut text: &[u8], most: usize) -> Result<Vec<Pair<'_>>, &'static str> {
    let mut all = Vec::new();
    loop {
        let (key, rest) = until(text, b"=").ok_or("has a tag or field without `=`")?;
        if key.is_empty() || memchr::memchr(b',', key).is_some_and(|_| until(key, b",").is_some()) {
            return Err("has a tag or field without `=` or a name");
        }
        let (value, behind) = if rest.first() == Some(&b'"') { quoted(rest)? } else { bare(rest) };
        if value.is_empty() {
            return Err("has a tag or field without a value");
        }
        if key.len() > LONGEST {
            return Err("has too long a name of a field");
        }
        if all.len() == most {
            return Err("has too many tags or fields");
        }
        all.push((key, value));
        match behind {
            Some(behind) => text = behind,
            None => return Ok(all),
        }
    }
}

type Value<'a> = (&'a [u8], Option<&'a [u8]>);

fn bare(text: &[u8]) -> Value<'_> {
    until(text, b",").map_or((text, None), |(value, rest)| (value, Some(rest)))
}

fn quoted(text: &[u8]) -> Result<Value<'_>, &'static str> {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => {
                let value = text.get(..=at).unwrap_or(text);
                return match text.get(at + 1) {
                    None => Ok((value, None)),
                    Some(b',') => Ok((value, text.get(at + 2..))),
                    Some(_) => Err("has something behind a text"),
                };
            }
            _ => {}
        }
        at += 1;
    }
    Err("has a text without an end")
}

fn field(text: &[u8]) -> Option<Field> {
    Some(match text {
        [b'"', ..] => Field::Text,
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => Field::Number(1.0),
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => Field::Number(0.0),
        [digits @ .., b'i'] => Field::Number(whole(digits)? as f64),
        [digits @ .., b'u'] => Field::Number(std::str::from_utf8(digits).ok()?.parse::<u64>().ok()? as f64),
        // The protocol has no NaN and no infinity.
        _ => Field::Number(line::float(text).filter(|n| n.is_finite())?),
    })
}

fn whole(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Appends `text` without the `\` that take a meaning away.
fn unescape(text: &[u8], out: &mut Vec<u8>) {
    if memchr::memchr(b'\\', text).is_none() {
        return out.extend_from_slice(text);
    }
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'\\', Some(next @ (b',' | b'=' | b' '))) => {
                out.push(*next);
                bytes.next();
            }
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::Bounds;
    use crate::points::tests::{bounds, summary};
    use proptest::prelude::*;
    use skyline_conf::model::flux::{Escape, Influx};
    use std::time::{Duration, Instant};

    #[track_caller]
    fn check(text: &str, lines: &str, faults: &[&str]) {
        let template = Template::of_influx(&Influx::default()).unwrap();
        let mut points = Points::new(bounds());
        decode(text.as_bytes(), Precision::Seconds, &template, &mut points);
        assert_eq!(
            summary(points),
            (lines.to_owned(), faults.iter().map(|&f| f.to_owned()).collect()),
            "{text}"
        );
    }

    #[test]
    fn lines() {
        check("cpu usage=0.5 1700000000", "cpu.usage 0.5 1700000000\n", &[]);
        check(
            "cpu,host=a,zone=eu\\ west usage=1i,idle=99.5,up=t,down=FALSE,n=7u 1700000000\n",
            "cpu.usage;host=a;zone=eu_west 1 1700000000\ncpu.idle;host=a;zone=eu_west 99.5 1700000000\n\
             cpu.up;host=a;zone=eu_west 1 1700000000\ncpu.down;host=a;zone=eu_west 0 1700000000\n\
             cpu.n;host=a;zone=eu_west 7 1700000000\n",
            &[],
        );
        check("m v=1", "m.v 1 1700000000\n", &[]);
        check("# a comment\n\n  \nm v=1\r\n", "m.v 1 1700000000\n", &[]);
        check(
            "m s=\"a b,c=d \\\" e\nf\",v=2 1700000000\nn v=3 1700000000",
            "m.v 2 1700000000\nn.v 3 1700000000\n",
            &[],
        );
        check("a\\,b\\ c,t\\=x=y\\,z v=1", "a_b_c.v;t_x=y,z 1 1700000000\n", &[]);
        check("m,field=x,measurement=y v=1", "m.v 1 1700000000\n", &[]);
    }

    #[test]
    fn a_bad_line_costs_itself() {
        check(
            "m v=1\nm\nm v\nm v=\nm v=x\nm v=nan\nm v=1 x\nm v=1 1.5\n,a=b v=1\nm,a v=1\nm v=\"a\"b\nm v=1i2\nm v=\"x\nn v=2",
            "m.v 1 1700000000\nn.v 2 1700000000\n",
            &[
                "1 line", "2 line", "3 line", "4 line", "5 line", "6 line", "7 line", "8 line", "9 line",
                "10 line", "11 line", "12 line",
            ],
        );
        check("m v=1 1", "", &["0 timestamp"]);
        let name = "x".repeat(LONGEST);
        check(&format!("m,{name}=1 v=1\nm {name}y=1\nn v=2"), "n.v 2 1700000000\n", &["0 line", "1 line"]);
    }

    #[test]
    fn quotes_without_an_end_are_looked_for_once() {
        let template = Template::of_influx(&Influx::default()).unwrap();
        let text = "x y=\"\"=\"\n".repeat((1 << 20) / 9) + "m v=1\n";
        let mut points = Points::new(Bounds { most_bytes: 1 << 30, ..bounds() });
        let start = Instant::now();
        decode(text.as_bytes(), Precision::Seconds, &template, &mut points);
        let taken = points.finish();
        assert_eq!((taken.accepted, taken.refused()), (1, (1 << 20) / 9));
        // A look from each line to the end of the body takes some minutes.
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }

    #[test]
    fn tags_and_fields_are_bounded() {
        let line = |tags: usize, fields: usize| {
            let tags: String = (0..tags).map(|n| format!(",t{n}=x")).collect();
            let fields: Vec<_> = (0..fields).map(|n| format!("f{n}=1")).collect();
            format!("m{tags} {}\n", fields.join(","))
        };
        let count = |text: &str, template: &str, most_bytes| {
            let template = Template::new(template, Escape::Underscore, &[]).unwrap();
            let mut points = Points::new(Bounds { most_bytes, ..bounds() });
            decode(text.as_bytes(), Precision::Seconds, &template, &mut points);
            let is_too_much = points.is_too_much();
            let taken = points.finish();
            (taken.accepted, taken.refused(), is_too_much)
        };
        assert_eq!(count(&line(MOST, MOST), "{field}", 1 << 20), (MOST, 0, false));
        assert_eq!(
            count(&(line(MOST + 1, 1) + &line(1, MOST + 1) + "m v=1"), "{field}", 1 << 20),
            (1, 2, false)
        );
        assert_eq!(count(&line(2, 3), "{missing}", 1 << 20), (0, 3, false));
        // Points that are refused count as much as others: a body of them ends as early.
        for (template, text) in
            [("{missing}", line(1, MOST)), ("{field}", line(1, MOST).replace('\n', " 1\n"))]
        {
            let (accepted, refused, is_too_much) = count(&text.repeat(10), template, 100_000);
            assert!(accepted == 0 && refused < 3 * MOST && is_too_much, "{template}: {refused}");
        }
    }

    #[test]
    fn precisions() {
        let check = |text: &str, expected: Option<f64>| {
            let seconds = Precision::of(text).map(|p| p.seconds(7_200_000_000_000));
            assert_eq!(seconds, expected, "{text}");
        };
        check("", Some(7_200.0));
        check("ns", Some(7_200.0));
        check("us", Some(7_200_000.0));
        check("ms", Some(7_200_000_000.0));
        check("s", Some(7_200_000_000_000.0));
        check("m", Some(432_000_000_000_000.0));
        check("rfc3339", None);
    }

    /// A key or value in any characters, escaped as clients do.
    fn escaped(text: &str) -> String {
        text.replace(',', "\\,").replace('=', "\\=").replace(' ', "\\ ")
    }

    proptest! {
        #[test]
        fn any_text(text in prop::collection::vec(prop::sample::select(vec!["a", "=", ",", " ", "\\", "\"", "\n", "1", "i", "#", "é"]), 0..40)) {
            crate::fuzz::influx(text.concat().as_bytes());
        }

        #[test]
        fn what_is_escaped_comes_back(tag in "[a-z ,=é.]{1,8}", value in "[a-z ,=é.]{1,8}", field in "[a-z ,=]{1,8}") {
            prop_assume!(!tag.starts_with(' ') && tag != "field" && tag != "measurement");
            let template = Template::new("m.{*}", Escape::Percent, &["measurement".into()]).unwrap();
            let (mut points, mut wanted) = (Points::new(bounds()), Points::new(bounds()));
            let text = format!("m,{}={} {}=1", escaped(&tag), escaped(&value), escaped(&field));
            decode(text.as_bytes(), Precision::Seconds, &template, &mut points);
            let mut labels: Vec<Label<'_>> = vec![(b"field", field.as_bytes()), (tag.as_bytes(), value.as_bytes())];
            labels.sort_unstable();
            let mut name = Vec::new();
            template.write(&labels, &mut name);
            wanted.take(&name, None, 1.0, None);
            prop_assert_eq!(summary(points), summary(wanted));
        }
    }
}
