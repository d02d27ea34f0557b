//! The demo's world: a small shop whose services follow the day, and what they look like broken.

use super::Point;

/// Services: name, metrics as (suffix, level, daily swing, noise, factor when broken).
pub(super) const SERVICES: [(&str, [Metric; 3]); 4] = [
    (
        "checkout",
        [
            Metric("latency_ms", 120.0, 25.0, 8.0, 11.0),
            Metric("orders_per_minute", 340.0, 90.0, 12.0, 0.9),
            Metric("errors_per_minute", 4.0, 1.5, 1.2, 40.0),
        ],
    ),
    (
        "cart",
        [
            Metric("latency_ms", 45.0, 8.0, 3.0, 9.0),
            Metric("additions_per_minute", 900.0, 240.0, 30.0, 0.9),
            Metric("errors_per_minute", 2.0, 0.8, 0.7, 60.0),
        ],
    ),
    (
        "search",
        [
            Metric("latency_ms", 80.0, 12.0, 5.0, 12.0),
            Metric("queries_per_minute", 2600.0, 700.0, 80.0, 0.9),
            Metric("empty_results_per_minute", 30.0, 8.0, 4.0, 20.0),
        ],
    ),
    (
        "database",
        [
            Metric("connections", 180.0, 40.0, 6.0, 6.0),
            Metric("slow_queries_per_minute", 3.0, 1.0, 0.9, 70.0),
            Metric("replication_lag_ms", 15.0, 4.0, 3.0, 80.0),
        ],
    ),
];

/// Hosts with a CPU metric each.
const HOSTS: usize = 8;
const MINUTES: u32 = 1440;

/// Suffix, level, daily swing, noise, factor when broken.
pub(super) struct Metric(&'static str, f64, f64, f64, f64);

/// All names.
pub(super) fn names() -> Vec<String> {
    at(0.0).into_iter().map(|(name, _)| name).collect()
}

/// Everything's value at a time, seconds: a pure function, so history and present fit together.
pub(super) fn at(now: f64) -> Vec<Point> {
    let ts = now.floor();
    let mut points = Vec::new();
    for (service, metrics) in &SERVICES {
        for metric in metrics {
            let name = format!("shop.{service}.{}", metric.0);
            let value = metric.1 + metric.2 * daily(ts) + metric.3 * noise(&name, ts);
            points.push((name, (ts, round(value.max(0.0)))));
        }
    }
    for host in 0..HOSTS {
        let name = format!("shop.hosts.web{host:02}.cpu_percent");
        let value = 35.0 + 15.0 * daily(ts) + 3.0 * noise(&name, ts);
        points.push((name, (ts, round(value))));
    }
    points
}

/// Minute data of the day before `now`, series after series.
pub(super) fn history(now: f64) -> Vec<Point> {
    let newest = (now / 60.0).floor() * 60.0 - 60.0;
    (0..MINUTES).flat_map(|i| at(newest - f64::from(MINUTES - 1 - i) * 60.0)).collect()
}

/// The points of a service that breaks at `ts`; `None`: no such service.
pub(super) fn broken(service: &str, ts: f64) -> Option<Vec<Point>> {
    let (service, metrics) = SERVICES.iter().find(|(name, _)| *name == service)?;
    let worst = metrics.iter().filter(|m| m.4 > 1.0);
    Some(worst.map(|m| (format!("shop.{service}.{}", m.0), (ts, round(m.1 * m.4)))).collect())
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// -1 to 1 over the day, lowest at four in the morning (UTC).
fn daily(ts: f64) -> f64 {
    -((ts / 86_400.0 - 4.0 / 24.0) * std::f64::consts::TAU).cos()
}

/// About normal noise of deviation 1, the same for the same name and time.
fn noise(name: &str, ts: f64) -> f64 {
    let mut state = skyline_core::shard::name_hash(name.as_bytes()) ^ ts.to_bits();
    let mut uniform = || {
        // xorshift64*: good enough for a picture.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..6).map(|_| uniform()).sum::<f64>().mul_add(2.0_f64.sqrt(), -3.0 * 2.0_f64.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_can_break_and_noise_is_fair() {
        for (service, _) in &SERVICES {
            assert!(!broken(service, 1.0).unwrap().is_empty());
        }
        assert!(broken("nothing", 1.0).is_none());
        let mean = (0..1000).map(|i| noise("a", f64::from(i))).sum::<f64>() / 1000.0;
        assert!(mean.abs() < 0.1, "{mean}");
        assert_eq!(names().len(), 20);
    }
}
