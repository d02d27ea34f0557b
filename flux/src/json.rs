//! Points as JSON, and as a query: `metric`, `value`, `timestamp` and `key` as the reference has them
//! (skyline:skyline/flux/listen.py). Numbers may be texts; without a timestamp a point has the time of receipt.
//!
//! A body is an object, or an array of them. An array is read element by element: one that cannot be read costs only
//! itself. A body that is no JSON costs the body.

use crate::access::Access;
use crate::points::Points;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use skyline_core::line;
use skyline_core::reject::Reject;
use std::borrow::Cow;
use std::fmt;

/// Why nothing of a body is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// It is no JSON, or neither an object nor an array.
    Syntax(String),
    /// There is no key, or not a good one, or several.
    Key,
}

/// A field's value.
#[derive(Debug, Clone, PartialEq, Default)]
enum Scalar<'a> {
    /// Not there, or null.
    #[default]
    None,
    Text(Cow<'a, str>),
    Number(f64),
    /// An array, an object, true or false.
    Other,
}

/// What stands in an object.
#[derive(Debug, Clone, PartialEq, Default)]
struct Given<'a> {
    metric: Scalar<'a>,
    value: Scalar<'a>,
    timestamp: Scalar<'a>,
    key: Scalar<'a>,
    /// The first field that is none of these, or is there twice, and what is wrong with it.
    odd: Option<(Cow<'a, str>, &'static str)>,
}

impl<'a> Given<'a> {
    fn set(&mut self, name: Cow<'a, str>, value: Scalar<'a>) {
        let place = match name.as_ref() {
            "metric" => &mut self.metric,
            "value" => &mut self.value,
            "timestamp" => &mut self.timestamp,
            "key" => &mut self.key,
            _ => {
                self.odd.get_or_insert((name, "is unknown: there are metric, value, timestamp and key"));
                return;
            }
        };
        if *place != Scalar::None {
            self.odd.get_or_insert((name, "is there twice"));
        }
        *place = value;
    }

    /// Takes the point, or says which field is at fault.
    fn take(self, points: &mut Points) {
        let example: &[u8] = match &self.metric {
            Scalar::Text(name) => name.as_bytes(),
            _ => b"(no name)",
        };
        let mut refuse = |field, error: Cow<'static, str>, why| points.refuse(field, error, example, why);
        if let Some((odd, wrong)) = &self.odd {
            let odd: String = odd.chars().take(50).collect();
            let text = format!("has a field `{}` that {wrong}", odd.escape_debug());
            return refuse("point", text.into(), Reject::Item);
        }
        if matches!(self.key, Scalar::Number(_) | Scalar::Other) {
            return refuse("key", "is no text".into(), Reject::Item);
        }
        let name = match &self.metric {
            Scalar::Text(name) => name.as_bytes(),
            Scalar::None => return refuse("metric", "is missing".into(), Reject::Item),
            Scalar::Number(_) | Scalar::Other => {
                return refuse("metric", "is no text".into(), Reject::Name);
            }
        };
        let value = match number(&self.value) {
            Ok(Some(value)) => value,
            Ok(None) => return refuse("value", "is missing".into(), Reject::Item),
            Err(()) => return refuse("value", "is not a number".into(), Reject::Value),
        };
        match number(&self.timestamp) {
            Ok(ts) => points.take(name, ts, value, None),
            Err(()) => refuse("timestamp", "is not a number".into(), Reject::Time),
        }
    }
}

fn number(given: &Scalar<'_>) -> Result<Option<f64>, ()> {
    match given {
        Scalar::None => Ok(None),
        Scalar::Number(number) => Ok(Some(*number)),
        Scalar::Text(text) => line::float(text.trim().as_bytes()).map(Some).ok_or(()),
        Scalar::Other => Err(()),
    }
}

/// Takes the point of a query (`metric=a&value=1`). The key is looked up elsewhere.
pub fn of_query(query: &[(String, String)], points: &mut Points) {
    let mut given = Given::default();
    for (name, value) in query {
        given.set(Cow::Borrowed(name), Scalar::Text(Cow::Borrowed(value)));
    }
    given.take(points);
}

/// Takes the points of a body. `key`: the number of the key that came beside it; without one each object has it, and
/// all the same.
///
/// # Errors
/// Nothing is to be taken then, whatever `points` holds.
pub fn decode(text: &str, key: Option<usize>, access: &Access, points: &mut Points) -> Result<usize, Wrong> {
    let body = Body { access, points, given: key, key, is_wrong: false };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = || {
        let body = body;
        let ended = if text.trim_start().starts_with('[') {
            deserializer.deserialize_seq(body)
        } else {
            let mut body = body;
            <&RawValue>::deserialize(&mut deserializer).map(|raw| {
                body.element(raw.get());
                (body.key, body.is_wrong)
            })
        }?;
        deserializer.end()?;
        Ok::<_, serde_json::Error>(ended)
    };
    match read() {
        Ok((Some(key), false)) => Ok(key),
        // A body without any key, be it empty, is that of nobody.
        Ok((None, _) | (_, true)) => Err(Wrong::Key),
        // What it says may repeat what stands there: a key.
        Err(error) => {
            let text = format!("the body is no JSON: line {}, column {}", error.line(), error.column());
            Err(Wrong::Syntax(text))
        }
    }
}

struct Body<'b> {
    access: &'b Access,
    points: &'b mut Points,
    /// The key beside the body.
    given: Option<usize>,
    key: Option<usize>,
    is_wrong: bool,
}

