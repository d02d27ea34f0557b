//! Exim, a mail server, with TLS and login; what it accepts is a folder of mails.

use crate::process::Process;
use crate::{eventually, listens, port};
use anyhow::Context as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Who may log in, and with what.
pub const LOGIN: (&str, &str) = ("alerts", "s3cret word");

/// What a server is like.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Mail is taken from who has logged in only.
    pub login: bool,
    /// STARTTLS is offered, and another port has TLS from the first byte.
    pub tls: bool,
}

/// A server. Some recipients are special: `refused@` never gets mail (550), `full@` never at the moment (452), `grey@`
/// not before [`Exim::let_grey_pass`], and mail to `spam@` is refused after it was sent (550).
#[derive(Debug)]
pub struct Exim {
    process: Process,
    folder: TempDir,
    options: Options,
    /// Plain, with STARTTLS if it has TLS.
    pub port: u16,
    /// TLS from the first byte.
    pub tls_port: u16,
    user: String,
}

/// What Python's library finds in a mail; see the fields of the script.
pub type Parsed = serde_json::Value;

/// An independent reader of mails. Files as arguments, one JSON list.
const READER: &str = r#"
import sys, json, email, email.policy
out = []
for path in sys.argv[1:]:
    raw = open(path, "rb").read()
    m = email.message_from_bytes(raw, policy=email.policy.default)
    parts, defects = [], [str(d) for d in m.defects]
    for p in m.walk():
        defects += [str(d) for d in p.defects]
        body = None
        if not p.is_multipart():
            body = p.get_content()
            if isinstance(body, bytes):
                body = body.hex()
        parts.append({"type": p.get_content_type(), "id": p["Content-ID"], "body": body,
                      "disposition": p.get_content_disposition(), "encoding": p["Content-Transfer-Encoding"]})
    out.append({"headers": [[k, str(v)] for k, v in m.items()], "parts": parts, "defects": defects,
                "longest": max(len(l) for l in raw.split(b"\n"))})
print(json.dumps(out))
"#;

impl Exim {
    /// Starts one that takes everything, without TLS.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(Options::default())
    }

    /// Starts one.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_with(options: Options) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        for name in ["spool", "log", "mail"] {
            fs::create_dir(folder.path().join(name))?;
        }
        crate::redis::certificates(folder.path(), "DNS:localhost,IP:127.0.0.1")?;
        let (port, tls_port) = (port::free().port(), port::free().port());
        let user = unprivileged()?;
        let file = folder.path().join("exim.conf");
        fs::write(&file, configuration(folder.path(), options, port, tls_port, &user))?;
        if user == NOBODY {
            let owned = ["spool", "log", "mail", "server.key", "server.pem"];
            let status = Command::new("chown")
                .arg("-R")
                .arg(NOBODY)
                .args(owned.iter().map(|name| folder.path().join(name)))
                .status()?;
            anyhow::ensure!(status.success(), "chown failed");
        }
        let process = start(folder.path())?;
        let mut exim = Self { process, folder, options, port, tls_port, user };
        exim.wait()?;
        Ok(exim)
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        listens(&mut self.process, SocketAddr::from(([127, 0, 0, 1], self.port)))
    }

    /// PEM file of the authority of its certificate, whose names are `localhost` and `127.0.0.1`.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// From now on `grey@` gets mail.
    ///
    /// # Errors
    /// When that cannot be noted.
    pub fn let_grey_pass(&self) -> anyhow::Result<()> {
        fs::write(self.folder.path().join("let-grey-pass"), "")?;
        Ok(())
    }

    /// Kills it and the processes that serve its connections; nobody listens.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let id = self.process.id();
        let serving = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        self.process.kill()?;
        for child in serving.split_whitespace() {
            // It may have ended by itself.
            drop(Command::new("kill").args(["-9", child]).stderr(Stdio::null()).status());
        }
        Ok(())
    }

    /// Starts it again on the same ports, with the mails that it had.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = start(self.folder.path())?;
        self.wait()
    }

    /// Its main log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log/mainlog")).unwrap_or_default()
    }

    /// What it is like, and as whom it runs.
    #[must_use]
    pub fn is(&self) -> (Options, &str) {
        (self.options, &self.user)
    }

    /// Files of the mails that it has put into the mailbox, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let folder = self.folder.path().join("mail/new");
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort();
        Ok(files.into_iter().map(|(_, path)| path).collect())
    }

    /// Waits for `count` mails.
    ///
    /// # Errors
    /// When there are not so many in time; the log is in the message.
    pub fn wait_for(&self, count: usize) -> anyhow::Result<Vec<PathBuf>> {
        let limit = Duration::from_secs(20);
        eventually(limit, &format!("{count} mails"), || {
            self.files().ok().filter(|files| files.len() >= count)
        })
        .with_context(|| format!("its log:\n{}", self.log()))
    }

    /// Waits for `count` mails and reads all of them with Python's library.
    ///
    /// # Errors
    /// When there are not so many in time, or one cannot be read.
    pub fn read(&self, count: usize) -> anyhow::Result<Vec<Parsed>> {
        read(&self.wait_for(count)?)
    }
}

