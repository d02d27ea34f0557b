//! Carbon's pickle frames, written as Python 2 and 3 write them.

/// A datapoint as carbon's pickle protocol has it.
pub type Point<'a> = (&'a str, f64, f64);

/// One frame: a length and a pickle (protocol 2) of `[(name, (timestamp, value)), ...]`.
#[must_use]
pub fn frame(points: &[Point<'_>]) -> Vec<u8> {
    let mut body = vec![0x80, 2, b']', b'('];
    for (name, timestamp, value) in points {
        body.push(b'X');
        body.extend_from_slice(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
        body.extend_from_slice(name.as_bytes());
        for number in [timestamp, value] {
            body.push(b'G');
            body.extend_from_slice(&number.to_be_bytes());
        }
        body.extend_from_slice(&[0x86, 0x86]);
    }
    body.extend_from_slice(b"e.");
    framed(&body)
}

/// Any bytes, with the length in front.
#[must_use]
pub fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use carbon_load::unpickle::Unpickler;

    #[test]
    fn a_frame_reads_back() {
        let mut points = Vec::new();
        let frame = frame(&[("a.b", 1_700_000_000.0, 1.5), ("c", 60.0, -2.0)]);
        Unpickler::default().points(&frame[4..], |n, t, v| points.push((n.to_vec(), t, v))).unwrap();
        assert_eq!(points, [(b"a.b".to_vec(), 1_700_000_000, 1.5), (b"c".to_vec(), 60, -2.0)]);
        assert_eq!(frame[..4], (frame.len() as u32 - 4).to_be_bytes());
    }
}
