//! Memory and processor time of this process, from `/proc`.

/// What it uses; `None`: the system does not say.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Process {
    /// Resident memory, bytes.
    pub(crate) resident_bytes: Option<f64>,
    /// Processor time since its start, seconds.
    pub(crate) cpu_seconds: Option<f64>,
}

impl Process {
    pub(crate) fn now() -> Self {
        let read = |file: &str| std::fs::read_to_string(file).ok();
        let pages = read("/proc/self/statm").and_then(|s| s.split(' ').nth(1)?.parse::<f64>().ok());
        let ticks = read("/proc/self/stat").and_then(|stat| {
            let (_, rest) = stat.rsplit_once(") ")?;
            // utime and stime.
            Some(rest.split(' ').skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum::<f64>())
        });
        // Pages of 4 KiB and ticks of 10 ms: so it is on every Linux that we know.
        Self { resident_bytes: pages.map(|n| n * 4096.0), cpu_seconds: ticks.map(|n| n / 100.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let now = Process::now();
        assert!(now.resident_bytes > Some(1e6) && now.cpu_seconds >= Some(0.0), "{now:?}");
    }
}
