//! Redis: one server, a cluster, a master with sentinels.

use crate::process::Process;
use crate::{eventually_true, is_so, port};
use anyhow::{Context as _, ensure};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How long a cluster or sentinels may take to agree.
const AGREE: Duration = Duration::from_secs(40);

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Password of the default user.
    pub password: Option<String>,
    /// Further users, as lines of an ACL file: `user NAME on >PASSWORD ~metrics.* +append`.
    pub users: Vec<String>,
    /// Listens with TLS too, see [`Redis::tls`].
    pub tls: bool,
    /// Clients must show a certificate, with [`Self::tls`].
    pub wants_certificate: bool,
    /// With [`Self::tls`]: `ca.pem`, `server.pem`, `server.key` and `client.pem` of this folder instead of new ones.
    pub certificates: Option<PathBuf>,
    /// Keeps its data when it is killed.
    pub keeps_data: bool,
    /// Further arguments of `redis-server`.
    pub arguments: Vec<String>,
}

/// A server; killed on drop.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    command: Vec<String>,
    port: u16,
    tls_port: Option<u16>,
    password: Option<String>,
    folder: TempDir,
}

impl Redis {
    /// Starts a server without a password that forgets all when it ends.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&Options::default())
    }

    /// Starts a server.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_with(options: &Options) -> anyhow::Result<Self> {
        let mut outcome = Self::attempt(options);
        for _ in 0..3 {
            // Another may have taken the port between the look and the start.
            if outcome.is_ok() {
                break;
            }
            outcome = Self::attempt(options);
        }
        outcome
    }

    fn attempt(options: &Options) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = port::free().port();
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let mut command = Vec::new();
        let mut set = |key: &str, value: &str| command.extend([format!("--{key}"), value.to_owned()]);
        set("port", &port.to_string());
        set("bind", "127.0.0.1");
        set("unixsocket", &path("socket"));
        set("dir", &path(""));
        set("save", "");
        set("appendonly", if options.keeps_data { "yes" } else { "no" });
        // Otherwise what it has answered may not be written yet.
        set("appendfsync", "always");
        let mut tls_port = None;
        if options.tls {
            let port = port::free().port();
            match &options.certificates {
                Some(from) => {
                    for name in ["ca.pem", "server.pem", "server.key", "client.pem"] {
                        fs::copy(from.join(name), folder.path().join(name))?;
                    }
                }
                None => certificates(folder.path(), "DNS:localhost")?,
            }
            set("tls-port", &port.to_string());
            set("tls-ca-cert-file", &path("ca.pem"));
            set("tls-cert-file", &path("server.pem"));
            set("tls-key-file", &path("server.key"));
            set("tls-auth-clients", if options.wants_certificate { "yes" } else { "no" });
            tls_port = Some(port);
        }
        if !options.users.is_empty() {
            let default = options.password.as_ref().map_or("nopass".to_owned(), |p| format!(">{p}"));
            let users = format!("user default on {default} ~* &* +@all\n{}\n", options.users.join("\n"));
            fs::write(folder.path().join("users.acl"), users)?;
            set("aclfile", &path("users.acl"));
        } else if let Some(password) = &options.password {
            set("requirepass", password);
        }
        command.extend(options.arguments.iter().cloned());
        let process = start(&command, folder.path())?;
        let mut redis = Self { process, command, port, tls_port, password: options.password.clone(), folder };
        redis.wait()?;
        Ok(redis)
    }

    /// Waits until it answers.
    fn wait(&mut self) -> anyhow::Result<()> {
        let socket = self.folder.path().join("socket");
        is_so(&mut self.process, "Redis answers", |_| {
            answers(&socket).is_some_and(|a| !a.contains("LOADING"))
        })
    }

    /// `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn tcp(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// `unix:///PATH`.
    #[must_use]
    pub fn unix(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }

    /// `rediss://localhost:PORT`, with [`Options::tls`].
    #[must_use]
    pub fn tls(&self) -> String {
        format!("rediss://localhost:{}", self.tls_port.unwrap_or_default())
    }

    /// Its port without TLS.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A file in its folder: `socket`; with TLS `ca.pem`, and `client.pem` with a certificate and its key.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with its password on the first line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn password_file(&self, password: &str) -> anyhow::Result<PathBuf> {
        let file = self.folder.path().join("password");
        fs::write(&file, format!("{password}\n"))?;
        Ok(file)
    }

    /// The process: its CPU and memory.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What `redis-cli` prints for a command.
    ///
    /// # Errors
    /// When it fails.
    pub fn cli(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("redis-cli");
        command.arg("-s").arg(self.folder.path().join("socket")).args(arguments);
        if let Some(password) = &self.password {
            command.env("REDISCLI_AUTH", password);
        }
        printed(&mut command)
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    /// Stops it where it is; its connections stay open.
    pub fn pause(&mut self) {
        self.process.signal(libc::SIGSTOP);
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        self.process.signal(libc::SIGCONT);
    }

    /// Kills it and starts it again at the same addresses, with its data if it keeps them.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        // The socket of the dead is in the way of a connection only, not of the start.
        self.process = start(&self.command, self.folder.path())?;
        self.wait()
    }

    /// The same, without its data.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart_empty(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        for name in ["appendonlydir", "dump.rdb"] {
            let path = self.folder.path().join(name);
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else if path.exists() {
                fs::remove_file(path)?;
            }
        }
        self.restart()
    }
}

