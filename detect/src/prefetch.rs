//! Asks the processor to fetch memory that will be needed soon. At a million metrics every datapoint
//! finds its metric cold, and the fetches of a group of points can run side by side.
#![allow(unsafe_code, reason = "the prefetch instruction has no safe form")]

/// Bytes of a cache line.
const LINE: usize = 64;

/// Prefetches every cache line of `item` itself (not of what it points to).
#[inline]
pub fn item<T>(item: &T) {
    let start: *const T = item;
    let mut at = 0;
    while at < size_of::<T>() {
        line(start.cast::<u8>().wrapping_add(at));
        at += LINE;
    }
}

/// Prefetches the first and the last cache line of some bytes: all of them, where they are a name's.
#[inline]
pub fn ends(bytes: &[u8]) {
    line(bytes.as_ptr());
    line(bytes.as_ptr().wrapping_add(bytes.len().saturating_sub(1)));
}

/// Prefetches the line behind the last element of a slice: where the next push goes, if it is a
/// vector's.
#[inline]
pub fn end<T>(slice: &[T]) {
    line(slice.as_ptr().wrapping_add(slice.len()).cast());
}

#[inline]
fn line(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint. It reads nothing into the program and cannot fault, whatever
    // the address; SSE, which it belongs to, is part of every x86-64 processor.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
