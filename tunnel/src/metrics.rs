//! Metrics for Prometheus, in its text format, over just enough HTTP for it.
//!
//! One page, read by GET and nothing else. A client may be slow for [`PATIENCE`], and there are [`CLIENTS`] at
//! a time; the others wait in the queue of the socket.

mod page;

pub use page::render;

use crate::vici::Control;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// Clients at a time.
pub const CLIENTS: usize = 8;
/// How long a client may take to ask and to read the answer.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Longest head of a request.
pub const LONGEST_REQUEST: usize = 8 << 10;

/// Serves metrics until it is dropped.
#[derive(Debug)]
pub struct Server {
    accepting: JoinHandle<()>,
    address: SocketAddr,
}

impl Server {
    /// Listens. To be called within a tokio runtime.
    ///
    /// There is no password: who may see names of peers and how much they say has to be settled by the address.
    pub async fn start(control: impl Control, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { accepting: tokio::spawn(accept(listener, control)), address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Takes clients in. Their tasks end with this one.
async fn accept(listener: TcpListener, control: impl Control) {
    let places = Arc::new(Semaphore::new(CLIENTS));
    let mut clients = JoinSet::new();
    loop {
        // It is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        while clients.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let control = control.clone();
                clients.spawn(async move {
                    // A client that is too slow, or goes away, is its own loss.
                    let _ = timeout(PATIENCE, answer(stream, &control)).await;
                    drop(place);
                });
            }
            // No more descriptors, most likely; they may come back.
            Err(error) => {
                tracing::debug!(target: "tidegate::metrics", "cannot take a client in: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, control: &impl Control) -> io::Result<()> {
    let (status, body) = match Request::read(&mut stream).await? {
        Request::Metrics => match (control.status().await, control.counters().await) {
            (Ok(status), Ok(counters)) => ("200 OK", render(&status, &counters)),
            _ => ("503 Service Unavailable", "the engine has stopped\n".to_owned()),
        },
        Request::Elsewhere => ("404 Not Found", "metrics are at /metrics\n".to_owned()),
        Request::OtherMethod => ("405 Method Not Allowed", "metrics are read by GET\n".to_owned()),
        Request::TooLong => ("431 Request Header Fields Too Large", String::new()),
        Request::NoHttp => ("400 Bad Request", String::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
    stream.shutdown().await
}

/// What a client wants.
enum Request {
    Metrics,
    Elsewhere,
    OtherMethod,
    TooLong,
    NoHttp,
}

impl Request {
    /// Reads the whole head, of which only the first line says something to us.
    async fn read(stream: &mut TcpStream) -> io::Result<Self> {
        let mut head = Vec::new();
        let mut buffer = [0; 1024];
        while !head.windows(END.len()).any(|end| end == END) {
            if head.len() > LONGEST_REQUEST {
                return Ok(Self::TooLong);
            }
            match stream.read(&mut buffer).await? {
                0 => return Ok(Self::NoHttp),
                length => head.extend(buffer.iter().take(length)),
            }
        }
        Ok(Self::parse(&head))
    }

    fn parse(head: &[u8]) -> Self {
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let Ok(line) = std::str::from_utf8(line) else { return Self::NoHttp };
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("GET"), Some(path), Some(version)) if version.starts_with("HTTP/1.") => {
                let path = path.split('?').next().unwrap_or_default();
                if path == "/metrics" { Self::Metrics } else { Self::Elsewhere }
            }
            (Some(_), Some(_), Some(version)) if version.starts_with("HTTP/") => Self::OtherMethod,
            _ => Self::NoHttp,
        }
    }
}

const END: &[u8] = b"\r\n\r\n";
