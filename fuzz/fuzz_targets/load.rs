//! What clients load: connections and pools, from a section with anything in it to what the engine takes.
//!
//! The input is text, a line each for a value (`children.net.mode=tunnel`) or a list
//! (`remote_addrs:192.0.2.1,hub.example`), so that a dictionary of keys gets far. What is taken has to hold
//! together; what is refused has to be told in words.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use tidegate::vici::codec::{decode, encode};
use tidegate::vici::load::{Described, DescribedPool};
use tidegate::vici::{Element, Message};
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::connection::{LocalIdentity, RemoteIdentity};
use tidegate_ike::crypto::Secret;
use tidegate_ike::identity::Identity;

fuzz_target!(|input: &[u8]| {
    let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let section = section(&lines, 0);
    let mut bytes = Vec::new();
    if encode(&section, &mut bytes).is_ok() {
        // Deeper ones than are taken from a client are written all the same.
        let _ = decode(&bytes).map(|again| assert_eq!(again, section));
    }
    connection(&section);
    pool(&section);
});

/// The section that these lines are about, of each of which `depth` names have been read already.
fn section(lines: &[&[u8]], depth: usize) -> Message {
    let mut message = Message::new();
    let mut rest = lines;
    while let Some((line, others)) = rest.split_first() {
        let Some(name) = segment(line, depth) else {
            rest = others;
            continue;
        };
        match name {
            Segment::Section(name) if depth < 6 => {
                let same =
                    |line: &&&[u8]| matches!(segment(line, depth), Some(Segment::Section(it)) if it == name);
                let end = rest.iter().take_while(same).count();
                message.put_section(&String::from_utf8_lossy(name), section(&rest[..end], depth + 1));
                rest = &rest[end..];
            }
            Segment::Section(_) => rest = others,
            Segment::Value(name, value) => {
                message.push(String::from_utf8_lossy(name).into_owned(), Element::Value(value.to_vec()));
                rest = others;
            }
            Segment::List(name, items) => {
                let items = items.split(|byte| *byte == b',').map(<[u8]>::to_vec).collect();
                message.push(String::from_utf8_lossy(name).into_owned(), Element::List(items));
                rest = others;
            }
        }
    }
    message
}

/// What a line says in a section.
enum Segment<'a> {
    Section(&'a [u8]),
    Value(&'a [u8], &'a [u8]),
    List(&'a [u8], &'a [u8]),
}

fn segment(line: &[u8], depth: usize) -> Option<Segment<'_>> {
    let mut rest = line;
    for _ in 0..depth {
        let dot = rest.iter().position(|byte| *byte == b'.')?;
        rest = &rest[dot + 1..];
    }
    let end = rest.iter().position(|byte| b".=:".contains(byte))?;
    let (name, value) = (&rest[..end], &rest[end + 1..]);
    Some(match rest[end] {
        b'.' => Segment::Section(name),
        b'=' => Segment::Value(name, value),
        _ => Segment::List(name, value),
    })
}

fn connection(section: &Message) {
    let described = match Described::read("fuzz", section) {
        Ok(described) => described,
        Err(fault) => return assert!(!fault.to_string().is_empty()),
    };
    for warning in &described.warnings {
        assert!(!warning.to_string().is_empty());
    }
    assert!(!described.local.is_empty() && !described.remote.is_empty());
    let secret = || Secret::new(b"known to both".to_vec());
    let local = described.local.iter().map(|round| LocalIdentity {
        identity: round.identity.clone().unwrap_or(Identity::Fqdn("fuzz".into())),
        auth: Arc::new(LocalAuth::Psk(secret())),
    });
    let remote = described.remote.iter().map(|round| RemoteIdentity {
        identity: round.identity.clone(),
        auth: Arc::new(RemoteAuth::Psk(secret())),
    });
    let connection = described.connection(local.collect(), remote.collect()).expect("there are rounds");
    assert_eq!(connection.name().as_ref(), "fuzz");
    assert!(!connection.ike.proposals.is_empty(), "with nothing to offer there is no SA");
    for child in &connection.children {
        assert!(!child.config.proposals.is_empty());
        assert!(!child.config.local.is_empty() && !child.config.remote.is_empty());
    }
}

fn pool(section: &Message) {
    match DescribedPool::read("fuzz", section) {
        Ok(described) => {
            let addresses = described.pool.addresses;
            assert!(addresses.start() <= addresses.end());
            assert_eq!(described.base.is_ipv4(), addresses.start().is_ipv4());
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
}
