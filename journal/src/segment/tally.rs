//! Counting what lies between two sequence numbers: whole segments by their summaries, the two at
//! the ends by their headers.

use super::scan::{Item, Scan};
use super::summary::Summary;
use super::walk::{Record, Walker};
use super::{Kind, path};
use crate::error::Error;
use crate::log::Segment;
use crate::sets::{SetTable, count_sets};
use crate::share::Share;
use skyline_core::batch::Routes;
use std::fs::File;
use std::path::Path;

/// Opens a segment to scan it.
pub(crate) fn open(dir: &Path, segment: &Segment) -> Result<Scan<File>, Error> {
    let path = path(dir, segment.first_seq);
    let file = File::open(&path).map_err(Error::io(&path))?;
    Ok(Scan::new(Walker::new(file, segment.bytes, segment.first_seq)))
}

/// The part of `routes` that the points from `from` to `to` of a record have.
fn clip(routes: Routes, record: &Record, from: u64, to: u64) -> (Routes, usize) {
    let header = &record.header;
    let start = from.saturating_sub(header.first_seq).min(u64::from(header.count)) as usize;
    let end = to.saturating_sub(header.first_seq).min(u64::from(header.count)) as usize;
    let points = end.saturating_sub(start);
    match routes {
        Routes::PerSample(sets) if points < sets.len() => {
            (Routes::PerSample(sets.get(start..end).unwrap_or_default().to_vec()), points)
        }
        routes => (routes, points),
    }
}

/// Counts the points from `from` to `to` in `segments`, which hold them.
pub(crate) fn tally(
    dir: &Path,
    segments: &[Segment],
    from: u64,
    to: u64,
    table: &SetTable,
) -> Result<Summary, Error> {
    let mut total = Summary::default();
    for segment in segments {
        if from <= segment.first_seq && segment.end_seq <= to {
            total.merge(&segment.summary);
            continue;
        }
        let failed = || Error::io(&path(dir, segment.first_seq));
        let mut scan = open(dir, segment)?;
        while let Item::Points(record) = scan.next(table, false).map_err(failed())? {
            if record.header.first_seq >= to {
                break;
            }
            let Kind::Lines { source, .. } = record.header.kind else { continue };
            if record.header.end_seq() > from {
                let routes = scan.routes(&record).map_err(failed())?;
                let (routes, points) = clip(routes, &record, from, to);
                total.add(source.listener, record.header.received, &count_sets(&routes, points));
            }
        }
    }
    Ok(total)
}

/// The sequence number up to which, from `from` on, `wanted` points of a reader lie, and how many
/// do (fewer at the end of `segments`).
pub(crate) fn nth(
    dir: &Path,
    segments: &[Segment],
    from: u64,
    wanted: u64,
    (name, share): (&str, &mut Share),
    table: &SetTable,
) -> Result<(u64, u64), Error> {
    let (mut seq, mut found) = (from, 0);
    for segment in segments {
        if found >= wanted {
            break;
        }
        share.refresh(name, table);
        let whole = share.of_summary(&segment.summary);
        if from <= segment.first_seq && found + whole <= wanted {
            found += whole;
            seq = segment.end_seq;
            continue;
        }
        let failed = || Error::io(&path(dir, segment.first_seq));
        let mut scan = open(dir, segment)?;
        while let Item::Points(record) = scan.next(table, false).map_err(failed())? {
            let end = record.header.end_seq();
            if end <= from {
                continue;
            }
            let (routes, points) = clip(scan.routes(&record).map_err(failed())?, &record, from, end);
            share.refresh(name, table);
            let own = share.of_counts(&count_sets(&routes, points));
            if found + own >= wanted {
                let within = within(&routes, points, wanted - found, share);
                return Ok((end - points as u64 + within, wanted));
            }
            found += own;
            seq = end;
        }
    }
    Ok((seq, found))
}

/// How many of `points` points one must pass to pass `wanted` of the reader's.
fn within(routes: &Routes, points: usize, wanted: u64, share: &Share) -> u64 {
    match (routes, wanted.checked_sub(1)) {
        (_, None) => 0,
        (Routes::All(_), Some(_)) => wanted,
        (Routes::PerSample(_), Some(last)) => match share.mine(routes, points, 0) {
            Some(crate::share::Mine::Some(indexes)) => {
                indexes.get(last as usize).map_or(points as u64, |index| u64::from(*index) + 1)
            }
            _ => wanted,
        },
    }
}
