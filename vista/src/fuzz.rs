//! What fuzz targets call: answers of any kind, with what must hold of them.

use crate::series::{Answer, Limits};
use crate::{graphite, prometheus};

/// Any bytes as an answer of either server: nothing panics, and what is taken is in order, finite and within bounds.
#[expect(clippy::panic, reason = "a finding of the fuzzer is a panic")]
pub fn answers(bytes: &[u8]) {
    let limits = Limits { series: 8, points: 64 };
    for answer in [graphite::parse_render(bytes, limits), prometheus::parse(bytes, limits)] {
        if let Ok(answer) = answer
            && !is_sound(&answer, limits)
        {
            panic!("{answer:?}");
        }
    }
    if graphite::parse_find(bytes, 8)
        .is_ok_and(|found| found.len() > 8 || found.iter().any(|f| f.path.is_empty()))
    {
        panic!("too many names, or one that is none");
    }
}

fn is_sound(answer: &Answer, limits: Limits) -> bool {
    let points: usize = answer.series.iter().map(|s| s.points.len()).sum();
    answer.series.len() <= limits.series
        && points <= limits.points
        && answer.series.iter().all(|s| {
            s.points.iter().all(|p| p.value.is_finite() && (1..=i64::from(u32::MAX)).contains(&p.ts))
                && s.points.iter().zip(s.points.iter().skip(1)).all(|(a, b)| a.ts < b.ts)
        })
}
