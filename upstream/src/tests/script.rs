//! A server that answers as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One step of an answer.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Say(String),
    Wait(Duration),
    /// The same piece for ever.
    Repeat(&'static str),
    /// Nothing more, and the connection stays.
    Hold,
    /// The connection ends with a reset.
    Reset,
}

/// The server; it ends with the test's runtime.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Script {
    /// Each connection gets `steps` after its first request; then it ends.
    pub(super) async fn start(steps: Vec<Step>) -> Self {
        Self::answering(move |_, _| steps.clone()).await
    }

    /// Says the same text to all.
    pub(super) async fn saying(text: &str) -> Self {
        Self::start(vec![Step::Say(text.to_owned())]).await
    }

    /// `of`: number of the connection and its request → what is answered.
    pub(super) async fn answering(of: impl Fn(usize, &str) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (all, of) = (Arc::clone(&seen), Arc::new(of));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (all, of) = (Arc::clone(&all), Arc::clone(&of));
                tokio::spawn(async move { drop(serve(stream, &all, &*of).await) });
            }
        });
        Self { address, seen }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests so far.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    all: &Mutex<Vec<String>>,
    of: &(dyn Fn(usize, &str) -> Vec<Step> + Send + Sync),
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).await?;
        request.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if n == 0 {
                return Ok(());
            }
            continue;
        };
        let length =
            head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break;
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let number = {
        let mut all = all.lock().unwrap();
        all.push(text.clone());
        all.len() - 1
    };
    for step in of(number, &text) {
        match step {
            Step::Say(text) => stream.write_all(text.as_bytes()).await?,
            Step::Wait(time) => tokio::time::sleep(time).await,
            Step::Repeat(text) => loop {
                stream.write_all(text.as_bytes()).await?;
            },
            Step::Hold => while stream.read(&mut buffer).await? > 0 {},
            Step::Reset => {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
                return Ok(());
            }
        }
    }
    stream.shutdown().await
}
