//! The chart of a member's window: its times, its words, and what is marked in it.

use crate::message::{Kind, Member, Message, Origin};
use skyline_conf::model::alerting::titles::Titles;
use skyline_core::point::Datapoint;
use skyline_render_proxy::draw::{Chart, DrawError, Look, SIZE, increases, number};

/// Sigmas on either side of the mean within which values are expected.
const SIGMAS: f64 = 3.0;

/// What charts call things, and the zone of their times.
#[derive(Debug, Clone)]
pub struct Captions {
    /// Words of titles.
    pub titles: Titles,
    /// Zone of the time axis.
    pub zone: String,
}

impl Captions {
    fn heading(&self, origin: Origin) -> &str {
        match origin {
            Origin::Analyzer => &self.titles.analyzer,
            Origin::Mirage => &self.titles.mirage,
            Origin::Ionosphere => &self.titles.ionosphere,
            Origin::Boundary => &self.titles.boundary,
        }
    }

    /// `Skyline Analyzer - ALERT - at 24 hours`, with the environment in front.
    pub(super) fn title(&self, message: &Message, member: &Member) -> String {
        let (main, heading) = (&self.titles.main, self.heading(message.origin));
        let environment = match self.titles.environment.as_str() {
            "" => String::new(),
            environment => format!("{environment} "),
        };
        let derivative = if member.counter { " (derivative graph)" } else { "" };
        let hours = hours(member);
        format!("{environment}{main} {heading} - {} - at {hours}{derivative}", word(message.kind))
    }

    /// The title that Graphite writes over its own chart.
    pub(super) fn graphite_title(&self, message: &Message, member: &Member) -> String {
        let (main, heading) = (&self.titles.main, self.heading(message.origin));
        let derivative = if member.counter { " - derivative graph" } else { "" };
        let (word, hours, value) = (word(message.kind), hours(member), number(member.value));
        format!("{main} {heading} - {word} at {hours}{derivative} - {value}")
    }
}

/// What a message is, in one word.
fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Opened | Kind::HeldBack => "ALERT",
        Kind::Updated => "UPDATE",
        Kind::Ended => "ENDED",
        Kind::Escalated => "ESCALATED",
        Kind::Stale => "NO DATA",
        Kind::Test => "TEST",
    }
}

/// `24 hours`, `0.5 hours`.
fn hours(member: &Member) -> String {
    let hours = f64::from(member.window_seconds) / 3600.0;
    let hours = (hours * 100.0).round() / 100.0;
    if hours == 1.0 { "1 hour".to_owned() } else { format!("{hours} hours") }
}

/// The times of a member's chart: its window up to when the message was made.
pub(super) fn times(message: &Message, member: &Member) -> (f64, f64) {
    let until = message.created.max(member.last);
    (until - f64::from(member.window_seconds.max(60)), until)
}

/// PNG of the chart, and what it shows in words.
pub(super) fn paint(
    captions: &Captions,
    look: Look,
    message: &Message,
    member: &Member,
    points: Vec<Datapoint>,
) -> Result<(Vec<u8>, String), DrawError> {
    let points = if member.counter && message.kind != Kind::Test { increases(&points) } else { points };
    let (from, until) = times(message, member);
    let title = captions.title(message, member);
    let remark = remark(message, member);
    let mut chart = Chart {
        title: &title,
        remark: &remark,
        zone: &captions.zone,
        look,
        size: SIZE,
        ..Chart::new(&member.metric, &points, from, until)
    };
    if message.kind == Kind::Stale {
        chart.silent = Some(member.last);
        return Ok((chart.png()?, chart.description()));
    }
    let anomalous = anomalous(member, &points);
    chart.anomalous = &anomalous;
    chart.onset = Some(member.since);
    chart.ended = member.ended;
    chart.peak = Some(member.peak);
    match &member.bound {
        Some((algorithm, bound)) => chart.bound = Some((what(algorithm), *bound)),
        None => {
            let reach = SIGMAS * member.stddev;
            chart.expected = expected(member.mean - reach, member.mean + reach, &points);
            chart.mean = Some(member.mean);
        }
    }
    Ok((chart.png()?, chart.description()))
}

