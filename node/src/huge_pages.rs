//! Memory in pages of 2 MiB, for windows. A metric is touched once a minute, and each time at half a dozen
//! places that nothing has touched since: with pages of 4 KiB, most of what a point costs is the processor
//! looking up where those pages are.
//!
//! Where the system gives huge pages to who asks for them (`madvise`, the usual setting), this asks for the
//! heap, and that they stay whole: the allocator then gives memory back in pieces as large as they are, seldom in
//! smaller ones. Where the system gives huge pages to nobody, nothing changes.
#![expect(unsafe_code, reason = "advice on memory and the allocator's options have no safe form")]

use std::ffi::{c_long, c_void};
use std::ops::Range;

/// Smaller mappings are thread stacks and the like, bytes.
const LEAST: usize = 16 << 20;

/// The allocator's option `minimal_purge_size`, the least memory that it gives back to the system, KiB: the last
/// but two of its options, which the bindings do not name.
const MINIMAL_PURGE_SIZE: libmimalloc_sys::mi_option_t = libmimalloc_sys::_mi_option_last - 3;
/// A huge page, KiB. Of one that is given back in part the kernel keeps the rest as small pages.
const HUGE_PAGE: c_long = 2_048;

// Another number of options may be another order of options.
const _: () = assert!(libmimalloc_sys::_mi_option_last == 47);

/// Asks for huge pages for the heap as it is and as it will grow.
pub(crate) fn ask() {
    let setting = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    if setting.is_ok_and(|setting| setting.contains("[never]")) {
        return;
    }
    // SAFETY: sets a number that the allocator reads when it gives memory back.
    unsafe { libmimalloc_sys::mi_option_set(MINIMAL_PURGE_SIZE, HUGE_PAGE) };
    // SAFETY: sets a number that the allocator reads when it maps memory.
    unsafe { libmimalloc_sys::mi_option_set_enabled(libmimalloc_sys::mi_option_large_os_pages, true) };
    for range in heap(&std::fs::read_to_string("/proc/self/maps").unwrap_or_default()) {
        // SAFETY: the advice changes how the kernel backs memory and not what is in it; a range that is
        // gone meanwhile is an error that is ignored.
        let _taken = unsafe { libc::madvise(range.start as *mut c_void, range.len(), libc::MADV_HUGEPAGE) };
    }
}

/// Large private anonymous mappings in the text of `/proc/self/maps`.
fn heap(maps: &str) -> Vec<Range<usize>> {
    let mapping = |line: &str| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let (flags, inode) = (fields.next()?, fields.nth(2)?);
        let name = fields.next().unwrap_or_default();
        let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
        let is_anonymous = inode == "0" && (name.is_empty() || name.starts_with("[anon"));
        (is_anonymous && flags.ends_with('p') && range.len() >= LEAST).then_some(range)
    };
    maps.lines().filter_map(mapping).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heap_is_found() {
        let maps = "55d000000000-55d004000000 r--p 00000000 fe:00 123    /usr/bin/skyline\n\
                    55d004000000-55d008000000 rw-p 00000000 00:00 0      [heap]\n\
                    7f0000000000-7f0040000000 rw-p 00000000 00:00 0      [anon:mimalloc]\n\
                    7f0040000000-7f0080000000 ---p 00000000 00:00 0 \n\
                    7f0090000000-7f0090800000 rw-p 00000000 00:00 0 \n\
                    7f00a0000000-7f00b0000000 rw-s 00000000 00:01 7      /dev/zero (deleted)\n\
                    nonsense\n";
        assert_eq!(heap(maps), [0x7f00_0000_0000..0x7f00_4000_0000, 0x7f00_4000_0000..0x7f00_8000_0000]);
        ask();
    }

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        // SAFETY: reads numbers.
        let option = |number| unsafe { libmimalloc_sys::mi_option_get(number) };
        assert_eq!((option(MINIMAL_PURGE_SIZE - 1), option(MINIMAL_PURGE_SIZE + 2)), (1, 0));
        ask();
        assert!([0, HUGE_PAGE].contains(&option(MINIMAL_PURGE_SIZE)));
    }
}
