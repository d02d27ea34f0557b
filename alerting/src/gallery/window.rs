//! The chart of a member's window: its times, its words, and what is marked in it.

use crate::message::{Kind, Member, Message, Origin};
use crate::text::number::length;
use crate::text::story::expected;
use skyline_conf::model::alerting::titles::Titles;
use skyline_core::point::Datapoint;
use skyline_render_proxy::draw::{Board, Chart, DrawError, Look, SIZE, increases, number};

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

    /// `Skyline Analyzer - ALERT - last 24 hours`, with the environment in front.
    pub(super) fn title(&self, message: &Message, member: &Member) -> String {
        let (main, heading) = (&self.titles.main, self.heading(message.origin));
        let environment = match self.titles.environment.as_str() {
            "" => String::new(),
            environment => format!("{environment} "),
        };
        let derivative = if member.counter { " (derivative graph)" } else { "" };
        let length = length(member.window_seconds);
        format!("{environment}{main} {heading} - {} - last {length}{derivative}", word(message.kind))
    }

    /// The title that Graphite writes over its own chart.
    pub(super) fn graphite_title(&self, message: &Message, member: &Member) -> String {
        let (main, heading) = (&self.titles.main, self.heading(message.origin));
        let derivative = if member.counter { " - derivative graph" } else { "" };
        let (word, length, value) = (word(message.kind), length(member.window_seconds), number(member.value));
        format!("{main} {heading} - {word} at {length}{derivative} - {value}")
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
        Kind::Returned => "DATA BACK",
        Kind::Test => "TEST",
    }
}

/// The times of a member's chart: its window up to when the message was made.
pub(super) fn times(message: &Message, member: &Member) -> (f64, f64) {
    let until = message.created.max(member.last);
    (until - f64::from(member.window_seconds.max(60)), until)
}

/// PNG of the charts of members with their points, the first of them large, and what they show in words.
pub(super) fn paint(
    captions: &Captions,
    look: Look,
    message: &Message,
    members: Vec<(Member, Vec<Datapoint>)>,
) -> Result<(Vec<u8>, String), DrawError> {
    let drawn: Vec<Drawn> =
        members.into_iter().map(|(member, points)| Drawn::new(message, member, points)).collect();
    let charts: Vec<Chart<'_>> = drawn.iter().map(|drawn| drawn.chart(captions, look, message)).collect();
    let Some((main, others)) = charts.split_first() else {
        return Err(DrawError::Times);
    };
    let title = drawn.first().map(|drawn| captions.title(message, &drawn.member)).unwrap_or_default();
    let remark = drawn.first().map(|drawn| remark(message, &drawn.member)).unwrap_or_default();
    let board = Board { main: Chart { title: &title, remark: &remark, ..*main }, others };
    Ok((board.png()?, board.description()))
}

/// A member, and what of its window is drawn.
#[derive(Debug)]
struct Drawn {
    member: Member,
    points: Vec<Datapoint>,
    anomalous: Vec<f64>,
}

impl Drawn {
    fn new(message: &Message, member: Member, points: Vec<Datapoint>) -> Self {
        // Made-up points are increases already.
        let points = if member.counter && message.kind != Kind::Test { increases(&points) } else { points };
        let anomalous = anomalous(&member, &points);
        Self { member, points, anomalous }
    }

    fn chart<'a>(&'a self, captions: &'a Captions, look: Look, message: &Message) -> Chart<'a> {
        let Self { member, points, anomalous } = self;
        let (from, until) = times(message, member);
        let plain = Chart {
            zone: &captions.zone,
            look,
            size: SIZE,
            ..Chart::new(&member.metric, points, from, until)
        };
        if message.kind == Kind::Stale {
            return Chart { silent: Some(member.last), ..plain };
        }
        let judged = Chart {
            anomalous,
            onset: Some(member.since),
            ended: member.ended,
            peak: Some(member.peak),
            ..plain
        };
        match &member.bound {
            Some((algorithm, bound)) => Chart { bound: Some((what(algorithm), *bound)), ..judged },
            None => Chart { expected: expected(member), mean: Some(member.mean), ..judged },
        }
    }
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
}
