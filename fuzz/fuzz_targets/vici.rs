//! A client of the control interface that sends anything, to a server behind which commands of all kinds
//! succeed, fail, take their time and bring events about.
//!
//! The first byte says in pieces of which size the rest arrives. Packets that mean something must survive being
//! written and read. What the server sends must make sense, no event comes that nobody has registered for, and
//! there are no more answers than questions: as many, where nothing else was sent.

#![no_main]

mod daemon;
#[path = "../../tunnel/tests/vici/fake.rs"]
#[allow(dead_code, reason = "tests use the rest of it")]
mod fake;

use daemon::Daemon;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::time::Duration;
use tidegate::vici::codec::{decode, encode};
use tidegate::vici::packet::{MAX_PACKET, Packet};
use tidegate::vici::serve;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fuzz_target!(|input: &[u8]| {
    let Some((&piece, stream)) = input.split_first() else { return };
    packets(stream).for_each(survive);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let sent = runtime.expect("it needs no descriptors").block_on(talk(stream, usize::from(piece) + 1));
    check(stream, &sent);
});

/// All that the server sends to a client that sends this, and then closes its half.
async fn talk(stream: &[u8], piece: usize) -> Vec<u8> {
    let (ours, theirs) = tokio::io::duplex(4096);
    let (mut input, mut output) = tokio::io::split(ours);
    let sending = async {
        for piece in stream.chunks(piece) {
            // The server may have had enough.
            if output.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        // Whoever closes is gone: give what is under way the time to end. It costs none.
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        let _ = output.shutdown().await;
    };
    let mut sent = Vec::new();
    let receiving = async { input.read_to_end(&mut sent).await.expect("memory does not fail") };
    let server = async { serve(Daemon::default(), theirs).await };
    tokio::join!(sending, receiving, server);
    sent
}

fn check(stream: &[u8], sent: &[u8]) {
    let questions: Vec<Question<'_>> = packets(stream).map(Question::of).collect();
    let asked = questions.iter().filter(|question| **question != Question::None).count();
    let registered: BTreeSet<&str> = questions.iter().filter_map(Question::event).collect();
    let mut answers = 0;
    let mut length = 0;
    for packet in packets(sent) {
        length += 4 + packet.len();
        match Packet::parse(packet).expect("the server sends packets") {
            Packet::Response { message } => {
                decode(message).expect("an answer makes sense");
                answers += 1;
            }
            Packet::Event { name, message } => {
                decode(message).expect("an event makes sense");
                assert!(registered.contains(name), "nobody wants to hear of {name}");
            }
            Packet::CommandUnknown | Packet::Confirmed | Packet::EventUnknown => answers += 1,
            Packet::Request { .. } | Packet::Register(_) | Packet::Unregister(_) => {
                panic!("servers ask for nothing")
            }
        }
    }
    assert_eq!(length, sent.len(), "a packet is whole");
    assert!(answers <= asked, "{answers} answers to {asked} questions");
    let whole: usize = packets(stream).map(|packet| 4 + packet.len()).sum();
    if asked == questions.len() && whole == stream.len() {
        assert_eq!(answers, asked, "a question that makes sense is answered");
    }
}

/// What a client's packet asks for.
#[derive(PartialEq, Eq)]
enum Question<'a> {
    Command,
    Register(&'a str),
    Unregister,
    /// Nothing: no packet, or one that clients do not send.
    None,
}

impl<'a> Question<'a> {
    fn of(packet: &'a [u8]) -> Self {
        match Packet::parse(packet) {
            Ok(Packet::Request { .. }) => Self::Command,
            Ok(Packet::Register(name)) => Self::Register(name),
            Ok(Packet::Unregister(_)) => Self::Unregister,
            _ => Self::None,
        }
    }

    fn event(&self) -> Option<&'a str> {
        match self {
            Self::Register(name) => Some(name),
            _ => None,
        }
    }
}

/// Whole packets at the beginning of a stream, without their lengths.
fn packets(mut stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = stream.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        if length > MAX_PACKET {
            return None;
        }
        let (packet, rest) = rest.split_at_checked(length)?;
        stream = rest;
        Some(packet)
    })
}

fn survive(packet: &[u8]) {
    let message = match Packet::parse(packet) {
        Ok(
            Packet::Request { message, .. } | Packet::Response { message } | Packet::Event { message, .. },
        ) => message,
        Ok(_) | Err(_) => return,
    };
    let Ok(tree) = decode(message) else { return };
    let mut bytes = Vec::new();
    encode(&tree, &mut bytes).expect("what was read has no field that is too long");
    assert_eq!(bytes, message, "there is one way to write a message");
    assert_eq!(decode(&bytes), Ok(tree));
}
