//! What fuzz targets call: readers of files from outside, with what must hold of any bytes.

pub use crate::channel::webhook::fuzz as template;

use crate::incident::{Incidents, Settings};
use crate::message::Severity;
use crate::outbox::State;
use crate::outbox::log::{lines, read};
use crate::outbox::storm::Limits;
use crate::outbox::telling::{Context, Match, PaceOf, Rules};

/// When the node starts, seconds.
const NOW: f64 = 1_700_000_000.0;

/// One recipient for everything, and the same again when nobody acknowledges it.
#[derive(Debug)]
struct Everything;

impl Rules for Everything {
    fn apply(&self, _metric: &str, _now: f64) -> Vec<Match> {
        vec![Match {
            rule: "all".into(),
            channel: "email".into(),
            recipients: vec!["ops".into()],
            severity: Severity::Warning,
            repeat_seconds: 1_800,
            minimum_seconds: 0,
            recovery: true,
            escalate: Some((900, vec![("email".into(), "ops".into())])),
        }]
    }

    fn longest_repeat(&self) -> f64 {
        1_800.0
    }
}

impl PaceOf for Everything {
    fn pace(&self, _channel: &str) -> f64 {
        300.0
    }
}

/// Any bytes as `alerts.log`, and their lines as records whose checksum is right.
///
/// What is cut off at the end changes nothing of what stands before it; no memory that can be read is in the way of
/// going on; and what is written of it is read again as it was.
pub fn alerts_log(bytes: &[u8]) {
    let Ok((found, whole)) = read(bytes) else { return };
    let kept = bytes.get(..usize::try_from(whole).unwrap_or(usize::MAX)).unwrap_or_default();
    let again = read(kept).ok().map(|(again, _)| (again.records, again.damaged, again.cut_bytes));
    assert!(
        again == Some((found.records.clone(), found.damaged, 0)),
        "the cut changed what stands before it"
    );

    let unsealed = bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let mut state = State::new(Incidents::new("n1", Settings::default(), NOW));
    for record in found.records.into_iter().chain(unsealed) {
        state.restore(record, NOW);
    }
    // As text: the place of a message among all is not written.
    let written = lines(&state.records()).unwrap_or_default();
    let again = read(written.as_slice()).ok().and_then(|(again, _)| lines(&again.records).ok());
    assert!(again == Some(written), "what was written is read as something else");

    let _all = state.restored();
    for now in [NOW, NOW + 1_000.0] {
        for key in state.tick(now) {
            state.silent(&key, Vec::new(), now);
        }
        let context = Context { rules: &Everything, limits: &Limits::none(), pace: &Everything, now };
        state.tell(&context);
        let waiting: Vec<_> = state.waiting().map(|entry| entry.message.key.clone()).collect();
        for key in waiting {
            state.sent(&key, None, String::new(), false, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::record::Record;

    /// The seeds are of use: records of each kind are read out of them.
    #[test]
    fn seeds_are_read() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/alerts_log");
        let whole = std::fs::read(format!("{seeds}/whole")).unwrap();
        let (found, _) = read(whole.as_slice()).unwrap();
        assert!(found.records.len() >= 3 && found.damaged == 0 && found.cut_bytes == 0, "{found:?}");
        for seed in std::fs::read_dir(seeds).unwrap() {
            let bytes = std::fs::read(seed.unwrap().path()).unwrap();
            alerts_log(&bytes);
            let unsealed = bytes.split(|byte| *byte == b'\n');
            let records = unsealed.filter(|line| serde_json::from_slice::<Record>(line).is_ok()).count();
            assert!(records > 0 || !read(bytes.as_slice()).unwrap().0.records.is_empty());
        }
    }
}
