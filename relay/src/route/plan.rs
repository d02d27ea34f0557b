//! What is to be done with the points of one name, worked out from the walk of it.

use super::share::Members;
use crate::aggregate;
use skyline_conf::routing::pattern::Pattern;
use skyline_conf::routing::walk::Act;
use skyline_conf::routing::{Discard, Target};
use skyline_core::batch::RouteSet;
use skyline_core::reject::Reject;
use skyline_journal::Journal;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

/// Outcomes remembered for a name whose points differ; if there may be more, each point's is worked out.
const OUTCOMES: usize = 32;

/// Sets remembered for a name whose points take turns and go on as they are.
const SETS: usize = 256;

/// What is to be done with the points of a name.
#[derive(Debug, Clone)]
pub(super) enum Plan {
    /// They go on as they are, to that set.
    Same(RouteSet),
    /// They are refused.
    Refused(Reject),
    /// They go on as they are, each to the next of some sets.
    InTurn(Arc<Turns>),
    /// They go on under several names, or another one.
    Renamed(Arc<Outcome>),
    /// Each point is a case of its own.
    Steps(Arc<Steps>),
}

impl Plan {
    /// To none of the destinations.
    pub(super) const NOWHERE: Self = Self::Same(RouteSet(0));

    /// What it takes besides itself, bytes, about.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Same(_) | Self::Refused(_) => 0,
            Self::InTurn(turns) => size_of::<Turns>() + size_of_val(&*turns.sets) + 32,
            Self::Renamed(outcome) => {
                let names: usize =
                    outcome.copies.iter().flat_map(|copy| &copy.name).map(|name| name.len()).sum();
                size_of::<Outcome>() + outcome.copies.len() * size_of::<Copy>() + names + 32
            }
            Self::Steps(steps) => steps.bytes(),
        }
    }
}

/// The sets of points that take turns.
#[derive(Debug)]
pub(super) struct Turns {
    /// The one whose points are counted.
    cluster: usize,
    sets: Box<[RouteSet]>,
}

impl Turns {
    /// The set of the next point; `turn` counts the points of a cluster.
    pub(super) fn next(&self, turn: impl FnOnce(usize) -> usize) -> RouteSet {
        let turn = turn(self.cluster) % self.sets.len().max(1);
        self.sets.get(turn).copied().unwrap_or_default()
    }
}

/// The walk of a name as far as points are concerned.
#[derive(Debug)]
pub(super) struct Steps {
    parts: Vec<Part>,
    /// Product of the numbers of members among which choices move on.
    turns: usize,
    in_turn: Option<InTurn>,
    /// For each turn those of all combinations of failed checks; none if that would be too many.
    outcomes: Box<[OnceLock<Outcome>]>,
}

/// The cluster whose points are counted for the turns: the first whose members take any.
#[derive(Debug)]
struct InTurn {
    cluster: usize,
    /// Bits of the checks that a point must pass to get there.
    checks: u64,
}

#[derive(Debug)]
struct Part {
    check: Option<Check>,
    what: What,
}

/// What the text `value timestamp` must look like.
#[derive(Debug)]
struct Check {
    /// The parts that fail with it have this bit.
    bit: u64,
    pattern: Pattern,
    log: bool,
    /// Whether a point that fails goes no further.
    ends: bool,
}

#[derive(Debug)]
enum What {
    /// It goes to clusters under a name.
    Send { name: Box<str>, key: Option<Box<str>>, clusters: Vec<usize> },
    /// It is an input under a name.
    Input { name: Box<str> },
    /// It goes no further.
    Discard(Reject),
}

/// What becomes of a point: its copies, each with a name and a set of destinations; or why it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Each name once.
    pub(super) copies: Vec<Copy>,
    /// Why, if there is no copy.
    pub(super) refused: Option<Reject>,
}

impl Outcome {
    /// The set to which the point goes, if it goes on as it is and no other way.
    pub(super) fn as_it_is(&self) -> Option<RouteSet> {
        match self.copies.as_slice() {
            [Copy { name: None, set }] => Some(*set),
            _ => None,
        }
    }
}

/// A point under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    /// `None`: the one that was received.
    pub(super) name: Option<Box<str>>,
    pub(super) set: RouteSet,
}

/// What plans are made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Targets<'a> {
    pub(super) clusters: &'a [Members],
    /// Names of the destinations' readers.
    pub(super) readers: &'a [String],
    pub(super) journal: &'a Journal,
}

