//! Slack: one message for each incident and channel, kept up to date by edits, and its thread.
//!
//! The text goes first and decides whether the message was accepted; what belongs to it (picture, edit of the first
//! message, reaction) follows behind and is never a reason to send the text again. With the address of an incoming
//! webhook there is the text alone.

mod api;
mod blocks;
mod extras;

use super::email::has_chart;
use super::object::with;
use super::{Channel, Delivery, Gallery, Later, PICTURES};
use crate::message::{Kind, Message, Pictures};
use crate::text::{Story, Style};
use api::{Api, Trouble};
use extras::{Extra, Extras, Stands};
use serde_json::{Value, json};
use skyline_conf::model::alerting::slack::Slack as Settings;
use skyline_conf::secret::Secret;
use skyline_core::figure::Figure;
use skyline_core::problem::Problem;
use std::sync::Arc;
use std::time::Duration;

/// The blocks of an incident's first message, for who shows what Slack will show.
#[must_use]
pub fn blocks(story: &Story) -> Value {
    blocks::whole(story)
}

/// Messages to Slack.
#[derive(Debug)]
pub struct Slack {
    way: Way,
    settings: Settings,
    style: Style,
    extras: Extras,
}

/// How Slack is reached.
#[derive(Debug)]
enum Way {
    /// As a bot.
    Bot(Arc<Api>),
    /// By an incoming webhook.
    Webhook(Arc<Api>, Secret),
}

/// Where the first message of an incident is: `CHANNEL:TIME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) channel: String,
    pub(super) ts: String,
}

impl Root {
    fn read(text: &str) -> Option<Self> {
        let (channel, ts) = text.split_once(':')?;
        Some(Self { channel: channel.to_owned(), ts: ts.to_owned() })
    }

    pub(super) fn text(&self) -> String {
        format!("{}:{}", self.channel, self.ts)
    }
}

impl Slack {
    /// The channel that the settings describe.
    ///
    /// # Errors
    /// A token or an address that cannot be read, or one that is of no use.
    pub fn new(settings: &Settings, style: Style) -> Result<Self, Problem> {
        let token = settings.token()?;
        let webhook = settings.webhook()?;
        let way = match (token, webhook) {
            (Some(token), _) => Way::Bot(Arc::new(Api::new(settings, token)?)),
            (None, Some(address)) => Way::Webhook(Arc::new(Api::new(settings, Secret::new(""))?), address),
            (None, None) => {
                return Err(Problem::new(
                    "Slack has neither a token nor a webhook",
                    "name alerting.slack.token_file or alerting.slack.webhook_file",
                ));
            }
        };
        Ok(Self { way, settings: settings.clone(), style, extras: Extras::new(settings) })
    }

    async fn send(&self, message: &Message, thread: Option<&str>, gallery: &dyn Gallery) -> Delivery {
        let story = Story::new(message, &self.style);
        match &self.way {
            Way::Webhook(api, address) => {
                let sent = api.post_webhook(address.reveal(), &self.body(&story, true)).await;
                match sent {
                    Ok(()) => Delivery::Accepted { thread: None, answer: "ok".into() },
                    Err(trouble) => trouble.delivery("the webhook"),
                }
            }
            Way::Bot(api) => self.as_bot(api, message, &story, thread, gallery).await,
        }
    }

    async fn as_bot(
        &self,
        api: &Arc<Api>,
        message: &Message,
        story: &Story,
        thread: Option<&str>,
        gallery: &dyn Gallery,
    ) -> Delivery {
        // The picture is drawn while the text is on its way, and the text does not wait for it.
        let drawing = async {
            if self.settings.pictures && has_chart(message) {
                gallery.pictures(message).await
            } else {
                Pictures::default()
            }
        };
        let (posted, pictures) = tokio::join!(self.post(api, message, story, thread), drawing);
        let (root, is_new) = match posted {
            Ok(posted) => posted,
            Err(trouble) => return trouble.delivery(&message.recipient),
        };
        let answer = format!("ok, {}", root.text());
        let thread = is_new.then(|| root.text());
        let edit = (!is_new).then(|| self.edit(&root, story));
        let emoji = self.reaction(message.kind).to_owned();
        let stands = match message.kind {
            Kind::Ended => Stands::Ended,
            _ if is_new => Stands::Begins,
            _ => Stands::GoesOn,
        };
        self.extras.follow(Arc::clone(api), Extra { root, edit, emoji, stands, pictures });
        Delivery::Accepted { thread, answer }
    }

