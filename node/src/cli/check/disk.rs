//! The state folder, the room in it, the limit of open files, and the clock.

use crate::cli::report::Report;
use skyline_conf::model::Settings;
use skyline_core::clock::Clock;
use std::fs;
use std::path::{Path, PathBuf};

/// 2024-01-01: earlier times are those of a machine whose clock was never set, seconds.
const EARLIEST: f64 = 1_704_067_200.0;
/// 2100-01-01, seconds.
const LATEST: f64 = 4_102_444_800.0;
/// Files beside those of connections: journal, windows, destinations.
const OTHER_FILES: u64 = 256;

/// `is_running`: a node is known to run there.
pub(in crate::cli) fn check(settings: &Settings, clock: &Clock, is_running: bool, report: &mut Report) {
    let dir = &settings.node.state_dir;
    // That it is empty was said before.
    if !dir.as_os_str().is_empty() && writable("node.state_dir", dir, report) {
        room(settings, report);
    }
    if in_use(dir) && !is_running {
        let message = format!("a node that runs has {}", dir.display());
        let advice = "that is right while it runs; another node needs a folder of its own";
        report.warning("node.state_dir", message, advice);
    }
    let file = &settings.record.sqlite_file;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if file.is_dir() {
        let message = format!("{} is a folder", file.display());
        report.problem("record.sqlite_file", message, "name a file; the node makes it");
    } else if let Some(folder) = folder.filter(|folder| !folder.exists() && !dir.starts_with(folder)) {
        let message = format!("{} is not there", folder.display());
        report.problem("record.sqlite_file", message, "make that folder; the node makes only the file");
    } else if let Some(folder) = folder {
        writable("record.sqlite_file", folder, report);
    }
    open_files(settings, report);
    time(settings, clock.now(), report);
}

