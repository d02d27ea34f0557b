//! graphite-web with whisper files, in a folder of its own, on a plain WSGI server.

use crate::process::Process;
use crate::{is_so, port};
use anyhow::Context as _;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const SERVE: &str = r#"
import os, socketserver, sys
from wsgiref import simple_server
folder, port = sys.argv[1], int(sys.argv[2])
sys.path.insert(0, folder)
os.environ["DJANGO_SETTINGS_MODULE"] = "own_settings"
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
from django.core.management import call_command
call_command("migrate", run_syncdb=True, verbosity=0)
class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 128
    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()
class Handler(simple_server.WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]
simple_server.make_server("127.0.0.1", port, application, Server, Handler).serve_forever()
"#;

const SETTINGS: &str = r#"
import os
FOLDER = os.path.dirname(os.path.abspath(__file__))
from graphite.settings import *
SECRET_KEY = "of a test"
ALLOWED_HOSTS = ["*"]
STORAGE_DIR = LOG_DIR = FOLDER
WHISPER_DIR = os.path.join(FOLDER, "whisper")
CERES_DIR = RRD_DIR = os.path.join(FOLDER, "none")
STANDARD_DIRS = [WHISPER_DIR]
INDEX_FILE = os.path.join(FOLDER, "index")
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(FOLDER, "graphite.db")}}
CARBONLINK_HOSTS, CLUSTER_SERVERS, MEMCACHE_HOSTS = [], [], []
REPLICATION_FACTOR = 0
FIND_CACHE_DURATION = 0
DEFAULT_CACHE_DURATION = int(os.environ["CACHE_SECONDS"])
TIME_ZONE = "UTC"
LOG_FILE_INFO = LOG_FILE_EXCEPTION = LOG_FILE_CACHE = LOG_FILE_RENDERING = "-"
"#;

/// A new file of one archive is written at once, as `update_many` would leave it; what is there already is left to that.
/// `alone`: the coarser archives of a new file stay empty, so that who reads the wrong one finds nothing.
const WRITE: &str = r"
import json, os, struct, sys, time, whisper
for line in sys.stdin:
    path, archives, points, alone = json.loads(line)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path) or len(archives) > 1 and not alone:
        if not os.path.exists(path):
            whisper.create(path, [(step, days * 86400 // step) for step, days in archives])
        whisper.update_many(path, points)
        continue
    (step, days), now = archives[0], time.time()
    places = days * 86400 // step
    whisper.create(path, [(step, days * 86400 // step) for step, days in archives])
    rows = {int(t) - int(t) % step: v for t, v in points if now - t <= places * step}
    if not rows:
        continue
    first, ring = min(rows), bytearray(12 * places)
    for t in sorted(rows):
        struct.pack_into('!Ld', ring, 12 * ((t - first) // step % places), t, rows[t])
    with open(path, 'r+b') as file:
        file.seek(16 + 12 * len(archives))
        file.write(ring)
";

/// The interpreter that has Debian's packages.
const PYTHON: &str = "/usr/bin/python3";

/// A graphite-web that runs, or ran.
#[derive(Debug)]
pub struct GraphiteWeb {
    folder: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
    cache_seconds: u32,
    /// The process; see there for its signals.
    pub process: Process,
}

impl GraphiteWeb {
    /// One without data that lets nobody keep its answers.
    ///
    /// # Errors
    ///
    /// When it does not start; the end of its log is in the message.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_cached(0)
    }

    /// One whose answers may be kept for so long.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_cached(cache_seconds: u32) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("graphite-web-").tempdir()?;
        std::fs::write(folder.path().join("serve.py"), SERVE)?;
        std::fs::write(folder.path().join("own_settings.py"), SETTINGS)?;
        std::fs::create_dir(folder.path().join("whisper"))?;
        let address = port::free();
        let process = launch(folder.path(), address, cache_seconds)?;
        Ok(Self { folder, address, cache_seconds, process })
    }

    /// Starts it again at the same place with the same data.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process = launch(self.folder.path(), self.address, self.cache_seconds)?;
        Ok(())
    }

    /// `http://HOST:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The folder of its whisper files.
    #[must_use]
    pub fn whisper(&self) -> PathBuf {
        self.folder.path().join("whisper")
    }

    /// Writes points (seconds, value) of metrics into files with slots of `step` seconds for a day.
    ///
    /// # Errors
    ///
    /// What the writer said.
    pub fn write(&self, step: u32, metrics: &[(&str, &[(i64, f64)])]) -> anyhow::Result<()> {
        self.write_archives(&[(step, 1)], metrics)
    }

    /// The same, and behind that archive one of five times the step for a week, which is empty: who reads the wrong one finds
    /// nothing.
    ///
    /// # Errors
    ///
    /// What the writer said.
    pub fn write_finest(&self, step: u32, metrics: &[(&str, &[(i64, f64)])]) -> anyhow::Result<()> {
        self.write_files(&[(step, 1), (5 * step, 7)], metrics, true)
    }

    /// The same with `archives` of their own: seconds of a slot, days.
    ///
    /// # Errors
    ///
    /// What the writer said.
    pub fn write_archives(
        &self,
        archives: &[(u32, u32)],
        metrics: &[(&str, &[(i64, f64)])],
    ) -> anyhow::Result<()> {
        self.write_files(archives, metrics, false)
    }

    fn write_files(
        &self,
        archives: &[(u32, u32)],
        metrics: &[(&str, &[(i64, f64)])],
        alone: bool,
    ) -> anyhow::Result<()> {
        let mut lines = String::new();
        for (name, points) in metrics {
            let path = self.folder.path().join("whisper").join(name.replace('.', "/"));
            writeln!(
                lines,
                "{}",
                serde_json::json!([format!("{}.wsp", path.display()), archives, points, alone])
            )?;
        }
        let mut child = Command::new(PYTHON)
            .args(["-c", WRITE])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("python3; `cargo xtask test` installs what is missing")?;
        child.stdin.take().context("its input")?.write_all(lines.as_bytes())?;
        let output = child.wait_with_output()?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Stops answering, with connections as they are, until [`Self::resume`].
    pub fn pause(&mut self) {
        self.process.signal(libc::SIGSTOP);
    }

    /// Goes on after [`Self::pause`].
    pub fn resume(&mut self) {
        self.process.signal(libc::SIGCONT);
    }
}

fn launch(folder: &Path, address: SocketAddr, cache_seconds: u32) -> anyhow::Result<Process> {
    let mut command = Command::new(PYTHON);
    command
        .arg("-B")
        .arg(folder.join("serve.py"))
        .arg(folder)
        .arg(address.port().to_string())
        .env("CACHE_SECONDS", cache_seconds.to_string())
        .env_remove("PYTHONPATH");
    let mut process = Process::start(&mut command, &folder.join("log"))?;
    is_so(&mut process, "graphite-web answers", |_| answers(address).unwrap_or(false))?;
    Ok(process)
}

fn answers(address: SocketAddr) -> anyhow::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /metrics/find?query=* HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.contains(" 200 "))
}
