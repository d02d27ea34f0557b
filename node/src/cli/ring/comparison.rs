//! What is counted while names are compared, and how it is shown.

use super::super::output::say;
use super::places::Places;
use serde::Serialize;
use skyline_relay::route::Journey;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

/// Names that are shown for each move.
const EXAMPLES: usize = 3;

/// All that was counted.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    /// Metrics that were compared.
    pub(super) metrics: u64,
    /// Those that go to other destinations.
    pub(super) moved: u64,
    /// Those that stay where they are, under another name.
    pub(super) renamed: u64,
    /// One of them, with its names.
    #[serde(skip_serializing_if = "Option::is_none")]
    renamed_example: Option<(String, String)>,
    /// Metrics that go to no destination.
    nowhere: Both,
    /// Metrics that are inputs of aggregates.
    inputs: Both,
    destinations: Vec<Share>,
    /// From the largest to the smallest.
    moves: Vec<Move>,
    #[serde(skip)]
    at: HashMap<(Option<usize>, Option<usize>), usize>,
}

/// A count by the old file and by the new one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
struct Both {
    old: u64,
    new: u64,
}

/// What a destination gets.
#[derive(Debug, Serialize)]
struct Share {
    /// As the old file writes it.
    old: Option<String>,
    /// As the new one does.
    new: Option<String>,
    metrics: Both,
    /// Of all metrics, 0 to 1.
    share_old: f64,
    share_new: f64,
}

/// Metrics that leave one destination for another.
#[derive(Debug, Serialize)]
struct Move {
    /// None: they have one more destination than before.
    from: Option<String>,
    /// None: they have one less.
    to: Option<String>,
    metrics: u64,
    examples: Vec<String>,
}

/// What becomes of one metric.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind<'p> {
    /// It is where it was.
    Stays,
    /// It is where it was, under another name.
    Renamed,
    /// It goes elsewhere: all its destinations, before and after.
    Moves { from: Vec<&'p str>, to: Vec<&'p str> },
}

/// Where a metric arrives, and under which names.
#[derive(Debug, Default)]
struct Reached {
    places: BTreeSet<usize>,
    names: Vec<(String, BTreeSet<usize>)>,
}

impl Reached {
    fn of(journey: Journey, place: impl Fn(usize) -> Option<usize>) -> Self {
        let mut reached = Self::default();
        for arrival in journey.arrivals {
            let places: BTreeSet<usize> = arrival.destinations.into_iter().filter_map(&place).collect();
            reached.places.extend(&places);
            reached.names.push((arrival.name, places));
        }
        reached.names.sort();
        reached
    }

    fn labels<'p>(&self, places: &'p Places) -> Vec<&'p str> {
        self.places.iter().filter_map(|i| places.all().get(*i)).map(|place| place.label()).collect()
    }
}

impl Comparison {
    pub(super) fn new(places: &Places) -> Self {
        let share = |place: &super::places::Place| Share {
            old: place.old.clone(),
            new: place.new.clone(),
            metrics: Both::default(),
            share_old: 0.0,
            share_new: 0.0,
        };
        Self {
            metrics: 0,
            moved: 0,
            renamed: 0,
            renamed_example: None,
            nowhere: Both::default(),
            inputs: Both::default(),
            destinations: places.all().iter().map(share).collect(),
            moves: Vec::new(),
            at: HashMap::new(),
        }
    }

