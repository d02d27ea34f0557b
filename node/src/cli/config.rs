//! Where a command's settings come from: a file, variables, and the relay files named on the command line.

use clap::Args;
use skyline_conf::load::{Loaded, load};
use skyline_conf::model::Settings;
use skyline_conf::model::http::Http;
use skyline_conf::model::relay::{CarbonProgram, Files};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Heading of the arguments that name files of another relay.
pub(super) const RELAY_FILES: &str = "Files of another relay";

/// Where the settings are.
#[derive(Debug, Clone, Args)]
pub(crate) struct Config {
    /// Settings file; without it all settings have their defaults
    #[arg(long, value_name = "FILE", env = "SKYLINE_CONFIG")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    relay: RelayFiles,
    #[command(flatten)]
    place: PlaceOnHost,
}

/// What tells the nodes of one machine apart.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Several nodes on one machine")]
struct PlaceOnHost {
    /// Folder of everything that the node keeps (node.state_dir)
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// HTTP on loopback: the API on this port, state and figures on the next one (http.api, http.status); 0: none
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(..65_535))]
    http_port: Option<u16>,
}

impl PlaceOnHost {
    /// Sets what is named over what the settings say.
    fn apply(&self, settings: &mut Settings) {
        if let Some(folder) = &self.state_dir {
            settings.node.state_dir.clone_from(folder);
        }
        if let Some(port) = self.http_port {
            let on = |port| SocketAddr::from(([127, 0, 0, 1], port));
            settings.http = match port.checked_add(1).filter(|_| port > 0) {
                Some(next) => Http { api: vec![on(port)], status: vec![on(next)] },
                None => Http { api: Vec::new(), status: Vec::new() },
            };
        }
    }

    fn argument(&self) -> String {
        let folder = self.state_dir.iter().map(|folder| format!(" --state-dir {}", folder.display()));
        let port = self.http_port.iter().map(|port| format!(" --http-port {port}"));
        folder.chain(port).collect()
    }
}

/// The files of another relay, which say how points are relayed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = RELAY_FILES)]
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
    /// Authorities that its servers and clients are checked with, a file or a folder: carbon-c-relay's -C
    /// (relay.files.c_relay_ca)
    #[arg(long, value_name = "PATH", requires = "c_relay_conf")]
    c_relay_ca: Option<PathBuf>,
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
            c_relay_ca: self.c_relay_ca.clone().unwrap_or_else(|| files.c_relay_ca.clone()),
            c_relay_characters: files.c_relay_characters.clone(),
            relay_ng_conf: self.relay_ng_conf.clone().unwrap_or_default(),
        };
    }

    fn argument(&self) -> String {
        let mut out = String::new();
        for (flag, path) in [
            ("carbon-conf", &self.carbon_conf),
            ("c-relay-conf", &self.c_relay_conf),
            ("c-relay-ca", &self.c_relay_ca),
            ("relay-ng-conf", &self.relay_ng_conf),
        ] {
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
        file + &self.relay.argument() + &self.place.argument()
    }

    /// The settings file.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.config.clone()
    }

    /// A settings file and no relay file.
    #[cfg(test)]
    pub(crate) fn of_file(path: &str) -> Self {
        let relay = RelayFiles {
            carbon_conf: None,
            instance: None,
            aggregator: false,
            c_relay_conf: None,
            c_relay_ca: None,
            relay_ng_conf: None,
        };
        Self { config: Some(path.into()), relay, place: PlaceOnHost::default() }
    }

    /// Reads the settings.
    pub(crate) fn load(&self) -> Result<Loaded, skyline_conf::load::Error> {
        let mut loaded = load(self.config.as_deref(), &environment())?;
        self.relay.apply(&mut loaded.settings.relay.files);
        self.place.apply(&mut loaded.settings);
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
        let c_relay = parse(&["--c-relay-conf", "r.conf", "--c-relay-ca", "ca.pem"]).unwrap();
        assert_eq!(c_relay.argument(), " --c-relay-conf r.conf --c-relay-ca ca.pem");
        let mut files = Files { c_relay_characters: "-".to_owned(), ..Files::default() };
        c_relay.relay.apply(&mut files);
        assert_eq!((files.c_relay_ca, files.c_relay_characters), ("ca.pem".into(), "-".to_owned()));
        for wrong in [
            &["--instance", "a"][..],
            &["--carbon-conf", "a", "--relay-ng-conf", "b"],
            &["--c-relay-ca", "ca.pem"],
        ] {
            assert!(parse(wrong).is_err());
        }
    }

    #[test]
    fn several_nodes_on_one_machine() {
        let check = |arguments: &[&str], expected: (&str, &[u16], &[u16])| {
            let line = Line::try_parse_from(["skyline"].iter().chain(arguments)).unwrap();
            let mut settings = Settings::default();
            line.config.place.apply(&mut settings);
            let ports = |all: &[SocketAddr]| all.iter().map(SocketAddr::port).collect::<Vec<_>>();
            let got = (settings.node.state_dir, ports(&settings.http.api), ports(&settings.http.status));
            assert_eq!(got, (expected.0.into(), expected.1.to_vec(), expected.2.to_vec()));
            assert_eq!(line.config.argument().split_whitespace().collect::<Vec<_>>(), arguments);
        };
        check(&[], ("/var/lib/skyline", &[1500], &[1501]));
        check(&["--state-dir", "/s", "--http-port", "1510"], ("/s", &[1510], &[1511]));
        check(&["--http-port", "0"], ("/var/lib/skyline", &[], &[]));
        assert!(Line::try_parse_from(["skyline", "--http-port", "65535"]).is_err());
    }
}
