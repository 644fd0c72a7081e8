//! A client of the control interface that sends anything, to a server behind which commands of all kinds
//! succeed, fail, take their time and bring events about.
//!
//! The first byte says in pieces of which size the rest arrives. Packets that mean something must survive being
//! written and read; what the server sends must make sense, and be no more answers than there were questions.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tidegate::connection::Connection;
use tidegate::engine::{Manner, Selection, Target};
use tidegate::event::Event;
use tidegate::io::udp::RawEsp;
use tidegate::status::{ConfiguredChild, ConnectionStatus, CountersReport};
use tidegate::vici::codec::{decode, encode};
use tidegate::vici::packet::{MAX_PACKET, Packet};
use tidegate::vici::{Control, Refusal, serve};
use tidegate_ike::pool::{Pool, PoolReport};
use tidegate_ike::tally::{Tallies, Tally, TallyOf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

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
        // Whoever closes is gone: give what is under way the time to end.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let _ = output.shutdown().await;
    };
    let mut sent = Vec::new();
    let receiving = async { input.read_to_end(&mut sent).await.expect("memory does not fail") };
    let server = async { serve(Daemon::default(), theirs).await };
    tokio::join!(sending, receiving, server);
    sent
}

fn check(stream: &[u8], sent: &[u8]) {
    let asked = packets(stream).filter(|packet| matches!(packet.first(), Some(0 | 3 | 4))).count();
    let mut answers = 0;
    let mut length = 0;
    for packet in packets(sent) {
        length += 4 + packet.len();
        match Packet::parse(packet).expect("the server sends packets") {
            Packet::Response { message } => {
                decode(message).expect("an answer makes sense");
                answers += 1;
            }
            Packet::Event { message, .. } => {
                decode(message).expect("an event makes sense");
            }
            Packet::CommandUnknown | Packet::Confirmed | Packet::EventUnknown => answers += 1,
            Packet::Request { .. } | Packet::Register(_) | Packet::Unregister(_) => {
                panic!("servers ask for nothing")
            }
        }
    }
    assert_eq!(length, sent.len(), "a packet is whole");
    assert!(answers <= asked, "{answers} answers to {asked} questions");
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

/// Does nothing, and says so in many ways.
#[derive(Clone, Default)]
struct Daemon {
    listeners: Arc<Mutex<Vec<mpsc::UnboundedSender<Event>>>>,
}

#[derive(Debug)]
struct No {
    unknown: bool,
}

impl fmt::Display for No {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no")
    }
}

impl Refusal for No {
    fn is_about_nothing(&self) -> bool {
        self.unknown
    }
}

struct Listener(mpsc::UnboundedReceiver<Event>);

impl futures_core::Stream for Listener {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_recv(context)
    }
}

impl Daemon {
    /// What becomes of it depends on the name.
    async fn outcome(&self, name: &str) -> Result<usize, No> {
        let event = Event::Trouble { area: "fuzz", message: name.to_owned() };
        self.listeners.lock().expect("not poisoned").retain(|listener| listener.send(event.clone()).is_ok());
        match name.len() % 5 {
            0 => Err(No { unknown: true }),
            1 => Err(No { unknown: false }),
            2 => Ok(0),
            3 => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok(1)
            }
            _ => Ok(2),
        }
    }

    async fn of(&self, selection: Selection) -> Result<usize, No> {
        match selection {
            Selection::Connection(name) | Selection::Child { child: name, .. } => self.outcome(&name).await,
            _ => self.outcome("four").await,
        }
    }
}

impl Control for Daemon {
    type Error = No;
    type Events = Listener;

    async fn initiate(&self, target: Target) -> Result<(), No> {
        let (Target::Connection(name) | Target::Child { child: name, .. }) = target;
        self.outcome(&name).await.map(drop)
    }

    async fn terminate(&self, selection: Selection, _: Manner) -> Result<usize, No> {
        self.of(selection).await
    }

    async fn reauthenticate(&self, selection: Selection) -> Result<usize, No> {
        self.of(selection).await
    }

    async fn install(&self, target: Target) -> Result<(), No> {
        self.initiate(target).await
    }

    async fn uninstall(&self, target: Target) -> Result<(), No> {
        self.initiate(target).await
    }

    async fn rekey(&self, selection: Selection) -> Result<usize, No> {
        self.of(selection).await
    }

    async fn status(&self) -> Result<Vec<ConnectionStatus>, No> {
        let child = ConfiguredChild { name: "net".to_owned(), installed: true, ..ConfiguredChild::default() };
        let site = ConnectionStatus {
            name: "site".to_owned(),
            children: vec![child],
            ..ConnectionStatus::default()
        };
        Ok(vec![site])
    }

    async fn counters(&self) -> Result<CountersReport, No> {
        Ok(CountersReport::default())
    }

    async fn connections(&self) -> Result<Vec<Arc<str>>, No> {
        Ok(vec!["site".into()])
    }

    async fn load(&self, connection: Connection) -> Result<(), No> {
        self.outcome(connection.name()).await.map(drop)
    }

    async fn update(&self, connection: Connection) -> Result<(), No> {
        self.outcome(connection.name()).await.map(drop)
    }

    async fn unload(&self, name: &str) -> Result<(), No> {
        self.outcome(name).await.map(drop)
    }

    async fn load_pool(&self, _: Pool) -> Result<(), No> {
        Ok(())
    }

    async fn unload_pool(&self, _: &str) -> Result<bool, No> {
        Ok(true)
    }

    async fn pools(&self) -> Result<Vec<PoolReport>, No> {
        Ok(Vec::new())
    }

    async fn tallies(&self) -> Result<Tallies, No> {
        Ok(Tallies { all: Tally::default(), by_connection: [("site".into(), Tally::default())].into() })
    }

    async fn reset_tallies(&self, which: TallyOf) -> Result<bool, No> {
        Ok(which == TallyOf::All)
    }

    async fn revocation_lists(&self) -> Vec<Vec<u8>> {
        vec![b"none that can be read".to_vec()]
    }

    async fn forget_revocation_lists(&self) {}

    fn raw_esp(&self) -> RawEsp {
        RawEsp::On
    }

    fn events(&self) -> Listener {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.listeners.lock().expect("not poisoned").push(sender);
        Listener(receiver)
    }
}
