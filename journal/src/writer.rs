//! Appending: batches that arrive at the same time are written together.
//!
//! A batch is pushed to a list under a short lock. The first to do so lets every other task that can
//! run go first (senders tend to speak at the same moment), then writes all that is on the list with
//! one `writev`, publishes it to the readers and answers everybody. There is no timer and, unless each
//! group is synced, no thread for it. Checksums are computed before any lock is taken.

mod file;
pub(crate) mod layout;

use crate::error::Error;
use crate::journal::{Shared, lock};
use crate::ledger::Wake;
use crate::log::{Segment, Written};
use crate::options::Durability;
use crate::sets::{SetCounts, count_sets};
use file::Active;
pub(crate) use file::Fault;
use layout::Layout;
use skyline_core::batch::{Batch, RouteSet, Routes};
use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

/// Bytes that are written at once, unless one batch is larger.
const GROUP_BYTES: usize = 1 << 20;
/// Pending bytes that nobody waits to become more.
const GATHERED_BYTES: usize = 128 << 10;

/// Seconds by which the clock has to fall back before receipt times follow it. Less is the work of a time
/// daemon; more is a clock that was wrong, and every point would look old until the time is reached again.
const CLOCK_SET_BACK: f64 = 60.0;

pub(crate) type Outcome = Result<Arc<Batch>, Error>;

/// A batch that is ready to be written.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) batch: Batch,
    /// The route sets of the points, if they differ.
    pub(crate) prefix: Vec<u8>,
    pub(crate) payload_crc: u32,
    pub(crate) counts: SetCounts,
    answer: oneshot::Sender<Outcome>,
}

/// A caller who has gone away does not hear that its batch was logged.
fn give(answer: oneshot::Sender<Outcome>, outcome: Outcome) {
    drop(answer.send(outcome));
}

/// Batches that nobody writes yet.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Somebody will write them.
    is_led: bool,
}

impl Pending {
    fn push(&mut self, entry: Entry) {
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
    }

    /// Takes from the list what is written together.
    fn next_group(&mut self) -> Vec<Entry> {
        let mut bytes = 0;
        let mut group = Vec::new();
        let fits = |entry: &mut Entry, bytes: usize| bytes == 0 || bytes + entry.bytes() <= GROUP_BYTES;
        while let Some(entry) = self.entries.pop_front_if(|entry| fits(entry, bytes)) {
            bytes += entry.bytes();
            group.push(entry);
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        group
    }
}

/// Who holds it has promised to write what is pending, and does when it goes, also if its caller has
/// gone away meanwhile.
struct Lead<'a>(&'a Shared);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        lock(&self.0.pending).is_led = false;
        self.0.commit_pending();
    }
}

impl Entry {
    fn new(mut batch: Batch, answer: oneshot::Sender<Outcome>) -> Result<Self, Error> {
        if let Routes::PerSample(sets) = &mut batch.routes {
            sets.resize(batch.samples.len(), RouteSet(0));
        }
        let counts = count_sets(&batch.routes, batch.len());
        if let [(set, _)] = counts.as_slice() {
            batch.routes = Routes::All(*set);
        }
        let mut prefix = Vec::new();
        if let Routes::PerSample(sets) = &batch.routes {
            prefix.reserve_exact(sets.len() * 4);
            for set in sets {
                prefix.extend_from_slice(&set.0.to_le_bytes());
            }
        }
        let bytes = (prefix.len() + batch.text.len()) as u64;
        if bytes > u64::from(u32::MAX) {
            return Err(Error::TooLarge { bytes });
        }
        let mut crc = crc32fast::Hasher::new();
        crc.update(&prefix);
        crc.update(&batch.text);
        Ok(Self { batch, prefix, payload_crc: crc.finalize(), counts, answer })
    }

    /// Bytes of its record, about.
    fn bytes(&self) -> usize {
        crate::segment::HEADER + self.prefix.len() + self.batch.text.len()
    }
}

/// What has to be done once the writer's lock is released.
#[derive(Debug, Default)]
pub(crate) struct After {
    fallen: Vec<Arc<Batch>>,
    wake: Vec<Arc<Wake>>,
}

