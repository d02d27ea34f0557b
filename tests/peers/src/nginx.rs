//! nginx, with the servers that a test writes.

use crate::process::Process;
use crate::{listens, port};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// An nginx that runs, or ran.
#[derive(Debug)]
pub struct Nginx {
    folder: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
    /// The process; see there for its signals.
    pub process: Process,
}

impl Nginx {
    /// One in a folder of its own. `servers`: its folder and address → what stands in `http { }`; files that it names may be
    /// put into the folder then.
    ///
    /// # Errors
    ///
    /// When it does not start; the end of its log is in the message.
    pub fn start(servers: impl FnOnce(&Path, SocketAddr) -> anyhow::Result<String>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("nginx-").tempdir()?;
        let address = port::free();
        let servers = servers(folder.path(), address)?;
        let path = folder.path().display();
        let settings = format!(
            "daemon off; master_process off; pid {path}/pid; error_log stderr;\nevents {{}}\n\
             http {{ access_log off; client_body_temp_path {path}/b; proxy_temp_path {path}/p; \
             fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n{servers}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, settings)?;
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(&file).arg("-p").arg(folder.path()).args(["-e", "stderr"]);
        let mut process = Process::start(&mut command, &folder.path().join("log"))?;
        listens(&mut process, address)?;
        Ok(Self { folder, address, process })
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
