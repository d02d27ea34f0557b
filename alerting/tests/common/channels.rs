//! What the tests of channels share: pictures, messages, names of strangers.
#![allow(dead_code, reason = "each test program uses its part")]

use skyline_alerting::channel::{Delivery, Gallery, Later};
use skyline_alerting::message::{Kind, Message, Origin, Pictures};
use skyline_alerting::samples;

/// Sunday 29 November 2026, 13:25:10 UTC.
pub(crate) const NOW: f64 = 1_795_958_710.0;

/// The smallest PNG: one pixel.
pub(crate) const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8,
    0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 10, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0x60, 0, 0, 0,
    2, 0, 1, 0x48, 0xaf, 0xa4, 0x71, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// Two pictures of a pixel.
#[derive(Debug)]
pub(crate) struct OnePixel;

impl Gallery for OnePixel {
    fn pictures<'a>(&'a self, _message: &'a Message) -> Later<'a, Pictures> {
        Box::pin(std::future::ready(Pictures {
            window: Some(PNG.to_vec()),
            graphite: Some(PNG.to_vec()),
            description: "it was about 21 all day and 98 at the end".into(),
        }))
    }
}

/// No pictures.
#[derive(Debug)]
pub(crate) struct Nothing;

impl Gallery for Nothing {
    fn pictures<'a>(&'a self, _message: &'a Message) -> Later<'a, Pictures> {
        Box::pin(std::future::ready(Pictures::default()))
    }
}

pub(crate) const KINDS: [Kind; 8] = [
    Kind::Opened,
    Kind::Updated,
    Kind::Ended,
    Kind::Escalated,
    Kind::Stale,
    Kind::Returned,
    Kind::HeldBack,
    Kind::Test,
];
pub(crate) const ORIGINS: [Origin; 4] =
    [Origin::Analyzer, Origin::Mirage, Origin::Ionosphere, Origin::Boundary];

/// A message to a recipient.
pub(crate) fn message(kind: Kind, origin: Origin, metric: &str, recipient: &str) -> Message {
    let mut message = samples::message(kind, origin, metric, NOW, "https://skyline.internal");
    message.recipient = recipient.to_owned();
    message.key = format!("{}-{recipient}", message.key);
    message
}

/// Names that try to be more than names.
pub(crate) fn hostile() -> Vec<String> {
    let mut names: Vec<String> = [
        "a\r\nBcc: victim@evil.test\r\n\r\nhello",
        "a\nb\tc\0d\u{7f}\u{1b}[31m",
        "<script>alert(1)</script><img src=x onerror=alert(2)>",
        "<!channel> <!here> <@U012AB3CD> @here @everyone @channel",
        "*bold* _it_ ~gone~ `code` [text](https://evil.test) <https://evil.test|click>",
        "\u{202e}gpj.exe\u{202c} \u{2066}x\u{2069} \u{200f}y",
        "شبكة.الخادم.حمل \u{5d0}\u{5d1}\u{5d2}",
        "🔥.cpu.👩\u{200d}💻.💥",
        "q\"uo'te\\back\\\\slash%0a%n%s{{lead}}{{ metric }}${x}$(id)`id`",
        "&lt;b&gt; &amp; &#60;",
    ]
    .map(str::to_owned)
    .into();
    names.push(format!("{}end", "long.name.of.a.metric.".repeat(230)));
    names
}

/// What a channel answered, if it accepted.
#[track_caller]
pub(crate) fn accepted(delivery: Delivery) -> (Option<String>, String) {
    match delivery {
        Delivery::Accepted { thread, answer } => (thread, answer),
        other => panic!("{other:?}"),
    }
}

/// Why a channel will never take it.
#[track_caller]
pub(crate) fn refused(delivery: Delivery) -> String {
    match delivery {
        Delivery::Refused { reason } => reason,
        other => panic!("{other:?}"),
    }
}

/// Why a channel takes nothing.
#[track_caller]
pub(crate) fn broken(delivery: Delivery) -> String {
    match delivery {
        Delivery::Broken { reason } => reason,
        other => panic!("{other:?}"),
    }
}

/// Why a channel did not take it now.
#[track_caller]
pub(crate) fn retried(delivery: Delivery) -> String {
    match delivery {
        Delivery::Retry { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}
