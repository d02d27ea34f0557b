//! Asks the processor to fetch memory that will be needed soon. At a million metrics every datapoint
//! finds its metric cold, and the fetches of several points can run side by side.
#![allow(unsafe_code, reason = "the prefetch instruction has no safe form")]

/// Bytes of a cache line.
const LINE: usize = 64;

/// Prefetches every cache line of `item` itself (not of what it points to).
#[inline]
pub fn item<T>(item: &T) {
    part(item, 0, size_of::<T>());
}

/// Prefetches the cache lines of the bytes `from..until` of `item`.
#[inline]
pub fn part<T>(item: &T, from: usize, until: usize) {
    lines(std::ptr::from_ref(item).cast::<u8>().wrapping_add(from), until.saturating_sub(from));
}

/// Prefetches every cache line of some items.
#[inline]
pub fn all<T>(items: &[T]) {
    lines(items.as_ptr().cast(), size_of_val(items));
}

#[inline]
fn lines(start: *const u8, bytes: usize) {
    if bytes == 0 {
        return;
    }
    let mut at = 0;
    while at < bytes {
        line(start.wrapping_add(at));
        at += LINE;
    }
    // The last line, where the first does not begin at one.
    line(start.wrapping_add(bytes - 1));
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
