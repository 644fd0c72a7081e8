//! TCP.

use crate::wire::{Faults, LEFT, Pair, RIGHT, RIGHT_V6, at};
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tidegate::io::netstack::{TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BULK: usize = 8 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_goes_both_ways_at_once_and_intact() {
    let pair = Pair::new();
    let listener = pair.right.listen(at("0.0.0.0", 80), 4).expect("a listener");
    let (left, right) = meet(&pair, &listener, RIGHT).await;
    let begun = Instant::now();
    let (one, other) = tokio::join!(swap(left, 1, 2, BULK), swap(right, 2, 1, BULK));
    println!("2 x {BULK} bytes in {:?}", begun.elapsed());
    assert!(one && other, "bytes were lost or changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_survives_loss_and_reordering() {
    let pair = Pair::with(Faults { lost: 1, late: 5 }, |_| ());
    let listener = pair.right.listen(at("0.0.0.0", 80), 4).expect("a listener");
    let (left, right) = meet(&pair, &listener, RIGHT_V6).await;
    let (one, other) = tokio::join!(swap(left, 3, 4, BULK / 64), swap(right, 4, 3, BULK / 64));
    assert!(one && other, "bytes were lost or changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_scale_with_large_buffers() {
    let pair = Pair::with(Faults::default(), |settings| settings.tcp_buffer = 1 << 20);
    let listener = pair.right.listen(at("0.0.0.0", 80), 4).expect("a listener");
    let (mut left, _right) = meet(&pair, &listener, RIGHT).await;
    // Nobody reads: what is taken is what both buffers hold, and the window has to say more than 64 KiB for it.
    let mut taken = 0;
    while let Ok(written) = tokio::time::timeout(Duration::from_millis(300), left.write(&[7; 4096])).await {
        taken += written.expect("an open connection");
    }
    assert!(taken > (1 << 20) + (1 << 19), "{taken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_streams_do_not_mix() {
    let pair = Pair::new();
    let listener = pair.right.listen(at("0.0.0.0", 80), 128).expect("a listener");
    let server = tokio::spawn(async move {
        for _ in 0..100 {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(echo(stream));
        }
    });
    let client = |number: u8| {
        let stack = pair.left.clone();
        tokio::spawn(async move {
            let stream = stack.connect(at(RIGHT, 80)).await.expect("a connection");
            swap(stream, number, number, 20_000).await
        })
    };
    let clients: Vec<_> = (0..100).map(client).collect();
    for (number, client) in clients.into_iter().enumerate() {
        assert!(client.await.expect("a client"), "stream {number}");
    }
    server.await.expect("the server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_side_may_end_before_the_other() {
    let pair = Pair::new();
    let listener = pair.right.listen(at("0.0.0.0", 80), 4).expect("a listener");
    let (mut left, mut right) = meet(&pair, &listener, RIGHT).await;
    left.write_all(b"question").await.expect("written");
    left.shutdown().await.expect("shut down");
    let mut question = String::new();
    right.read_to_string(&mut question).await.expect("read to the end");
    assert_eq!(question, "question");
    assert_eq!(left.write(b"more").await.expect_err("it is shut").kind(), ErrorKind::BrokenPipe);
    right.write_all(b"answer").await.expect("written");
    right.shutdown().await.expect("shut down");
    let mut answer = String::new();
    left.read_to_string(&mut answer).await.expect("read to the end");
    assert_eq!(answer, "answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_read_outlives_time_wait() {
    let pair = Pair::new();
    let listener = pair.right.listen(at("0.0.0.0", 80), 4).expect("a listener");
    let (mut left, mut right) = meet(&pair, &listener, RIGHT).await;
    left.shutdown().await.expect("shut down");
    right.write_all(b"late reader").await.expect("written");
    right.shutdown().await.expect("shut down");
    // TIME-WAIT takes ten seconds, and the socket forgets everything with it.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let mut text = String::new();
    left.read_to_string(&mut text).await.expect("read to the end");
    assert_eq!(text, "late reader");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_port_refuses() {
    let pair = Pair::new();
    for address in [RIGHT, RIGHT_V6] {
        let error = pair.left.connect(at(address, 81)).await.expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_peer_times_out() {
    let pair =
        Pair::with(Faults::default(), |settings| settings.connect_timeout = Duration::from_millis(300));
    let begun = Instant::now();
    let error = pair.left.connect(at("10.2.0.77", 80)).await.expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!((250..2000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    assert!(pair.settles_at(0, 0).await, "the attempt is still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_told() {
    let pair = Pair::new();
    let listener = pair.right.listen(at("0.0.0.0", 80), 4).expect("a listener");
    let (mut left, mut right) = meet(&pair, &listener, RIGHT).await;
    right.write_all(b"bye").await.expect("written");
    let mut word = [0; 3];
    left.read_exact(&mut word).await.expect("three bytes");
    right.abort();
    assert_eq!(left.read(&mut word).await.expect_err("it was reset").kind(), ErrorKind::ConnectionReset);
    assert_eq!(left.write(b"x").await.expect_err("it was reset").kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_backlog_makes_peers_wait_and_not_fail() {
    let pair = Pair::new();
    let listener = pair.right.listen(at(RIGHT, 80), 2).expect("a listener");
    let client = |_| {
        let stack = pair.left.clone();
        tokio::spawn(async move { stack.connect(at(RIGHT, 80)).await })
    };
    let clients: Vec<_> = (0..4).map(client).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(clients.iter().filter(|client| client.is_finished()).count(), 2, "two have room");
    assert_eq!(pair.right.sockets(), 2);
    assert!(pair.right.counters().backlog_full >= 2);
    let mut accepted = Vec::new();
    for _ in 0..4 {
        accepted.push(listener.accept().await.expect("a connection"));
    }
    for client in clients {
        client.await.expect("a client").expect("a connection, late as it may be");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_are_given_once() {
    let pair = Pair::new();
    let listener = pair.right.listen(at("::", 0), 64).expect("a listener");
    let port = listener.local_addr().port();
    assert_ne!(port, 0);
    let taken = pair.right.listen(at(RIGHT, port), 1).expect_err("the port is taken");
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    let mut ends = Vec::new();
    for _ in 0..32 {
        ends.push(meet(&pair, &listener, RIGHT).await);
    }
    let mut ports: Vec<_> = ends.iter().map(|(left, _)| left.local_addr().port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 32);
    let again = pair.left.connect_from(at(LEFT, ports[0]), at(RIGHT, port)).await;
    assert_eq!(again.expect_err("the port is taken").kind(), ErrorKind::AddrInUse);
}

async fn meet(pair: &Pair, listener: &TcpListener, address: &str) -> (TcpStream, TcpStream) {
    let there = at(address, listener.local_addr().port());
    let (left, right) = tokio::join!(pair.left.connect(there), listener.accept());
    let (left, (right, from)) = (left.expect("a connection"), right.expect("a connection"));
    assert_eq!((left.local_addr(), left.peer_addr()), (from, there));
    assert_eq!(right.local_addr(), there);
    (left, right)
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; 8192];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// Sends the bytes of one seed and says whether those of the other came, whole and nothing behind them.
async fn swap(stream: TcpStream, sent: u8, expected: u8, length: usize) -> bool {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        let bytes: Vec<u8> = pattern(sent).take(length).collect();
        writer.write_all(&bytes).await.expect("written");
        writer.shutdown().await.expect("shut down");
    };
    let read = async {
        let mut bytes = Vec::with_capacity(length);
        reader.read_to_end(&mut bytes).await.expect("read to the end");
        bytes.len() == length && bytes.into_iter().eq(pattern(expected).take(length))
    };
    tokio::join!(write, read).1
}

fn pattern(seed: u8) -> impl Iterator<Item = u8> {
    (0_u32..).map(move |place| (place.wrapping_mul(2_654_435_761) >> 24) as u8 ^ seed)
}