fn start(command: &[String], folder: &Path) -> anyhow::Result<Process> {
    // Without a file of its own it would run in the foreground all the same; the name is for `ps`.
    Process::start(Command::new("redis-server").args(command), &folder.join("log"))
}

/// What a server says to PING over its socket.
fn answers(socket: &Path) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(b"PING\r\n").ok()?;
    let mut answer = [0; 128];
    let len = stream.read(&mut answer).ok().filter(|len| *len > 0)?;
    Some(String::from_utf8_lossy(answer.get(..len)?).into_owned())
}

fn printed(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().context("redis-cli")?;
    let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "redis-cli: {text} {errors}");
    Ok(text)
}

fn openssl(folder: &Path, arguments: &str) -> anyhow::Result<()> {
    let output = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output()?;
    ensure!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/// A certificate of `localhost` that has signed itself, for [`Options::certificates`]: `ca.pem` and `server.pem` are the
/// same. `is_authority`: as `openssl req -x509` makes it when it is not told otherwise.
///
/// # Errors
/// When `openssl` fails.
pub fn self_signed(folder: &Path, is_authority: bool) -> anyhow::Result<()> {
    let constraints = if is_authority { "CA:TRUE" } else { "CA:FALSE" };
    let names =
        format!("-addext subjectAltName=DNS:localhost -addext basicConstraints=critical,{constraints}");
    openssl(
        folder,
        &format!("req -x509 {KEY} -keyout server.key -out server.pem -subj /CN=localhost -days 30 {names}"),
    )?;
    fs::copy(folder.join("server.pem"), folder.join("ca.pem"))?;
    fs::copy(folder.join("server.pem"), folder.join("client.pem"))?;
    Ok(())
}

/// An authority, a certificate of a server and one of a client, made with `openssl`. `names`: as in `subjectAltName`.
pub(crate) fn certificates(folder: &Path, names: &str) -> anyhow::Result<()> {
    let openssl = |arguments: &str| openssl(folder, arguments);
    let key = KEY;
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 30"))?;
    fs::write(folder.join("names"), format!("subjectAltName={names}\n"))?;
    for name in ["server", "client"] {
        openssl(&format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"))?;
        let signed = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names";
        openssl(&format!("x509 -req -in {name}.csr -out {name}.pem {signed}"))?;
    }
    let mut both = fs::read(folder.join("client.pem"))?;
    both.extend(fs::read(folder.join("client.key"))?);
    fs::write(folder.join("client.pem"), both)?;
    Ok(())
}

/// A cluster of three masters with a replica each.
#[derive(Debug)]
pub struct Cluster {
    /// Its nodes.
    pub nodes: Vec<Redis>,
}

impl Cluster {
    /// Starts it; ready for every slot.
    ///
    /// # Errors
    /// When the nodes do not start or do not agree in time.
    pub fn start(password: Option<&str>) -> anyhow::Result<Self> {
        Self::start_with(&Options { password: password.map(str::to_owned), ..Options::default() })
    }

    /// The same, with TLS between all.
    ///
    /// # Errors
    /// When the nodes do not start or do not agree in time.
    pub fn start_tls(password: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        certificates(folder.path(), "DNS:localhost,IP:127.0.0.1")?;
        Self::start_with(&Options {
            password: Some(password.to_owned()),
            tls: true,
            certificates: Some(folder.path().to_owned()),
            arguments: WITH_TLS.map(str::to_owned).into(),
            ..Options::default()
        })
    }

    fn start_with(options: &Options) -> anyhow::Result<Self> {
        let nodes = (0..6).map(|_| node(options)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut create = Command::new("redis-cli");
        if let Some(first) = nodes.first().filter(|_| options.tls) {
            create.arg("--tls").arg("--cacert").arg(first.file("ca.pem"));
        }
        create.args(["--cluster", "create"]);
        create.args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.tls_port.unwrap_or(node.port))));
        create.args(["--cluster-replicas", "1", "--cluster-yes"]);
        if let Some(password) = &options.password {
            create.env("REDISCLI_AUTH", password);
        }
        printed(&mut create)?;
        let cluster = Self { nodes };
        cluster.wait()?;
        Ok(cluster)
    }

    /// Waits until all that runs agrees that it is whole.
    ///
    /// # Errors
    /// After a time.
    pub fn wait(&self) -> anyhow::Result<()> {
        eventually_true(AGREE, "the cluster is whole", || {
            self.nodes.iter().all(|node| {
                node.cli(&["CLUSTER", "INFO"]).is_ok_and(|info| info.contains("cluster_state:ok"))
            }) && self.masters().len() == 3
                && self.nodes.iter().filter(|node| node.is_replica_in_step()).count() == 3
        })
    }

    /// Moves so many slots from a master to another, with what is in them, while the cluster is used.
    ///
    /// # Errors
    /// When they cannot be moved.
    pub fn move_slots(
        &self,
        from: usize,
        to: usize,
        count: u64,
        password: Option<&str>,
    ) -> anyhow::Result<()> {
        let id = |index: usize| -> anyhow::Result<String> {
            let node = self.nodes.get(index).context("no such node")?;
            Ok(node.cli(&["CLUSTER", "MYID"])?.trim().to_owned())
        };
        let any = self.nodes.first().context("no node")?;
        let mut reshard = Command::new("redis-cli");
        reshard.args(["--cluster", "reshard", &format!("127.0.0.1:{}", any.port)]);
        reshard.args(["--cluster-from", &id(from)?, "--cluster-to", &id(to)?]);
        reshard.args(["--cluster-slots", &count.to_string(), "--cluster-yes"]);
        if let Some(password) = password {
            reshard.env("REDISCLI_AUTH", password);
        }
        printed(&mut reshard)?;
        Ok(())
    }

    /// Indexes of the nodes that are masters and run.
    #[must_use]
    pub fn masters(&self) -> Vec<usize> {
        let is_master = |node: &Redis| node.cli(&["ROLE"]).is_ok_and(|role| role.starts_with("master"));
        self.nodes.iter().enumerate().filter(|(_, node)| is_master(node)).map(|(i, _)| i).collect()
    }

    /// Addresses of all nodes.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::address).collect()
    }
}

