//! Made-up series with the fault that a member tells of: of tests, and of pictures in the documentation.

use crate::message::Member;
use skyline_core::point::Datapoint;

/// Points of it at most, beside those that the member names.
const POINTS: f64 = 1_440.0;

/// A series from `from` to `until` about the member's mean, with the member's anomaly in it. The same member has the same series.
#[must_use]
pub fn series(member: &Member, from: f64, until: f64) -> Vec<Datapoint> {
    let step = ((until - from) / POINTS).max(1.0);
    let count = ((until - from) / step).clamp(1.0, POINTS) as u32;
    let spread = if member.stddev.is_finite() { member.stddev.abs() } else { 1.0 };
    let point = |i: u32| {
        let ts = from + f64::from(i) * step;
        // A day's wave, and what looks like noise.
        let wave = (f64::from(i) / POINTS * std::f64::consts::TAU).sin() * 0.7;
        let noise = noise(i) + noise(i / 7);
        let is_odd = (member.since..=member.last).contains(&ts);
        let middle = if is_odd { member.value - spread } else { member.mean + spread * wave };
        Datapoint::new(ts, middle + spread * noise * 0.8)
    };
    // The furthest first: it stays where two are at one time.
    let marked = [member.peak, (member.since, member.value), (member.last, member.value)];
    let mut points: Vec<Datapoint> = marked.map(|(ts, value)| Datapoint::new(ts, value)).into();
    points.extend(
        (0..=count)
            .map(point)
            .filter(|point| marked.iter().all(|(ts, _)| (point.ts - ts).abs() > step / 2.0)),
    );
    points.sort_by(|a, b| a.ts.total_cmp(&b.ts));
    points.dedup_by(|a, b| a.ts == b.ts);
    points
}

/// A number from -0.5 to 0.5.
fn noise(i: u32) -> f64 {
    let mut n = i.wrapping_mul(0x9e37_79b9) ^ 0x5bd1_e995;
    n ^= n >> 15;
    n = n.wrapping_mul(0x85eb_ca6b);
    n ^= n >> 13;
    f64::from(n) / f64::from(u32::MAX) - 0.5
}
