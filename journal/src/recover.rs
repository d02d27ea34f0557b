//! Opening a journal: what is there is listed, the last segment is read record by record, what
//! is damaged is cut off or passed by and counted. Never refuses to start because of damage.

use crate::error::Error;
use crate::journal::{Shared, lock};
use crate::keeper::{Alarm, Keep};
use crate::ledger::Account;
use crate::log::{Counters, Log, Segment};
use crate::options::Options;
use crate::position::{Loaded, Store};
use crate::ring::Ring;
use crate::segment::scan::{Item, Scan};
use crate::segment::summary::{self, Sealed, Summary};
use crate::segment::walk::{Bytes, Walker};
use crate::segment::{Kind, mark_end, parse_name, path};
use crate::sets::{SetTable, count_sets};
use crate::share::Scope;
use crate::writer::Writer;
use skyline_core::clock::Clock;
use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex};
use tokio::sync::Notify;

/// What was found at open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Sequence number of the oldest point.
    pub start: u64,
    /// Sequence number that the next point gets.
    pub end: u64,
    /// Bytes of an unfinished record that were cut off at the end.
    pub torn_bytes: u64,
    /// Points whose records are missing although later ones are there.
    pub lost_points: u64,
    /// Damaged bytes that were passed by.
    pub skipped_bytes: u64,
}

/// Opens the journal and counts what waits for each known reader.
pub(crate) fn open(options: Options, clock: Clock) -> Result<(Shared, Recovered), Error> {
    let dir = &options.dir;
    fs::create_dir_all(dir).map_err(Error::io(dir))?;
    let exclusive = take_lock(dir)?;
    let sets = SetTable::default();
    let (positions, loaded) = Store::open(dir)?;
    let mut recovered = Recovered::default();
    let (segments, log_end) = segments(dir, &sets, &mut recovered)?;
    // A log that has lost its end (a power cut) gives no number twice: readers may know it.
    let end = loaded.saved.iter().map(|saved| saved.position).fold(log_end.max(loaded.end), u64::max);
    if end > log_end {
        let lost = end - log_end;
        tracing::error!(dir = %dir.display(), lost, log_end, end, "points at the log's end are lost");
        recovered.lost_points += end - log_end;
        // So that the next start does not say the same again.
        if let Err(error) = mark_end(dir, end) {
            tracing::warn!(dir = %dir.display(), %error, "the log's end cannot be marked");
        }
    }
    recovered.start = segments.front().map_or(end, |segment| segment.first_seq);
    recovered.end = end;
    let last_received = segments.back().map_or(0.0, |segment| segment.summary.last_received);
    let log = Log {
        segments,
        writing: false,
        ring: Ring::new(options.memory_bytes),
        accounts: Vec::new(),
        end,
        budget: options.max_bytes,
        rate: 0.0,
        counters: Counters { lost_points: recovered.lost_points, ..Counters::default() },
    };
    // A journal without segments is new: there is nothing that could have been lost.
    let register_lost = loaded.register_lost && log_end > 0;
    if loaded.register_lost {
        positions.write_register(false)?;
    }
    let keep = Keep::new(positions, register_lost, clock.now());
    let shared = Shared {
        rotate_at: options.rotate_at(),
        sets,
        pending: Mutex::default(),
        pending_more: Condvar::new(),
        writer: Mutex::new(Writer::new(end, last_received)),
        keep: Mutex::new(keep),
        log: Mutex::new(log),
        alarm: Alarm::default(),
        full: AtomicBool::new(false),
        room: Notify::new(),
        stopping: AtomicBool::new(false),
        writer_gone: AtomicBool::new(false),
        _lock: exclusive,
        clock,
        options,
    };
    shared.enter_known(loaded)?;
    shared.watch_disk(&mut lock(&shared.keep));
    Ok((shared, recovered))
}

fn take_lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let file = File::options().create(true).append(true).open(&path).map_err(Error::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(Error::Io { path, source }),
    }
}

/// Reads what every segment holds; the sequence number after the newest point.
fn segments(
    dir: &Path,
    table: &SetTable,
    recovered: &mut Recovered,
) -> Result<(VecDeque<Segment>, u64), Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io(dir))? {
        let name = entry.map_err(Error::io(dir))?.file_name();
        names.extend(name.to_str().and_then(parse_name));
    }
    names.sort_unstable();
    let last = names.last().copied();
    let mut found: VecDeque<Segment> = VecDeque::with_capacity(names.len());
    let mut end = 0;
    for first_seq in names {
        let file = path(dir, first_seq);
        let bytes = fs::metadata(&file).map_err(Error::io(&file))?.len();
        let is_last = Some(first_seq) == last;
        let sealed = if is_last { None } else { read_summary(dir, first_seq, bytes, table) };
        let segment = match sealed {
            Some(sealed) => Segment::from_sealed(sealed),
            None => {
                let scan = File::open(&file).map_err(Error::io(&file))?;
                let survey = survey(scan, bytes, first_seq, is_last, table).map_err(Error::io(&file))?;
                settle(dir, &survey, is_last, recovered)?
            }
        };
        if segment.end_seq == segment.first_seq {
            if is_last && first_seq >= end {
                // Its name still says how far the log went: see [`mark_end`].
                recovered.lost_points += found.back().map_or(0, |before| first_seq - before.end_seq);
                end = first_seq;
            } else {
                fs::remove_file(&file).map_err(Error::io(&file))?;
            }
            continue;
        }
        if let Some(before) = found.back_mut().filter(|before| before.end_seq > first_seq) {
            *before = cut_off(dir, before.first_seq, first_seq, table).map_err(Error::io(dir))?;
        }
        let expected = found.back().map_or(first_seq, |before| before.end_seq);
        if first_seq < expected {
            tracing::error!(path = %file.display(), "a segment overlaps the one before it and is left out");
            continue;
        }
        recovered.lost_points += segment.summary.lost + (first_seq - expected);
        end = segment.end_seq;
        found.push_back(segment);
    }
    if recovered.lost_points > 0 || recovered.skipped_bytes > 0 {
        let (points, bytes) = (recovered.lost_points, recovered.skipped_bytes);
        tracing::error!(dir = %dir.display(), points, bytes, "the journal is damaged: points are lost");
    }
    Ok((found, end))
}