/// Reads mails with Python's library.
///
/// # Errors
/// When one cannot be read.
pub fn read(files: &[PathBuf]) -> anyhow::Result<Vec<Parsed>> {
    let mut child = Command::new("/usr/bin/python3")
        .arg("-")
        .args(files)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("python3; `cargo xtask test` installs what is missing")?;
    child.stdin.take().context("its input")?.write_all(READER.as_bytes())?;
    let output = child.wait_with_output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

const NOBODY: &str = "nobody";

/// As whom it runs: nobody if we are root, who delivers no mail, else as who we are.
fn unprivileged() -> anyhow::Result<String> {
    let output = Command::new("id").arg("-un").output()?;
    let name = String::from_utf8(output.stdout)?.trim().to_owned();
    Ok(if name == "root" { NOBODY.to_owned() } else { name })
}

fn start(folder: &Path) -> anyhow::Result<Process> {
    let mut command = Command::new("/usr/sbin/exim4");
    command.arg("-bdf").arg("-C").arg(folder.join("exim.conf"));
    Process::start(&mut command, &folder.join("printed"))
}

fn configuration(folder: &Path, options: Options, port: u16, tls_port: u16, user: &str) -> String {
    let folder = folder.display();
    let tls = if options.tls {
        format!(
            "tls_advertise_hosts = *\ntls_certificate = {folder}/server.pem\ntls_privatekey = {folder}/server.key\n\
             daemon_smtp_ports = {port} : {tls_port}\ntls_on_connect_ports = {tls_port}\n"
        )
    } else {
        format!("tls_advertise_hosts =\ndaemon_smtp_ports = {port}\n")
    };
    let group = if user == NOBODY { "exim_group = nogroup\n" } else { "" };
    let login = if options.login { "  deny message = log in first\n    !authenticated = *\n" } else { "" };
    let (name, word) = LOGIN;
    format!(
        "exim_user = {user}\n{group}deliver_drop_privilege = true\nspool_directory = {folder}/spool\n\
         log_file_path = {folder}/log/%slog\npid_file_path = {folder}/pid\nprimary_hostname = mail.test\n\
         local_interfaces = 127.0.0.1\nhost_lookup =\nkeep_environment =\nsmtp_accept_queue_per_connection = 0\nsmtp_accept_max = 200\nrfc1413_query_timeout = 0s\nnever_users =\n\
         acl_smtp_rcpt = rcpt\nacl_smtp_data = data\nqualify_domain = test\nmessage_size_limit = 20M\n{tls}\
         begin acl\nrcpt:\n{login}\
         \x20 deny local_parts = refused\n    message = no such user here\n\
         \x20 defer local_parts = full\n    message = 4.2.2 mailbox is full\n\
         \x20 defer local_parts = grey\n    condition = ${{if !exists{{{folder}/let-grey-pass}}}}\n    message = greylisted, try later\n\
         \x20 accept\n\
         data:\n  deny condition = ${{if match{{$recipients}}{{^spam@}}}}\n    message = this looks like spam\n\
         \x20 accept\n\
         begin routers\nall:\n  driver = accept\n  transport = box\n\
         begin transports\nbox:\n  driver = appendfile\n  directory = {folder}/mail\n  maildir_format\n\
         \x20 envelope_to_add\n  return_path_add\n  user = {user}\n\
         begin authenticators\n\
         plain:\n  driver = plaintext\n  public_name = PLAIN\n\
         \x20 server_condition = ${{if and{{{{eq{{$auth2}}{{{name}}}}}{{eq{{$auth3}}{{{word}}}}}}}}}\n  server_set_id = $auth2\n\
         login:\n  driver = plaintext\n  public_name = LOGIN\n  server_prompts = <| Username: | Password:\n\
         \x20 server_condition = ${{if and{{{{eq{{$auth1}}{{{name}}}}}{{eq{{$auth2}}{{{word}}}}}}}}}\n  server_set_id = $auth1\n"
    )
}
