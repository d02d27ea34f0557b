//! Medians as Markdown.

use crate::latency::Latency;
use crate::program::Program;
use crate::run::{Run, Runs};
use crate::workload::Workload;
use std::fmt::Write as _;

/// What the figures were measured on.
pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("?", |(_, m)| m);
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores, {model}, Linux {}.", kernel.trim())
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { at(half) } else { f64::midpoint(at(half.wrapping_sub(1)), at(half)) }
}

/// (largest − smallest) / median: how far to trust the median.
fn spread(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    (largest - smallest) / median(values.to_vec())
}

/// CPU, rate, memory and delivery of both programs.
pub(crate) fn throughput(rows: &[(&Workload, Runs)]) -> String {
    let mut out = String::from(
        "Medians; ± is the spread of all runs, (largest − smallest) / median. CPU-s/M: CPU seconds per million points.\n\n\
         | | load | CPU-s/M target | skyline | carbon-c-relay | factor | points/s | c-relay | peak MiB | c-relay | delivered | c-relay |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for (workload, programs) in rows {
        let of =
            |program: Program| programs.iter().find(|(p, _)| *p == program).map(|(_, runs)| runs.as_slice());
        let node = Cells::of(of(Program::Node));
        let peer = Cells::of(of(Program::CRelay));
        let factor = match (node.cpu, peer.cpu) {
            (Some(mine), Some(theirs)) if mine > 0.0 => format!("{:.1}", theirs / mine),
            _ => "–".to_owned(),
        };
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            out,
            "| {} | {} | {:.2} | {} | {} | {factor} | {} | {} | {} | {} | {} | {} |",
            workload.name,
            workload.what,
            workload.target,
            node.shown,
            peer.shown,
            node.rate,
            peer.rate,
            node.memory,
            peer.memory,
            node.delivered,
            peer.delivered
        );
    }
    out
}

/// One program's cells of a row.
struct Cells {
    cpu: Option<f64>,
    shown: String,
    rate: String,
    memory: String,
    delivered: String,
}

impl Cells {
    fn of(runs: Option<&[Run]>) -> Self {
        let Some(runs) = runs.filter(|runs| !runs.is_empty()) else {
            let none = || "–".to_owned();
            return Self { cpu: None, shown: none(), rate: none(), memory: none(), delivered: none() };
        };
        let all = |of: fn(&Run) -> f64| runs.iter().map(of).collect::<Vec<_>>();
        let cpu = all(|run| run.cpu);
        Self {
            cpu: Some(median(cpu.clone())),
            shown: format!("{:.3} ±{:.0} %", median(cpu.clone()), spread(&cpu) * 100.0),
            rate: format!("{:.0} k", median(all(|run| run.points_per_second)) / 1e3),
            memory: format!("{:.0}", median(all(|run| run.peak_mib))),
            delivered: format!("{:.2} %", median(all(|run| run.delivered)) * 100.0),
        }
    }
}

/// Milliseconds of single points.
pub(crate) fn latency(all: &[Latency]) -> String {
    let mut out = String::from(
        "Sender to sink, one probe each 10 ms; target p50 0.5 ms, p99 5 ms.\n\n\
         | load | program | p50 ms | p99 ms | max ms | lost |\n|---|---|---:|---:|---:|---:|\n",
    );
    for row in all {
        let _infallible = writeln!(
            out,
            "| {} | {} | {:.2} | {:.2} | {:.2} | {} |",
            row.what,
            row.program.name(),
            row.p50_ms,
            row.p99_ms,
            row.max_ms,
            row.lost
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let check = |values: &[f64], expected: f64| assert_eq!(median(values.to_vec()), expected);
        check(&[3.0], 3.0);
        check(&[3.0, 1.0, 2.0], 2.0);
        check(&[4.0, 1.0, 2.0, 3.0], 2.5);
        assert!(median(Vec::new()).is_nan());
        assert_eq!(spread(&[1.0, 2.0, 3.0]), 1.0);
    }
}
