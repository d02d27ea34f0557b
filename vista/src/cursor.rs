//! How far a job has come, in a file of its own under `node.state_dir`: `vista/NAME.json`.
//!
//! It moves after the points are in the journal: a kill between the two fetches them again, and a second copy of a point
//! with the same time and value changes nothing; a hole would stay. A file and not the record, because it belongs to this
//! node's journal: it has to be there when the record's server is away, and to be lost with the journal.
//!
//! ```json
//! {"of": "1f…", "asked": 1700000039, "series": {"prom.up": 1700000000}}
//! ```
//!
//! `of`: server, expression and names, so that another job of the same name begins anew. `asked`: everything up to this
//! second was asked for. `series`: the newest point of each name, of those that the next question reaches back to.

use crate::plan::Range;
use crate::series::Point;
use serde::{Deserialize, Serialize};
use skyline_conf::model::vista::Fetch;
use skyline_core::file;
use skyline_core::shard::name_hash;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Longest file that is read, bytes: names of 100,000 series.
const MAX_FILE: u64 = 256 << 20;

/// The file of a job that is not in the settings any more stays for so long after it was written.
pub const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// How far a job has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    of: String,
    asked: Option<i64>,
    series: BTreeMap<String, i64>,
}

impl Cursor {
    /// Of a job that has asked nothing.
    #[must_use]
    pub fn new(fetch: &Fetch) -> Self {
        let text = format!(
            "{}\n{}\n{}\n{}\n{}",
            fetch.kind.name(),
            fetch.url,
            fetch.uri,
            fetch.target,
            fetch.store_as
        );
        Self { of: format!("{:016x}", name_hash(text.as_bytes())), asked: None, series: BTreeMap::new() }
    }

