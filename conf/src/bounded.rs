//! Files of other relays, read whole up to a bound.

use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// A file may be so long, bytes. The largest sets of rules seen have some ten thousand lines.
pub(crate) const LONGEST: u64 = 16 << 20;

/// The text of a file.
///
/// # Errors
/// What the system says; [`ErrorKind::FileTooLarge`]; [`ErrorKind::InvalidData`] with the line that is not UTF-8.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {LONGEST} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|b| **b == b'\n').count() + 1;
        io::Error::new(ErrorKind::InvalidData, format!("line {line} is not UTF-8"))
    })
}