impl Body<'_> {
    fn element(&mut self, text: &str) {
        if self.is_wrong || self.points.is_too_much() {
            return;
        }
        let Ok(given) = serde_json::from_str::<Given<'_>>(text) else {
            // Nothing of it is repeated: it may hold a key.
            let error = "is no object with metric, value and timestamp";
            return self.points.refuse("point", error.into(), b"(no point)", Reject::Item);
        };
        if self.given.is_none() {
            let found = match &given.key {
                Scalar::Text(key) => self.access.find(key.as_bytes()),
                _ => None,
            };
            if found.is_none() || self.key.is_some_and(|key| Some(key) != found) {
                self.is_wrong = true;
                return;
            }
            if self.key.is_none() {
                self.key = found;
                self.points.prefix(found.map_or(&[], |key| self.access.prefix(key)));
            }
        }
        given.take(self.points);
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = (Option<usize>, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("points")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut all: A) -> Result<Self::Value, A::Error> {
        while let Some(raw) = all.next_element::<&'de RawValue>()? {
            self.element(raw.get());
        }
        Ok((self.key, self.is_wrong))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Given<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Given<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a point")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut given = Given::default();
                while let Some(Name(name)) = map.next_key()? {
                    given.set(name, map.next_value()?);
                }
                Ok(given)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Scalar::deserialize(deserializer)? {
            Scalar::Text(text) => Ok(Name(text)),
            _ => Ok(Name(Cow::Borrowed("?"))),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(number))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(number as f64))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::None)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
                while all.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::tests::{bounds, summary};
    use proptest::prelude::*;

    #[track_caller]
    fn check(body: &str, lines: &str, faults: &[&str]) {
        let mut points = Points::new(bounds());
        assert_eq!(decode(body, Some(0), &Access::default(), &mut points), Ok(0));
        assert_eq!(summary(points), (lines.to_owned(), faults.iter().map(|&f| f.to_owned()).collect()));
    }

    #[test]
    fn objects_and_arrays() {
        check(r#"{"metric":"a.b","value":1.5,"timestamp":1700000000}"#, "a.b 1.5 1700000000\n", &[]);
        check(r#"{"metric":"a","value":"12.5","timestamp":"1699999999"}"#, "a 12.5 1699999999\n", &[]);
        check(
            r#" [{"metric":"a","value":1},{"metric":"b","value":2,"timestamp":null}] "#,
            "a 1 1700000000\nb 2 1700000000\n",
            &[],
        );
        check(r#"{"metric":"\u00e9\u002e1","value":-1e3,"key":"x"}"#, "é.1 -1000 1700000000\n", &[]);
        check("[]", "", &[]);
    }

    #[test]
    fn a_bad_element_costs_itself() {
        check(
            r#"[{"metric":"a","value":1},5,{"metric":"b"},{"value":2},{"metric":"c","value":"x"},{"metric":7,"value":1},
            {"metric":"d","value":1e999},{"metric":"d","value":true},{"metric":"d","value":1,"timestmap":1},
            {"metric":"d","metric":"e","value":1},{"metric":"d","value":1,"timestamp":[[]]},
            {"metric":"d","value":1,"timestamp":1700000000000},{"metric":"d","value":1,"timestamp":1},
            {"metric":"d d","value":1},{"metric":"d","value":"nan"},null,[],{"metric":"z","value":9}]"#,
            "a 1 1700000000\nz 9 1700000000\n",
            &[
                "1 point",
                "2 value",
                "3 metric",
                "4 value",
                "5 metric",
                "6 point",
                "7 value",
                "8 point",
                "9 point",
                "10 timestamp",
                "11 timestamp",
                "12 timestamp",
                "13 metric",
                "14 value",
                "15 point",
                "16 point",
            ],
        );
        check(r#"{"metric":"a","value":1,"key":5}"#, "", &["0 key"]);
        check("5", "", &["0 point"]);
        check("null", "", &["0 point"]);
    }

    #[test]
    fn bodies_that_are_none() {
        for body in ["", "{", "[{}", "{} {}", "[1,]", "x", "[{\"metric\":\"a\",\"value\":1}"] {
            let wrong = decode(body, Some(0), &Access::default(), &mut Points::new(bounds()));
            assert!(matches!(wrong, Err(Wrong::Syntax(_))), "{body}");
        }
        let deep = "[".repeat(1_000_000);
        assert!(decode(&deep, Some(0), &Access::default(), &mut Points::new(bounds())).is_err());
        for body in [
            "[]",
            "{}",
            r#"{"metric":"a","value":1}"#,
            r#"[{"metric":"a","value":1,"key":"k"}]"#,
            r#"{"key":1}"#,
        ] {
            let wrong = decode(body, None, &Access::default(), &mut Points::new(bounds()));
            assert_eq!(wrong, Err(Wrong::Key), "{body}");
        }
    }

    #[test]
    fn queries() {
        let check = |query: &[(&str, &str)], lines: &str, faults: &[&str]| {
            let query: Vec<_> = query.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect();
            let mut points = Points::new(bounds());
            of_query(&query, &mut points);
            assert_eq!(summary(points), (lines.to_owned(), faults.iter().map(|&f| f.to_owned()).collect()));
        };
        check(&[("metric", "a"), ("value", "1"), ("key", "k")], "a 1 1700000000\n", &[]);
        check(&[("metric", "a"), ("value", "1"), ("timestamp", "1699999999")], "a 1 1699999999\n", &[]);
        check(&[("metric", "a"), ("value", "1"), ("timestamp", "")], "", &["0 timestamp"]);
        check(&[("metric", "a"), ("valu", "1")], "", &["0 point"]);
        check(&[("metric", "a"), ("metric", "b"), ("value", "1")], "", &["0 point"]);
        check(&[("metric", "a")], "", &["0 value"]);
    }

    proptest! {
        #[test]
        fn any_text(text in ".{0,200}") {
            crate::fuzz::json(text.as_bytes());
        }
    }
}
