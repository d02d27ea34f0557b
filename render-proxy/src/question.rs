//! A render question as far as the windows may answer it.

use crate::attime;
use crate::json::Wishes;
use crate::params::Params;
use crate::target::{self, Target};
use jiff::tz::TimeZone;

/// Targets of one question at most.
const MAX_TARGETS: usize = 64;

/// What an answer is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A list of series.
    Json,
    /// A picture.
    Png,
    /// A picture as text.
    Svg,
}

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What is asked for.
    pub targets: Vec<Target>,
    /// From when, seconds.
    pub from: i64,
    /// Until when.
    pub until: i64,
    /// What now is.
    pub now: i64,
    /// Name of the zone of a picture.
    pub zone: Option<String>,
    /// How it is answered.
    pub format: Format,
    /// What the JSON is to be like.
    pub wishes: Wishes,
    /// Name of the function that the JSON is put into.
    pub jsonp: Option<String>,
    /// Width and height of a picture.
    pub size: (u32, u32),
    /// Title of a picture.
    pub title: String,
    /// Colour of its background.
    pub background: String,
}

/// Why the windows cannot answer it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A time.
    #[error("{0}: {1}")]
    Time(&'static str, attime::AtTimeError),
    /// Begins where it ends.
    #[error("from and until are the same time")]
    Empty,
    /// A target.
    #[error("target {0}: {1}")]
    Target(usize, target::TargetError),
    /// None, or too many.
    #[error("a question has 1 to {MAX_TARGETS} targets")]
    Targets,
    /// Another format, or another kind of picture.
    #[error("only json, png and svg are answered from windows")]
    Format,
}

impl Question {
    /// Reads one that is asked at `now`, seconds.
    ///
    /// # Errors
    /// Why the windows cannot answer it.
    pub fn read(params: &Params, now: i64) -> Result<Self, Unfit> {
        let format = match params.one("format") {
            Some("json") => Format::Json,
            None | Some("png") => Format::Png,
            Some("svg") => Format::Svg,
            Some(_) => return Err(Unfit::Format),
        };
        let is_chart = params.one("graphType").is_none_or(|kind| kind == "line");
        if params.one("rawData").is_some() || !is_chart {
            return Err(Unfit::Format);
        }
        let zone = params.one("tz").and_then(|name| attime::zone(name).map(|zone| (name, zone)));
        let at = zone.as_ref().map_or(TimeZone::UTC, |(_, zone)| zone.clone());
        let now = params.one("now").and_then(|text| attime::parse(text, now, &at).ok()).unwrap_or(now);
        let time = |name, usual| {
            let text = params.one(name).unwrap_or(usual);
            attime::parse(text, now, &at).map_err(|error| Unfit::Time(name, error))
        };
        let (from, until) = (time("from", "-1d")?, time("until", "now")?);
        if from == until {
            return Err(Unfit::Empty);
        }
        let mut texts: Vec<&str> = params.all("target").filter(|text| !text.is_empty()).collect();
        if texts.is_empty() {
            texts = params.all("target[]").collect();
        }
        if texts.is_empty() || texts.len() > MAX_TARGETS {
            return Err(Unfit::Targets);
        }
        let read =
            |(i, text): (usize, &&str)| target::parse(text).map_err(|error| Unfit::Target(i + 1, error));
        let number = |name: &str| params.one(name).and_then(|text| text.parse::<u32>().ok());
        Ok(Self {
            targets: texts.iter().enumerate().map(read).collect::<Result<_, _>>()?,
            from: from.min(until),
            until: from.max(until),
            now,
            zone: zone.map(|(name, _)| name.to_owned()),
            format,
            wishes: Wishes {
                max_points: number("maxDataPoints").unwrap_or(0),
                no_nulls: params.one("noNullPoints").is_some(),
            },
            jsonp: params.one("jsonp").map(str::to_owned),
            size: (number("width").unwrap_or(330), number("height").unwrap_or(250)),
            title: params.one("title").unwrap_or_default().chars().take(200).collect(),
            background: params.one("bgcolor").unwrap_or_default().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Question, Unfit> {
        Question::read(&Params::read(query, None, b""), 1_700_000_123)
    }

    #[test]
    fn questions() {
        let question =
            read("target=a.b&target=c&from=-1h&format=json&maxDataPoints=10&noNullPoints=1").unwrap();
        assert_eq!(
            (question.from, question.until, question.targets.len()),
            (1_699_996_523, 1_700_000_123, 2)
        );
        assert_eq!(question.wishes, Wishes { max_points: 10, no_nulls: true });
        let turned = read("target[]=a&from=now&until=-1d&title=x").unwrap();
        assert_eq!((turned.from, turned.format, turned.size), (1_699_913_723, Format::Png, (330, 250)));
        let zoned = read("target=a&from=midnight&tz=America/New_York").unwrap();
        assert_eq!((zoned.from, zoned.zone.as_deref()), (1_699_938_000, Some("America/New_York")));
        assert_eq!(read("target=a&tz=Nowhere/X").unwrap().zone, None);
    }

    #[test]
    fn what_windows_do_not_answer() {
        let check = |query: &str, expected: &str| {
            assert!(read(query).unwrap_err().to_string().contains(expected), "{query}")
        };
        check("target=a&format=csv", "only json");
        check("target=a&graphType=pie", "only json");
        check("target=a&rawData=true", "only json");
        check("from=-1h", "1 to 64 targets");
        check("target=a&from=bogus", "from: `bogus`");
        check("target=a&from=now", "the same time");
        check("target=f(", "target 1: ");
    }
}
