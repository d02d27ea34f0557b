//! A message as Slack's blocks. All text is in `rich_text` and `plain_text` elements, which know no mark-up: whatever a
//! name holds is shown as it is.

use crate::text::story::{Fact, State, Story};
use crate::text::{Line, Piece, markup, name, sentence};
use serde_json::{Value, json};

/// Slack cuts `text` at 40,000 characters, and phones show some hundred.
const FALLBACK: usize = 3000;
/// Other metrics that are listed.
const ROWS: usize = 10;
/// Lines that are listed.
const LINES: usize = 40;
/// Longest address of a button.
const ADDRESS: usize = 3000;
/// Longest text of a `plain_text` element in a context block.
const CONTEXT: usize = 2000;

/// The text of notifications, for readers that show no blocks.
pub(super) fn fallback(story: &Story) -> String {
    let text = format!("{}: {}", story.word, story.lead.plain());
    markup::for_slack(&name::shortened(&text, FALLBACK / 5 * 4))
}

/// The incident's first message: the sentence, the other metrics, the buttons, and those facts that the sentence does
/// not have.
pub(super) fn whole(story: &Story) -> Value {
    let mut blocks = vec![opening(story)];
    blocks.extend(others(story));
    blocks.extend(buttons(story));
    let facts: Vec<Value> = story.facts.iter().filter(|fact| is_news(fact)).map(item).collect();
    if !facts.is_empty() {
        blocks.push(rich(vec![list(facts)]));
    }
    blocks.push(json!({"type": "context", "elements": [
        {"type": "plain_text", "text": name::shortened(&story.footer.plain(), CONTEXT), "emoji": false}
    ]}));
    Value::Array(blocks)
}

/// Whether the first sentence and the picture lack a fact.
fn is_news(fact: &Fact) -> bool {
    match fact.label {
        "Metric" => fact.value.plain().chars().count() > sentence::SHORT,
        "Anomalous at" | "Worst" | "Window" | "Derivative graph" | "Algorithms" | "Next alert" => true,
        _ => false,
    }
}

fn item(fact: &Fact) -> Value {
    let mut items =
        vec![json!({"type": "text", "text": format!("{}: ", fact.label), "style": {"bold": true}})];
    items.extend(elements(&fact.value));
    section(items)
}

/// A message of the thread: the sentence and what else is wrong.
pub(super) fn brief(story: &Story) -> Value {
    let mut blocks = vec![opening(story)];
    blocks.extend(others(story));
    Value::Array(blocks)
}

/// Word, heading and the first sentence.
fn opening(story: &Story) -> Value {
    let mut items = vec![
        json!({"type": "emoji", "name": emoji(story.state)}),
        json!({"type": "text", "text": format!(" {}", story.word), "style": {"bold": true}}),
        json!({"type": "text", "text": format!(" · {}\n", story.banner())}),
    ];
    items.extend(elements(&story.lead));
    for line in &story.more {
        items.push(json!({"type": "text", "text": "\n"}));
        items.extend(elements(line));
    }
    rich(vec![section(items)])
}

const fn emoji(state: State) -> &'static str {
    match state {
        State::Alarm => "red_circle",
        State::Ongoing => "large_orange_circle",
        State::Over => "large_green_circle",
        State::Note => "information_source",
        State::Test => "test_tube",
    }
}

/// The other metrics, and the lines of a message without any.
fn others(story: &Story) -> Vec<Value> {
    let mut items: Vec<Value> = story
        .rows
        .iter()
        .take(ROWS)
        .map(|row| {
            let mut items = elements(&row.metric);
            let expected = if row.expected.is_empty() {
                String::new()
            } else {
                format!(" (expected: {})", row.expected)
            };
            items.push(
                json!({"type": "text", "text": format!(" is {}{expected}, since {}", row.value, row.since)}),
            );
            section(items)
        })
        .collect();
    let unlisted = story.unlisted + story.rows.len().saturating_sub(ROWS) as u64;
    if unlisted > 0 {
        items.push(section(vec![json!({"type": "text", "text": format!("and {unlisted} more")})]));
    }
    items.extend(story.lines.iter().take(LINES).map(|line| section(elements(line))));
    let unlisted = story.unlisted_lines + story.lines.len().saturating_sub(LINES);
    if unlisted > 0 {
        items.push(section(vec![json!({"type": "text", "text": format!("and {unlisted} more")})]));
    }
    if items.is_empty() { Vec::new() } else { vec![rich(vec![list(items)])] }
}

fn buttons(story: &Story) -> Option<Value> {
    let fits = |address: &str| {
        address.len() <= ADDRESS && (address.starts_with("https://") || address.starts_with("http://"))
    };
    let buttons: Vec<Value> = story
        .links
        .iter()
        .filter(|(_, address)| fits(address))
        .enumerate()
        .map(|(number, (label, address))| {
            json!({"type": "button", "action_id": format!("link{number}"), "url": address,
                   "text": {"type": "plain_text", "text": label, "emoji": false}})
        })
        .collect();
    (!buttons.is_empty()).then(|| json!({"type": "actions", "elements": buttons}))
}

fn rich(elements: Vec<Value>) -> Value {
    json!({"type": "rich_text", "elements": elements})
}

fn section(elements: Vec<Value>) -> Value {
    json!({"type": "rich_text_section", "elements": elements})
}

fn list(items: Vec<Value>) -> Value {
    json!({"type": "rich_text_list", "style": "bullet", "elements": items})
}

/// The pieces of a line. Slack refuses empty texts.
fn elements(line: &Line) -> Vec<Value> {
    line.0
        .iter()
        .filter_map(|piece| match piece {
            Piece::Words(text) if !text.is_empty() => Some(json!({"type": "text", "text": text})),
            Piece::Strong(text) if !text.is_empty() => {
                Some(json!({"type": "text", "text": text, "style": {"bold": true}}))
            }
            Piece::Told(text) if !text.is_empty() => {
                Some(json!({"type": "text", "text": name::isolated(text)}))
            }
            Piece::Name(text) if !text.is_empty() => {
                Some(json!({"type": "text", "text": name::isolated(text), "style": {"code": true}}))
            }
            _ => None,
        })
        .collect()
}
