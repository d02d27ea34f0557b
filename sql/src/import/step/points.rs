//! What the two tables of a metric hold of a profile: its series and its features.

use crate::import::error::Error;
use crate::import::series;
use crate::import::source::{Extent, Source};
use crate::import::tally::Tally;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// Features of the reference: their ids.
const FEATURES: std::ops::RangeInclusive<i64> = 1..=216;
/// Most points of a profile. A year of minutes is half a million; more is no profile, and would fill the memory.
const POINTS: i64 = 2_000_000;
/// Most bytes that the column holds.
const BYTES: usize = (1 << 24) - 1;

/// A series as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) count: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    /// Usual seconds between two points.
    pub(super) resolution: i64,
    pub(super) data: Vec<u8>,
}

/// Where the rows of the profiles of metrics are, and what was found there.
#[derive(Debug, Default)]
pub(super) struct Points {
    series: HashMap<i64, HashMap<i64, Extent>>,
    features: HashMap<i64, HashMap<i64, Extent>>,
}

impl Points {
    async fn extent(
        known: &mut HashMap<i64, HashMap<i64, Extent>>,
        source: &mut Source,
        prefix: &str,
        metric: i64,
        profile: i64,
    ) -> Result<Option<Extent>, Error> {
        let extents = match known.entry(metric) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let extents = source.extents(&format!("{prefix}{metric}")).await?;
                unknown.insert(extents.into_iter().map(|extent| (extent.profile, extent)).collect())
            }
        };
        Ok(extents.remove(&profile))
    }

    /// The series of a profile, if there is one. In a dry run its bytes are empty.
    pub(super) async fn series(
        &mut self,
        source: &mut Source,
        (metric, profile): (i64, i64),
        dry: bool,
        tally: &mut Tally,
    ) -> Result<Option<Series>, Error> {
        let extent = Self::extent(&mut self.series, source, "z_ts_", metric, profile).await?;
        let Some(extent) = extent else { return Ok(None) };
        let rows = extent.rows.cast_unsigned();
        tally.read += rows;
        if extent.rows > POINTS {
            tally.drop_rows("of a series of more than two million points", rows);
            return Ok(None);
        }
        if dry {
            tally.written += rows;
            let unread = (0, 0, 0, None, None, 0);
            let (first, last, resolution, min, max, count) = unread;
            return Ok(Some(Series { count, first, last, min, max, resolution, data: Vec::new() }));
        }
        let points = ordered(source.series(metric, extent).await?, tally);
        let series = packed(&points);
        match &series {
            Some(_) => tally.written += points.len() as u64,
            None => tally.drop_rows("of a series without a usable point", points.len() as u64),
        }
        Ok(series)
    }

    /// Features of a profile that are numbers.
    pub(super) async fn features(
        &mut self,
        source: &mut Source,
        (metric, profile): (i64, i64),
        dry: bool,
        tally: &mut Tally,
    ) -> Result<BTreeMap<i64, f64>, Error> {
        let extent = Self::extent(&mut self.features, source, "z_fp_", metric, profile).await?;
        let Some(extent) = extent else { return Ok(BTreeMap::new()) };
        let rows = extent.rows.cast_unsigned();
        tally.read += rows;
        if extent.rows > POINTS {
            tally.drop_rows("of a profile with more than two million features", rows);
            return Ok(BTreeMap::new());
        }
        if dry {
            tally.written += rows;
            return Ok(BTreeMap::new());
        }
        let mut features = BTreeMap::new();
        for (id, value) in source.features(metric, extent).await? {
            match value {
                _ if !FEATURES.contains(&id) => tally.drop_row("no such feature"),
                None => tally.drop_row("no value"),
                Some(value) => {
                    if features.insert(id, value).is_some() {
                        tally.drop_row("the same feature twice: the later row stays");
                    }
                }
            }
        }
        tally.written += features.len() as u64;
        Ok(features)
    }
}

/// In the order of times. The later of two rows of one time stays.
fn ordered(rows: Vec<(i64, Option<f64>)>, tally: &mut Tally) -> Vec<(i64, f64)> {
    let mut points: BTreeMap<i64, f64> = BTreeMap::new();
    for (ts, value) in rows {
        match value {
            _ if ts <= 0 => tally.drop_row("no time"),
            None => tally.drop_row("no value"),
            Some(value) => {
                if points.insert(ts, value).is_some() {
                    tally.drop_row("the same time twice: the later row stays");
                }
            }
        }
    }
    points.into_iter().collect()
}

fn packed(points: &[(i64, f64)]) -> Option<Series> {
    let ((first, _), (last, _)) = (*points.first()?, *points.last()?);
    let data = series::encode(points);
    let mut steps: BTreeMap<i64, u64> = BTreeMap::new();
    for pair in points.windows(2) {
        if let [(before, _), (after, _)] = pair {
            *steps.entry(after - before).or_default() += 1;
        }
    }
    let resolution =
        steps.into_iter().max_by_key(|(step, times)| (*times, -step)).map_or(0, |(step, _)| step);
    let values = || points.iter().map(|(_, value)| *value);
    (data.len() <= BYTES).then(|| Series {
        count: points.len() as i64,
        first,
        last,
        min: values().reduce(f64::min),
        max: values().reduce(f64::max),
        resolution,
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_row_of_a_time_stays() {
        let mut tally = Tally::default();
        let rows = vec![(120, Some(2.0)), (60, Some(1.0)), (120, Some(3.0)), (180, None), (0, Some(1.0))];
        let points = ordered(rows, &mut tally);
        assert_eq!(points, [(60, 1.0), (120, 3.0)]);
        assert_eq!(tally.dropped_rows(), 3);
        let series = packed(&points).unwrap();
        assert_eq!((series.count, series.first, series.last, series.resolution), (2, 60, 120, 60));
        assert_eq!((series.min, series.max), (Some(1.0), Some(3.0)));
        assert_eq!(packed(&[]), None);
    }

    #[test]
    fn the_resolution_is_the_usual_step() {
        let check = |times: &[i64], expected| {
            let points: Vec<_> = times.iter().map(|ts| (*ts, 0.0)).collect();
            assert_eq!(packed(&points).unwrap().resolution, expected);
        };
        check(&[60], 0);
        check(&[60, 120, 180, 600, 660], 60);
        check(&[600, 1200, 1260, 1860], 600);
    }
}
