//! What the machine itself costs in a minute, whatever the program: a virtual one shares its processors, caches
//! and memory with others, and what takes one second now may take two a minute later.

use std::hint::black_box;
use std::time::Instant;

/// Bytes that rest between two looks.
const RESTING: usize = 256 << 20;
/// Bytes of a page of memory.
const PAGE: usize = 4_096;
/// Steps of the arithmetic that is timed: some milliseconds.
const STEPS: u64 = 4_000_000;

/// Memory that nothing touches between two looks at it.
#[derive(Debug)]
pub(crate) struct Machine {
    resting: Vec<u8>,
}

/// What was seen in a look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Microseconds to touch a page that has rested since the last look.
    pub(crate) touch_us: f64,
    /// Nanoseconds of a step of arithmetic in registers.
    pub(crate) step_ns: f64,
}

impl Machine {
    /// Takes the memory and touches all of it.
    pub(crate) fn new() -> Self {
        let mut machine = Self { resting: vec![1; RESTING] };
        machine.look();
        machine
    }

    /// Touches every page once, in an order that nothing can foresee, and calculates for a while.
    pub(crate) fn look(&mut self) -> Look {
        let (pages, began) = (RESTING / PAGE, Instant::now());
        for i in 0..pages {
            // Odd, and the pages a power of two: every page comes up once.
            let page = i * 639_427 % pages;
            if let Some(byte) = self.resting.get_mut(page * PAGE + page % PAGE) {
                *byte = byte.wrapping_add(1);
            }
        }
        let touch_us = began.elapsed().as_secs_f64() * 1e6 / pages as f64;
        let (mut number, began) = (black_box(1_u64), Instant::now());
        for _ in 0..STEPS {
            number ^= number << 13;
            number ^= number >> 7;
            number ^= number << 17;
        }
        black_box(number);
        Look { touch_us, step_ns: began.elapsed().as_secs_f64() * 1e9 / STEPS as f64 }
    }
}
