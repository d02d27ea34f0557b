//! What a mail looks like: headers, parts, pictures.

use crate::message::{Message, Pictures};
use crate::text::{Story, Style, html, name, plain};
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Body, Mailbox, MultiPart, SinglePart};
use ring::digest::{self, SHA256};
use skyline_conf::model::alerting::email::Email as Settings;
use skyline_conf::secret;
use skyline_core::problem::Problem;
use std::time::{Duration, UNIX_EPOCH};

/// A mail, ready to be sent.
#[derive(Debug)]
pub(super) struct Mail {
    /// From whom to whom.
    pub(super) envelope: Envelope,
    /// Headers and body.
    pub(super) bytes: Vec<u8>,
}

/// What all mails have in common.
#[derive(Debug)]
pub(super) struct Frame {
    from: Mailbox,
    /// Domain of ids: the sender's.
    domain: String,
    style: Style,
}

impl Frame {
    pub(super) fn new(settings: &Settings, style: Style) -> Result<Self, Problem> {
        let mut from: Mailbox = settings.sender.parse().map_err(|_| {
            Problem::new(
                format!(
                    "alerting.email.sender `{}` is no address",
                    name::literal(&secret::guarded(&settings.sender))
                ),
                "write it as in skyline@HOST",
            )
        })?;
        if from.name.is_none() && !settings.sender_name.is_empty() {
            from.name = Some(name::literal(&settings.sender_name));
        }
        let domain = from.email.domain();
        let domain = if domain.is_ascii() { domain.to_owned() } else { "skyline.invalid".to_owned() };
        Ok(Self { from, domain, style })
    }

    /// The `Message-ID` of a message: the same for the same message, however often it is sent.
    pub(super) fn id(&self, message: &Message) -> String {
        format!("<{}@{}>", digest(&message.key), self.domain)
    }

    /// The mail of a message, or why there can be none.
    pub(super) fn mail(
        &self,
        message: &Message,
        thread: Option<&str>,
        pictures: &Pictures,
    ) -> Result<Mail, String> {
        let to: Mailbox = message.recipient.parse().map_err(|_| {
            format!(
                "`{}` is no address of a mailbox; correct the rule's recipients",
                name::literal(&message.recipient)
            )
        })?;
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.email.clone()])
            .map_err(|error| error.to_string())?;
        let story = Story::new(message, &self.style);
        let since_epoch = Duration::try_from_secs_f64(message.created).unwrap_or_default();
        let mut builder = lettre::Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(story.subject.clone())
            .date(UNIX_EPOCH + since_epoch)
            .message_id(Some(self.id(message)))
            .raw_header(raw("Auto-Submitted", "auto-generated")?)
            .raw_header(raw("X-Auto-Response-Suppress", "All")?)
            .raw_header(raw("List-Id", &format!("<alerts.{}>", self.domain))?);
        if let Some(first) = thread.filter(|first| is_id(first)) {
            builder = builder.in_reply_to(first.to_owned()).references(first.to_owned());
        }
        let mail = builder
            .envelope(envelope.clone())
            .multipart(self.parts(message, &story, pictures)?)
            .map_err(|error| error.to_string())?;
        Ok(Mail { envelope, bytes: mail.formatted() })
    }

    fn parts(&self, message: &Message, story: &Story, pictures: &Pictures) -> Result<MultiPart, String> {
        let key = digest(&message.key);
        let inline = [("window", &pictures.window), ("graphite", &pictures.graphite)];
        let inline = inline.map(|(what, png)| {
            png.as_ref().map(|png| (format!("{what}.{key}@{}", self.domain), format!("{what}.png"), png))
        });
        let [window, graphite] =
            inline.each_ref().map(|picture| picture.as_ref().map(|(id, ..)| format!("cid:{id}")));
        let shown = html::Shown {
            window: window.as_deref(),
            description: &pictures.description,
            graphite: graphite.as_deref(),
        };
        let description = if window.is_some() { pictures.description.as_str() } else { "" };
        let text = part(ContentType::TEXT_PLAIN, plain::write(story, description))?;
        let page = part(ContentType::TEXT_HTML, html::write(story, shown))?;
        let alternative = MultiPart::alternative().singlepart(text);
        if inline.iter().all(Option::is_none) {
            return Ok(alternative.singlepart(page));
        }
        let png = ContentType::parse("image/png").map_err(|error| error.to_string())?;
        let mut related = MultiPart::related().singlepart(page);
        for (id, file, picture) in inline.into_iter().flatten() {
            let picture = Attachment::new_inline_with_name(id, file).body(picture.clone(), png.clone());
            related = related.singlepart(picture);
        }
        Ok(alternative.multipart(related))
    }
}

/// A text part. Quoted-printable always: no line is longer than 76 bytes, whatever is in it.
fn part(content_type: ContentType, text: String) -> Result<SinglePart, String> {
    let body = Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable)
        .map_err(|_| "the text cannot be encoded".to_owned())?;
    Ok(SinglePart::builder().content_type(content_type).body(body))
}

fn raw(header: &'static str, value: &str) -> Result<HeaderValue, String> {
    let header = HeaderName::new_from_ascii(header.to_owned()).map_err(|error| error.to_string())?;
    Ok(HeaderValue::new(header, value.to_owned()))
}

/// Whether a text is an id that a header may hold.
fn is_id(text: &str) -> bool {
    text.len() < 300
        && text.starts_with('<')
        && text.ends_with('>')
        && text.bytes().all(|b| b.is_ascii_graphic())
}

/// 32 hexadecimal digits that stand for a text.
fn digest(text: &str) -> String {
    digest::digest(&SHA256, text.as_bytes())
        .as_ref()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
