//! Render questions answered from the windows.

mod functions;
mod picture;

use crate::consolidate::Consolidation;
use crate::glob::Glob;
use crate::grid::{self, Archive, Layout};
use crate::json::{self, Series};
use crate::nodes::{Find, Nodes};
use crate::question::{Format, Question};
use crate::target::{Argument, Target};
use crate::windows::{Unanswered, Windows};
use bytes::Bytes;
use skyline_conf::model::render_proxy::Look;
use skyline_core::point::Datapoint;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Series of one answer at most.
pub const MAX_SERIES: usize = 200;
/// Values of one answer at most: 23 series of a day in seconds.
pub const MAX_VALUES: usize = 2_000_000;
/// A question that reads more values than this is large,
const LARGE: usize = 200_000;
/// and so many of those are answered at the same time.
const LARGE_AT_ONCE: usize = 4;
/// Pictures that are drawn at the same time.
const PAINTERS: usize = 2;

/// Why the windows do not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotHere {
    /// A function that only Graphite has.
    #[error("the function {0} is not answered from windows")]
    Function(String),
    /// What a function is given.
    #[error("an argument of {0} is missing or of the wrong kind")]
    Argument(String),
    /// Nobody sent it lately.
    #[error("no window has a metric of that name")]
    NoMetric,
    /// It begins before the window does.
    #[error("the windows do not reach back so far")]
    TooOld,
    /// The threads of the windows.
    #[error("{0}")]
    Windows(#[from] Unanswered),
    /// More than is answered.
    #[error("that is more than {MAX_SERIES} series")]
    TooMany,
    /// More values than are answered.
    #[error("that is more than {MAX_VALUES} points: ask for less time or fewer series")]
    TooLarge,
    /// The text of an answer was not made.
    #[error("the answer was not written: {0}")]
    Written(String),
    /// A level with more than is listed.
    #[error("more than {0} nodes are found: ask for fewer, such as a.* below a")]
    TooManyNodes(usize),
    /// It was not drawn.
    #[error("{0}")]
    Picture(String),
    /// The name of the function that JSON is put into.
    #[error("jsonp is no name of a function")]
    Jsonp,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it is written in.
    pub content_type: &'static str,
    /// The answer itself.
    pub body: Bytes,
}

/// How the windows answer.
#[derive(Clone)]
pub struct Local {
    windows: Arc<dyn Windows>,
    /// Length of a window, seconds.
    full_duration: i64,
    look: Look,
    zone: String,
    painters: Arc<Semaphore>,
    /// Places of large questions.
    large: Arc<Semaphore>,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").field("full_duration", &self.full_duration).finish_non_exhaustive()
    }
}

/// Series with the time of the newest point among them.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// In the order of the targets.
    pub series: Vec<Series>,
    /// Seconds.
    pub newest: Option<i64>,
    /// The place of a large question, held until its answer is written.
    place: Option<Arc<OwnedSemaphorePermit>>,
}

/// What was read for a question so far.
#[derive(Debug, Default)]
struct Read {
    newest: Option<i64>,
    /// Wherever in the targets they stand: no function makes fewer of them.
    series: usize,
    /// The same of values.
    values: usize,
    place: Option<Arc<OwnedSemaphorePermit>>,
}

impl Read {
    fn take(&mut self, series: usize) -> Result<(), NotHere> {
        self.series += series;
        if self.series > MAX_SERIES { Err(NotHere::TooMany) } else { Ok(()) }
    }

    /// Counts values that were read. One that becomes large waits for a place, with little in its hands.
    async fn hold(&mut self, values: usize, large: &Arc<Semaphore>) -> Result<(), NotHere> {
        self.values += values;
        if self.values > MAX_VALUES {
            return Err(NotHere::TooLarge);
        }
        if self.values > LARGE && self.place.is_none() {
            // Places are never closed.
            self.place = Arc::clone(large).acquire_owned().await.ok().map(Arc::new);
        }
        Ok(())
    }
}

type Later<'a> = Pin<Box<dyn Future<Output = Result<Vec<Series>, NotHere>> + Send + 'a>>;

