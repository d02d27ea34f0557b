//! Reading whisper files, enough to see which points are in one.
//!
//! Big endian. Head: aggregation, longest retention, x-files factor (4 bytes each), number of archives;
//! then for each archive its offset, seconds per point and number of points; then points of 12 bytes,
//! a 4-byte time (0: never written) and a double.

use anyhow::Context as _;
use std::path::Path;

/// Points of the finest archive, oldest first; none when there is no file.
///
/// # Errors
///
/// When the file cannot be read or is cut.
pub fn points(file: &Path) -> anyhow::Result<Vec<(i64, f64)>> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("{}", file.display())),
    };
    // A file that is being made may be short for a moment.
    if bytes.len() < 28 {
        return Ok(Vec::new());
    }
    let mut points = parse(&bytes).with_context(|| format!("{} is no whisper file", file.display()))?;
    points.sort_by_key(|(time, _)| *time);
    Ok(points)
}

fn parse(bytes: &[u8]) -> Option<Vec<(i64, f64)>> {
    let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let (offset, count) = (number(16)? as usize, number(24)? as usize);
    let archive = bytes.get(offset..offset + count * 12)?;
    let mut points = Vec::new();
    for point in archive.chunks_exact(12) {
        let (time, value) = point.split_at(4);
        let time = u32::from_be_bytes(time.try_into().ok()?);
        if time > 0 {
            points.push((i64::from(time), f64::from_be_bytes(value.try_into().ok()?)));
        }
    }
    Some(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_points_are_found_in_order() {
        let mut bytes = Vec::new();
        for n in [1_u32, 180, 0, 1, 28, 60, 3] {
            bytes.extend_from_slice(&n.to_be_bytes());
        }
        for (time, value) in [(180_u32, 3.5_f64), (0, 0.0), (120, 2.0)] {
            bytes.extend_from_slice(&time.to_be_bytes());
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        assert_eq!(parse(&bytes).unwrap(), [(180, 3.5), (120, 2.0)]);
        assert_eq!(parse(&bytes[..bytes.len() - 1]), None);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        assert_eq!(points(file.path()).unwrap(), [(120, 2.0), (180, 3.5)]);
        assert!(points(Path::new("/nowhere/a.wsp")).unwrap().is_empty());
    }
}
