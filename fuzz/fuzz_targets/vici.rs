//! Anything a client may send: what is understood must survive being written and read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::vici::codec::{decode, encode};
use tidegate::vici::packet::Packet;

fuzz_target!(|packet: &[u8]| {
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
});