/// Cuts off what stands in a segment from `end` on: records of a group that was refused, which could not
/// be cut off then, and whose numbers the next segment gave again.
fn cut_off(dir: &Path, first_seq: u64, end: u64, table: &SetTable) -> std::io::Result<Segment> {
    let file = path(dir, first_seq);
    let len = fs::metadata(&file)?.len();
    let mut scan = Scan::new(Walker::new(File::open(&file)?, len, first_seq));
    let at = loop {
        match scan.next(table, false)? {
            Item::Points(record) if record.header.end_seq() > end => break record.at,
            Item::Points(_) => {}
            Item::End { at, .. } => break at,
        }
    };
    tracing::warn!(path = %file.display(), bytes = len - at, "refused records at a segment's end are cut off");
    match fs::remove_file(summary::path(dir, first_seq)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options().write(true).open(&file)?.set_len(at)?;
    let survey = survey(File::open(&file)?, at, first_seq, false, table)?;
    Ok(Segment { sealed: false, ..Segment::from_sealed(survey.sealed) })
}

fn read_summary(dir: &Path, first_seq: u64, bytes: u64, table: &SetTable) -> Option<Sealed> {
    let content = fs::read(summary::path(dir, first_seq)).ok()?;
    let sealed = Sealed::decode(&content, table)?;
    // Bytes behind the end are damage that was counted when the summary was written.
    (sealed.first_seq == first_seq && sealed.bytes <= bytes).then_some(sealed)
}

/// What a segment was found to hold.
#[derive(Debug, PartialEq)]
pub(crate) struct Survey {
    pub(crate) sealed: Sealed,
    pub(crate) torn: u64,
    pub(crate) skipped: u64,
}

/// Reads a segment from its beginning to its end; with `verify` payloads too.
pub(crate) fn survey<B: Bytes>(
    bytes: B,
    len: u64,
    first_seq: u64,
    verify: bool,
    table: &SetTable,
) -> std::io::Result<Survey> {
    let mut walker = Walker::new(bytes, len, first_seq);
    if verify {
        walker.read_ahead(1 << 20);
    }
    let mut scan = Scan::new(walker);
    let mut summary = Summary::default();
    let mut end_seq = first_seq;
    loop {
        match scan.next(table, verify)? {
            Item::Points(record) => {
                let header = record.header;
                let Kind::Lines { source, .. } = header.kind else { continue };
                summary.lost += header.first_seq - end_seq;
                end_seq = header.end_seq();
                let counts = count_sets(&scan.routes(&record)?, header.count as usize);
                summary.add(source.listener, header.received, &counts);
            }
            Item::End { at, torn } => {
                let sealed = Sealed { first_seq, end_seq, bytes: at, summary };
                return Ok(Survey { sealed, torn, skipped: scan.skipped });
            }
        }
    }
}

/// Cuts a torn tail, counts damage.
fn settle(dir: &Path, survey: &Survey, is_last: bool, recovered: &mut Recovered) -> Result<Segment, Error> {
    let sealed = &survey.sealed;
    recovered.skipped_bytes += survey.skipped;
    if !is_last {
        recovered.skipped_bytes += survey.torn;
        return Ok(Segment { sealed: false, ..Segment::from_sealed(sealed.clone()) });
    }
    recovered.torn_bytes += survey.torn;
    let path = path(dir, sealed.first_seq);
    if survey.torn > 0 {
        tracing::warn!(path = %path.display(), bytes = survey.torn, "an unfinished record at the journal's end is cut off");
    }
    let file = File::options().write(true).open(&path).map_err(Error::io(&path))?;
    file.set_len(sealed.bytes).map_err(Error::io(&path))?;
    Ok(Segment { sealed: false, ..Segment::from_sealed(sealed.clone()) })
}

impl Shared {
    /// Makes the accounts of readers that were there before.
    fn enter_known(&self, loaded: Loaded) -> Result<(), Error> {
        for saved in &loaded.saved {
            let mut account = Account::resumed(saved);
            let start = lock(&self.log).start();
            if account.position < start {
                let reader = &saved.name;
                tracing::error!(%reader, position = saved.position, start, "a position is older than the journal, points between are lost");
                account.crossed(saved.position, start);
                account.position = start;
                account.cursor = start;
            }
            let place = lock(&self.log).enter(account);
            self.count_waiting(place)?;
        }
        for name in loaded.lost {
            let place = {
                let mut log = lock(&self.log);
                let start = log.start();
                tracing::error!(reader = %name, start, "a position is lost, all that the journal holds is read again");
                log.enter(Account::new(&name, Scope::Routed, start))
            };
            self.count_waiting(place)?;
        }
        self.seal_closed();
        Ok(())
    }
}