impl After {
    /// Wakes sleeping readers and frees memory.
    pub(crate) fn run(self) {
        for wake in self.wake {
            wake.task.notify_waiters();
            if wake.sleeping.load(Ordering::Relaxed) > 0 {
                wake.thread.notify_all();
            }
        }
        drop(self.fallen);
    }
}

/// What only the one who writes touches.
#[derive(Debug)]
pub(crate) struct Writer {
    active: Option<Active>,
    next_seq: u64,
    last_received: f64,
    /// Sets whose record is in the segment being written.
    known_sets: HashSet<u32>,
    /// The last write failed; said once.
    failing: bool,
    /// What a test makes fail.
    pub(crate) fault: Fault,
}

impl Writer {
    pub(crate) fn new(next_seq: u64, last_received: f64) -> Self {
        Self {
            active: None,
            next_seq,
            last_received,
            known_sets: HashSet::new(),
            failing: false,
            fault: Fault::default(),
        }
    }

    /// Syncs the segment being written.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        match &self.active {
            Some(active) => active.sync().map_err(Error::io(&active.path)),
            None => Ok(()),
        }
    }

    /// Gives back what is reserved beyond the segment's end.
    pub(crate) fn close(&mut self) {
        if let Some(active) = self.active.take() {
            active.close();
        }
    }
}

