//! Texts for chats with mark-up of their own, shown as they are: no emphasis, no link, no mention.

use super::line::{Line, Piece};
use super::{html, name};

/// For Slack's `text` fields: `&`, `<` and `>` make links and mentions there and nothing else does.
#[must_use]
pub fn for_slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// For Markdown as chats know it: a backslash before everything that could begin mark-up, and mentions broken by a
/// joiner that nobody sees, because some chats look for those before they look for backslashes.
#[must_use]
pub fn for_markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '-' | '!' | '|'
            | '~' | '>' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out.push_str("\\<\u{2060}"),
            '@' => out.push_str("@\u{2060}"),
            // Shortcodes of emoji, and addresses that become links by themselves.
            ':' => out.push_str(":\u{2060}"),
            c => out.push(c),
        }
    }
    out
}

/// A line as Markdown.
#[must_use]
pub fn line_as_markdown(line: &Line) -> String {
    let mut out = String::new();
    for piece in &line.0 {
        match piece {
            Piece::Words(text) => out.push_str(text),
            Piece::Strong(text) => out.push_str(&format!("**{text}**")),
            Piece::Name(text) | Piece::Told(text) => out.push_str(&for_markdown(&name::isolated(text))),
        }
    }
    out
}

/// A line as the little HTML that Telegram knows. Names are code, within which it makes no links and no mentions.
#[must_use]
pub fn line_as_html(line: &Line) -> String {
    let mut out = String::new();
    for piece in &line.0 {
        match piece {
            Piece::Words(text) => out.push_str(&html::escaped(text).replace("&#39;", "'")),
            Piece::Strong(text) => out.push_str(&format!("<b>{}</b>", html::escaped(text))),
            // Outside of code a mention is made of every `@`.
            Piece::Told(text) => {
                out.push_str(
                    &html::escaped(&name::isolated(text)).replace("&#39;", "'").replace('@', "@\u{2060}"),
                );
            }
            Piece::Name(text) => {
                let text = html::escaped(&name::isolated(text)).replace("&#39;", "'");
                out.push_str(&format!("<code>{text}</code>"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_sees_no_mention() {
        assert_eq!(for_slack("<!channel> & <@U1>"), "&lt;!channel&gt; &amp; &lt;@U1&gt;");
    }

    #[test]
    fn markdown_sees_no_markup() {
        let check = |text: &str, expected: &str| assert_eq!(for_markdown(text), expected);
        check("a.b_c", "a.b\\_c");
        check("**x**", "\\*\\*x\\*\\*");
        check("@everyone", "@\u{2060}everyone");
        check("<@123>", "\\<\u{2060}@\u{2060}123\\>");
        check("https://x", "https:\u{2060}//x");
        check("[a](b)", "\\[a\\]\\(b\\)");
    }
}
