//! A made-up series with the fault that a test's member tells of.

use crate::message::Member;
use skyline_core::point::Datapoint;

/// Points of it at most.
const POINTS: f64 = 1_440.0;

/// A series from `from` to `until` about the member's mean, with the member's anomaly in it. The same member has the same series.
pub(super) fn series(member: &Member, from: f64, until: f64) -> Vec<Datapoint> {
    let step = ((until - from) / POINTS).max(1.0);
    let count = ((until - from) / step).clamp(1.0, POINTS) as u32;
    let spread = if member.stddev.is_finite() { member.stddev.abs() } else { 1.0 };
    let mut points: Vec<Datapoint> = (0..=count)
        .map(|i| {
            let ts = from + f64::from(i) * step;
            // A day's wave, and what looks like noise.
            let wave = (f64::from(i) / POINTS * std::f64::consts::TAU).sin() * 0.9;
            let noise = f64::from(i.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24) - 0.5;
            Datapoint::new(ts, member.mean + spread * (wave + noise))
        })
        .filter(|point| point.ts < member.since || point.ts > member.last)
        .collect();
    // The furthest first: it stays where two are at one time.
    let marked = [member.peak, (member.since, member.value), (member.last, member.value)];
    points.extend(marked.map(|(ts, value)| Datapoint::new(ts, value)));
    points.sort_by(|a, b| a.ts.total_cmp(&b.ts));
    points
}
