//! The pictures of a message: the window of its first member with all that is known of it, and Graphite's own chart.
//!
//! The window is drawn on a thread for blocking work, at most [`DRAWINGS`] at once, and both pictures are awaited for no longer
//! than `alerting.picture_milliseconds`: a message is never late for a picture. A test's picture is of a made-up series,
//! so that it shows what an alert will look like whatever the window holds.

pub mod sample;
mod window;

pub use window::Captions;

use crate::channel::{Gallery, Later};
use crate::message::{Kind, Member, Message, Origin, Pictures};
use skyline_core::point::Datapoint;
use skyline_render_proxy::draw::{Look, SMALL};
use skyline_render_proxy::link::Graph;
use skyline_render_proxy::proxy::{NoPicture, Proxy};
use skyline_render_proxy::windows::{Unanswered, Windows};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Charts that are painted at the same time.
pub const DRAWINGS: usize = 2;
/// Colours of the line in Graphite's own charts, as in the reference's alerts.
const COLOUR: &str = "orange";
/// The same for rules of bounds.
const BOUNDARY: &str = "pink";
/// A window that is busy is asked again after this.
const AGAIN: Duration = Duration::from_millis(20);

/// Pictures from the node's windows, and from Graphite where it is configured.
#[derive(Clone)]
pub struct WindowGallery {
    windows: Arc<dyn Windows>,
    graphite: Option<Proxy>,
    captions: Arc<Captions>,
    look: Look,
    patience: Duration,
    places: Arc<Semaphore>,
    late: Arc<AtomicU64>,
}

impl fmt::Debug for WindowGallery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowGallery").field("captions", &self.captions).finish_non_exhaustive()
    }
}

impl WindowGallery {
    /// Pictures of `windows`, dark; each message waits for them for `patience` at most.
    #[must_use]
    pub fn new(windows: Arc<dyn Windows>, captions: Captions, patience: Duration) -> Self {
        Self {
            windows,
            graphite: None,
            captions: Arc::new(captions),
            look: Look::Dark,
            patience,
            places: Arc::new(Semaphore::new(DRAWINGS)),
            late: Arc::default(),
        }
    }

    /// Messages since start that went without the chart of their window, because it was not there in time.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late.load(Relaxed)
    }

    /// The same with Graphite's own charts, if the settings name a server.
    #[must_use]
    pub fn with_graphite(self, graphite: Proxy) -> Self {
        Self { graphite: Some(graphite), ..self }
    }

    /// The same, and each message waits for `patience`. Charts of both are painted by the same places; each counts for itself.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, late: Arc::default(), ..self }
    }

    /// The same in other colours.
    #[must_use]
    pub fn with_look(self, look: Look) -> Self {
        Self { look, ..self }
    }

    /// The points of a member as they were judged; none: there is no such metric, or no window to ask.
    async fn points(&self, member: &Member, from: f64, until: f64) -> Option<Vec<Datapoint>> {
        loop {
            match self.windows.series(&member.metric, from, until).await {
                Ok(points) => return points,
                // The patience of the message ends this.
                Err(Unanswered::Busy) => tokio::time::sleep(AGAIN).await,
                Err(Unanswered::Off) => return None,
            }
        }
    }

    /// The window's chart and its description.
    async fn window(&self, message: &Message) -> Option<(Vec<u8>, String)> {
        let mut drawn = Vec::new();
        // With the first those that broke with it, as many as a picture shows.
        for member in message.members.iter().take(1 + SMALL) {
            let (from, until) = window::times(message, member);
            let points = match message.kind {
                Kind::Test => Some(sample::series(member, from, until)),
                _ if drawn.is_empty() => self.points(member, from, until).await,
                // The first is not left out because another is slow.
                _ => tokio::time::timeout(self.patience / 8, self.points(member, from, until))
                    .await
                    .ok()
                    .flatten(),
            };
            match points {
                Some(points) => drawn.push((member.clone(), points)),
                None if drawn.is_empty() => return None,
                None => {}
            }
        }
        if drawn.is_empty() {
            return None;
        }
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let (captions, look, message) = (Arc::clone(&self.captions), self.look, message.clone());
        let painting = tokio::task::spawn_blocking(move || {
            // Held by the painting itself, which goes on when nobody waits for it any more.
            let _place = place;
            window::paint(&captions, look, &message, drawn)
        });
        match painting.await {
            Ok(Ok(picture)) => Some(picture),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a message has no chart");
                None
            }
            Err(_) => None,
        }
    }

    async fn graphite(&self, message: &Message) -> Option<Vec<u8>> {
        let (graphite, member) = (self.graphite.as_ref()?, message.members.first()?);
        if message.kind == Kind::Test {
            return None;
        }
        let (from, until) = window::times(message, member);
        let title = self.captions.graphite_title(message, member);
        let graph = Graph {
            metric: &member.metric,
            counter: member.counter,
            from: from.floor() as i64,
            until: until.ceil() as i64,
            title: &title,
            colour: if message.origin == Origin::Boundary { BOUNDARY } else { COLOUR },
            settings: "",
        };
        match graphite.picture(&graph, self.patience).await {
            Ok(picture) => Some(picture.to_vec()),
            Err(NoPicture::NoServer) => None,
            Err(error) => {
                tracing::debug!(%error, "a message goes without Graphite's own chart");
                None
            }
        }
    }
}

impl Gallery for WindowGallery {
    fn pictures<'a>(&'a self, message: &'a Message) -> Later<'a, Pictures> {
        Box::pin(async move {
            let window = tokio::time::timeout(self.patience, self.window(message));
            let graphite = tokio::time::timeout(self.patience, self.graphite(message));
            let (window, graphite) = tokio::join!(window, graphite);
            if window.is_err() {
                self.late.fetch_add(1, Relaxed);
                tracing::warn!(
                    key = message.key,
                    milliseconds = u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX),
                    "a message goes without a chart that was not there in time: the machine is busy, or raise alerting.picture_milliseconds"
                );
            }
            let (window, description) = window.ok().flatten().unzip();
            Pictures {
                window,
                graphite: graphite.ok().flatten(),
                description: description.unwrap_or_default(),
            }
        })
    }
}

#[cfg(test)]
mod tests;
