//! Where a command's settings come from: a file, variables, and the relay files named on the command line.

use clap::Args;
use skyline_conf::load::{Loaded, load};
use skyline_conf::model::relay::{CarbonProgram, Files};
use std::path::PathBuf;

/// Where the settings are.
#[derive(Debug, Clone, Args)]
pub(crate) struct Config {
    /// Settings file; without it all settings have their defaults
    #[arg(long, value_name = "FILE", env = "SKYLINE_CONFIG")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    relay: RelayFiles,
}

/// The files of another relay, which say how points are relayed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Files of another relay")]
pub(super) struct RelayFiles {
    /// Relay as carbon's carbon.conf and the rules beside it say (relay.files.carbon_conf)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["c_relay_conf", "relay_ng_conf"])]
    carbon_conf: Option<PathBuf>,
    /// Instance: the section `[relay:NAME]` of carbon.conf goes over `[relay]`
    #[arg(long, value_name = "NAME", requires = "carbon_conf")]
    instance: Option<String>,
    /// Read carbon.conf as carbon-aggregator does
    #[arg(long, requires = "carbon_conf")]
    aggregator: bool,
    /// Relay as a file of carbon-c-relay says (relay.files.c_relay_conf)
    #[arg(long, value_name = "FILE", conflicts_with = "relay_ng_conf")]
    c_relay_conf: Option<PathBuf>,
    /// Relay as carbon-relay-ng's TOML says (relay.files.relay_ng_conf)
    #[arg(long, value_name = "FILE")]
    relay_ng_conf: Option<PathBuf>,
}

impl RelayFiles {
    /// Sets what is named over what the settings say.
    pub(super) fn apply(&self, files: &mut Files) {
        if self.carbon_conf.is_none() && self.c_relay_conf.is_none() && self.relay_ng_conf.is_none() {
            return;
        }
        *files = Files {
            carbon_conf: self.carbon_conf.clone().unwrap_or_default(),
            carbon_program: if self.aggregator { CarbonProgram::Aggregator } else { CarbonProgram::Relay },
            carbon_instance: self.instance.clone().unwrap_or_else(|| Files::default().carbon_instance),
            c_relay_conf: self.c_relay_conf.clone().unwrap_or_default(),
            relay_ng_conf: self.relay_ng_conf.clone().unwrap_or_default(),
        };
    }

    fn argument(&self) -> String {
        let mut out = String::new();
        let named = [
            ("carbon-conf", &self.carbon_conf),
            ("c-relay-conf", &self.c_relay_conf),
            ("relay-ng-conf", &self.relay_ng_conf),
        ];
        for (flag, path) in named {
            if let Some(path) = path {
                out += &format!(" --{flag} {}", path.display());
            }
        }
        if let Some(instance) = &self.instance {
            out += &format!(" --instance {instance}");
        }
        if self.aggregator {
            out += " --aggregator";
        }
        out
    }
}

impl Config {
    /// The arguments as they have to be repeated in a command that is printed, each behind a blank.
    pub(super) fn argument(&self) -> String {
        let file =
            self.config.as_ref().map_or_else(String::new, |path| format!(" --config {}", path.display()));
        file + &self.relay.argument()
    }

    /// The settings file.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.config.clone()
    }

    /// A settings file and no relay file.
    #[cfg(test)]
    pub(super) fn of_file(path: &str) -> Self {
        let relay = RelayFiles {
            carbon_conf: None,
            instance: None,
            aggregator: false,
            c_relay_conf: None,
            relay_ng_conf: None,
        };
        Self { config: Some(path.into()), relay }
    }

    /// Reads the settings.
    pub(crate) fn load(&self) -> Result<Loaded, skyline_conf::load::Error> {
        let mut loaded = load(self.config.as_deref(), &environment())?;
        self.relay.apply(&mut loaded.settings.relay.files);
        Ok(loaded)
    }
}

/// The variables. One that is not UTF-8 is no setting, or a wrong one that is named as it can be shown.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn files_of_another_relay() {
        let parse =
            |arguments: &[&str]| Line::try_parse_from(["skyline"].iter().chain(arguments)).map(|l| l.config);
        let config = parse(&["--carbon-conf", "c.conf", "--instance", "b", "--aggregator"]).unwrap();
        let mut files = Files { relay_ng_conf: "old".into(), ..Files::default() };
        config.relay.apply(&mut files);
        let wanted = Files {
            carbon_conf: "c.conf".into(),
            carbon_program: CarbonProgram::Aggregator,
            carbon_instance: "b".to_owned(),
            ..Files::default()
        };
        assert_eq!(files, wanted);
        assert_eq!(config.argument(), " --carbon-conf c.conf --instance b --aggregator");
        for flag in ["--c-relay-conf", "--relay-ng-conf"] {
            assert_eq!(parse(&[flag, "x"]).unwrap().argument(), format!(" {flag} x"));
        }
        let mut files = Files { relay_ng_conf: "old".into(), ..Files::default() };
        parse(&[]).unwrap().relay.apply(&mut files);
        assert_eq!(files.relay_ng_conf, PathBuf::from("old"));
        for wrong in [&["--instance", "a"][..], &["--carbon-conf", "a", "--relay-ng-conf", "b"]] {
            assert!(parse(wrong).is_err());
        }
    }
}
