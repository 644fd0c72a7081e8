//! Bits that have no meaning (RFC 7296 §2.5, §3.2, §3.13, §3.15).

use crate::evil::Knock;
use crate::puppet::{Stranger, child_request};
use crate::support::Pair;
use tidegate_ike::wire::{
    AuthRequest, Configuration, ConfigurationAttribute, ConfigurationKind, CreateChildRequest, Delete,
    Informational, Notify, NotifyType, PayloadChain, PayloadType, Payloads,
};

fn everything() -> (AuthRequest, Vec<PayloadChain>) {
    let stranger = Stranger::new(&mut Pair::psk(1));
    let mut auth = stranger.proof();
    auth.configuration = Some(Configuration {
        kind: ConfigurationKind::Request,
        attributes: vec![
            ConfigurationAttribute::Ip4Address(None),
            ConfigurationAttribute::Other(900, vec![1]),
        ],
    });
    let informational = Informational {
        deletes: vec![Delete::Ike],
        notifies: vec![Notify::new(NotifyType::INVALID_SYNTAX)],
        ..Informational::default()
    };
    let chains = vec![
        Knock::new(1).message(Some(vec![1; 20])).emit(),
        auth.emit(),
        CreateChildRequest::Child(child_request(0x2000)).emit(),
        informational.emit(),
    ];
    (auth, chains)
}

// RFC 7296 §2.5, §3.2: neither the critical bit nor one of the seven behind it.
#[test]
fn no_payload_that_we_write_is_critical() {
    for chain in everything().1 {
        let mut at = 0;
        for payload in Payloads::new(chain.first, &chain.bytes) {
            let payload = payload.unwrap();
            assert!(!payload.critical);
            assert_eq!(chain.bytes[at + 1], 0, "{}", payload.kind);
            at += Payloads::HEADER + payload.body.len();
        }
    }
}

// RFC 7296 §3.5, §3.8, §3.13, §3.15, §3.15.1
#[test]
fn reserved_bytes_of_payloads_are_sent_as_zero_and_ignored() {
    let (auth, _) = everything();
    let mut chain = auth.emit();
    let mut at = 0;
    let mut touched = 0;
    let clean = chain.clone();
    for payload in Payloads::new(clean.first, &clean.bytes) {
        let payload = payload.unwrap();
        let body = at + Payloads::HEADER;
        let reserved = [
            PayloadType::INITIATOR_ID,
            PayloadType::AUTHENTICATION,
            PayloadType::INITIATOR_SELECTORS,
            PayloadType::RESPONDER_SELECTORS,
            PayloadType::CONFIGURATION,
        ];
        if reserved.contains(&payload.kind) {
            // They are sent as zero.
            assert_eq!(chain.bytes[body + 1..body + 4], [0; 3]);
            chain.bytes[body + 1..body + 4].fill(0xff);
            touched += 1;
        }
        if payload.kind == PayloadType::CONFIGURATION {
            assert_eq!(chain.bytes[body + 4] & 0x80, 0);
            chain.bytes[body + 4] |= 0x80;
        }
        at = body + payload.body.len();
    }
    assert_eq!(touched, 5);
    assert_eq!(AuthRequest::parse(chain.first, &chain.bytes).unwrap(), auth);
}
