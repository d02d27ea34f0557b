//! Messages as examples: what `skyline alert test` sends, and what tests and documentation show.

use crate::message::{Kind, Links, Member, Message, Origin, Severity};

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
        triggered: [
            "stddev_from_average",
            "grubbs",
            "least_squares",
            "mean_subtraction_cumulation",
            "ks_test",
            "histogram_bins",
        ]
        .map(str::to_owned)
        .into(),
        asked: 9,
        points: 3,
        ended: None,
        bound,
    }
}

/// A message of a kind to a recipient of a channel, about `metric`; links begin with `public_url`, if there is one.
#[must_use]
pub fn message(kind: Kind, origin: Origin, metric: &str, now: f64, public_url: &str) -> Message {
    let about_metrics = !matches!(kind, Kind::Stale | Kind::HeldBack);
    let mut members = Vec::new();
    if about_metrics {
        members.push(member(metric, origin, now));
    }
    let opened = now - if matches!(kind, Kind::Opened | Kind::Test) { 60.0 } else { 2100.0 };
    let ended = (kind == Kind::Ended).then(|| now - 5.0);
    for member in &mut members {
        if kind == Kind::Ended {
            // It was over with its last anomalous point; that this was the last is known after a while.
            member.last = now - 310.0;
            member.ended = Some(member.last);
        }
        if kind != Kind::Opened && kind != Kind::Test {
            member.since = opened - 10.0;
            member.peak.0 = opened + 300.0;
            member.points = 36;
        }
    }
    let link = |path: &str| if public_url.is_empty() { String::new() } else { format!("{public_url}{path}") };
    Message {
        key: format!("{kind:?}-{origin:?}-{metric}-{now}"),
        incident: if about_metrics { "20261129-0001".into() } else { String::new() },
        kind,
        number: u32::from(!matches!(kind, Kind::Opened | Kind::Test)),
        rule: "web servers".into(),
        channel: String::new(),
        recipient: String::new(),
        origin,
        severity: if kind == Kind::Escalated { Severity::Critical } else { Severity::Warning },
        created: now,
        opened,
        ended,
        member_count: members.len() as u64,
        members,
        repeat_seconds: about_metrics.then_some(1800),
        lines: lines(kind),
        links: if about_metrics {
            Links {
                graph: link("/render?target=web01"),
                incident: link("/incidents/20261129-0001"),
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
            member.metric = (*metric).to_owned();
            member.since += 2.0 * (number as f64 + 1.0);
            member.value -= 11.3 * (number as f64 + 1.0);
            message.members.push(member);
        }
    }
    message.member_count = message.members.len() as u64;
    message
}

fn lines(kind: Kind) -> Vec<String> {
    let lines: &[&str] = match kind {
        Kind::Stale => &[
            "12 metrics have sent no data for about 300 seconds: their sender may be down.",
            "servers.web07.* (9 metrics): silent for 5 min",
            "servers.db02.disk.sda.iops: silent for 5 min",
            "servers.db02.disk.sdb.iops: silent for 6 min",
            "queues.mail.depth: silent for 6 min",
        ],
        Kind::HeldBack => {
            &["27 alerts were held back in the last 10 min: more than 30 in 10 min go to nobody."]
        }
        _ => &[],
    };
    lines.iter().map(|&line| line.to_owned()).collect()
}
