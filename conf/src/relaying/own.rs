//! Under whose names a relay tells of itself.

use crate::carbon::assemble::OwnMetrics as CarbonMetrics;
use crate::carbon::keys::Program;
use crate::crelay::compile::{Statistics, StatisticsTarget};
use crate::model::Settings;
use crate::model::relay::{CarbonProgram, Files, SelfMetrics};

/// Whose names a relay's own metrics have, and how often they are sent.
#[derive(Debug, Clone, PartialEq)]
pub enum OwnMetrics {
    /// carbon's.
    Carbon(CarbonMetrics),
    /// carbon-c-relay's.
    CRelay(Statistics),
}

impl OwnMetrics {
    /// Seconds from one sending to the next; `None`: they are not sent.
    #[must_use]
    pub fn every_seconds(&self) -> Option<f64> {
        match self {
            Self::Carbon(carbon) => carbon.every_seconds,
            Self::CRelay(Statistics { to: StatisticsTarget::Blackhole, .. }) => None,
            Self::CRelay(statistics) => Some(f64::from(statistics.every)),
        }
    }

    /// The same as they are where nothing more is said of them.
    pub(crate) fn usual(&self) -> Self {
        match self {
            Self::Carbon(own) => Self::Carbon(CarbonMetrics::usual(own.program, &own.instance)),
            Self::CRelay(_) => Self::CRelay(Statistics::default()),
        }
    }

    /// Whether they are like that; where they go to is said elsewhere.
    pub(crate) fn is_usual(&self) -> bool {
        match (self, self.usual()) {
            (Self::CRelay(own), Self::CRelay(usual)) => {
                (own.every, own.reset, &own.prefix) == (usual.every, usual.reset, &usual.prefix)
            }
            (own, usual) => *own == usual,
        }
    }

    /// The word of the settings for them.
    pub(crate) const fn word(&self) -> SelfMetrics {
        match self {
            Self::Carbon(_) => SelfMetrics::Carbon,
            Self::CRelay(_) => SelfMetrics::CarbonCRelay,
        }
    }

    /// What the settings of files say of them.
    pub(crate) fn files(&self) -> Files {
        match self {
            Self::Carbon(own) => Files {
                carbon_program: match own.program {
                    Program::Aggregator => CarbonProgram::Aggregator,
                    Program::Relay | Program::Cache => CarbonProgram::Relay,
                },
                carbon_instance: own.instance.clone(),
                ..Files::default()
            },
            Self::CRelay(_) => Files::default(),
        }
    }

    /// Those that the settings ask for, where the file of a relay says `of_file`.
    pub(super) fn wanted(settings: &Settings, of_file: Option<Self>) -> Option<Self> {
        let Files { carbon_program, carbon_instance, .. } = &settings.relay.files;
        let wanted = match (settings.relay.self_metrics, of_file) {
            (SelfMetrics::None, _) => None,
            (SelfMetrics::Auto, of_file)
            | (SelfMetrics::Carbon, of_file @ Some(Self::Carbon(_)))
            | (SelfMetrics::CarbonCRelay, of_file @ Some(Self::CRelay(_))) => of_file,
            (SelfMetrics::Carbon, _) => {
                Some(Self::Carbon(CarbonMetrics::usual((*carbon_program).into(), carbon_instance)))
            }
            (SelfMetrics::CarbonCRelay, _) => Some(Self::CRelay(Statistics::default())),
        };
        wanted.filter(|own| own.every_seconds().is_some())
    }
}

impl From<CarbonProgram> for Program {
    fn from(program: CarbonProgram) -> Self {
        match program {
            CarbonProgram::Relay => Self::Relay,
            CarbonProgram::Aggregator => Self::Aggregator,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_names_own_metrics_have() {
        let carbon = |every| Some(OwnMetrics::Carbon(CarbonMetrics { every_seconds: every, ..usual() }));
        fn usual() -> CarbonMetrics {
            CarbonMetrics::usual(Program::Relay, "a")
        }
        let c_relay = || Some(OwnMetrics::CRelay(Statistics { every: 5, ..Statistics::default() }));
        let check = |asked, of_file, expected: Option<OwnMetrics>| {
            let mut settings = Settings::default();
            settings.relay.self_metrics = asked;
            assert_eq!(OwnMetrics::wanted(&settings, of_file), expected, "{asked:?}");
        };
        check(SelfMetrics::Auto, None, None);
        check(SelfMetrics::Auto, carbon(Some(5.0)), carbon(Some(5.0)));
        check(SelfMetrics::Auto, carbon(None), None);
        check(SelfMetrics::Auto, c_relay(), c_relay());
        check(SelfMetrics::None, c_relay(), None);
        check(SelfMetrics::Carbon, None, Some(OwnMetrics::Carbon(usual())));
        check(SelfMetrics::Carbon, carbon(Some(5.0)), carbon(Some(5.0)));
        check(SelfMetrics::Carbon, c_relay(), Some(OwnMetrics::Carbon(usual())));
        check(SelfMetrics::CarbonCRelay, carbon(None), Some(OwnMetrics::CRelay(Statistics::default())));
        let nowhere = Statistics { to: StatisticsTarget::Blackhole, ..Statistics::default() };
        check(SelfMetrics::Auto, Some(OwnMetrics::CRelay(nowhere)), None);
    }
}
