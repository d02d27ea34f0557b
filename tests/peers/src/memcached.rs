//! memcached, on a port or a Unix socket.

use crate::process::Process;
use crate::{eventually, is_so, port};
use anyhow::Context as _;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Longest wait for one of its answers.
const LIMIT: Duration = Duration::from_secs(5);

/// Where it listens.
#[derive(Debug, Clone)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A memcached of 32 MiB that runs, or ran.
#[derive(Debug)]
pub struct Memcached {
    folder: TempDir,
    place: Place,
    /// The process; see there for its signals.
    pub process: Process,
}

fn launch(place: &Place, log: &Path) -> anyhow::Result<Process> {
    let mut command = Command::new("memcached");
    // It drops the rights of root only for a user that is named.
    command.args(["-m", "32", "-u", "root", "-U", "0"]);
    match place {
        Place::Tcp(address) => {
            command.arg("-l").arg(address.ip().to_string()).arg("-p").arg(address.port().to_string())
        }
        Place::Unix(path) => command.arg("-s").arg(path),
    };
    let mut process = Process::start(&mut command, log)?;
    is_so(&mut process, "memcached answers", |_| version(place).is_ok())?;
    Ok(process)
}

fn version(place: &Place) -> anyhow::Result<String> {
    say(place, b"version\r\n")
}

/// A connection.
trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

fn connect(place: &Place) -> anyhow::Result<Box<dyn Stream>> {
    Ok(match place {
        Place::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, LIMIT)?;
            stream.set_read_timeout(Some(LIMIT))?;
            Box::new(stream)
        }
        Place::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(LIMIT))?;
            Box::new(stream)
        }
    })
}

/// Sends lines and reads the first line of the answer.
fn say(place: &Place, text: &[u8]) -> anyhow::Result<String> {
    let mut stream = connect(place)?;
    stream.write_all(text)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    anyhow::ensure!(line.ends_with('\n'), "no answer");
    Ok(line.trim_end().to_owned())
}

impl Memcached {
    /// One on a free port.
    ///
    /// # Errors
    ///
    /// When it does not start; the end of its log is in the message.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_at(port::free())
    }

    /// One on that port of loopback.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_at(address: SocketAddr) -> anyhow::Result<Self> {
        Self::place(|_| Place::Tcp(address))
    }

    /// One on a socket in its folder.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_unix() -> anyhow::Result<Self> {
        Self::place(|folder| Place::Unix(folder.join("memcached.sock")))
    }

    fn place(place: impl FnOnce(&Path) -> Place) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("memcached-").tempdir()?;
        let place = place(folder.path());
        let process = launch(&place, &folder.path().join("log"))?;
        Ok(Self { folder, place, process })
    }

    /// As settings name it: `HOST:PORT`, or the path.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.place {
            Place::Tcp(address) => address.to_string(),
            Place::Unix(path) => path.display().to_string(),
        }
    }

    /// Stops answering, with connections and memory as they are, until [`Self::resume`].
    pub fn pause(&mut self) {
        self.process.signal(libc::SIGSTOP);
    }

    /// Goes on after [`Self::pause`].
    pub fn resume(&mut self) {
        self.process.signal(libc::SIGCONT);
    }

    /// `kill -9`.
    ///
    /// # Errors
    ///
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    /// Ends it if it runs, and starts it again, empty, at the same place.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        if let Place::Unix(path) = &self.place {
            drop(std::fs::remove_file(path));
        }
        self.process = launch(&self.place, &self.folder.path().join("log"))?;
        Ok(())
    }

    /// Sends lines of the protocol; the first line of the answer.
    ///
    /// # Errors
    ///
    /// When none comes within five seconds.
    pub fn say(&self, text: &[u8]) -> anyhow::Result<String> {
        say(&self.place, text)
    }

    /// Lines of an answer, up to that one. An error when it has something else to do, as its own walk through its keys.
    fn lines(&self, command: &[u8], end: &str) -> anyhow::Result<Vec<String>> {
        let mut stream = connect(&self.place)?;
        stream.write_all(command)?;
        let mut lines = Vec::new();
        for line in BufReader::new(stream).lines() {
            match line?.trim_end() {
                line if line == end => return Ok(lines),
                line if line.starts_with("BUSY") => anyhow::bail!("{line}"),
                line => lines.push(line.to_owned()),
            }
        }
        anyhow::bail!("the answer has no end")
    }

    /// A figure of `stats`, such as `curr_items`.
    ///
    /// # Errors
    ///
    /// When it does not answer, or has no such figure.
    pub fn stat(&self, name: &str) -> anyhow::Result<u64> {
        let lines = self.lines(b"stats\r\n", "END")?;
        let value = lines.iter().find_map(|line| line.strip_prefix(&format!("STAT {name} ")));
        Ok(value.with_context(|| format!("no figure {name}"))?.parse()?)
    }

    /// Every key that it holds.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn keys(&self) -> anyhow::Result<Vec<String>> {
        let lines = self.lines(b"lru_crawler metadump all\r\n", "END")?;
        let key =
            |line: &String| line.split(' ').find_map(|word| word.strip_prefix("key=").map(str::to_owned));
        Ok(lines.iter().filter_map(key).collect())
    }

    /// [`Self::keys`], once there are so many.
    ///
    /// # Errors
    ///
    /// When there are not within five seconds.
    pub fn has_keys(&self, count: usize) -> anyhow::Result<Vec<String>> {
        eventually(LIMIT, &format!("{count} keys"), || self.keys().ok().filter(|keys| keys.len() == count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_gone_and_empty_again() {
        for mut memcached in [Memcached::start().unwrap(), Memcached::start_unix().unwrap()] {
            assert_eq!(memcached.say(b"set a 0 0 1\r\nx\r\n").unwrap(), "STORED");
            assert_eq!(memcached.say(b"get a\r\n").unwrap(), "VALUE a 0 1");
            memcached.kill().unwrap();
            assert!(memcached.say(b"version\r\n").is_err());
            memcached.restart().unwrap();
            assert_eq!(memcached.say(b"get a\r\n").unwrap(), "END");
            memcached.say(b"set abc 0 0 1\r\nx\r\n").unwrap();
            assert_eq!(memcached.has_keys(1).unwrap(), ["abc"]);
            assert_eq!(memcached.stat("curr_items").unwrap(), 1);
        }
    }
}
