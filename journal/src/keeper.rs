//! What is done once a second beside reading and writing: positions saved, segments freed, free
//! disk watched. One thread a journal.

use crate::error::Error;
use crate::journal::{Shared, lock};
use crate::position::{Saved, Store};
use crate::segment::{path, summary};
use skyline_core::file::{replace, sync_dir};
use std::fs::File;
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// Weight of the last second in the smoothed rate.
const RATE_WEIGHT: f64 = 0.1;

/// Who calls [`Shared::tend`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// A thread of the journal's own.
    Thread,
    /// The test.
    #[cfg(test)]
    Test,
}

/// What only one at a time may do: save positions and remove segments.
#[derive(Debug)]
pub(crate) struct Keep {
    pub(crate) positions: Store,
    /// The register of readers was lost: nobody knows yet whose segments these are.
    pub(crate) register_lost: bool,
    /// The disk has less than its share free; said once.
    pub(crate) low_disk: bool,
    /// When shedding was last said.
    pub(crate) shed_said: f64,
    /// Saving failed the last time; said once.
    save_failing: bool,
    /// Time and bytes at the last look.
    looked: (f64, u64),
    #[cfg(test)]
    pub(crate) crashed: bool,
}

impl Keep {
    pub(crate) fn new(positions: Store, register_lost: bool, now: f64) -> Self {
        Self {
            positions,
            register_lost,
            low_disk: false,
            shed_said: f64::NEG_INFINITY,
            save_failing: false,
            looked: (now, 0),
            #[cfg(test)]
            crashed: false,
        }
    }
}

/// Wakes the keeper before its time.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Alarm {
    pub(crate) fn ring(&self) {
        *lock(&self.rung) = true;
        self.changed.notify_one();
    }

    fn wait(&self, longest: Duration) {
        let rung = lock(&self.rung);
        match self.changed.wait_timeout_while(rung, longest, |rung| !*rung) {
            Ok((mut rung, _)) => *rung = false,
            Err(poisoned) => *poisoned.into_inner().0 = false,
        }
    }
}

impl Shared {
    /// The keeper's thread, until the journal is closed.
    pub(crate) fn run_keeper(&self) {
        loop {
            self.alarm.wait(EVERY);
            let stopping = self.stopping.load(Ordering::Acquire);
            self.tend();
            if stopping {
                return;
            }
        }
    }

    /// One look at everything.
    pub(crate) fn tend(&self) {
        let mut keep = lock(&self.keep);
        #[cfg(test)]
        if keep.crashed {
            return;
        }
        let saved = self.save_positions(&mut keep, self.machine());
        let failing = saved.is_err();
        if let Err(error) = saved
            && !keep.save_failing
        {
            tracing::error!(%error, "positions cannot be saved: after a crash more would be sent twice");
        }
        keep.save_failing = failing;
        self.seal_closed();
        self.measure(&mut keep);
        self.free(&keep);
        self.watch_disk(&mut keep);
        drop(keep);
        self.room.notify_waiters();
    }

    fn measure(&self, keep: &mut Keep) {
        let now = self.clock.now();
        let mut log = lock(&self.log);
        let bytes = log.counters.bytes;
        let (then, before) = keep.looked;
        let seconds = now - then;
        if seconds >= 0.5 {
            let rate = bytes.saturating_sub(before) as f64 / seconds;
            let weight = (1.0 - RATE_WEIGHT).powf(seconds);
            log.rate = log.rate * weight + rate * (1.0 - weight);
            keep.looked = (now, bytes);
        } else if seconds < 0.0 {
            keep.looked = (now, bytes);
        }
    }

    /// Saves the positions that have changed.
    pub(crate) fn save_positions(&self, keep: &mut Keep, sync: bool) -> Result<(), Error> {
        let mut due: Vec<(usize, Saved)> = Vec::new();
        let end;
        {
            let mut log = lock(&self.log);
            let start = log.start();
            end = log.end;
            for (place, account) in log.accounts.iter_mut().enumerate() {
                if !account.gone && (account.dirty || sync) {
                    account.dirty = false;
                    due.push((place, account.to_saved(start)));
                }
            }
        }
        let mut result = keep.positions.save_end(end, sync);
        for (place, saved) in due {
            let written = keep.positions.save(&saved, sync);
            let mut log = lock(&self.log);
            let account = log.account(place);
            match written {
                Ok(()) => account.saved_pin = saved.position.min(saved.hold),
                Err(error) => {
                    account.dirty = true;
                    result = Err(error);
                }
            }
        }
        if sync { result.and_then(|()| keep.positions.sync()) } else { result }
    }

    /// Writes the summaries of segments that have been closed.
    pub(crate) fn seal_closed(&self) {
        let due: Vec<_> = {
            let log = lock(&self.log);
            let closed = log.segments.iter().take(log.closed());
            closed.filter(|segment| !segment.sealed).map(|segment| segment.to_sealed()).collect()
        };
        for sealed in due {
            let file = summary::path(&self.options.dir, sealed.first_seq);
            // Without it the next start reads the segment's headers: not worth an error.
            if replace(&file, &sealed.encode(&self.sets), false).is_ok() {
                let mut log = lock(&self.log);
                let found = log.segments.iter_mut().find(|s| s.first_seq == sealed.first_seq);
                if let Some(segment) = found {
                    segment.sealed = true;
                }
            }
        }
    }

    /// Syncs the segments that were closed since the last time.
    pub(crate) fn sync_closed(&self) -> Result<(), Error> {
        let due: Vec<u64> = {
            let log = lock(&self.log);
            let closed = log.segments.iter().take(log.closed());
            closed.filter(|segment| !segment.synced).map(|segment| segment.first_seq).collect()
        };
        for first_seq in due {
            let path = path(&self.options.dir, first_seq);
            match File::open(&path).and_then(|file| file.sync_data()) {
                // Freed meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                synced => synced.map_err(Error::io(&path))?,
            }
            let mut log = lock(&self.log);
            if let Some(segment) = log.segments.iter_mut().find(|s| s.first_seq == first_seq) {
                segment.synced = true;
            }
        }
        sync_dir(&self.options.dir).map_err(Error::io(&self.options.dir))
    }
}
