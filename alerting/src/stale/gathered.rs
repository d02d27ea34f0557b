//! Many names in a few lines: those that begin with the same elements stand together.

/// Names of which each has a line of its own; more are gathered.
const EACH: usize = 20;
/// Lines into which more are gathered.
const GROUPS: usize = 20;

/// Names that begin with the same elements.
struct Group<'n> {
    /// How many elements they are known to have in common.
    depth: usize,
    names: Vec<&'n (String, f64)>,
    /// Whether it cannot be taken apart.
    is_last: bool,
}

/// A line for each name or group of names, `most` at most with a last one that counts the others. `said`: what is said of
/// the times of a line's names.
#[must_use]
pub fn gathered(names: &[(String, f64)], most: usize, said: impl Fn(&[f64]) -> String) -> Vec<String> {
    let mut sorted: Vec<&(String, f64)> = names.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut groups: Vec<Group<'_>> = if sorted.len() <= EACH {
        sorted.into_iter().map(|one| Group { depth: 0, names: vec![one], is_last: true }).collect()
    } else {
        vec![Group { depth: 0, names: sorted, is_last: false }]
    };
    // The largest is taken apart as long as there is room for what comes of it.
    while let Some(at) = largest(&groups) {
        let Some(group) = groups.get_mut(at) else { break };
        let (depth, parts) = apart(group);
        if parts.len() < 2 || groups.len() - 1 + parts.len() > GROUPS {
            if let Some(group) = groups.get_mut(at) {
                group.is_last = true;
            }
            continue;
        }
        let parts = parts.into_iter().map(|names| Group { depth, is_last: names.len() < 2, names });
        groups.splice(at..=at, parts);
    }
    lines(&groups, most, said)
}

/// The largest group that can be taken apart.
fn largest(groups: &[Group<'_>]) -> Option<usize> {
    let open = groups.iter().enumerate().filter(|(_, group)| !group.is_last);
    open.max_by_key(|(at, group)| (group.names.len(), usize::MAX - at)).map(|(at, _)| at)
}

/// The names of a group by the first element in which they differ, and up to which element they are the same then.
fn apart<'n>(group: &Group<'n>) -> (usize, Vec<Vec<&'n (String, f64)>>) {
    let depth = common(&group.names).max(group.depth) + 1;
    let mut parts: Vec<Vec<&(String, f64)>> = Vec::new();
    let mut before = None;
    for name in &group.names {
        let head: Vec<&str> = name.0.split('.').take(depth).collect();
        match parts.last_mut() {
            Some(part) if before.as_ref() == Some(&head) => part.push(name),
            _ => parts.push(vec![name]),
        }
        before = Some(head);
    }
    (depth, parts)
}

/// How many elements sorted names have in common.
fn common(names: &[&(String, f64)]) -> usize {
    let (Some(first), Some(last)) = (names.first(), names.last()) else { return 0 };
    // Sorted by bytes, the first and the last differ the most.
    first.0.split('.').zip(last.0.split('.')).take_while(|(a, b)| a == b).count()
}

fn lines(groups: &[Group<'_>], most: usize, said: impl Fn(&[f64]) -> String) -> Vec<String> {
    let room = if groups.len() > most { most.saturating_sub(1) } else { most };
    let mut lines: Vec<String> = groups
        .iter()
        .take(room)
        .map(|group| {
            let times: Vec<f64> = group.names.iter().map(|(_, time)| *time).collect();
            format!("{}: {}", label(group), said(&times))
        })
        .collect();
    let rest: usize = groups.iter().skip(room).map(|group| group.names.len()).sum();
    if rest > 0 {
        lines.push(format!("and {rest} more"));
    }
    lines
}

fn label(group: &Group<'_>) -> String {
    match group.names.as_slice() {
        [one] => one.0.clone(),
        names => {
            let head: Vec<&str> =
                names.first().map(|name| name.0.split('.').take(common(names)).collect()).unwrap_or_default();
            let head = if head.is_empty() { "*".to_owned() } else { format!("{}.*", head.join(".")) };
            format!("{head} ({} metrics)", names.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(names: &[String], most: usize) -> Vec<String> {
        let names: Vec<(String, f64)> = names.iter().map(|name| (name.clone(), 0.0)).collect();
        gathered(&names, most, |times| times.len().to_string())
    }

    #[test]
    fn few_names_stand_alone() {
        let names: Vec<String> = (0..3).map(|i| format!("a.{i}")).collect();
        assert_eq!(of(&names, 200), ["a.0: 1", "a.1: 1", "a.2: 1"]);
        assert_eq!(of(&names, 2), ["a.0: 1", "and 2 more"]);
        assert_eq!(of(&[], 200), Vec::<String>::new());
    }

    #[test]
    fn a_dead_sender_is_one_line() {
        let mut names: Vec<String> = (0..500).map(|i| format!("servers.web07.disk{}.{i}", i % 40)).collect();
        assert_eq!(of(&names, 200), ["servers.web07.* (500 metrics): 500"]);
        names.extend(["queues.mail.depth".to_owned(), "servers.db02.load".to_owned()]);
        assert_eq!(
            of(&names, 200),
            ["queues.mail.depth: 1", "servers.db02.load: 1", "servers.web07.* (500 metrics): 500"]
        );
    }

    #[test]
    fn senders_stand_apart_where_there_is_room() {
        let names: Vec<String> =
            (0..1_000).map(|i| format!("servers.web{:02}.m{}", i % 10, i / 10)).collect();
        let lines = of(&names, 200);
        assert_eq!((lines.len(), lines[0].as_str()), (10, "servers.web00.* (100 metrics): 100"));
        let names: Vec<String> = (0..1_000).map(|i| format!("servers.web{i}.m")).collect();
        assert_eq!(of(&names, 200), ["servers.* (1000 metrics): 1000"]);
    }

    proptest! {
        /// Every name is counted once, in a few lines.
        #[test]
        fn nothing_is_lost(names in prop::collection::hash_set("[ab.]{0,8}", 0..300), most in 1_usize..200) {
            let names: Vec<String> = names.into_iter().collect();
            let lines = of(&names, most);
            prop_assert!(lines.len() <= most.min(EACH.max(GROUPS)));
            let counted: usize = lines.iter().map(|line| {
                let last = line.rsplit(": ").next().unwrap_or_default();
                let more = line.strip_prefix("and ").and_then(|rest| rest.strip_suffix(" more"));
                more.unwrap_or(last).parse::<usize>().unwrap()
            }).sum();
            prop_assert_eq!(counted, names.len());
        }
    }
}
