//! How many connections this process has file descriptors for. Those that the journal, the windows and
//! the destinations need are not given away: without them nothing that comes in could be kept.
#![expect(unsafe_code, reason = "limits of the process have no safe form")]

/// Kept for everything that is no connection of a sender.
const OTHER: u64 = 256;

/// Of `wanted` connections those for which there are descriptors; says so if they are fewer.
pub(super) fn places(wanted: u32) -> u32 {
    let limit = raise_limit();
    let most = connections(wanted, limit);
    if most < wanted {
        tracing::warn!(
            connections = most,
            max_connections = wanted,
            open_files = limit,
            "the limit of open files allows fewer connections; raise it (LimitNOFILE) or lower listen.max_connections"
        );
    }
    most
}

/// Lets this process open as many files as the system allows it to; how many those are, if that is known.
fn raise_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call is given a struct of its own, which it fills.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return None;
    }
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
    // SAFETY: the call reads a struct that outlives it.
    let is_raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0;
    Some(if is_raised { raised.rlim_cur } else { limit.rlim_cur })
}

/// Of `wanted` connections those for which there are descriptors, given a limit of open files. At least
/// half of a small limit.
fn connections(wanted: u32, limit: Option<u64>) -> u32 {
    let Some(limit) = limit else { return wanted };
    let most = limit - OTHER.min(limit / 2);
    wanted.min(u32::try_from(most).unwrap_or(u32::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_keeps_its_descriptors() {
        let check = |wanted, limit, expected| assert_eq!(connections(wanted, limit), expected, "{limit:?}");
        check(10_000, None, 10_000);
        check(10_000, Some(524_288), 10_000);
        check(10_000, Some(1_024), 768);
        check(10_000, Some(64), 32);
        check(10, Some(0), 1);
        check(10_000, Some(u64::MAX), 10_000);
        assert!(raise_limit().is_none_or(|limit| limit > 0));
    }
}
