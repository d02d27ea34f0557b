//! One of the two files, compiled.

use super::About;
use crate::reload;
use anyhow::Context as _;
use skyline_conf::load::load;
use skyline_conf::model::Settings;
use skyline_conf::model::relay::{CarbonProgram, Files};
use skyline_conf::relaying::Language;
use skyline_conf::routing::Routing;
use skyline_relay::route::{Choices, Journey};
use std::path::{Path, PathBuf};

/// A relay's file, read.
#[derive(Debug)]
pub(super) struct Side {
    path: String,
    pub(super) language: Language,
    pub(super) routing: Routing,
    choices: Choices,
}

impl Side {
    /// Reads `[LANGUAGE:]FILE`. Variables of the environment do not count: it is the file that is asked about.
    pub(super) fn read(file: &str, instance: &str, aggregator: bool) -> anyhow::Result<Self> {
        let named = file.split_once(':').and_then(|(word, path)| Some((Language::of_word(word)?, path)));
        let (language, path) = match named {
            Some(named) => named,
            None => (recognised(Path::new(file))?, file),
        };
        let settings = settings(language, PathBuf::from(path), instance, aggregator)?;
        let routing = reload::relaying(&settings)?.routing;
        let choices = Choices::new(&routing);
        Ok(Self { path: path.to_owned(), language, routing, choices })
    }

    pub(super) fn journey(&self, name: &str) -> Journey {
        self.choices.journey(&self.routing, name)
    }

    pub(super) fn told(&self) -> About<'_> {
        let destinations = self.routing.destinations.len();
        About { file: &self.path, language: self.language.word(), destinations }
    }

    /// The arguments by which other commands are told of the file.
    pub(super) fn argument(&self) -> String {
        let flag = match self.language {
            Language::Skyline => "config",
            Language::Carbon => "carbon-conf",
            Language::CRelay => "c-relay-conf",
            Language::RelayNg => "relay-ng-conf",
        };
        format!(" --{flag} {}", self.path)
    }
}

fn recognised(path: &Path) -> anyhow::Result<Language> {
    let shown = path.display();
    Language::of_file(path).with_context(|| shown.to_string())?.with_context(|| {
        let ways: Vec<String> =
            Language::ALL.iter().map(|one| format!("{}:{shown} for {one}", one.word())).collect();
        format!("{shown}: cannot tell whose relay file this is; write {}", ways.join(", "))
    })
}

fn settings(language: Language, path: PathBuf, instance: &str, aggregator: bool) -> anyhow::Result<Settings> {
    let mut settings = Settings::default();
    let files = &mut settings.relay.files;
    match language {
        Language::Skyline => return Ok(load(Some(&path), &[])?.settings),
        Language::Carbon => {
            *files = Files {
                carbon_conf: path,
                carbon_program: if aggregator { CarbonProgram::Aggregator } else { CarbonProgram::Relay },
                carbon_instance: instance.to_owned(),
                ..Files::default()
            }
        }
        Language::CRelay => files.c_relay_conf = path,
        Language::RelayNg => files.relay_ng_conf = path,
    }
    Ok(settings)
}