/// The expected range. What was never below nought is not expected there: the lower bound is then no lower.
fn expected(lower: f64, upper: f64, points: &[Datapoint]) -> Option<(f64, f64)> {
    let is_positive = points.iter().all(|point| point.value >= 0.0);
    Some((if is_positive { lower.max(0.0) } else { lower }, upper))
}

fn remark(message: &Message, member: &Member) -> String {
    let company = match message.member_count {
        0 | 1 => String::new(),
        2 => " - and 1 more metric".to_owned(),
        count => format!(" - and {} more metrics", count - 1),
    };
    match message.kind {
        Kind::Stale => company.trim_start_matches(" - ").to_owned(),
        Kind::Test => "made-up data: nothing is wrong".to_owned(),
        Kind::Ended => format!("furthest value: {}{company}", number(member.peak.1)),
        _ => format!("anomalous value: {}{company}", number(member.value)),
    }
}

/// The algorithm of a rule of bounds, in words.
fn what(algorithm: &str) -> &str {
    match algorithm {
        "less_than" => "alert below",
        "greater_than" => "alert above",
        other => other,
    }
}

/// Times of the points that were anomalous. A member knows how many there were, the first, the last and the furthest: the others
/// are those that lie furthest out between them.
fn anomalous(member: &Member, points: &[Datapoint]) -> Vec<f64> {
    let within = points.iter().filter(|point| (member.since..=member.last).contains(&point.ts));
    let mut candidates: Vec<(f64, f64)> = within.map(|point| (point.ts, distance(member, point))).collect();
    candidates.sort_by(|a, b| b.1.total_cmp(&a.1));
    candidates.truncate(usize::try_from(member.points).unwrap_or(usize::MAX).max(1));
    let mut times: Vec<f64> = candidates.into_iter().map(|(ts, _)| ts).collect();
    times.extend([member.since, member.last, member.peak.0]);
    times.sort_by(f64::total_cmp);
    times.dedup();
    times
}

/// How far out a point is.
fn distance(member: &Member, point: &Datapoint) -> f64 {
    match &member.bound {
        Some((algorithm, bound)) if algorithm == "less_than" => bound - point.value,
        Some((_, bound)) => point.value - bound,
        None => (point.value - member.mean).abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member() -> Member {
        Member {
            metric: "a.b".into(),
            since: 120.0,
            last: 300.0,
            value: 90.0,
            peak: (240.0, 95.0),
            mean: 10.0,
            stddev: 5.0,
            window_seconds: 86_400,
            counter: false,
            triggered: Vec::new(),
            asked: 9,
            points: 3,
            ended: None,
            bound: None,
        }
    }

    #[test]
    fn anomalous_points_are_those_furthest_out() {
        let points: Vec<Datapoint> =
            [(60.0, 99.0), (120.0, 80.0), (180.0, 11.0), (240.0, 95.0), (300.0, 90.0)]
                .map(|(ts, value)| Datapoint::new(ts, value))
                .into();
        assert_eq!(anomalous(&member(), &points), [120.0, 240.0, 300.0]);
        let below = Member { bound: Some(("less_than".into(), 20.0)), points: 1, ..member() };
        assert_eq!(anomalous(&below, &points), [120.0, 180.0, 240.0, 300.0]);
    }

    #[test]
    fn lengths_of_windows() {
        let check = |seconds, expected: &str| {
            assert_eq!(hours(&Member { window_seconds: seconds, ..member() }), expected);
        };
        check(86_400, "24 hours");
        check(604_800, "168 hours");
        check(1_800, "0.5 hours");
        check(3_600, "1 hour");
    }
}
