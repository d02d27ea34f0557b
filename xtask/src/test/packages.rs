//! The servers that tests talk to: installed when they are missing, without being started.

use crate::cargo;
use anyhow::Context as _;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A Debian package, and a program or (its whole path) a file of it that shows that it is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Package {
    name: &'static str,
    program: &'static str,
}

/// carbon-c-relay, the peer of the benchmarks.
pub(crate) const C_RELAY: Package = Package { name: "carbon-c-relay", program: "carbon-c-relay" };
/// carbon-relay and carbon-cache.
const CARBON: Package = Package { name: "graphite-carbon", program: "carbon-cache" };
/// Certificates as operators make them.
const OPENSSL: Package = Package { name: "openssl", program: "openssl" };

/// Redis, also as a cluster and with sentinels.
const REDIS: Package = Package { name: "redis-server", program: "redis-server" };
/// MariaDB.
const MARIADB: Package = Package { name: "mariadb-server", program: "mariadbd" };
/// memcached.
const MEMCACHED: Package = Package { name: "memcached", program: "memcached" };
/// How the reference's tools write to Redis.
const PYTHON_REDIS: Package =
    Package { name: "python3-redis", program: "/usr/lib/python3/dist-packages/redis/__init__.py" };
/// How they pack what they write.
const PYTHON_MSGPACK: Package =
    Package { name: "python3-msgpack", program: "/usr/lib/python3/dist-packages/msgpack/__init__.py" };
/// Servers of others behind TLS and prefixes.
const NGINX: Package = Package { name: "nginx-light", program: "/usr/sbin/nginx" };
/// graphite-web, behind the render proxy.
const GRAPHITE_WEB: Package =
    Package { name: "graphite-web", program: "/usr/lib/python3/dist-packages/graphite/wsgi.py" };
/// The files that it reads.
const WHISPER: Package =
    Package { name: "python3-whisper", program: "/usr/lib/python3/dist-packages/whisper.py" };

/// A mail server.
const EXIM: Package = Package { name: "exim4-daemon-light", program: "/usr/sbin/exim4" };

/// What remote-writes.
const PROMETHEUS: Package = Package { name: "prometheus", program: "prometheus" };

/// Installs what Debian has no package of ([`skyline_peers::schemathesis`]).
const PIP: Package = Package { name: "python3-pip", program: "pip3" };

/// What the tests need.
pub(crate) const ALL: [Package; 14] = [
    EXIM,
    CARBON,
    C_RELAY,
    OPENSSL,
    REDIS,
    MARIADB,
    MEMCACHED,
    PYTHON_REDIS,
    PYTHON_MSGPACK,
    NGINX,
    GRAPHITE_WEB,
    WHISPER,
    PROMETHEUS,
    PIP,
];

/// Debian asks this program before it starts a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs those of `packages` that are missing.
pub(crate) fn install(packages: &[Package]) -> anyhow::Result<()> {
    let missing: Vec<_> = packages.iter().filter(|p| !is_there(p.program)).map(|p| p.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !is_root()? {
        anyhow::bail!("missing: {names}. Type: sudo apt-get install --no-install-recommends {names}");
    }
    println!("installing {names}: the tests talk to them; they are not started as services");
    let _policy = NoServices::begin(Path::new(POLICY))?;
    for arguments in [&["update", "-qq"][..], &["install", "-y", "-qq", "--no-install-recommends"]] {
        let mut apt = cargo::program("apt-get");
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        if arguments.contains(&"install") {
            apt.args(&missing);
        }
        anyhow::ensure!(cargo::run(&mut apt)?, "apt-get failed; without {names} the tests cannot run");
    }
    let still: Vec<_> = packages.iter().filter(|p| !is_there(p.program)).map(|p| p.program).collect();
    anyhow::ensure!(still.is_empty(), "installed, but not in PATH: {}", still.join(" "));
    Ok(())
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn is_root() -> anyhow::Result<bool> {
    let output = cargo::program("id").arg("-u").output().context("`id -u`")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

/// While this lives, installing a package starts no service. An earlier policy is put back.
#[derive(Debug)]
struct NoServices {
    file: PathBuf,
    earlier: Option<PathBuf>,
}

impl NoServices {
    fn begin(file: &Path) -> anyhow::Result<Self> {
        let aside = file.with_extension("d.aside");
        let earlier = match std::fs::rename(file, &aside) {
            Ok(()) => Some(aside),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("setting {} aside", file.display())),
        };
        let policy = Self { file: file.to_owned(), earlier };
        // 101: action forbidden by policy.
        std::fs::write(file, "#!/bin/sh\nexit 101\n")
            .with_context(|| format!("writing {}", file.display()))?;
        std::fs::set_permissions(file, Permissions::from_mode(0o755))?;
        Ok(policy)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        let restored = match &self.earlier {
            Some(earlier) => std::fs::rename(earlier, &self.file),
            None => std::fs::remove_file(&self.file),
        };
        if let Err(error) = restored {
            eprintln!("xtask: {} could not be put back: {error}", self.file.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_policy_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy-rc.d");
        drop(NoServices::begin(&file).unwrap());
        assert!(!file.exists());
        std::fs::write(&file, "mine").unwrap();
        let policy = NoServices::begin(&file).unwrap();
        assert!(std::fs::read_to_string(&file).unwrap().contains("101"));
        drop(policy);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn programs_are_looked_for_in_path() {
        assert!(is_there("sh"));
        assert!(!is_there("no-such-program-of-any-package"));
    }
}