    /// Reads it back; a new one if there is none, if it is another job's, or if it cannot be read (that is told).
    #[must_use]
    pub fn load(path: &Path, fetch: &Fetch) -> Self {
        let new = Self::new(fetch);
        let read = || -> io::Result<Self> {
            if std::fs::metadata(path)?.len() > MAX_FILE {
                return Err(io::Error::other("it is too long"));
            }
            Ok(serde_json::from_slice(&std::fs::read(path)?)?)
        };
        match read() {
            Ok(cursor) if cursor.of == new.of => cursor,
            Ok(_) => {
                tracing::info!(job = fetch.name, "the job is another than before: it begins anew");
                new
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => new,
            Err(error) => {
                let path = path.display();
                tracing::warn!(job = fetch.name, %path, %error, "how far the job had come cannot be read: it begins anew");
                new
            }
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// What the system says.
    pub fn save(&self, path: &Path, sync: bool) -> io::Result<()> {
        file::update(path, &serde_json::to_vec(self)?, sync)
    }

    /// Everything up to this second was asked for; none: nothing was.
    #[must_use]
    pub const fn asked(&self) -> Option<i64> {
        self.asked
    }

    /// Goes back to `now` if it is ahead of it: the clock was wrong when it was written, and what comes until it is
    /// right again would never be asked for. Says whether it did.
    pub fn rewind(&mut self, now: i64) -> bool {
        let is_ahead = self.asked.is_some_and(|asked| asked > now);
        if is_ahead {
            self.asked = Some(now);
        }
        is_ahead
    }

    /// Points of an answer to `range` that were not there before.
    #[must_use]
    pub fn fresh<'p>(&self, name: &str, points: &'p [Point], range: Range) -> &'p [Point] {
        let after = self.series.get(name).map_or(range.from, |last| range.from.max(*last));
        let start = points.partition_point(|p| p.ts <= after);
        let end = points.partition_point(|p| p.ts <= range.until);
        points.get(start..end).unwrap_or_default()
    }

    /// Points up to `ts` of a name are in the journal.
    pub fn took(&mut self, name: &str, ts: i64) {
        match self.series.get_mut(name) {
            Some(last) => *last = ts.max(*last),
            None => drop(self.series.insert(name.to_owned(), ts)),
        }
    }

    /// A piece is done; the next question reaches `late` seconds behind it.
    pub fn move_to(&mut self, until: i64, late: i64) {
        self.asked = Some(until);
        self.series.retain(|_, last| *last > until.saturating_sub(late));
    }
}

/// Removes the files of jobs that are not among `names` and were not written for [`KEPT`]: a job that was taken out for
/// a while goes on where it was. Tells of each.
pub(crate) fn sweep(folder: &Path, names: &HashSet<String>, now: SystemTime) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, file) = (entry.path(), entry.file_name());
        let Some(job) = file.to_str().and_then(|file| file.strip_suffix(".json")) else { continue };
        let written = entry.metadata().and_then(|meta| meta.modified());
        let is_old = written.is_ok_and(|written| now.duration_since(written).is_ok_and(|age| age > KEPT));
        if names.contains(job) || !is_old {
            continue;
        }
        match file::remove(&path) {
            Ok(()) => {
                tracing::info!(job, path = %path.display(), "the job is gone for long: how far it had come is forgotten")
            }
            Err(error) => {
                tracing::warn!(job, path = %path.display(), %error, "the file of a job that is gone cannot be removed")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Cut, Wants};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn job() -> Fetch {
        Fetch { name: "a".into(), target: "up".into(), store_as: "x".into(), ..Fetch::default() }
    }

    #[test]
    fn it_survives_and_belongs_to_one_job() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        let mut cursor = Cursor::load(&path, &job());
        assert_eq!(cursor, Cursor::new(&job()));
        cursor.took("x", 100);
        cursor.took("old", 10);
        cursor.took("x", 90);
        cursor.move_to(119, 60);
        cursor.save(&path, false).unwrap();
        let again = Cursor::load(&path, &job());
        assert_eq!((&again, again.asked(), again.series.len()), (&cursor, Some(119), 1));
        let other = Fetch { target: "down".into(), ..job() };
        assert_eq!(Cursor::load(&path, &other), Cursor::new(&other));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Cursor::load(&path, &job()), Cursor::new(&job()));
    }

    #[test]
    fn points_that_are_new() {
        let points: Vec<_> = [60, 120, 180, 240].map(|ts| Point { ts, value: 1.0 }).into();
        let mut cursor = Cursor::new(&job());
        let range = Range { from: 60, until: 200 };
        let times =
            |cursor: &Cursor| cursor.fresh("x", &points, range).iter().map(|p| p.ts).collect::<Vec<_>>();
        assert_eq!(times(&cursor), [120, 180]);
        cursor.took("x", 120);
        assert_eq!(times(&cursor), [180]);
        cursor.took("x", 500);
        assert_eq!(times(&cursor), [0; 0]);
    }

    #[test]
    fn files_of_jobs_that_are_gone_for_long_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["here", "gone"] {
            let path = dir.path().join(format!("{name}.json"));
            Cursor::new(&job()).save(&path, false).unwrap();
            Cursor::new(&job()).save(&path, false).unwrap();
        }
        std::fs::write(dir.path().join("other"), "").unwrap();
        let names = HashSet::from(["here".to_owned()]);
        let files = || {
            let all = std::fs::read_dir(dir.path()).unwrap();
            let mut all: Vec<_> = all.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            all.sort();
            all
        };
        let written = std::fs::metadata(dir.path().join("gone.json")).unwrap().modified().unwrap();
        let all = ["gone.json", "gone.json.before", "here.json", "here.json.before", "other"];
        sweep(dir.path(), &names, written + KEPT - Duration::from_secs(60));
        assert_eq!(files(), all);
        sweep(dir.path(), &names, written + KEPT + Duration::from_secs(60));
        assert_eq!(files(), all[2..]);
        sweep(&dir.path().join("none"), &names, written);
    }

    #[test]
    fn a_clock_that_was_ahead_leaves_no_hole() {
        let mut cursor = Cursor::new(&job());
        assert!(!cursor.rewind(0));
        cursor.move_to(5_000, 300);
        assert!(!cursor.rewind(5_000));
        assert!(cursor.rewind(1_400));
        assert_eq!(cursor.asked(), Some(1_400));
    }

    proptest! {
        /// A server whose points appear late, asked at odd times, with fetches that fail and restarts from the file: each
        /// point is taken once.
        #[test]
        fn each_point_is_taken_once(
            delays in prop::collection::vec(0_i64..200, 40..80),
            steps in prop::collection::vec((1_i64..400, any::<bool>()), 10..60),
            late in 200_i64..400,
            is_graphite: bool,
        ) {
            const START: i64 = 1_700_000_000;
            let all: Vec<(i64, i64)> = (1..).zip(&delays).map(|(i, delay)| (START + i * 60, START + i * 60 + delay)).collect();
            let cut = if is_graphite { Cut::Archives(&[]) } else { Cut::Step(60) };
            let wants = Wants { history: &[], cut, every: 60, late, skip_current_minute: true };
            let mut cursor = Cursor::new(&job());
            cursor.move_to(START, late);
            let (mut now, mut taken, mut newest) = (START, BTreeSet::new(), START);
            for (step, fails) in steps {
                now += step;
                // Points that appear out of their order are not waited for: those in order are what is promised.
                let mut before = 0;
                let there: Vec<Point> = all.iter()
                    .map(|(ts, appears)| { before = before.max(*appears); (*ts, before) })
                    .filter(|(_, appears)| *appears <= now).map(|(ts, _)| Point { ts, value: 0.0 }).collect();
                for range in wants.ranges(now, cursor.asked()) {
                    if fails {
                        break;
                    }
                    for point in cursor.fresh("x", &there, range).to_vec() {
                        prop_assert!(taken.insert(point.ts), "{} twice", point.ts);
                        newest = point.ts;
                    }
                    cursor.took("x", newest);
                    cursor.move_to(range.until, late);
                }
            }
            let asked = cursor.asked().unwrap_or(START);
            for (ts, _) in all.iter().filter(|(ts, _)| *ts <= asked - late) {
                prop_assert!(taken.contains(ts), "{ts} is missing");
            }
        }
    }
}
