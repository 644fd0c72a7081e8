//! Just enough of HTTP to see that TCP gets through, and who it seems to come from.

use crate::support::MARKER;
use crate::support::namespace::Namespace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Every answer is this long, so that full packets cross.
const FILLER: usize = 100_000;

/// A server that tells its name and its caller's address. It ends with this value.
pub(crate) struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens inside a namespace.
    pub(crate) fn start(namespace: &Namespace, name: &str, address: SocketAddr) -> Self {
        let greeting = name.to_owned();
        let page = move |client: SocketAddr| {
            format!("{greeting}\n{}\n{}", client.ip().to_canonical(), MARKER.repeat(FILLER / MARKER.len()))
        };
        Self::start_with(namespace, name, address, page)
    }

    /// The same, with a page of its own for each client.
    pub(crate) fn start_with(
        namespace: &Namespace,
        name: &str,
        address: SocketAddr,
        page: impl Fn(SocketAddr) -> String + Send + 'static,
    ) -> Self {
        let listener = namespace.within(|| TcpListener::bind(address));
        let listener = listener.unwrap_or_else(|error| panic!("{name} at {address}: {error}"));
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let thread = namespace.spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                if is_ready(&listener)
                    && let Ok((stream, client)) = listener.accept()
                {
                    // A client that gives up is its own problem, and shows there.
                    let _ = answer(stream, &page(client));
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn is_ready(listener: &TcpListener) -> bool {
    let wait = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    matches!(poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&wait)), Ok(1..))
}

fn answer(stream: TcpStream, body: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    reader.get_mut().write_all((head + body).as_bytes())
}

/// What a server told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The server's name.
    pub(crate) server: String,
    /// Whom it saw calling.
    pub(crate) client: IpAddr,
}

/// Asks a server from inside a namespace.
pub(crate) fn get(from: &Namespace, server: SocketAddr, limit: Duration) -> io::Result<Answer> {
    from.within(|| {
        let mut stream = TcpStream::connect_timeout(&server, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.write_all(request(server).as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        parse(&answer).ok_or(io::ErrorKind::InvalidData.into())
    })
}

/// What is said to a server.
pub(crate) fn request(server: SocketAddr) -> String {
    format!("GET / HTTP/1.1\r\nHost: {server}\r\nX-Marker: {MARKER}\r\n\r\n")
}

/// What its answer tells, if it is whole.
pub(crate) fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let length: usize = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?.parse().ok()?;
    let mut lines = body.lines();
    let (server, client) = (lines.next()?.to_owned(), lines.next()?.parse().ok()?);
    (body.len() == length).then_some(Answer { server, client })
}
