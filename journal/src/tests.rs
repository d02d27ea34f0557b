//! Tests of the journal as a whole, one file a theme.

mod basics;
mod budget;
mod damage;
mod faults;
mod model;
mod positions;

use crate::journal::lock;
use crate::keeper::Keeper;
use crate::{Delivery, Durability, Error, Journal, Ledger, Mine, Options, Reader, Recovered, WhenFull};
use skyline_core::batch::{Batch, BatchBuilder, Listener, Origin, RouteSet, Routes, Source};
use skyline_core::clock::Clock;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const TCP: Source = Source { listener: Listener::PlaintextTcp, origin: Origin::Live };

/// Options of a small journal.
pub(crate) fn options(dir: &Path) -> Options {
    Options {
        dir: dir.to_owned(),
        max_bytes: 64 << 10,
        segment_bytes: 16 << 10,
        memory_bytes: 4 << 10,
        durability: Durability::Process,
        when_full: WhenFull::ShedOldest,
        min_free_percent: 0.0,
    }
}

/// Opens a journal whose keeper is the test.
#[track_caller]
pub(crate) fn open(options: Options) -> (Journal, Recovered) {
    Journal::open_kept(options, Clock::at(2_000.0), Keeper::Test).unwrap()
}

/// A batch of `count` points whose values are `first`, `first` + 1, ….
pub(crate) fn batch(first: u64, count: u64, routes: Routes) -> Batch {
    let mut builder = BatchBuilder::new(TCP, 1_000.0);
    for n in first..first + count {
        builder.point(b"metric.of.some.length", 1_700_000_000.0, n as f64).unwrap();
    }
    Batch { routes, ..builder.finish().unwrap() }
}

pub(crate) fn to(set: RouteSet) -> Routes {
    Routes::All(set)
}

/// Appends without waiting for anything.
pub(crate) fn append(journal: &Journal, batch: Batch) -> Result<Arc<Batch>, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(journal.append(batch))
}

/// The values of a reader's points.
pub(crate) fn values(deliveries: &[Delivery]) -> Vec<u64> {
    let mut values = Vec::new();
    for delivery in deliveries {
        let samples = &delivery.batch.samples;
        match &delivery.mine {
            Mine::All => values.extend(samples.iter().map(|s| s.value as u64)),
            Mine::Some(indexes) => values.extend(indexes.iter().map(|i| samples[*i as usize].value as u64)),
        }
    }
    values
}

/// Takes all there is.
pub(crate) fn take_all(reader: &mut Reader) -> Vec<u64> {
    let mut out = Vec::new();
    loop {
        let before = out.len();
        reader.take(1000, &mut out).unwrap();
        if out.len() == before {
            return values(&out);
        }
    }
}

/// Calls everything taken done.
pub(crate) fn finish(reader: &mut Reader, delivered: u64) {
    reader.done(reader.cursor(), delivered);
}

/// routed, delivered, waiting, shed.
pub(crate) fn account(reader: &Reader) -> (u64, u64, u64, u64) {
    let Ledger { routed, delivered, waiting, shed, .. } = reader.ledger();
    assert_eq!(routed, delivered + waiting + shed);
    (routed, delivered, waiting, shed)
}

pub(crate) fn mismatches(journal: &Journal) -> u64 {
    lock(&journal.shared().log).counters.mismatches
}

/// The segment files, oldest first.
pub(crate) fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "seg")).collect();
    files.sort();
    files
}