/// Servers that speak with one another over TLS.
const WITH_TLS: [&str; 4] = ["--tls-cluster", "yes", "--tls-replication", "yes"];

fn node(options: &Options) -> anyhow::Result<Redis> {
    let mut arguments: Vec<String> =
        ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--repl-diskless-sync-delay", "0"]
            .map(str::to_owned)
            .into();
    arguments.extend(["--cluster-port".to_owned(), port::free().port().to_string()]);
    if let Some(password) = &options.password {
        arguments.extend(["--masterauth".to_owned(), password.clone()]);
    }
    arguments.extend(options.arguments.iter().cloned());
    Redis::start_with(&Options { arguments, ..options.clone() })
}

impl Redis {
    /// With TLS by number, `rediss://127.0.0.1:PORT`, if it has that, else without.
    fn address(&self) -> String {
        self.tls_port.map_or_else(|| self.tcp(), |port| format!("rediss://127.0.0.1:{port}"))
    }

    fn is_replica_in_step(&self) -> bool {
        self.cli(&["INFO", "replication"])
            .is_ok_and(|info| info.contains("role:slave") && info.contains("master_link_status:up"))
    }
}

/// A master and a replica, watched by three sentinels.
#[derive(Debug)]
pub struct Sentinels {
    /// First the master, then the replica, until they change places.
    pub servers: Vec<Redis>,
    sentinels: Vec<(Process, u16)>,
    /// Where the certificates are, with TLS.
    certificates: Option<PathBuf>,
    _folder: TempDir,
}

