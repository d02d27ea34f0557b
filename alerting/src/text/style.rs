//! What the settings say of how messages read: titles and the zone of times.

use crate::message::Origin;
use jiff::tz::TimeZone;
use skyline_conf::model::alerting::Alerting;

/// Titles and zone of messages.
#[derive(Debug, Clone)]
pub struct Style {
    /// How every title begins: `Skyline`.
    pub main: String,
    /// Headings of Analyzer, Mirage, Ionosphere and Boundary.
    headings: [String; 4],
    /// Said in front of every title, such as `staging`; empty: nothing.
    pub environment: String,
    /// Zone of times.
    pub zone: TimeZone,
}

impl Style {
    /// As the settings have it. A zone that is not known (the settings' check refuses it) is UTC.
    #[must_use]
    pub fn new(alerting: &Alerting) -> Self {
        let titles = &alerting.titles;
        Self {
            main: titles.main.clone(),
            headings: [&titles.analyzer, &titles.mirage, &titles.ionosphere, &titles.boundary]
                .map(Clone::clone),
            environment: titles.environment.clone(),
            zone: TimeZone::get(&alerting.zone).unwrap_or(TimeZone::UTC),
        }
    }

    /// How titles call a part of the detection.
    #[must_use]
    pub fn heading(&self, origin: Origin) -> &str {
        let [analyzer, mirage, ionosphere, boundary] = &self.headings;
        match origin {
            Origin::Analyzer => analyzer,
            Origin::Mirage => mirage,
            Origin::Ionosphere => ionosphere,
            Origin::Boundary => boundary,
        }
    }
}

impl Default for Style {
    fn default() -> Self {
        Self::new(&Alerting::default())
    }
}
