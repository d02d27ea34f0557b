//! How much memory a case may take.

/// A case may raise the process's peak by so much, bytes.
const LIMIT: u64 = 256 << 20;

/// The process's peak of resident memory so far, bytes; 0 where the system does not tell.
pub(crate) fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Whether the peak has stayed within bounds since it was `before`. (Cases run side by side: a
/// neighbour may be the one that took it.)
pub(crate) fn check(before: u64) -> Result<(), String> {
    within(before, peak())
}

fn within(before: u64, now: u64) -> Result<(), String> {
    let grown = now.saturating_sub(before);
    if grown <= LIMIT { Ok(()) } else { Err(format!("it took {} MiB of memory", grown >> 20)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks() {
        assert!(peak() > 1 << 20);
        assert_eq!(within(5, 5 + LIMIT), Ok(()));
        assert_eq!(within(5, 3), Ok(()));
        assert_eq!(within(0, 300 << 20), Err("it took 300 MiB of memory".to_owned()));
    }
}
