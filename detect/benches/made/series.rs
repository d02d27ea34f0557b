//! Series for measurements: names and values of the load tool's kind. Part of each program that measures.

/// Name of a metric: a hundred of a host.
pub(crate) fn name(metric: usize) -> String {
    format!("load.eu-west-1.web-{:05}.cpu.{}.user", metric / 100, metric % 100)
}

/// Value of a metric in a minute: integers, large integers, three decimals.
pub(crate) fn value(metric: usize, minute: usize) -> f64 {
    let mut x = (metric as u64 * 0x9e37_79b9 + minute as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 31;
    match metric % 4 {
        0 => (x % 100) as f64,
        1 => 1e6 + (x % 1_000_000) as f64,
        _ => (x % 100_000) as f64 / 1000.0,
    }
}
