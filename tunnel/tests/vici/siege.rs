//! Hostile clients before a daemon that has tunnels to look after: whatever they do, tunnels stay, and whoever
//! behaves is served.

use crate::fake::{Folder, soon};
use crate::support::{Node, packet};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tidegate::connection::Child;
use tidegate::engine::Target;
use tidegate::vici::packet::MAX_PACKET;
use tidegate::vici::{Client, Message, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;

/// Two nodes with a tunnel, and a server before one of them.
struct Town {
    a: Node,
    b: Node,
    path: PathBuf,
    _server: Server,
    _folder: Folder,
}

impl Town {
    async fn found(octet: u8) -> Self {
        // Both ends of every connection are in this process.
        let limits = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits })
            .expect("up to the hard limit");
        let (a, b) = (Node::start(octet).await, Node::start(octet + 1).await);
        b.manager.load(b.connection_with(&a, Child::new)).await.expect("loadable");
        let connection = a.connection_with(&b, Child::new);
        let name = connection.name().clone();
        a.manager.load(connection).await.expect("loadable");
        soon(a.manager.initiate(Target::Connection(name))).await.expect("both ends agree");
        let folder = Folder::new();
        let path = folder.path().join("vici.sock");
        let server = Server::start(a.manager.clone(), &path).expect("a fresh folder");
        Self { a, b, path, _server: server, _folder: folder }
    }

    /// A session as FabEdge has them: one call, and gone.
    async fn assert_served(&self) {
        let mut client = Client::connect(&self.path).await.expect("it listens");
        let mut sas = Vec::new();
        let all = Message::new();
        let answer = client.stream("list-sas", "list-sa", &all, |sa| sas.push(sa));
        soon(answer).await.expect("it is answered");
        let states: Vec<_> = sas.iter().flat_map(Message::sections).map(|(_, sa)| sa.text("state")).collect();
        assert_eq!(states, [Some("ESTABLISHED")]);
    }

    /// Packets go through, so that nothing of the tunnel is lost.
    async fn assert_standing(&self) {
        let sent = packet(&self.a, &self.b, b"still here");
        self.a.inside.send(&sent).expect("the device takes it");
        assert_eq!(self.b.receive().await, sent);
        self.assert_served().await;
    }
}

async fn attack(path: &Path, bytes: Vec<u8>) {
    let mut stream = UnixStream::connect(path).await.expect("it listens");
    // The server may have had enough before it is over.
    let _ = stream.write_all(&bytes).await;
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_millis(50), stream.read_to_end(&mut rest)).await;
}

/// Bytes that look like nothing; always the same.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A request for `list-sas` with these bytes for arguments.
fn request(arguments: &[u8]) -> Vec<u8> {
    let length = u32::try_from(10 + arguments.len()).expect("short").to_be_bytes();
    [&length, &[0, 8][..], b"list-sas", arguments].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_at_once_are_all_answered() {
    let town = Town::found(110).await;
    let mut crowd = JoinSet::new();
    for _ in 0..1000 {
        let path = town.path.clone();
        crowd.spawn(async move {
            let mut client = loop {
                // More than the backlog holds come at the same moment.
                match Client::connect(&path).await {
                    Ok(client) => break client,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            };
            client.request("version", &Message::new()).await.is_ok()
        });
    }
    let answered = soon(crowd.join_all()).await;
    // Who has been idle for longest may have had to go when there were too few descriptors for all.
    assert!(answered.iter().filter(|answered| **answered).count() >= 900, "{answered:?}");
    town.assert_standing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_one_call_are_served_however_many_hang_around() {
    let town = Town::found(112).await;
    let mut crowd = Vec::new();
    let begun = Instant::now();
    for number in 0..1200 {
        let mut stream = UnixStream::connect(&town.path).await.expect("it listens");
        if number % 2 == 0 {
            let _ = stream.write_all(&[0, 0]).await;
        }
        crowd.push(stream);
        if number % 10 == 0 {
            town.assert_served().await;
        }
    }
    let taken = begun.elapsed();
    assert!(taken < Duration::from_secs(30), "{taken:?}");
    town.assert_standing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_ends_its_own_session_alone() {
    let town = Town::found(114).await;
    for seed in 0..60 {
        attack(&town.path, noise(seed, 4096)).await;
        // As the arguments of a command, and as a packet of its own.
        attack(&town.path, request(&noise(seed, 300))).await;
        attack(&town.path, [&[0, 0, 1, 0][..], &noise(seed, 256)].concat()).await;
    }
    town.assert_standing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_packet_holds_nobody_up() {
    let town = Town::found(116).await;
    let whole = request(b"\x03\x03ike\x00\x06to-117");
    let mut halves = Vec::new();
    for length in 1..whole.len() {
        let mut stream = UnixStream::connect(&town.path).await.expect("it listens");
        stream.write_all(&whole[..length]).await.expect("it is open");
        halves.push(stream);
    }
    town.assert_standing().await;
    drop(halves);
    town.assert_standing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_a_byte_now_and_then_costs_a_seat_and_no_more() {
    let town = Town::found(118).await;
    let mut slow = JoinSet::new();
    for _ in 0..50 {
        let path = town.path.clone();
        slow.spawn(async move {
            let mut stream = UnixStream::connect(&path).await.expect("it listens");
            for byte in request(&[]) {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    let begun = Instant::now();
    for _ in 0..50 {
        town.assert_served().await;
    }
    let taken = begun.elapsed();
    assert!(taken < Duration::from_secs(5), "{taken:?}");
    town.assert_standing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_length_takes_no_memory() {
    let town = Town::found(120).await;
    let before = resident();
    let most = u32::try_from(MAX_PACKET).expect("small");
    let mut liars = Vec::new();
    for number in 0..200 {
        let length = if number % 2 == 0 { u32::MAX } else { most };
        let mut stream = UnixStream::connect(&town.path).await.expect("it listens");
        let _ = stream.write_all(&length.to_be_bytes()).await;
        liars.push(stream);
    }
    town.assert_standing().await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 50 << 20, "what was announced is {} bytes, and {grown} were taken", 100 * MAX_PACKET);
}

#[tokio::test(flavor = "multi_thread")]
async fn nesting_without_end_is_answered_with_a_refusal() {
    let town = Town::found(122).await;
    let sections: Vec<u8> = b"\x01\x01s".repeat(100_000);
    // More than a message may have, under names of three letters.
    let name = |number: u32| [14, 7, 0].map(|shift| (number >> shift) as u8 % 128);
    let values: Vec<u8> =
        (0..66_000).flat_map(|number| [&[3, 3][..], &name(number), &[0, 0]].concat()).collect();
    let list = [&b"\x04\x01l"[..], &b"\x05\x00\x00".repeat(150_000)].concat();
    for bomb in [sections, values, list] {
        let mut stream = UnixStream::connect(&town.path).await.expect("it listens");
        stream.write_all(&request(&bomb)).await.expect("it is no longer than a packet may be");
        let mut length = [0; 4];
        soon(stream.read_exact(&mut length)).await.expect("an answer");
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        soon(stream.read_exact(&mut body)).await.expect("an answer");
        let answer = tidegate::vici::codec::decode(&body[1..]).expect("ours makes sense");
        assert_eq!(answer.text("success"), Some("no"));
    }
    town.assert_standing().await;
}

/// Memory of this process that is there, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("always there");
    let kilobytes: usize =
        line.split_whitespace().next().and_then(|text| text.parse().ok()).expect("a number");
    kilobytes * 1024
}