impl Local {
    /// Answers from `windows`, which are `full_duration` seconds long.
    #[must_use]
    pub fn new(windows: Arc<dyn Windows>, full_duration: u32, look: Look, zone: &str) -> Self {
        Self {
            windows,
            full_duration: i64::from(full_duration),
            look,
            zone: zone.to_owned(),
            painters: Arc::new(Semaphore::new(PAINTERS)),
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
        }
    }

    /// Whether the windows may have all that is asked for.
    #[must_use]
    pub fn reaches(&self, question: &Question) -> bool {
        // A grace of a minute: `-24h` was true when it was asked.
        question.from >= question.now - self.full_duration - 60
    }

    /// Whether all functions are ours.
    #[must_use]
    pub fn knows(question: &Question) -> bool {
        question.targets.iter().all(is_known)
    }

    /// The nodes that a pattern stands for.
    ///
    /// # Errors
    /// The windows do not answer; there are more than `limit`.
    pub async fn nodes(&self, find: &Arc<Find>, limit: usize) -> Result<Nodes, NotHere> {
        let nodes = self.windows.nodes(find, limit).await?;
        if nodes.len() > limit { Err(NotHere::TooManyNodes(limit)) } else { Ok(nodes) }
    }

    /// The time between which the windows may have points, when it is `now`, seconds.
    pub(crate) const fn interval(&self, now: i64) -> (i64, i64) {
        (now.saturating_sub(self.full_duration), now)
    }

    /// The series of a question. A name that no window has is left out, unless all are such.
    ///
    /// # Errors
    /// The windows cannot answer.
    pub async fn series(&self, question: &Question) -> Result<Found, NotHere> {
        let mut found = Found::default();
        let mut read = Read::default();
        for target in &question.targets {
            let mut more = self.evaluate(target, question, &mut read).await?;
            found.series.append(&mut more);
        }
        (found.newest, found.place) = (read.newest, read.place);
        if found.series.is_empty() { Err(NotHere::NoMetric) } else { Ok(found) }
    }

    /// The answer to a question out of its series. `mark`: it stands in for Graphite, and says so.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn write(&self, question: &Question, mut found: Found, mark: bool) -> Result<Answer, NotHere> {
        if question.format == Format::Json {
            if mark {
                for series in &mut found.series {
                    series.tags.insert("answeredBy".into(), "window".into());
                }
            }
            let wishes = question.wishes;
            // Hundreds of thousands of numbers: the thread also says whether the node is well.
            let written = tokio::task::spawn_blocking(move || json::render(&found.series, wishes));
            let text = written.await.map_err(|error| NotHere::Written(error.to_string()))?;
            let (content_type, text) = match &question.jsonp {
                None => ("application/json", text),
                Some(name) => ("text/javascript", json::wrapped(&text, name).ok_or(NotHere::Jsonp)?),
            };
            return Ok(Answer { content_type, body: text.into() });
        }
        // Places are never closed.
        let place = Arc::clone(&self.painters).acquire_owned().await;
        let (question, look) = (question.clone(), self.look);
        let zone = question.zone.clone().unwrap_or_else(|| self.zone.clone());
        let drawn = tokio::task::spawn_blocking(move || {
            let drawn = picture::draw(&question, &found.series, &zone, look, mark);
            drop(place);
            drawn
        });
        drawn.await.map_err(|error| NotHere::Picture(error.to_string()))?
    }

    fn evaluate<'a>(&'a self, target: &'a Target, question: &'a Question, read: &'a mut Read) -> Later<'a> {
        Box::pin(async move {
            match target {
                Target::Path { path, is_pattern } => self.path(path, *is_pattern, question, read).await,
                Target::Call { function, arguments, named } => {
                    if function == "constantLine" {
                        read.take(1)?;
                        return constant_line(arguments, question);
                    }
                    if !functions::is_known(function) {
                        return Err(NotHere::Function(function.clone()));
                    }
                    let is_target = |argument: &&Argument| matches!(argument, Argument::Target(_));
                    let count = arguments.iter().take_while(is_target).count();
                    let (targets, rest) = arguments.split_at(count);
                    let mut series = Vec::new();
                    for argument in targets {
                        if let Argument::Target(target) = argument {
                            series.append(&mut self.evaluate(target, question, read).await?);
                        }
                    }
                    let named = named.iter().map(|(_, argument)| argument.clone());
                    let rest: Vec<Argument> = rest.iter().cloned().chain(named).collect();
                    functions::apply(function, series, &rest)
                }
            }
        })
    }

    async fn path(
        &self,
        path: &str,
        is_pattern: bool,
        question: &Question,
        read: &mut Read,
    ) -> Result<Vec<Series>, NotHere> {
        let names = if is_pattern {
            let glob = Arc::new(Glob::new(path).ok_or(NotHere::TooMany)?);
            self.windows.names(&glob, MAX_SERIES + 1).await?
        } else {
            vec![path.to_owned()]
        };
        read.take(names.len())?;
        let mut all = Vec::new();
        for name in names {
            let begin = question.now.saturating_sub(self.full_duration) as f64;
            let Some(points) = self.windows.series(&name, begin, f64::INFINITY).await? else { continue };
            let last = points.last().map(|p| p.ts as i64);
            read.newest = read.newest.max(last);
            let Some(series) = self.slots(&name, path, &points, question) else { continue };
            drop(points);
            read.hold(series.values.len(), &self.large).await?;
            all.push(series);
        }
        Ok(all)
    }

    /// The points of a window in slots.
    fn slots(&self, name: &str, path: &str, points: &[Datapoint], question: &Question) -> Option<Series> {
        let step = step(points);
        let archives = [Archive { step, slots: (self.full_duration / step).max(1) }];
        let layout = Layout { archives: &archives, consolidation: Consolidation::Average, least: 0.0 };
        let times = points.iter().map(|p| (p.ts.floor() as i64, p.value));
        let slots =
            grid::fetch(&layout, times, question.now, question.from, question.until).ok().flatten()?;
        Some(Series {
            name: name.to_owned(),
            tags: tags(name, path),
            start: slots.start,
            end: slots.end,
            step: slots.step,
            values: slots.values,
            consolidation: Consolidation::Average,
            least: 0.0,
        })
    }
}

