//! Metrics for Prometheus, in its text format, over just enough HTTP for it.

use crate::TunnelManager;
use crate::status::{ChildSaStatus, ConnectionStatus, CountersReport, IkeSaStatus};
use std::fmt::{Display, Write};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Clients at a time; whoever comes later waits.
const CLIENTS: usize = 8;
/// A request has this many bytes at most, and this long to come and to be answered.
const LONGEST_REQUEST: usize = 8 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves metrics until it is dropped.
pub struct Server {
    accepting: JoinHandle<()>,
    address: SocketAddr,
}

impl Server {
    /// Listens. Has to be called within a tokio runtime.
    pub async fn start(manager: TunnelManager, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { accepting: tokio::spawn(accept(listener, manager)), address })
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

async fn accept(listener: TcpListener, manager: TunnelManager) {
    let places = Arc::new(Semaphore::new(CLIENTS));
    loop {
        // It is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("no client of metrics: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let manager = manager.clone();
        tokio::spawn(async move {
            // A client that is too slow or goes away is its own loss.
            let _ = timeout(PATIENCE, answer(stream, &manager)).await;
            drop(place);
        });
    }
}

async fn answer(mut stream: TcpStream, manager: &TunnelManager) -> io::Result<()> {
    let request = request(&mut stream).await?;
    let (status, body) = match request.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
        ["GET", "/metrics", ..] => match (manager.status().await, manager.counters().await) {
            (Ok(status), Ok(counters)) => ("200 OK", render(&status, &counters)),
            _ => ("503 Service Unavailable", "the engine has stopped\n".to_owned()),
        },
        ["GET", ..] => ("404 Not Found", "metrics are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "metrics are read by GET\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// The request's first line. The rest of its head is read and says nothing to us.
async fn request(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < LONGEST_REQUEST {
        match stream.read(&mut buffer).await? {
            0 => break,
            length => head.extend(buffer.iter().take(length)),
        }
    }
    let head = String::from_utf8_lossy(&head);
    Ok(head.lines().next().unwrap_or_default().to_owned())
}

/// All metrics as text.
pub fn render(status: &[ConnectionStatus], counters: &CountersReport) -> String {
    let mut page = Page::default();
    connections(&mut page, status);
    ike_sas(&mut page, status);
    children(&mut page, status);
    totals(&mut page, counters);
    page.text
}

fn connections(page: &mut Page, status: &[ConnectionStatus]) {
    page.family("tidegate_connection_up", "gauge", "Whether a configured connection is up.");
    for connection in status {
        let up = u8::from(connection.state == "up");
        page.sample("tidegate_connection_up", &[("connection", &connection.name)], up);
    }
    page.family("tidegate_connection_failures", "gauge", "Failed attempts in a row.");
    for connection in status {
        page.sample("tidegate_connection_failures", &[("connection", &connection.name)], connection.failures);
    }
}

/// What is told of each IKE SA that may say it.
type OfIkeSa = (&'static str, &'static str, fn(&IkeSaStatus) -> Option<f64>);

fn ike_sas(page: &mut Page, status: &[ConnectionStatus]) {
    page.family("tidegate_ike_sas", "gauge", "IKE SAs of a connection.");
    for connection in status {
        page.sample("tidegate_ike_sas", &[("connection", &connection.name)], connection.sas.len());
    }
    const SECOND: f64 = 1000.0;
    let families: [OfIkeSa; 4] = [
        ("tidegate_ike_handshake_seconds", "How long the set-up took.", |sa| Some(sa.handshake_ms? / SECOND)),
        ("tidegate_ike_rtt_seconds", "Round trip time of the last request.", |sa| Some(sa.rtt_ms? / SECOND)),
        ("tidegate_ike_silence_seconds", "Time since the peer proved to be there.", |sa| sa.silence),
        ("tidegate_ike_age_seconds", "Age.", |sa| Some(sa.age)),
    ];
    for (name, help, value) in families {
        page.family(name, "gauge", help);
        for connection in status {
            // One a connection: a series for each SA that ever was would be too many.
            if let Some(value) = connection.sas.last().and_then(value) {
                page.sample(name, &[("connection", &connection.name)], value);
            }
        }
    }
}

fn children(page: &mut Page, status: &[ConnectionStatus]) {
    let current = |connection: &'_ ConnectionStatus| -> Vec<ChildSaStatus> {
        let all = connection.sas.iter().flat_map(|sa| &sa.children);
        all.filter(|child| child.current).cloned().collect()
    };
    page.family("tidegate_child_sas", "gauge", "Child SAs of a connection.");
    for connection in status {
        page.sample("tidegate_child_sas", &[("connection", &connection.name)], current(connection).len());
    }
    page.family("tidegate_child_bytes", "gauge", "Bytes that the current SA of a child has carried.");
    for connection in status {
        for child in current(connection) {
            for (direction, traffic) in [("in", child.received), ("out", child.sent)] {
                let labels = [
                    ("connection", connection.name.as_str()),
                    ("child", child.name.as_str()),
                    ("direction", direction),
                ];
                page.sample("tidegate_child_bytes", &labels, traffic.bytes);
            }
        }
    }
}

fn totals(page: &mut Page, counters: &CountersReport) {
    for (name, help, in_and_out) in [
        ("tidegate_packets_total", "Packets.", [counters.received.packets, counters.sent.packets]),
        ("tidegate_bytes_total", "Bytes of inner packets.", [counters.received.bytes, counters.sent.bytes]),
    ] {
        page.family(name, "counter", help);
        for (direction, count) in ["in", "out"].iter().zip(in_and_out) {
            page.sample(name, &[("direction", direction)], count);
        }
    }
    page.family("tidegate_drops_total", "counter", "What went no further, by reason.");
    for (plane, drops) in [("packet", &counters.packet_drops), ("ike", &counters.ike_drops)] {
        for (reason, count) in drops {
            page.sample("tidegate_drops_total", &[("plane", plane), ("reason", reason)], count);
        }
    }
    page.family("tidegate_events_total", "counter", "What happened how often.");
    for (name, count) in &counters.totals {
        page.sample("tidegate_events_total", &[("event", name)], count);
    }
}

#[derive(Default)]
struct Page {
    text: String,
}

// Writing to a string does not fail.
impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{name}{{");
        for (at, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
            let _ = write!(self.text, "{}{label}=\"{text}\"", if at > 0 { "," } else { "" });
        }
        let _ = writeln!(self.text, "}} {value}");
    }
}