impl Targets<'_> {
    /// The set of these destinations, and of the aggregator if the point is an input.
    pub(super) fn set(self, destinations: &[usize], is_input: bool) -> RouteSet {
        let readers = destinations.iter().filter_map(|i| self.readers.get(*i)).map(String::as_str);
        let readers: Vec<&str> = readers.chain(is_input.then_some(aggregate::READER)).collect();
        self.journal.route_set(&readers)
    }
}

/// Makes the plan of a name. `received`: how it came in; `cleaned`: how it is called on entry.
pub(super) fn plan(received: &[u8], cleaned: &str, acts: &[Act<'_>], targets: Targets<'_>) -> Plan {
    let mut checks = 0;
    let parts: Vec<Part> = acts.iter().filter_map(|act| part(act, &mut checks)).collect();
    let turns = turns(&parts, targets);
    let cases = 1_usize.checked_shl(checks).and_then(|fails| fails.checked_mul(turns));
    let remembered = cases.filter(|cases| *cases <= OUTCOMES).unwrap_or_default();
    let outcomes = (0..remembered).map(|_| OnceLock::new()).collect();
    let steps = Steps { turns, in_turn: in_turn(&parts, targets), parts, outcomes };
    if checks == 0
        && (2..=SETS).contains(&turns)
        && let Some(turns) = steps.sets_in_turn(received, cleaned, targets)
    {
        return Plan::InTurn(Arc::new(turns));
    }
    if cases != Some(1) {
        return Plan::Steps(Arc::new(steps));
    }
    let outcome = steps.work_out(0, 0, received, cleaned, targets);
    match (outcome.as_it_is(), outcome.refused) {
        (Some(set), _) => Plan::Same(set),
        (None, Some(why)) => Plan::Refused(why),
        (None, None) => Plan::Renamed(Arc::new(outcome)),
    }
}

fn turns(parts: &[Part], targets: Targets<'_>) -> usize {
    let clusters = parts.iter().flat_map(|part| match &part.what {
        What::Send { clusters, .. } => clusters.as_slice(),
        _ => &[],
    });
    let each = clusters.filter_map(|i| targets.clusters.get(*i)).map(Members::turns);
    each.fold(
        1,
        |product: usize, turns| {
            if product.is_multiple_of(turns) { product } else { product.saturating_mul(turns) }
        },
    )
}

fn in_turn(parts: &[Part], targets: Targets<'_>) -> Option<InTurn> {
    let takes_turns = |cluster: &&usize| targets.clusters.get(**cluster).is_some_and(|c| c.turns() > 1);
    let mut before = 0;
    for part in parts {
        let bit = part.check.as_ref().map_or(0, |check| check.bit);
        if let What::Send { clusters, .. } = &part.what
            && let Some(cluster) = clusters.iter().find(takes_turns)
        {
            return Some(InTurn { cluster: *cluster, checks: before | bit });
        }
        if part.check.as_ref().is_some_and(|check| check.ends) {
            before |= bit;
        }
    }
    None
}

/// `checks`: how many there are already. The first 64 are made.
fn part(act: &Act<'_>, checks: &mut u32) -> Option<Part> {
    match act {
        Act::Renamed { .. } => None,
        Act::Input { name, .. } => {
            Some(Part { check: None, what: What::Input { name: name.as_str().into() } })
        }
        Act::Route { route, name, key, .. } => {
            let has_targets = !matches!(&route.to, Target::Clusters(clusters) if clusters.is_empty());
            let check = route.validate.as_ref().map(|validate| {
                let bit = 1_u64.checked_shl(*checks).unwrap_or_default();
                *checks += 1;
                Check { bit, pattern: validate.pattern.clone(), log: validate.log, ends: !has_targets }
            });
            let what = match &route.to {
                Target::Clusters(clusters) => What::Send {
                    name: name.as_str().into(),
                    key: key.as_deref().map(Into::into),
                    clusters: clusters.clone(),
                },
                Target::Discard(why) => What::Discard(reason(*why)),
            };
            Some(Part { check, what })
        }
    }
}

const fn reason(why: Discard) -> Reject {
    match why {
        Discard::Blacklisted => Reject::Blacklisted,
        Discard::NotWhitelisted => Reject::NotWhitelisted,
        Discard::Blackhole => Reject::Blackhole,
    }
}

impl Steps {
    /// What becomes of a point whose line says `value timestamp`. `turn` counts the points of a cluster whose members
    /// take turns. `names` as [`plan`] has them. Points that fail a check that is to be logged are passed to `failed`.
    pub(super) fn outcome<'n>(
        &self,
        point: &str,
        turn: impl FnOnce(usize) -> usize,
        names: impl FnOnce() -> (&'n [u8], Cow<'n, str>),
        targets: Targets<'_>,
        mut failed: impl FnMut(&Pattern),
    ) -> Cow<'_, Outcome> {
        let mut fails = 0_u64;
        for check in self.parts.iter().filter_map(|part| part.check.as_ref()) {
            if !check.pattern.is_match(point) {
                fails |= check.bit;
                if check.log {
                    failed(&check.pattern);
                }
                if check.ends {
                    break;
                }
            }
        }
        let turns = self.turns.max(1);
        let in_turn = self.in_turn.as_ref().filter(|in_turn| fails & in_turn.checks == 0);
        let turn = in_turn.map_or(0, |in_turn| turn(in_turn.cluster)) % turns;
        let work_out = || {
            let (received, cleaned) = names();
            self.work_out(fails, turn, received, &cleaned, targets)
        };
        // Without any, `fails` may be anything.
        let at = if self.outcomes.is_empty() { 0 } else { fails as usize * turns + turn };
        match self.outcomes.get(at) {
            Some(known) => Cow::Borrowed(known.get_or_init(work_out)),
            None => Cow::Owned(work_out()),
        }
    }

    /// The sets of all turns, if points go on as they are whosever turn it is.
    fn sets_in_turn(&self, received: &[u8], cleaned: &str, targets: Targets<'_>) -> Option<Turns> {
        let cluster = self.in_turn.as_ref()?.cluster;
        let set = |turn| self.work_out(0, turn, received, cleaned, targets).as_it_is();
        Some(Turns { cluster, sets: (0..self.turns).map(set).collect::<Option<_>>()? })
    }

    /// What it takes with all outcomes that it may remember, bytes, about.
    fn bytes(&self) -> usize {
        let of_part = |part: &Part| match &part.what {
            What::Send { name, key, clusters } => {
                name.len() + key.as_ref().map_or(0, |key| key.len()) + size_of_val(clusters.as_slice())
            }
            What::Input { name } => name.len(),
            What::Discard(_) => 0,
        };
        let parts: usize = self.parts.iter().map(|part| size_of::<Part>() + of_part(part)).sum();
        let copies: usize = self.parts.iter().map(|part| size_of::<Copy>() + of_part(part)).sum();
        size_of::<Self>() + parts + self.outcomes.len() * (size_of::<OnceLock<Outcome>>() + copies) + 64
    }

    fn work_out(
        &self,
        fails: u64,
        turn: usize,
        received: &[u8],
        cleaned: &str,
        targets: Targets<'_>,
    ) -> Outcome {
        // Names in the order in which they come up, with their destinations and whether they are inputs.
        let mut names: Vec<Named<'_>> = Vec::new();
        let mut refused = None;
        for part in &self.parts {
            let is_failed = part.check.as_ref().is_some_and(|check| fails & check.bit != 0);
            match &part.what {
                _ if is_failed => {
                    refused = Some(Reject::Invalid);
                    if part.check.as_ref().is_some_and(|check| check.ends) {
                        break;
                    }
                }
                What::Send { clusters, .. } if clusters.is_empty() => {}
                What::Send { name, key, clusters } => {
                    let (_, chosen, _) = place(&mut names, name);
                    for cluster in clusters.iter().filter_map(|i| targets.clusters.get(*i)) {
                        cluster.choose(name, key.as_deref(), turn, chosen);
                    }
                }
                What::Input { name } => place(&mut names, name).2 = true,
                What::Discard(why) => {
                    refused = Some(*why);
                    break;
                }
            }
        }
        let as_received = |name: &str| if name.as_bytes() == received { None } else { Some(name.into()) };
        let mut copies: Vec<Copy> = names
            .into_iter()
            .map(|(name, chosen, is_input)| Copy {
                name: as_received(name),
                set: targets.set(&chosen, is_input),
            })
            .collect();
        if copies.is_empty() && refused.is_none() {
            // No statement wants it: it is kept for the window.
            copies.push(Copy { name: as_received(cleaned), set: RouteSet(0) });
        }
        let refused = refused.filter(|_| copies.is_empty());
        Outcome { copies, refused }
    }
}

/// A name with its destinations, and whether it is an input.
type Named<'n> = (&'n str, Vec<usize>, bool);

/// The entry of a name, new if need be.
fn place<'n, 'v>(names: &'v mut Vec<Named<'n>>, name: &'n str) -> &'v mut Named<'n> {
    let at = names.iter().position(|(known, ..)| *known == name).unwrap_or(names.len());
    if at == names.len() {
        names.push((name, Vec::new(), false));
    }
    #[expect(clippy::indexing_slicing, reason = "found, or just added")]
    &mut names[at]
}
