//! Class "key exchange values": wrong length, small order, zero; refused before use, and never fatal to what
//! stands.

use crate::evil::{Knock, Scene, hear};
use crate::support::{End, connection};
use tidegate_ike::connection::Connection;
use tidegate_ike::proposal::IkeProposal;
use tidegate_ike::wire::{KeyExchange, Transform};
use tidegate_ike::{Config, Time};

const NOW: Time = Time::from_nanos(1_000_000_000);

/// Points of small order on curve 25519, and what reduces to them.
fn small_order() -> Vec<Vec<u8>> {
    let zero = vec![0; 32];
    let mut one = vec![0; 32];
    one[0] = 1;
    let mut minus_one = vec![0xff; 32];
    minus_one[0] = 0xec;
    minus_one[31] = 0x7f;
    let mut prime = minus_one.clone();
    prime[0] = 0xed;
    let mut prime_and_one = minus_one.clone();
    prime_and_one[0] = 0xee;
    let order_8 = [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
        0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ];
    vec![zero, one, minus_one, prime, prime_and_one, order_8.to_vec()]
}

fn assert_no_trace(proposals: &str, group: u16, public: &[u8]) {
    let mut victim = crate::support::Host::new(1, crate::support::B, Config::default());
    let proposals = IkeProposal::parse_list(proposals).unwrap();
    victim.endpoint.load(Connection { proposals, ..connection(End::B) });
    let knock = Knock::new(1);
    let mut message = knock.message(None);
    for transform in message.proposals[0].transforms.iter_mut().filter(|transform| transform.kind == 4) {
        *transform = Transform { id: group, ..*transform };
    }
    message.key_exchange = KeyExchange { group, public: public.to_vec() };
    hear(&mut victim, NOW, &knock.datagram(&message));
    assert!(victim.endpoint.is_empty(), "group {group}: {public:02x?}");
    assert_eq!(victim.endpoint.resources(), [0, 0, 0]);
    assert!(victim.sent.is_empty());
}

#[test]
fn an_x25519_value_of_small_order_or_wrong_length_leaves_no_trace() {
    for public in small_order() {
        assert_no_trace("aes128gcm16-prfsha256-x25519", 31, &public);
    }
    for length in [0, 1, 31, 33, 64, 4000] {
        assert_no_trace("aes128gcm16-prfsha256-x25519", 31, &vec![9; length]);
    }
}

#[test]
fn a_point_that_is_on_no_curve_leaves_no_trace() {
    for public in [vec![0; 64], vec![0xff; 64], vec![4; 65], vec![2; 33], vec![1; 63], Vec::new()] {
        assert_no_trace("aes128gcm16-prfsha256-ecp256", 19, &public);
    }
}

#[test]
fn zero_one_and_minus_one_are_no_modp_values() {
    let number = |last: u8| {
        let mut bytes = vec![0; 256];
        bytes[255] = last;
        bytes
    };
    for public in [number(0), number(1), vec![0xff; 256], vec![2; 255], vec![2; 257], Vec::new()] {
        assert_no_trace("aes128gcm16-prfsha256-modp2048", 14, &public);
    }
}

/// With keys: a value that makes no secret in a rekey is refused, and what the exchange reserved goes back.
#[test]
fn a_bad_value_in_a_rekey_reserves_nothing() {
    use tidegate_ike::wire::{ChildRequest, CreateChildRequest, ExchangeType};
    for public in small_order().into_iter().chain([Vec::new(), vec![9; 31]]) {
        let mut scene = Scene::established();
        let before = scene.victim.endpoint.resources();
        let number = tidegate_esp::Spi::new(0x6666_0002).unwrap();
        let mut offer = crate::evil::offer(number);
        offer.proposals.truncate(1);
        let group = Transform { kind: 4, id: 31, key_length: None, unknown_attribute: false };
        offer.proposals[0].transforms.push(group);
        let request = ChildRequest {
            offer,
            nonce: vec![7; 32],
            key_exchange: Some(KeyExchange { group: 31, public }),
            rekeys: None,
            notifies: Vec::new(),
        };
        let said = scene.ask(ExchangeType::CreateChildSa, &CreateChildRequest::Child(request).emit());
        assert!(said.is_some());
        assert_eq!(scene.victim.endpoint.resources(), before);
        assert_eq!(scene.victim.children().len(), 1);
    }
}
