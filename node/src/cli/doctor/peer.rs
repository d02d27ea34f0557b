//! What a destination really is: something that carbon's ports do not do gives others away.
//!
//! It is sent the first line of an HTTP request. A web server answers it. To a port for pickles or protobuf
//! it is the head of a frame of 1.2 GB, for which carbon ends the connection. A port for lines finds a bad
//! line, writes that into its log and waits for the next.

use crate::cli::report::Report;
use skyline_conf::routing::{Packing, Protocol, Server};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const KEY: &str = "relay.destinations";

/// Names its sender to whoever finds it in a log.
const REQUEST: &[u8] = b"GET /skyline-doctor HTTP/1.0\r\n\r\n";
/// For a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// Who says nothing for so long waits for more.
const SILENCE: Duration = Duration::from_millis(800);

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    /// A web server.
    Http,
    /// Something else, that begins so.
    Words(String),
    /// The connection was ended.
    End,
    Nothing,
}

/// Reports those of `servers` that are not what they are taken for.
pub(super) async fn mistaken(servers: &[Server], report: &mut Report) {
    let mut asking: JoinSet<(usize, Option<Heard>)> = JoinSet::new();
    for (number, server) in servers.iter().enumerate() {
        // What is packed or encrypted cannot be asked this way.
        if server.tls.is_none() && server.packing == Packing::Plain {
            let server = server.clone();
            asking.spawn(async move { (number, hear(&server).await.ok()) });
        }
    }
    let mut all = Vec::new();
    while let Some(outcome) = asking.join_next().await {
        all.extend(outcome);
    }
    all.sort_by_key(|(number, _)| *number);
    for (number, heard) in all {
        // One that cannot be reached is told elsewhere.
        if let (Some(server), Some(heard)) = (servers.get(number), heard) {
            line(server, &heard, report);
        }
    }
}

async fn hear(server: &Server) -> io::Result<Heard> {
    let connect = TcpStream::connect((server.host.as_str(), server.port));
    let mut stream = tokio::time::timeout(CONNECT, connect).await.map_err(|_| io::ErrorKind::TimedOut)??;
    stream.write_all(REQUEST).await?;
    let mut first = [0; 64];
    let heard = match tokio::time::timeout(SILENCE, stream.read(&mut first)).await {
        Err(_) => Heard::Nothing,
        Ok(Ok(0) | Err(_)) => Heard::End,
        Ok(Ok(bytes)) => {
            let words = first.get(..bytes).unwrap_or_default();
            if words.starts_with(b"HTTP/") { Heard::Http } else { Heard::Words(shown(words)) }
        }
    };
    Ok(heard)
}

/// The first line, with nothing that moves a cursor.
fn shown(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(40)
        .map(|c| if c.is_control() { '.' } else { c })
        .collect()
}

fn line(server: &Server, heard: &Heard, report: &mut Report) {
    let protocol = server.protocol.label();
    let place = server.place();
    match (heard, server.protocol) {
        (Heard::Http, _) => report.problem(
            KEY,
            format!("{place} is sent {protocol}, and a web server answers there"),
            "name carbon's port instead: 2003 takes lines and 2004 pickles unless carbon.conf says otherwise",
        ),
        (Heard::Words(words), _) => report.problem(
            KEY,
            format!("{place} is sent {protocol}, and what answers `{words}` is no carbon"),
            "name carbon's port instead: 2003 takes lines and 2004 pickles unless carbon.conf says otherwise",
        ),
        (Heard::End, Protocol::Plaintext) => report.warning(
            KEY,
            format!("{place} is sent lines, and ends the connection at a line that it does not know"),
            format!("if it is a port for pickles, write {place}:pickle, or name its port for lines"),
        ),
        (Heard::Nothing, Protocol::Pickle | Protocol::Protobuf) => report.warning(
            KEY,
            format!("{place} is sent {protocol}, and waits for the end of a frame that no carbon takes"),
            format!("if it is a port for lines, write {place}:plaintext, or name its port for {protocol}"),
        ),
        (Heard::End, Protocol::Pickle | Protocol::Protobuf) | (Heard::Nothing, Protocol::Plaintext) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// A server that reads once, says `answer` and waits for the end, or ends at once if it has none to say.
    fn server(protocol: Protocol, answer: Option<&'static str>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = [0; 100];
            assert!(stream.read(&mut bytes).unwrap() > 0);
            if let Some(answer) = answer {
                stream.write_all(answer.as_bytes()).unwrap();
                while stream.read(&mut bytes).is_ok_and(|n| n > 0) {}
            }
        });
        Server { protocol, ..Server::plain("127.0.0.1", port, None) }
    }

    #[tokio::test]
    async fn others_give_themselves_away() {
        let check = async |protocol, answer, expected: &str| {
            let mut report = Report::new(true);
            mistaken(&[server(protocol, answer)], &mut report).await;
            let said: Vec<_> = report.lines.iter().map(ToString::to_string).collect();
            match expected {
                "" => assert!(said.is_empty(), "{said:?}"),
                _ => assert!(matches!(said.as_slice(), [one] if one.contains(expected)), "{said:?}"),
            }
        };
        check(Protocol::Plaintext, Some(""), "").await;
        check(Protocol::Pickle, None, "").await;
        check(Protocol::Pickle, Some(""), "if it is a port for lines").await;
        check(Protocol::Plaintext, None, "if it is a port for pickles").await;
        check(Protocol::Pickle, Some("HTTP/1.1 400 Bad Request\r\n"), "a web server answers").await;
        check(
            Protocol::Plaintext,
            Some("SSH-2.0-OpenSSH\u{1b}[2J\r\n"),
            "`SSH-2.0-OpenSSH.[2J` is no carbon",
        )
        .await;
    }
}
