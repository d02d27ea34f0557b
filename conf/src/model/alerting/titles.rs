//! `[alerting.titles]`: what messages call things.

use serde::{Deserialize, Serialize};

/// Words in the titles of messages (`CUSTOM_ALERT_OPTS`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Titles {
    /// How every title begins: `[MAIN alert]` (`main_alert_title`).
    pub main: String,
    /// What was found in the window of a day (`analyzer_alert_heading`).
    pub analyzer: String,
    /// What was found in the longer window (`mirage_alert_heading`).
    pub mirage: String,
    /// What was learnt (`ionosphere_alert_heading`).
    pub ionosphere: String,
    /// Rules of bounds (`boundary_alert_heading`).
    pub boundary: String,
    /// Added to the beginning of every title, such as `staging` (`append_environment`); empty: nothing is.
    pub environment: String,
}

impl Default for Titles {
    fn default() -> Self {
        Self {
            main: "Skyline".into(),
            analyzer: "Analyzer".into(),
            mirage: "Mirage".into(),
            ionosphere: "Ionosphere".into(),
            boundary: "Boundary".into(),
            environment: String::new(),
        }
    }
}