    /// Counts what becomes of a metric.
    pub(super) fn take<'p>(
        &mut self,
        name: &str,
        old: Journey,
        new: Journey,
        places: &'p Places,
    ) -> Kind<'p> {
        self.metrics += 1;
        self.inputs.old += u64::from(old.is_input);
        self.inputs.new += u64::from(new.is_input);
        let old = Reached::of(old, |i| places.of_old(i));
        let new = Reached::of(new, |i| places.of_new(i));
        self.nowhere.old += u64::from(old.places.is_empty());
        self.nowhere.new += u64::from(new.places.is_empty());
        for i in &old.places {
            if let Some(share) = self.destinations.get_mut(*i) {
                share.metrics.old += 1;
            }
        }
        for i in &new.places {
            if let Some(share) = self.destinations.get_mut(*i) {
                share.metrics.new += 1;
            }
        }
        if old.places == new.places {
            if old.names == new.names {
                return Kind::Stays;
            }
            self.renamed += 1;
            let names = |of: &Reached| of.names.first().map_or_else(String::new, |(name, _)| name.clone());
            self.renamed_example.get_or_insert_with(|| (names(&old), names(&new)));
            return Kind::Renamed;
        }
        self.moved += 1;
        let mut left = old.places.difference(&new.places);
        let mut came = new.places.difference(&old.places);
        loop {
            let pair = (left.next().copied(), came.next().copied());
            if pair == (None, None) {
                break;
            }
            self.count(pair, name, places);
        }
        Kind::Moves { from: old.labels(places), to: new.labels(places) }
    }

    fn count(&mut self, pair: (Option<usize>, Option<usize>), name: &str, places: &Places) {
        let at = *self.at.entry(pair).or_insert(self.moves.len());
        if at == self.moves.len() {
            let label =
                |i: Option<usize>| i.and_then(|i| places.all().get(i)).map(|place| place.label().to_owned());
            self.moves.push(Move {
                from: label(pair.0),
                to: label(pair.1),
                metrics: 0,
                examples: Vec::new(),
            });
        }
        if let Some(flow) = self.moves.get_mut(at) {
            flow.metrics += 1;
            if flow.examples.len() < EXAMPLES {
                flow.examples.push(name.to_owned());
            }
        }
    }

    /// All names were taken: shares, and the order of moves.
    pub(super) fn finish(&mut self) {
        let all = self.metrics.max(1) as f64;
        for share in &mut self.destinations {
            share.share_old = share.metrics.old as f64 / all;
            share.share_new = share.metrics.new as f64 / all;
        }
        self.at.clear();
        self.moves.sort_by_key(|flow| Reverse(flow.metrics));
    }

    pub(super) fn print(&self) -> anyhow::Result<()> {
        let percent = |count: u64| count as f64 * 100.0 / self.metrics.max(1) as f64;
        say!("")?;
        say!("{} of {} metrics move ({:.1} %)", self.moved, self.metrics, percent(self.moved))?;
        for flow in &self.moves {
            let examples = flow.examples.join(", ");
            match (&flow.from, &flow.to) {
                (Some(from), Some(to)) => say!("  {:>9}  from {from} to {to}, as {examples}", flow.metrics)?,
                (None, Some(to)) => say!("  {:>9}  to {to} as well, as {examples}", flow.metrics)?,
                (Some(from), None) => say!("  {:>9}  no more to {from}, as {examples}", flow.metrics)?,
                (None, None) => {}
            }
        }
        if let Some((old, new)) = &self.renamed_example {
            say!("{} metrics stay under another name, as {old}: {new}", self.renamed)?;
        }
        let both = |what: &str, both: Both| {
            if both == Both::default() { Ok(()) } else { say!("{what}: {} old, {} new", both.old, both.new) }
        };
        both("metrics that go to no destination", self.nowhere)?;
        both("metrics that are inputs of aggregates, which are not followed", self.inputs)?;
        let width = self.destinations.iter().map(|share| share.label().chars().count()).max().unwrap_or(0);
        say!("")?;
        let width = width.max("destination".len());
        say!("{:<width$}  {:>9}  {:>7}  {:>9}", "destination", "old", "", "new")?;
        for share in &self.destinations {
            let half = |is_there: bool, count: u64| {
                if is_there {
                    format!("{count:>9}  {:>5.1} %", percent(count))
                } else {
                    format!("{:>9}  {:>7}", "-", "")
                }
            };
            let (old, new) =
                (half(share.old.is_some(), share.metrics.old), half(share.new.is_some(), share.metrics.new));
            let line = format!("{:<width$}  {old}  {new}", share.label());
            say!("{}", line.trim_end())?;
        }
        say!("")
    }
}

impl Share {
    fn label(&self) -> &str {
        self.old.as_deref().or(self.new.as_deref()).unwrap_or_default()
    }
}