fn is_known(target: &Target) -> bool {
    match target {
        Target::Path { .. } => true,
        Target::Call { function, arguments, .. } => {
            (functions::is_known(function) || function == "constantLine")
                && arguments.iter().all(|a| !matches!(a, Argument::Target(target) if !is_known(target)))
        }
    }
}

/// Tags of a name.
fn tags(name: &str, _path: &str) -> BTreeMap<String, String> {
    let mut parts = name.split(';');
    let first = parts.next().unwrap_or_default();
    let mut tags: BTreeMap<String, String> =
        parts.filter_map(|part| part.split_once('=')).map(|(t, v)| (t.to_owned(), v.to_owned())).collect();
    tags.insert("name".into(), first.to_owned());
    tags
}

/// The step in which points come: the gap in the middle of all, as a usual number of seconds where it is near one.
fn step(points: &[Datapoint]) -> i64 {
    const USUAL: [f64; 14] =
        [1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0];
    let mut gaps: Vec<f64> = points
        .windows(2)
        .filter_map(|pair| Some(pair.get(1)?.ts - pair.first()?.ts))
        .filter(|gap| *gap > 0.0)
        .collect();
    gaps.sort_by(f64::total_cmp);
    let Some(middle) = gaps.get(gaps.len() / 2).copied() else { return 60 };
    let near = USUAL.into_iter().find(|usual| (middle - usual).abs() <= usual * 0.1);
    near.unwrap_or(middle).round().clamp(1.0, 86_400.0) as i64
}

/// Three points of one value: Grafana asks for it to see whether somebody answers.
fn constant_line(arguments: &[Argument], question: &Question) -> Result<Vec<Series>, NotHere> {
    let Some(Argument::Number(value)) = arguments.first() else {
        return Err(NotHere::Argument("constantLine".into()));
    };
    let step = ((question.until - question.from) / 2).max(1);
    let name = value.to_string();
    Ok(vec![Series {
        tags: BTreeMap::from([("name".to_owned(), name.clone())]),
        name,
        start: question.from,
        end: question.from + 3 * step,
        step,
        values: vec![Some(*value); 3],
        ..Series::default()
    }])
}

#[cfg(test)]
mod tests;
