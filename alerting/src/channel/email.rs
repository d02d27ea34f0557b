//! Email: one mail for each recipient, so that nobody's refusal holds the others.
//!
//! A mail says the same twice, as text and as HTML with the charts in it. Its id comes from the message's key: a second
//! copy, which a break between the server's acceptance and our mark can cause, is known as such by every mail client.

mod mail;
mod post;

use super::{Channel, Delivery, Gallery, Later, PICTURES};
use crate::message::{Kind, Message, Pictures};
use crate::text::Style;
use mail::Frame;
use post::{Failure, Fault, Post};
use skyline_conf::model::alerting::email::Email as Settings;
use skyline_core::problem::Problem;
use std::time::Duration;

/// Messages by email.
#[derive(Debug)]
pub struct Email {
    frame: Frame,
    post: Post,
    pictures: bool,
}

impl Email {
    /// The channel that the settings describe.
    ///
    /// # Errors
    /// An address that is none, a password or a file of authorities that cannot be read.
    pub fn new(settings: &Settings, style: Style) -> Result<Self, Problem> {
        Ok(Self {
            frame: Frame::new(settings, style)?,
            post: Post::new(settings)?,
            pictures: settings.pictures,
        })
    }

    async fn send(&self, message: &Message, thread: Option<&str>, gallery: &dyn Gallery) -> Delivery {
        // The server is greeted while the charts are drawn.
        let drawing = async {
            if self.pictures && has_chart(message) {
                gallery.pictures(message).await
            } else {
                Pictures::default()
            }
        };
        let (connection, pictures) = tokio::join!(self.post.connection(), drawing);
        let mail = match self.frame.mail(message, thread, &pictures) {
            Ok(mail) => mail,
            Err(reason) => return Delivery::Refused { reason },
        };
        let sent = match connection {
            Ok(connection) => self.post.send(connection, &mail).await,
            Err(failure) => Err(failure),
        };
        match sent {
            Ok(answer) => {
                let id = thread.is_none().then(|| self.frame.id(message));
                Delivery::Accepted { thread: id, answer }
            }
            Err(Failure { reason, fault: Fault::Mail }) => Delivery::Refused { reason },
            Err(Failure { reason, fault: Fault::Channel }) => Delivery::Broken { reason },
            Err(Failure { reason, fault: Fault::Passing }) => Delivery::Retry { after: None, reason },
        }
    }
}

/// Whether a message is about a metric that can be drawn.
pub(super) fn has_chart(message: &Message) -> bool {
    !message.members.is_empty() && message.kind != Kind::HeldBack
}

impl Channel for Email {
    fn name(&self) -> &str {
        "email"
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
        PICTURES + self.post.longest()
    }
}
