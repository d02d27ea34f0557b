//! Carbon's pickle protocol: frames of a 4-byte big-endian length and a pickle, which holds a
//! list of `(name, (timestamp, value))`.
//!
//! A pickle is a program for a stack machine. [`Machine`] runs the part of it that can build
//! plain data and refuses every frame that asks for more, so nothing a sender says is ever
//! executed. One pass over the frame, no recursion, no tree: items are small `Copy` values that
//! point into the frame, containers are ranges of one array of items, a memo entry is an item.
//! Memory is a fixed multiple of the frame's length, whatever the frame claims.
//!
//! Opcodes are those of Python's protocols 0 to 5 as real senders use them (Python 2 and 3, Go,
//! JVM reporters). Facts: carbon:lib/carbon/protocols.py, `CPython:Lib/pickletools.py`.

mod item;
mod machine;
mod number;
mod points;
mod text;

#[cfg(test)]
mod tests;

pub use super::frame::Limits;
pub use machine::Machine;

use skyline_core::batch::BatchBuilder;
use skyline_core::reject::Reject;
use std::cell::RefCell;

/// Takes all points of one frame (without its length prefix). A frame that cannot be decoded
/// gives no point and is passed to `refused` once, as [`Reject::Frame`]; an item of the wrong
/// shape costs only itself.
pub fn decode(frame: &[u8], limits: Limits, out: &mut BatchBuilder, refused: &mut impl FnMut(&[u8], Reject)) {
    thread_local! {
        static MACHINE: RefCell<Machine> = RefCell::new(Machine::new());
    }
    MACHINE.with_borrow_mut(|machine| match machine.run(frame) {
        Ok(()) => {
            machine.emit(frame, limits, usize::MAX, out, refused);
        }
        Err(why) => refused(frame, why),
    });
}