impl Sentinels {
    /// The name of the master.
    pub const MASTER: &str = "windows";

    /// Starts them; the sentinels know each other and the replica.
    ///
    /// # Errors
    /// When they do not start or do not agree in time.
    pub fn start(password: &str) -> anyhow::Result<Self> {
        Self::start_with(&Options { password: Some(password.to_owned()), ..Options::default() })
    }

    /// The same, with TLS between all.
    ///
    /// # Errors
    /// When they do not start or do not agree in time.
    pub fn start_tls(password: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        certificates(folder.path(), "DNS:localhost,IP:127.0.0.1")?;
        Self::start_with(&Options {
            password: Some(password.to_owned()),
            tls: true,
            certificates: Some(folder.path().to_owned()),
            arguments: ["--tls-replication", "yes"].map(str::to_owned).into(),
            ..Options::default()
        })
    }

    fn start_with(options: &Options) -> anyhow::Result<Self> {
        let password = options.password.clone().unwrap_or_default();
        let with = |arguments: &[&str]| {
            let more = arguments.iter().map(|&text| text.to_owned());
            let mut arguments = options.arguments.clone();
            arguments.extend(["--masterauth".to_owned(), password.clone()]);
            arguments.extend(["--repl-diskless-sync-delay", "0"].map(str::to_owned));
            arguments.extend(more);
            Options { arguments, ..options.clone() }
        };
        let master = Redis::start_with(&with(&[]))?;
        let port = master.tls_port.unwrap_or(master.port);
        let replica = Redis::start_with(&with(&["--replicaof", "127.0.0.1", &port.to_string()]))?;
        let folder = tempfile::tempdir()?;
        let certificates = options.tls.then(|| master.folder.path().to_owned());
        let mut sentinels = Vec::new();
        for number in 0..3 {
            let folder = folder.path().join(number.to_string());
            sentinels.push(sentinel(&folder, port, &password, certificates.as_deref())?);
        }
        let started = Self { servers: vec![master, replica], sentinels, certificates, _folder: folder };
        eventually_true(AGREE, "the sentinels know each other and the replica", || {
            started.sentinels.iter().all(|(_, port)| {
                let answer = started.ask(*port, &["SENTINEL", "MASTER", Self::MASTER]).unwrap_or_default();
                let lines: Vec<_> = answer.lines().collect();
                let has = |key: &str, value: &str| lines.windows(2).any(|pair| pair == [key, value]);
                has("num-other-sentinels", "2") && has("num-slaves", "1") && has("flags", "master")
            })
        })?;
        Ok(started)
    }

