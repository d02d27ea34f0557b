//! Files of settings and of other relays, read whole up to a bound.

use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// A file may be so long, bytes. The largest sets of rules seen have some ten thousand lines.
pub(crate) const LONGEST: u64 = 16 << 20;

/// The text of a file.
///
/// # Errors
/// Those of [`bytes`]; [`ErrorKind::InvalidData`] with the line that is not UTF-8.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    String::from_utf8(bytes(path)?).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|b| **b == b'\n').count() + 1;
        io::Error::new(ErrorKind::InvalidData, format!("line {line} is not UTF-8"))
    })
}

/// What is in a file.
///
/// # Errors
/// What the system says; [`ErrorKind::FileTooLarge`]; [`ErrorKind::Unsupported`] for a pipe: whoever opens one waits
/// for its other end, and it has its text once, while files are read again at each reload.
pub(crate) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    if std::fs::metadata(path)?.file_type().is_fifo() {
        return Err(io::Error::new(ErrorKind::Unsupported, "it is a pipe: write its text to a file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {LONGEST} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn what_has_no_end_is_no_file() {
        assert_eq!(bytes(Path::new("/dev/zero")).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(bytes(Path::new("/dev/null")).unwrap(), b"");

        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(read(&pipe).unwrap_err().to_string(), "it is a pipe: write its text to a file");
    }
}