    /// Posts the text: the incident's first message, and whether this one is it.
    async fn post(
        &self,
        api: &Api,
        message: &Message,
        story: &Story,
        thread: Option<&str>,
    ) -> Result<(Root, bool), Trouble> {
        if let Some(root) = thread.and_then(Root::read) {
            let body = with(self.body(story, false), "channel", json!(root.channel));
            let body = with(body, "thread_ts", json!(root.ts));
            match api.post_message(&body).await {
                // Somebody has deleted it.
                Err(trouble) if trouble.is_lost_thread() => {}
                Err(trouble) => return Err(trouble),
                Ok(_) => return Ok((root, false)),
            }
        }
        let body = with(self.body(story, true), "channel", json!(message.recipient));
        api.post_message(&body).await.map(|root| (root, true))
    }

    /// What a message is made of. `whole`: with the facts and the buttons; a message of a thread has the sentence and
    /// what is new.
    fn body(&self, story: &Story, whole: bool) -> Value {
        let body = json!({
            "text": blocks::fallback(story),
            "blocks": if whole { blocks::whole(story) } else { blocks::brief(story) },
            "mrkdwn": false,
            "unfurl_links": false,
            "unfurl_media": false,
        });
        if self.settings.icon_emoji.is_empty() {
            return body;
        }
        with(body, "icon_emoji", json!(format!(":{}:", self.settings.icon_emoji.trim_matches(':'))))
    }

    fn edit(&self, root: &Root, story: &Story) -> Value {
        json!({
            "channel": root.channel,
            "ts": root.ts,
            "text": blocks::fallback(story),
            "blocks": blocks::whole(story),
        })
    }

    fn reaction(&self, kind: Kind) -> &str {
        match kind {
            Kind::Escalated => &self.settings.escalated_emoji,
            // The mark of the end is not there for good.
            Kind::Ended
            | Kind::Opened
            | Kind::Updated
            | Kind::Stale
            | Kind::Returned
            | Kind::HeldBack
            | Kind::Test => "",
        }
    }

    /// How many pictures, edits and reactions were done, and how many were given up.
    #[must_use]
    pub fn extras(&self) -> (u64, u64) {
        self.extras.counts()
    }
}

impl Channel for Slack {
    fn name(&self) -> &str {
        "slack"
    }

    fn deliver<'a>(
        &'a self,
        message: &'a Message,
        thread: Option<&'a str>,
        gallery: &'a dyn Gallery,
    ) -> Later<'a, Delivery> {
        Box::pin(self.send(message, thread, gallery))
    }

    fn longest(&self) -> Duration {
        // A thread that is lost costs a second call.
        PICTURES + Duration::from_secs_f64(2.0 * self.settings.timeout_seconds)
    }

    fn acknowledged(&self, thread: &str) {
        let emoji = &self.settings.acknowledged_emoji;
        if let (Way::Bot(api), Some(root), false) = (&self.way, Root::read(thread), emoji.is_empty()) {
            let extra = Extra {
                root,
                edit: None,
                emoji: emoji.clone(),
                stands: Stands::Unsaid,
                pictures: Pictures::default(),
            };
            self.extras.follow(Arc::clone(api), extra);
        }
    }

    fn figures(&self, out: &mut Vec<Figure>) {
        self.extras.figures(out);
    }

    fn settle(&self) -> Later<'_, Vec<String>> {
        Box::pin(self.extras.settle())
    }
}
