//! The plain form of a message: for mail clients that show no HTML, and for people who read it aloud.

use super::name;
use super::story::Story;
use std::fmt::Write as _;

/// A message as text. `description`: what its chart shows, in words; empty: there is none.
#[must_use]
pub fn write(story: &Story, description: &str) -> String {
    let mut out = format!("{}\n", story.lead.plain());
    for line in &story.more {
        out.push_str(&format!("{}\n", line.plain()));
    }
    let severity = story.severity.map_or_else(String::new, |severity| format!(" ({severity})"));
    _ = writeln!(out, "\n{} {}{severity}", story.heading, story.word);
    if !story.links.is_empty() {
        out.push('\n');
        for (label, address) in &story.links {
            _ = writeln!(out, "{label}: {address}");
        }
    }
    if !description.is_empty() {
        _ = writeln!(out, "\nThe chart: {}", name::literal(description));
    }
    if !story.facts.is_empty() {
        out.push('\n');
        for fact in &story.facts {
            _ = writeln!(out, "{}: {}", fact.label, fact.value.plain());
        }
    }
    rows(&mut out, story);
    if !story.lines.is_empty() {
        out.push('\n');
        for line in &story.lines {
            _ = writeln!(out, "{}", line.plain());
        }
        if story.unlisted_lines > 0 {
            _ = writeln!(out, "and {} more", story.unlisted_lines);
        }
    }
    _ = writeln!(out, "\n-- \n{}", story.footer.plain());
    out
}

fn rows(out: &mut String, story: &Story) {
    if story.rows.is_empty() && story.unlisted == 0 {
        return;
    }
    out.push_str("\nOther metrics:\n");
    for row in &story.rows {
        let expected =
            if row.expected.is_empty() { String::new() } else { format!(" (expected: {})", row.expected) };
        _ = writeln!(out, "  {} is {}{expected}, since {}", row.metric.plain(), row.value, row.since);
    }
    if story.unlisted > 0 {
        _ = writeln!(out, "  and {} more", story.unlisted);
    }
}
