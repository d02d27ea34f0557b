//! The HTML form of a message: one column that fits narrow screens, styles inline, legible on black and on white.
//!
//! Mail clients know little of style sheets, so every element has its style with it; the one sheet only changes colours
//! for readers with a dark screen.

use super::line::{Line, Piece};
use super::name;
use super::story::{State, Story};
pub use skyline_render_proxy::draw::escaped;

/// Pictures of a message, by the addresses at which its reader has them (`cid:…` in mail).
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown<'a> {
    /// The window's chart.
    pub window: Option<&'a str>,
    /// What it shows, in words.
    pub description: &'a str,
    /// Graphite's own chart.
    pub graphite: Option<&'a str>,
}

/// What dark screens change.
const SHEET: &str = "@media (prefers-color-scheme: dark) {\
 .page { background-color: #111418 !important; } .card { background-color: #1b2026 !important; }\
 .text { color: #e8eaed !important; } .dim { color: #a9b0b8 !important; }\
 .line { border-color: #343b43 !important; } .code { background-color: #2a3138 !important; }\
 .link { color: #8ab4f8 !important; } }";

const FONT: &str = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;";
const NAME: &str =
    "font-family:Menlo,Consolas,monospace;font-size:0.94em;word-break:break-word;overflow-wrap:anywhere;";

/// A message as a page.
#[must_use]
pub fn write(story: &Story, shown: Shown<'_>) -> String {
    let mut out = String::with_capacity(8 << 10);
    let title = escaped(&story.subject);
    out.push_str(&format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"supported-color-schemes\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>{SHEET}</style>\n</head>\n\
         <body class=\"page\" style=\"margin:0;padding:0;background-color:#f2f4f6;\">\n\
         <table role=\"presentation\" class=\"page\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" \
         style=\"background-color:#f2f4f6;\"><tr><td align=\"center\" style=\"padding:12px 6px;\">\n\
         <table role=\"presentation\" class=\"card\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" \
         style=\"max-width:620px;background-color:#ffffff;border-radius:6px;\">\n"
    ));
    banner(&mut out, story);
    sentences(&mut out, story);
    buttons(&mut out, story);
    pictures(&mut out, shown, story);
    facts(&mut out, story);
    rows(&mut out, story);
    lines(&mut out, story);
    out.push_str(&format!(
        "<tr><td class=\"dim line\" style=\"{FONT}padding:10px 16px 14px;border-top:1px solid #dde1e5;\
         font-size:12px;line-height:17px;color:#5f6368;\">{}</td></tr>\n</table>\n</td></tr></table>\n</body>\n</html>\n",
        of_line(&story.footer)
    ));
    out
}

/// The colour of a state: dark enough for white letters; its word stands beside it for people who do not tell red from
/// green.
#[must_use]
pub const fn colour(state: State) -> &'static str {
    match state {
        State::Alarm => "#b3261e",
        State::Ongoing => "#8a5000",
        State::Over => "#146c43",
        State::Note => "#3c4a59",
        State::Test => "#5b3fa6",
    }
}

fn banner(out: &mut String, story: &Story) {
    out.push_str(&format!(
        "<tr><td style=\"{FONT}padding:9px 16px;background-color:{};border-radius:6px 6px 0 0;color:#ffffff;\
         font-size:14px;line-height:20px;\"><b>{}</b> &middot; {}</td></tr>\n",
        colour(story.state),
        story.word,
        escaped(&story.banner()).replace('·', "&middot;")
    ));
}

fn sentences(out: &mut String, story: &Story) {
    out.push_str(&format!(
        "<tr><td class=\"text\" style=\"{FONT}padding:16px 16px 6px;font-size:18px;line-height:26px;color:#1f2328;\">{}</td></tr>\n",
        of_line(&story.lead)
    ));
    for line in &story.more {
        out.push_str(&format!(
            "<tr><td class=\"text\" style=\"{FONT}padding:2px 16px 6px;font-size:15px;line-height:22px;color:#1f2328;\">{}</td></tr>\n",
            of_line(line)
        ));
    }
}

fn buttons(out: &mut String, story: &Story) {
    if story.links.is_empty() {
        return;
    }
    out.push_str("<tr><td style=\"padding:6px 16px 8px;\">");
    for (label, address) in &story.links {
        out.push_str(&format!(
            "<a class=\"link line\" href=\"{}\" style=\"{FONT}display:inline-block;margin:0 8px 6px 0;padding:6px 12px;\
             border:1px solid #c4cad0;border-radius:4px;font-size:14px;line-height:20px;color:#0b57d0;\
             text-decoration:none;\">{label}</a>",
            escaped(&safe(address))
        ));
    }
    out.push_str("</td></tr>\n");
}

/// An address that a link may have: ours have no other scheme.
fn safe(address: &str) -> String {
    let is_web = address.starts_with("https://") || address.starts_with("http://");
    if is_web { name::literal(address) } else { String::new() }
}