impl Shared {
    /// Writes a batch, together with what others have to write just now.
    pub(crate) async fn append_grouped(&self, batch: Batch) -> Outcome {
        let (sender, answer) = oneshot::channel();
        let entry = Entry::new(batch, sender)?;
        let (lead, is_much) = {
            let mut pending = lock(&self.pending);
            pending.push(entry);
            let lead = (!std::mem::replace(&mut pending.is_led, true)).then(|| Lead(self));
            (lead, pending.bytes >= GATHERED_BYTES)
        };
        if is_much {
            self.commit_pending();
        } else if lead.is_some() {
            tokio::task::yield_now().await;
        }
        drop(lead);
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Writes all that is pending.
    fn commit_pending(&self) {
        let mut after = After::default();
        let mut writer = lock(&self.writer);
        loop {
            let group = lock(&self.pending).next_group();
            if group.is_empty() {
                break;
            }
            self.commit(&mut writer, group, &mut after);
        }
        drop(writer);
        after.run();
    }

    /// Hands a batch to the thread that writes and syncs.
    pub(crate) async fn append_synced(&self, batch: Batch) -> Outcome {
        let (sender, answer) = oneshot::channel();
        let entry = Entry::new(batch, sender)?;
        {
            let mut pending = lock(&self.pending);
            if self.writer_gone.load(Ordering::Acquire) {
                return Err(Error::Closed);
            }
            pending.push(entry);
        }
        self.pending_more.notify_one();
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// The thread that writes and syncs, until the journal is closed.
    pub(crate) fn run_writer(&self) {
        let gone = WriterGone(self);
        loop {
            let pending = lock(&self.pending);
            let idle =
                |pending: &mut Pending| pending.entries.is_empty() && !self.stopping.load(Ordering::Acquire);
            let mut pending = match self.pending_more.wait_while(pending, idle) {
                Ok(pending) => pending,
                Err(poisoned) => poisoned.into_inner(),
            };
            let group = pending.next_group();
            drop(pending);
            if group.is_empty() {
                break;
            }
            let mut after = After::default();
            self.commit(&mut lock(&self.writer), group, &mut after);
            after.run();
        }
        drop(gone);
    }

    fn commit(&self, writer: &mut Writer, group: Vec<Entry>, after: &mut After) {
        let need: usize = group.iter().map(Entry::bytes).sum();
        self.follow_clock(writer, &group);
        let ready = self.ready_segment(writer, need as u64);
        let written = ready.and_then(|()| {
            let layout = Layout::new(&group, writer.next_seq, writer.last_received, &self.sets, |set| {
                writer.known_sets.contains(&set)
            });
            self.write(writer, &group, &layout).map(|()| layout)
        });
        match written {
            Ok(layout) => self.publish(writer, group, layout, after),
            Err(error) => self.refuse(writer, group, &error),
        }
    }

    /// Ends the segment where the clock was set back: receipt times grow within a segment only.
    fn follow_clock(&self, writer: &mut Writer, group: &[Entry]) {
        let Some(received) = group.iter().map(|e| e.batch.received).find(|r| r.is_finite()) else { return };
        if received + CLOCK_SET_BACK >= writer.last_received {
            return;
        }
        let back = writer.last_received - received;
        tracing::warn!(dir = %self.options.dir.display(), seconds = back, "the clock was set back; points are received in its time from here on");
        writer.last_received = received;
        if writer.active.as_ref().is_some_and(|active| active.bytes > 0) {
            writer.close();
        }
    }

    fn write(&self, writer: &mut Writer, group: &[Entry], layout: &Layout) -> io::Result<()> {
        let Some(active) = &mut writer.active else { return Err(io::ErrorKind::NotFound.into()) };
        let slices = &mut layout.slices(group);
        let mut written = active.append(slices, &writer.fault);
        if written.is_ok() && self.options.durability == Durability::Machine {
            written = active.sync_group(&writer.fault);
        }
        if written.is_err() && !active.cut_back(&writer.fault) {
            // Its end is not known any more: the next batch begins a segment of its own.
            writer.active = None;
        }
        written
    }

    fn publish(&self, writer: &mut Writer, group: Vec<Entry>, layout: Layout, after: &mut After) {
        if let Some(active) = &mut writer.active {
            active.bytes += layout.bytes();
        }
        writer.next_seq = layout.end_seq;
        writer.last_received = layout.last_received;
        writer.known_sets.extend(layout.new_sets.iter().copied());
        let mut answers = Vec::with_capacity(group.len());
        let mut written = Vec::with_capacity(group.len());
        for (entry, place) in group.into_iter().zip(layout.places) {
            let batch =
                Arc::new(Batch { first_seq: place.first_seq, received: place.received, ..entry.batch });
            answers.push((entry.answer, Arc::clone(&batch)));
            written.push(Written { batch, counts: entry.counts, bytes: place.bytes });
        }
        after.fallen.reserve(written.len());
        let mut log = lock(&self.log);
        for written in written {
            log.publish(written, &self.sets, &mut after.fallen, &mut after.wake);
        }
        drop(log);
        for (answer, batch) in answers {
            give(answer, Ok(batch));
        }
        if std::mem::take(&mut writer.failing) {
            self.full.store(false, Ordering::Release);
            tracing::info!(dir = %self.options.dir.display(), "the journal takes batches again");
        }
    }

    fn refuse(&self, writer: &mut Writer, group: Vec<Entry>, error: &io::Error) {
        if !std::mem::replace(&mut writer.failing, true) {
            tracing::error!(dir = %self.options.dir.display(), %error, "the journal cannot take batches");
        }
        self.full.store(true, Ordering::Release);
        let mut log = lock(&self.log);
        log.counters.refused += group.len() as u64;
        if error.kind() != io::ErrorKind::QuotaExceeded {
            log.counters.write_errors += 1;
        }
        drop(log);
        for entry in group {
            give(entry.answer, Err(Error::Full(Box::new(entry.batch))));
        }
    }

    /// Sees to it that there is a segment with room for `need` bytes.
    fn ready_segment(&self, writer: &mut Writer, need: u64) -> io::Result<()> {
        if let Some(active) = &writer.active
            && (active.bytes == 0 || active.bytes + need <= self.rotate_at)
        {
            return Ok(());
        }
        let size = self.rotate_at.max(need);
        if !self.make_room(size) {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "the budget is spent"));
        }
        let active = Active::create(&self.options.dir, writer.next_seq, size, self.machine(), &writer.fault)?;
        writer.close();
        writer.active = Some(active);
        writer.known_sets = HashSet::from([0]);
        let mut log = lock(&self.log);
        // A segment that was given up before it held anything has the same name.
        if log.segments.back().is_some_and(|last| last.first_seq == writer.next_seq) {
            log.segments.pop_back();
        }
        log.segments.push_back(Segment::new(writer.next_seq));
        log.writing = true;
        Ok(())
    }
}

/// Answers those who wait when the writing thread ends, however it ends.
struct WriterGone<'a>(&'a Shared);

impl Drop for WriterGone<'_> {
    fn drop(&mut self) {
        let mut pending = lock(&self.0.pending);
        self.0.writer_gone.store(true, Ordering::Release);
        *pending = Pending::default();
    }
}
