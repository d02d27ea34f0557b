//! What every channel does: take one message to one recipient, and say what became of it.

mod answer;
mod bounded;
pub mod email;
mod object;
pub mod pagerduty;
pub mod slack;
pub mod webhook;

use crate::message::{Message, Pictures};
use crate::text::Style;
use skyline_conf::model::alerting::Alerting;
use skyline_core::figure::Figure;
use skyline_core::problem::Problem;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The channel has taken it: its answer in words, and the thread that later messages of the incident belong to.
    Accepted {
        /// Id of the thread; none: this channel has no threads, or it had one already.
        thread: Option<String>,
        /// The server's answer, for people; never with a secret.
        answer: String,
    },
    /// It may be taken later.
    Retry {
        /// Not before; none: as the outbox sees fit.
        after: Option<Duration>,
        /// Why, for people.
        reason: String,
    },
    /// The channel takes nothing until somebody mends it, such as its password: that says nothing of the message, which is
    /// tried again.
    Broken {
        /// Why, and what helps.
        reason: String,
    },
    /// It will never be taken as it is.
    Refused {
        /// Why, and what helps.
        reason: String,
    },
}

/// Longest `alerting.picture_milliseconds`.
const PICTURES: Duration = Duration::from_secs(60);

/// What a channel answers, later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where the pictures of a message come from. Asked once a message at most; a channel that shows none does not ask.
pub trait Gallery: Send + Sync + fmt::Debug {
    /// The pictures of a message. Takes no longer than `alerting.picture_milliseconds`; what is not there by then is left out.
    fn pictures<'a>(&'a self, message: &'a Message) -> Later<'a, Pictures>;
}

/// A way out: email, Slack, and so on. Knows nothing of rules, repeats and limits.
pub trait Channel: Send + Sync + fmt::Debug {
    /// Name of it in rules and in the outbox.
    fn name(&self) -> &str;

    /// Takes a message to its recipient, once. `thread`: what an earlier message of the incident to this recipient
    /// was given. Bounded in time by the channel itself: [`Channel::longest`].
    fn deliver<'a>(
        &'a self,
        message: &'a Message,
        thread: Option<&'a str>,
        gallery: &'a dyn Gallery,
    ) -> Later<'a, Delivery>;

    /// The longest time that [`Channel::deliver`] takes. One that is cut off before may have been accepted all the same.
    fn longest(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Somebody has acknowledged the incident that the messages of this thread are about: shown there, behind the back of
    /// the caller and at best. Nothing where a channel has no way to show it.
    fn acknowledged(&self, thread: &str) {
        let _nowhere = thread;
    }

    /// Adds figures of its own to `out`.
    fn figures(&self, out: &mut Vec<Figure>) {
        let _none = out;
    }

    /// Waits for what goes on behind messages that were accepted, such as their pictures: what did not work out since
    /// the last time. Before a stop, and for a test that wants to know.
    fn settle(&self) -> Later<'_, Vec<String>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// A channel, or why it cannot work.
pub type Opened = Result<Arc<dyn Channel>, Problem>;

/// The channels that the settings describe. Nothing is sent yet.
///
/// # Errors
/// The first that cannot work: an address, a secret, a file or a template that is of no use.
pub fn all(alerting: &Alerting) -> Result<Vec<Arc<dyn Channel>>, Problem> {
    each(alerting).into_iter().map(|(_, channel)| channel).collect()
}

/// The same, each with the section of the settings that it is from, and why it cannot work if it cannot.
#[must_use]
pub fn each(alerting: &Alerting) -> Vec<(&'static str, Opened)> {
    fn shared<C: Channel + 'static>(channel: Result<C, Problem>) -> Opened {
        Ok(Arc::new(channel?))
    }
    let style = Style::new(alerting);
    let mut each = Vec::new();
    if alerting.email.is_on() {
        each.push(("alerting.email", shared(email::Email::new(&alerting.email, style.clone()))));
    }
    if alerting.slack.is_on() {
        each.push(("alerting.slack", shared(slack::Slack::new(&alerting.slack, style.clone()))));
    }
    if alerting.pagerduty.is_on() {
        let channel = pagerduty::PagerDuty::new(&alerting.pagerduty, style.clone());
        each.push(("alerting.pagerduty", shared(channel)));
    }
    for hook in &alerting.webhooks {
        each.push(("alerting.webhook", shared(webhook::Webhook::new(hook, style.clone()))));
    }
    each
}
