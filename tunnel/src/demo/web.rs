//! What the nodes have to say to each other: a page, and bytes without end.

use super::Cause;
use crate::io::netstack::{Netstack, TcpListener, TcpStream};
use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

const PAGES: u16 = 80;
const BYTES: u16 = 9000;
const BACKLOG: usize = 16;
/// Neither requests nor pages are longer.
const LONGEST: u64 = 4096;

/// Serves until the runtime ends.
pub(super) fn serve(stack: &Netstack, name: String) -> io::Result<()> {
    let any = |port| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    tokio::spawn(serve_pages(stack.listen(any(PAGES), BACKLOG)?, name));
    tokio::spawn(serve_bytes(stack.listen(any(BYTES), BACKLOG)?));
    Ok(())
}

/// What `name` says.
pub(super) fn page(name: &str) -> String {
    format!("This is {name}.\n")
}

/// Fetches a peer's page.
pub(super) async fn get(stack: &Netstack, peer: IpAddr, patience: Duration) -> Result<String, Cause> {
    let exchange = async {
        let mut stream = stack.connect(SocketAddr::new(peer, PAGES)).await?;
        let request = format!("GET / HTTP/1.1\r\nHost: {peer}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.take(LONGEST).read_to_string(&mut answer).await?;
        let body = answer.strip_prefix("HTTP/1.1 200 OK\r\n").and_then(|rest| rest.split_once("\r\n\r\n"));
        body.map(|(_, page)| page.to_owned()).ok_or(Cause::WrongPage(answer))
    };
    tokio::time::timeout(patience, exchange).await?
}

async fn serve_pages(listener: TcpListener, name: String) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, page(&name)));
    }
}

async fn answer(mut stream: TcpStream, page: String) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && (request.len() as u64) < LONGEST {
        request.push(stream.read_u8().await?);
    }
    let status = if request.starts_with(b"GET / HTTP/1.") { "200 OK" } else { "404 Not Found" };
    let length = page.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(page.as_bytes()).await?;
    stream.shutdown().await
}

async fn serve_bytes(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(pour(stream));
    }
}

/// Sends until the peer ends its side, then the SHA-256 of all that was sent.
async fn pour(stream: TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut sum = Context::new(&SHA256);
    let mut enough = [0; 1];
    let ended = reader.read(&mut enough);
    tokio::pin!(ended);
    for round in 0_u64.. {
        let block: Vec<u8> = (0..2048_u64).flat_map(|word| (round << 11 | word).to_le_bytes()).collect();
        tokio::select! {
            biased;
            _ = &mut ended => break,
            () = std::future::ready(()) => {}
        }
        // A block that is begun is sent whole, so that the sum is right.
        writer.write_all(&block).await?;
        sum.update(&block);
    }
    writer.write_all(sum.finish().as_ref()).await?;
    writer.shutdown().await
}

/// Bytes on their way here.
pub(super) struct Download {
    stream: TcpStream,
    sum: Context,
    /// The last bytes may be the checksum.
    held: Vec<u8>,
    length: u64,
}

impl Download {
    pub(super) async fn open(stack: &Netstack, peer: IpAddr, patience: Duration) -> Result<Self, Cause> {
        let stream = tokio::time::timeout(patience, stack.connect(SocketAddr::new(peer, BYTES))).await??;
        Ok(Self { stream, sum: Context::new(&SHA256), held: Vec::new(), length: 0 })
    }

    /// Reads until it is told to stop and the peer has: how many bytes came, all of them right.
    pub(super) async fn run(&mut self, stop: &Notify) -> Result<u64, Cause> {
        let mut buffer = vec![0; 64 << 10];
        let mut stopped = false;
        loop {
            tokio::select! {
                read = self.stream.read(&mut buffer) => match read? {
                    0 => break,
                    length => self.take(buffer.get(..length).unwrap_or_default()),
                },
                () = stop.notified(), if !stopped => stopped = true,
            }
            if stopped {
                self.stream.shutdown().await?;
            }
        }
        let sum = std::mem::replace(&mut self.sum, Context::new(&SHA256)).finish();
        if sum.as_ref() != self.held || self.length == 0 {
            return Err(Cause::WrongBytes(self.length));
        }
        Ok(self.length)
    }

    fn take(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        let sure = self.held.len().saturating_sub(SHA256_OUTPUT_LEN);
        self.sum.update(self.held.drain(..sure).as_slice());
        self.length += sure as u64;
    }
}
