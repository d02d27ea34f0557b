//! Buffers that connections borrow for the time of one read.

use crate::codec::pickle::Machine;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Bytes taken from a socket at once.
pub(super) const READ_BYTES: usize = 128 << 10;

/// Buffers kept while nobody reads: as many as threads may read at the same time, with a margin.
const KEPT: usize = 16;

/// What is kept of a buffer that had to be larger, bytes: a block of lz4 may have 4 MiB.
const KEPT_BYTES: usize = 256 << 10;

/// A buffer to read into, and the memory of the decoders.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) bytes: Vec<u8>,
    pub(super) machine: Machine,
    /// What was decrypted.
    pub(super) opened: Vec<u8>,
    /// What was unpacked.
    pub(super) unpacked: Vec<u8>,
}

/// The free buffers.
#[expect(clippy::vec_box, reason = "a loan is part of every connection's state, which is to be small")]
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Box<Scratch>>>);

impl Pool {
    /// A buffer, which goes back when the loan ends.
    pub(super) fn lend(&self) -> Loan<'_> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let scratch = free.unwrap_or_else(|| {
            Box::new(Scratch {
                bytes: vec![0; READ_BYTES],
                machine: Machine::new(),
                opened: Vec::new(),
                unpacked: Vec::new(),
            })
        });
        Loan { pool: self, scratch: Some(scratch) }
    }
}

/// A borrowed buffer.
#[derive(Debug)]
pub(super) struct Loan<'a> {
    pool: &'a Pool,
    scratch: Option<Box<Scratch>>,
}

impl Deref for Loan<'_> {
    type Target = Scratch;

    #[expect(clippy::expect_used, reason = "only Drop takes the buffer away")]
    fn deref(&self) -> &Scratch {
        self.scratch.as_deref().expect("lent until dropped")
    }
}

impl DerefMut for Loan<'_> {
    #[expect(clippy::expect_used, reason = "only Drop takes the buffer away")]
    fn deref_mut(&mut self) -> &mut Scratch {
        self.scratch.as_deref_mut().expect("lent until dropped")
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let Some(mut scratch) = self.scratch.take() else { return };
        for buffer in [&mut scratch.opened, &mut scratch.unpacked] {
            buffer.clear();
            buffer.shrink_to(KEPT_BYTES);
        }
        let mut free = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(scratch);
        }
    }
}
