//! Retentions as `storage-schemas.conf` writes them.

/// An archive: so many points, so far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Seconds from one point to the next.
    pub seconds_per_point: u64,
    /// How many points are kept.
    pub points: u64,
}

impl Retention {
    /// Reads `a:b`. Either is a whole number, or one with a unit of `s m h d w y`: then `a` is a time, and `b` the time
    /// that the points cover, rounded down to whole points.
    ///
    /// # Errors
    /// What is wrong, in a few words.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let (precision, points) = text.trim().split_once(':').ok_or("it is not of the form `60s:7d`")?;
        let (precision, unit) = number(precision)?;
        let seconds_per_point =
            precision.checked_mul(unit.unwrap_or(1)).ok_or("the time between points is too long")?;
        let points = match number(points)? {
            (points, None) => points,
            (number, Some(unit)) => {
                let time = number.checked_mul(unit).ok_or("the time covered is too long")?;
                time.checked_div(seconds_per_point).ok_or("points that are 0 seconds apart cover no time")?
            }
        };
        Ok(Self { seconds_per_point, points })
    }
}

/// A whole number, and the seconds of the unit behind it.
fn number(text: &str) -> Result<(u64, Option<u64>), &'static str> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" => None,
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        "w" => Some(7 * 86_400),
        "y" => Some(365 * 86_400),
        _ => return Err("the unit is not one of s, m, h, d, w, y"),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("a whole number with a unit of s, m, h, d, w, y is expected");
    }
    Ok((digits.parse().map_err(|_| "the number is too large")?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retentions() {
        let check = |text: &str, seconds_per_point, points| {
            assert_eq!(Retention::read(text), Ok(Retention { seconds_per_point, points }), "{text}");
        };
        check("10s:6h", 10, 2_160);
        check(" 60:90d\n", 60, 129_600);
        check("1m:100", 60, 100);
        check("7s:1m", 7, 8);
        check("1y:2y", 31_536_000, 2);
        let refused = |text: &str, expected: &str| {
            let why = Retention::read(text).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        };
        refused("60", "form");
        refused("60:5:6", "whole number");
        refused("1min:1d", "unit");
        refused("1M:1d", "whole number");
        refused("60s: 1d", "whole number");
        refused(":5", "whole number");
        refused("0:1d", "cover no time");
        refused("99999999999999999999:1", "too large");
        refused("9999999999999999999y:1", "too long");
    }
}