/// The nearest folder upwards that exists.
fn existing(path: &Path) -> PathBuf {
    let upwards = path.ancestors().find(|p| p.as_os_str().is_empty() || p.exists());
    match upwards {
        Some(found) if !found.as_os_str().is_empty() => found.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether a file can be made in the folder, or the folder can be made.
fn writable(key: &str, dir: &Path, report: &mut Report) -> bool {
    let there = existing(dir);
    let outcome = tempfile::Builder::new().prefix(".skyline-check-").tempfile_in(&there);
    match outcome {
        Ok(_) if there == dir => report.ok(key, format!("{} can be written", dir.display())),
        Ok(_) => report.ok(key, format!("{} is not there yet and can be made", dir.display())),
        Err(error) => {
            let advice =
                format!("make {} and give it to the user that runs the node, or change {key}", dir.display());
            // The whole error names the file that was tried, which says nothing to the reader.
            report.problem(key, format!("{}: {}", there.display(), error.kind()), advice);
            return false;
        }
    }
    true
}

/// Whether a node holds the lock of the journal there.
fn in_use(dir: &Path) -> bool {
    let lock = fs::File::open(dir.join("journal/lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

fn room(settings: &Settings, report: &mut Report) {
    let (key, journal) = ("journal.max_bytes", &settings.journal);
    let there = existing(&settings.node.state_dir);
    // What the journal already has is part of its budget.
    let used = size_of(&settings.node.state_dir.join("journal"));
    let room = match skyline_journal::room_bytes(&there, used, journal.min_free_percent) {
        Ok(room) => room,
        Err(error) => {
            return report.warning(
                key,
                format!("free space of {}: {error}", there.display()),
                "look at it with df",
            );
        }
    };
    let (room_text, budget) = (mebibytes(room), mebibytes(journal.max_bytes));
    let there = there.display();
    if room < journal.segment_bytes.saturating_mul(2) {
        let message = format!("{there} has {room_text} for it: no room for two segments");
        report.problem(key, message, "make room, or name another folder in node.state_dir");
    } else if room < journal.max_bytes {
        let message = format!("the budget is {budget}, and {there} has {room_text} for it");
        let advice = "lower it, or make room: journal.min_free_percent stay free";
        report.warning(key, message, advice);
    } else {
        report.ok(key, format!("{budget} are allowed, there is room for {room_text}"));
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Bytes of the files in a folder.
fn size_of(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .filter(fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

fn open_files(settings: &Settings, report: &mut Report) {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let Some(limit) = hard_limit(&limits) else { return };
    let needed = u64::from(settings.listen.max_connections) + OTHER_FILES;
    if limit < needed {
        let message = format!(
            "{limit} files may be open here, and that many connections need {needed}: the node will take fewer"
        );
        let advice = format!("type ulimit -n {needed} or set LimitNOFILE={needed} in the unit; or lower it");
        report.warning("listen.max_connections", message, advice);
    }
}

/// The hard limit of open files, to which the node raises its own, from the text of `/proc/self/limits`;
/// none: no limit is known.
fn hard_limit(limits: &str) -> Option<u64> {
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().nth(1)?.parse().ok())
}

fn time(settings: &Settings, now: f64, report: &mut Report) {
    if !(EARLIEST..LATEST).contains(&now) {
        let message = format!("the clock says {now:.0} seconds since 1970, which cannot be");
        return report.problem(
            "clock",
            message,
            "set it, and keep it in step with chrony or systemd-timesyncd",
        );
    }
    let newest = ["journal", "window"]
        .iter()
        .filter_map(|part| newest(&settings.node.state_dir.join(part)))
        .fold(0.0, f64::max);
    if newest > now + 60.0 {
        let message = format!("it is {:.0} s behind the newest file of the journal", newest - now);
        report.warning("clock", message, "set it: points would be refused as too far ahead");
    } else {
        report.ok("clock", "the time is plausible");
    }
}

/// When a file in the folder was last written, seconds since the epoch.
fn newest(dir: &Path) -> Option<f64> {
    let entries = fs::read_dir(dir).ok()?.flatten();
    let written = entries.filter_map(|entry| entry.metadata().ok()?.modified().ok());
    written
        .filter_map(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
        .max()
        .map(|since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::Level;

    #[track_caller]
    fn finds(check: impl FnOnce(&mut Report), level: Level, expected: &str) {
        let mut report = Report::new(true);
        check(&mut report);
        let said: Vec<String> = report.lines.iter().map(ToString::to_string).collect();
        let line =
            report.lines.last().filter(|line| line.level == level && line.to_string().contains(expected));
        assert!(line.is_some(), "{level:?} {expected} in {said:#?}");
    }

    #[test]
    fn folders() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let check = |dir: &Path, level: Level, expected: &str| {
            let look = |report: &mut Report| assert_eq!(writable("k", dir, report), level == Level::Ok);
            finds(look, level, expected);
        };
        check(folder.path(), Level::Ok, "can be written");
        check(&folder.path().join("a/b"), Level::Ok, "is not there yet and can be made");
        check(&file, Level::Problem, "or change k");
        check(&file.join("a"), Level::Problem, "or change k");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn the_journal_has_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.node.state_dir = folder.path().to_owned();
        settings.journal.max_bytes = 1 << 20;
        settings.journal.segment_bytes = 1 << 10;
        settings.journal.min_free_percent = 0.0;
        finds(|report| room(&settings, report), Level::Ok, "1 MiB are allowed");
        settings.journal.max_bytes = u64::MAX;
        finds(|report| room(&settings, report), Level::Warning, "lower it");
        settings.journal.max_bytes = 1 << 20;
        settings.journal.min_free_percent = 100.0;
        finds(|report| room(&settings, report), Level::Problem, "no room for two segments");
        settings.journal.min_free_percent = 0.0;
        settings.journal.segment_bytes = u64::MAX / 2;
        finds(|report| room(&settings, report), Level::Problem, "no room for two segments");
    }

    #[test]
    fn open_files_are_enough() {
        assert_eq!(
            hard_limit("x\nMax open files            1024                 524288               files\n"),
            Some(524_288)
        );
        assert_eq!(
            hard_limit("Max open files            unlimited            unlimited            files\n"),
            None
        );
        let mut settings = Settings::default();
        settings.listen.max_connections = u32::MAX;
        finds(|report| open_files(&settings, report), Level::Warning, "LimitNOFILE=4294967551");
    }

    #[test]
    fn the_time_is_sane() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.node.state_dir = folder.path().to_owned();
        let now = Clock::system().now();
        let check =
            |now: f64, level, expected: &str| finds(|report| time(&settings, now, report), level, expected);
        check(now, Level::Ok, "plausible");
        check(86_400.0, Level::Problem, "86400 seconds since 1970");
        check(5e9, Level::Problem, "cannot be");
        fs::create_dir(folder.path().join("journal")).unwrap();
        fs::write(folder.path().join("journal/1.seg"), "").unwrap();
        check(now, Level::Ok, "plausible");
        check(now - 3_600.0, Level::Warning, "behind the newest file");
    }
}
