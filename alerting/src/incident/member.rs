//! One metric of an incident, and when it counts as over: by its own noise.

use crate::message;
use serde::{Deserialize, Serialize};
use skyline_core::anomaly::Anomaly;

/// Gaps between anomalies that are remembered.
const GAPS: usize = 8;
/// Longest patience with a metric that comes and goes, seconds.
const LONGEST: f64 = 3_600.0;

/// One metric of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its number within the incident, from 0.
    pub place: u32,
    /// What messages tell of it.
    pub told: message::Member,
    /// The node's clock at its last anomaly, seconds.
    pub seen: f64,
    /// Seconds between its last anomalous points, the newest last.
    pub gaps: Vec<f64>,
    /// The longest silence after which it came back, seconds; 0: it never was over.
    pub back_after: f64,
    /// Time of the first anomalous point since it came back, seconds; none: it never was over.
    #[serde(default)]
    pub run: Option<f64>,
}

impl Member {
    /// Of its first anomaly.
    pub(super) fn new(place: u32, anomaly: &Anomaly, now: f64) -> Self {
        let told = message::Member {
            metric: anomaly.metric.clone(),
            since: anomaly.point.ts,
            last: anomaly.point.ts,
            value: anomaly.judged_value,
            peak: (anomaly.point.ts, anomaly.judged_value),
            // What was expected before it broke: later windows hold the fault itself.
            mean: anomaly.mean,
            stddev: anomaly.stddev,
            window_seconds: anomaly.full_duration,
            counter: anomaly.counter,
            triggered: names(anomaly),
            asked: anomaly.asked.len(),
            points: 1,
            ended: None,
            bound: None,
        };
        Self { place, told, seen: now, gaps: Vec::new(), back_after: 0.0, run: None }
    }

    /// One more anomaly, later than the last.
    pub(super) fn goes_on(&mut self, anomaly: &Anomaly, now: f64) {
        let ts = anomaly.point.ts;
        let gap = ts - self.told.last;
        if self.told.ended.take().is_some() {
            self.back_after = self.back_after.max(gap);
            self.run = Some(ts);
        }
        self.gaps.push(gap);
        if self.gaps.len() > GAPS {
            self.gaps.remove(0);
        }
        let distance = |value: f64| (value - self.told.mean).abs();
        if distance(anomaly.judged_value) > distance(self.told.peak.1) {
            self.told.peak = (ts, anomaly.judged_value);
        }
        self.told.last = ts;
        self.told.value = anomaly.judged_value;
        self.told.triggered = names(anomaly);
        self.told.asked = anomaly.asked.len();
        self.told.points = self.told.points.saturating_add(1);
        self.seen = self.seen.max(now);
    }

    /// How long it has lasted since it broke or came back, seconds.
    #[must_use]
    pub fn lasted(&self) -> f64 {
        self.told.last - self.run.unwrap_or(self.told.since)
    }

    /// Seconds without an anomaly after which it is over; `end` at least. One that comes and goes is given twice its usual
    /// pause, and twice the longest after which it came back.
    #[must_use]
    pub fn patience(&self, end: f64) -> f64 {
        let mut gaps = self.gaps.clone();
        gaps.sort_by(f64::total_cmp);
        let median = gaps.get(gaps.len() / 2).copied().unwrap_or(0.0);
        (2.0 * median.max(self.back_after)).min(LONGEST).max(end)
    }
}

fn names(anomaly: &Anomaly) -> Vec<String> {
    anomaly.triggered.iter().map(|algorithm| algorithm.name().to_owned()).collect()
}
