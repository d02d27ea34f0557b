//! What fuzz targets call: parsers of texts from outside, with what must hold of any text.

use crate::glob::Glob;
use crate::params::Params;
use crate::{attime, target};
use jiff::tz::TimeZone;

/// Any text as a time: nothing panics, and what is a time is within the calendar.
#[expect(clippy::panic, reason = "a finding of the fuzzer is a panic")]
pub fn attime(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let zone = attime::zone("America/New_York").unwrap_or(TimeZone::UTC);
    for zone in [TimeZone::UTC, zone] {
        if let Ok(time) = attime::parse(text, 1_700_000_123, &zone)
            && !(-62_135_596_800..=253_402_300_799).contains(&time)
        {
            panic!("{text:?} is {time}");
        }
    }
}

/// Any text as a target, a pattern of names, a query and a form: nothing panics, and a plain name stays itself.
#[expect(clippy::panic, reason = "a finding of the fuzzer is a panic")]
pub fn target(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(quoted) = crate::link::quoted(&text) {
        match target::parse(&quoted) {
            Ok(target::Target::Path { path, is_pattern: false }) if path == text => {}
            _ if quoted.len() > target::MAX_TEXT => {}
            other => panic!("{text:?} became {other:?}"),
        }
    }
    // Each of these has bounds of its own; that they return is what is looked at.
    drop(target::parse(&text));
    if let Some(glob) = Glob::new(&text) {
        let _matched = glob.matches("servers.web-1.cpu.user");
    }
    for kind in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=-"] {
        drop(Params::read(&text, Some(kind), bytes));
    }
}
