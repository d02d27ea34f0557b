//! Messages as examples: what `skyline alert test` sends, and what tests and documentation show.

use crate::message::{Kind, Links, Member, Message, Origin, Severity};

/// What finds the fault; a rule of bounds asks no algorithms.
const TRIGGERED: [&str; 6] = [
    "stddev_from_average",
    "grubbs",
    "least_squares",
    "mean_subtraction_cumulation",
    "ks_test",
    "histogram_bins",
];

/// A metric with a fault at `now` that began 70 seconds before.
#[must_use]
pub fn member(metric: &str, origin: Origin, now: f64) -> Member {
    let bound = (origin == Origin::Boundary).then(|| ("greater_than".to_owned(), 60.0));
    Member {
        metric: metric.to_owned(),
        since: now - 70.0,
        last: now - 10.0,
        value: 98.4,
        peak: (now - 40.0, 112.75),
        mean: 21.5,
        stddev: 3.1,
        window_seconds: if origin == Origin::Mirage { 604_800 } else { 86_400 },
        counter: false,
        triggered: if bound.is_some() { Vec::new() } else { TRIGGERED.map(str::to_owned).into() },
        asked: if bound.is_some() { 0 } else { 9 },
        points: 3,
        ended: None,
        bound,
    }
}

/// A message of a kind to a recipient of a channel, about `metric`; links begin with `public_url`, if there is one.
#[must_use]
pub fn message(kind: Kind, origin: Origin, metric: &str, now: f64, public_url: &str) -> Message {
    let about_metrics = kind.is_about_metrics();
    let mut members = Vec::new();
    if about_metrics {
        members.push(member(metric, origin, now));
    }
    let opened = now - if matches!(kind, Kind::Opened | Kind::Test) { 70.0 } else { 2110.0 };
    // It was over with its last anomalous point; that this was the last is known after a while.
    let ended = match kind {
        Kind::Ended => Some(now - 310.0),
        Kind::Returned => Some(now),
        _ => None,
    };
    for member in &mut members {
        if let Some(ended) = ended {
            (member.last, member.ended) = (ended, Some(ended));
        }
        if kind != Kind::Opened && kind != Kind::Test {
            member.since = opened;
            member.peak.0 = opened + 300.0;
            member.points = ((member.last - opened) / 60.0).floor() as u64 + 1;
        }
    }
    let link = |path: &str| if public_url.is_empty() { String::new() } else { format!("{public_url}{path}") };
    Message {
        key: format!("{kind:?}-{origin:?}-{metric}-{now}"),
        incident: if about_metrics { "20261130-0001".into() } else { String::new() },
        kind,
        number: u32::from(!matches!(kind, Kind::Opened | Kind::Test)),
        rule: if about_metrics { "web servers".into() } else { String::new() },
        channel: String::new(),
        recipient: String::new(),
        origin,
        severity: if kind == Kind::Escalated { Severity::Critical } else { Severity::Warning },
        created: now,
        opened,
        ended,
        member_count: match kind {
            Kind::Stale => 12,
            Kind::Returned => 9,
            _ => members.len() as u64,
        },
        members,
        repeat_seconds: about_metrics.then_some(1800),
        lines: lines(kind),
        links: if about_metrics {
            Links {
                graph: link("/render?target=web01"),
                incident: link("/incidents/20261130-0001"),
                acknowledge: link("/act/acknowledge?t=1"),
                mute: link("/act/mute?t=1"),
            }
        } else {
            Links::default()
        },
    }
}

/// The same with company: other metrics that broke with the first.
#[must_use]
pub fn with_company(mut message: Message, others: &[&str]) -> Message {
    for (number, metric) in others.iter().enumerate() {
        let first = message.members.first().cloned();
        if let Some(mut member) = first {
            let nth = number as f64 + 1.0;
            member.metric = (*metric).to_owned();
            member.since += 2.0 * nth;
            // Each has a range and a fault of its own.
            let scale = 0.4 + 0.5 * nth;
            (member.mean, member.stddev) = (member.mean * scale, member.stddev * scale);
            member.value = (member.value * scale - 11.3 * nth).round();
            member.peak.1 = (member.peak.1 * scale - 9.7 * nth).round();
            message.members.push(member);
        }
    }
    message.member_count = message.members.len() as u64;
    message
}

fn lines(kind: Kind) -> Vec<String> {
    let lines: &[&str] = match kind {
        Kind::Stale => &[
            "12 metrics have sent no data for about 5 min: look at what sends them.",
            "servers.web07.* (9 metrics): silent for 5 min",
            "servers.db02.disk.sda.iops: silent for 5 min",
            "servers.db02.disk.sdb.iops: silent for 6 min",
            "queues.mail.depth: silent for 6 min",
        ],
        Kind::Returned => {
            &["9 metrics send again; 3 are still silent.", "servers.web07.* (9 metrics): back after 26 min"]
        }
        Kind::HeldBack => &[
            "More than 30 messages within 30 min: further ones are held back, and told as one.",
            "What is wrong until then: skyline alert list --open",
        ],
        _ => &[],
    };
    lines.iter().map(|&line| line.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::sample;
    use crate::text::{Story, Style};

    const NOW: f64 = 1_795_958_710.0;

    #[test]
    fn what_has_ended_is_as_usual_again_in_words_and_in_its_picture() {
        let message = message(Kind::Ended, Origin::Analyzer, "a.b", NOW, "");
        let member = message.members.first().unwrap();
        let (ended, opened) = (message.ended.unwrap(), message.opened);
        assert_eq!((member.since, member.last, member.ended), (opened, ended, Some(ended)));
        assert_eq!(
            Story::new(&message, &Style::default()).lead.plain(),
            "It is over: a.b is as usual again since 13:20:00 UTC, after 30 min."
        );
        let series = sample::series(member, NOW - 86_400.0, NOW);
        let is_odd = |value: f64| (value - member.mean).abs() > 3.0 * member.stddev;
        let after: Vec<f64> = series.iter().filter(|p| p.ts > ended).map(|p| p.value).collect();
        assert!(after.len() >= 4 && after.iter().all(|value| !is_odd(*value)), "{after:?}");
        let within = series.iter().filter(|p| (opened..=ended).contains(&p.ts));
        assert!(within.clone().count() >= 30 && within.clone().all(|p| is_odd(p.value)));
    }

    #[test]
    fn digests_are_headed_by_what_they_tell() {
        let word = |kind| Story::new(&message(kind, Origin::Analyzer, "", NOW, ""), &Style::default());
        let (stale, returned) = (word(Kind::Stale), word(Kind::Returned));
        assert_eq!((stale.word, returned.word), ("NO DATA", "DATA BACK"));
        assert_eq!(stale.subject, "[Skyline alert] - Analyzer ALERT - 12 stale metrics");
        assert_eq!(returned.subject, "[Skyline alert] - Analyzer DATA BACK - 9 metrics send again");
    }
}