fn pictures(out: &mut String, shown: Shown<'_>, story: &Story) {
    let mut picture = |source: &str, words: &str, under: &str| {
        let image = format!(
            "<img src=\"{}\" alt=\"{}\" width=\"588\" style=\"display:block;width:100%;max-width:588px;height:auto;border:0;\">",
            escaped(source),
            escaped(&name::literal(words))
        );
        let graph =
            story.links.iter().find(|(label, _)| label.contains("graph")).map(|(_, address)| safe(address));
        let image = match graph.filter(|address| !address.is_empty()) {
            Some(address) => format!("<a href=\"{}\">{image}</a>", escaped(&address)),
            None => image,
        };
        out.push_str(&format!("<tr><td style=\"padding:6px 16px;\">{image}</td></tr>\n"));
        if !under.is_empty() {
            out.push_str(&format!(
                "<tr><td class=\"dim\" style=\"{FONT}padding:0 16px 6px;font-size:13px;line-height:18px;color:#5f6368;\">{}</td></tr>\n",
                escaped(&name::literal(under))
            ));
        }
    };
    if let Some(source) = shown.window {
        // In words for those who do not see it only: others have the picture, and the sentences above it.
        picture(source, shown.description, "");
    }
    if let Some(source) = shown.graphite {
        let under = "From Graphite: it may show averages of longer intervals than those that were judged; its link opens current data.";
        picture(source, "Graphite's own chart of the metric", under);
    }
}

fn facts(out: &mut String, story: &Story) {
    if story.facts.is_empty() {
        return;
    }
    out.push_str("<tr><td style=\"padding:6px 16px 10px;\"><table width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" style=\"border-collapse:collapse;\">\n");
    for fact in &story.facts {
        out.push_str(&format!(
            "<tr><th class=\"dim line\" align=\"left\" style=\"{FONT}padding:5px 12px 5px 0;border-top:1px solid #e6e9ec;\
             font-size:14px;line-height:19px;font-weight:normal;color:#5f6368;vertical-align:top;white-space:nowrap;\">{}</th>\
             <td class=\"text line\" style=\"{FONT}padding:5px 0;border-top:1px solid #e6e9ec;font-size:14px;line-height:19px;\
             color:#1f2328;vertical-align:top;word-break:break-word;\">{}</td></tr>\n",
            fact.label,
            of_line(&fact.value)
        ));
    }
    out.push_str("</table></td></tr>\n");
}

fn rows(out: &mut String, story: &Story) {
    if story.rows.is_empty() && story.unlisted == 0 {
        return;
    }
    out.push_str(&format!(
        "<tr><td class=\"text\" style=\"{FONT}padding:6px 16px 4px;font-size:15px;line-height:21px;color:#1f2328;\"><b>Other metrics</b></td></tr>\n\
         <tr><td style=\"padding:0 16px 10px;\"><table width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" style=\"border-collapse:collapse;\">\n"
    ));
    for row in &story.rows {
        let expected = if row.expected.is_empty() {
            String::new()
        } else {
            format!(" (expected: {})", escaped(&row.expected))
        };
        out.push_str(&format!(
            "<tr><td class=\"text line\" style=\"{FONT}padding:5px 0;border-top:1px solid #e6e9ec;font-size:14px;line-height:19px;color:#1f2328;\">\
             {} is <b>{}</b>{expected}, <span class=\"dim\" style=\"color:#5f6368;\">since {}</span></td></tr>\n",
            of_line(&row.metric),
            escaped(&row.value),
            escaped(&row.since)
        ));
    }
    if story.unlisted > 0 {
        out.push_str(&format!(
            "<tr><td class=\"dim line\" style=\"{FONT}padding:5px 0;border-top:1px solid #e6e9ec;font-size:14px;color:#5f6368;\">and {} more</td></tr>\n",
            story.unlisted
        ));
    }
    out.push_str("</table></td></tr>\n");
}

fn lines(out: &mut String, story: &Story) {
    if story.lines.is_empty() {
        return;
    }
    out.push_str(&format!(
        "<tr><td class=\"text\" style=\"{FONT}padding:4px 16px 12px;font-size:14px;line-height:21px;color:#1f2328;\">"
    ));
    for line in &story.lines {
        out.push_str(&format!("{}<br>\n", of_line(line)));
    }
    if story.unlisted_lines > 0 {
        out.push_str(&format!("and {} more", story.unlisted_lines));
    }
    out.push_str("</td></tr>\n");
}

/// A line as HTML. Names are isolated from the direction of the text around them.
#[must_use]
pub fn of_line(line: &Line) -> String {
    let mut out = String::new();
    for piece in &line.0 {
        match piece {
            Piece::Words(text) => out.push_str(&escaped(text)),
            Piece::Strong(text) => out.push_str(&format!("<b>{}</b>", escaped(text))),
            Piece::Told(text) => out.push_str(&format!("<bdi>{}</bdi>", escaped(text))),
            Piece::Name(text) => out.push_str(&format!(
                "<bdi class=\"code\" style=\"{NAME}background-color:#eef1f4;border-radius:3px;padding:1px 3px;\">{}</bdi>",
                escaped(text)
            )),
        }
    }
    out
}