    /// Addresses of the sentinels.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        let scheme = if self.certificates.is_some() { "rediss" } else { "redis" };
        self.sentinels.iter().map(|(_, port)| format!("{scheme}://127.0.0.1:{port}")).collect()
    }

    fn ask(&self, port: u16, arguments: &[&str]) -> anyhow::Result<String> {
        ask(port, self.certificates.as_deref(), arguments)
    }

    /// Port of the server that the sentinels take for the master.
    #[must_use]
    pub fn master_port(&self) -> Option<u16> {
        let (_, port) = self.sentinels.first()?;
        let answer = self.ask(*port, &["SENTINEL", "get-master-addr-by-name", Self::MASTER]).ok()?;
        answer.lines().nth(1)?.parse().ok()
    }

    /// Stops one of the sentinels where it is.
    pub fn pause_sentinel(&mut self, number: usize) {
        if let Some((process, _)) = self.sentinels.get_mut(number) {
            process.signal(libc::SIGSTOP);
        }
    }
}

fn ask(port: u16, certificates: Option<&Path>, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("redis-cli");
    if let Some(folder) = certificates {
        command.arg("--tls").arg("--cacert").arg(folder.join("ca.pem"));
    }
    printed(command.arg("-p").arg(port.to_string()).args(arguments))
}

fn sentinel(
    folder: &Path,
    master: u16,
    password: &str,
    certificates: Option<&Path>,
) -> anyhow::Result<(Process, u16)> {
    let name = Sentinels::MASTER;
    fs::create_dir(folder)?;
    let port = port::free().port();
    let file = folder.join("sentinel.conf");
    let listen = certificates.map_or_else(
        || format!("port {port}\n"),
        |certificates| {
            let path = |name: &str| certificates.join(name).display().to_string();
            let (ca, server, key) = (path("ca.pem"), path("server.pem"), path("server.key"));
            format!(
                "port 0\ntls-port {port}\ntls-replication yes\ntls-auth-clients no\ntls-ca-cert-file {ca}\n\
                 tls-cert-file {server}\ntls-key-file {key}\n"
            )
        },
    );
    let text = format!(
        "{listen}bind 127.0.0.1\ndir {}\nsentinel monitor {name} 127.0.0.1 {master} 2\n\
         sentinel auth-pass {name} {password:?}\nsentinel down-after-milliseconds {name} 1000\n\
         sentinel failover-timeout {name} 3000\n",
        folder.display()
    );
    fs::write(&file, text)?;
    let mut process =
        Process::start(Command::new("redis-server").arg(&file).arg("--sentinel"), &folder.join("log"))?;
    is_so(&mut process, "a sentinel answers", |_| {
        ask(port, certificates, &["PING"]).is_ok_and(|a| a == "PONG")
    })?;
    Ok((process, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_keeps_its_data_only_when_told() {
        for keeps_data in [false, true] {
            let mut redis = Redis::start_with(&Options { keeps_data, ..Options::default() }).unwrap();
            redis.cli(&["SET", "a", "1"]).unwrap();
            redis.restart().unwrap();
            assert_eq!(redis.cli(&["GET", "a"]).unwrap() == "1", keeps_data);
            redis.restart_empty().unwrap();
            assert_eq!(redis.cli(&["GET", "a"]).unwrap(), "");
        }
    }

    #[test]
    fn a_cluster_and_sentinels_start() {
        let cluster = Cluster::start(None).unwrap();
        assert_eq!((cluster.masters().len(), cluster.addresses().len()), (3, 6));
        let sentinels = Sentinels::start("secret").unwrap();
        assert_eq!(sentinels.master_port(), Some(sentinels.servers[0].port()));
    }
}
