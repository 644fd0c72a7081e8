//! Values of every message that can be sent.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::net::IpAddr;
use tidegate_esp::{AddressRange, Ports, Spi, TrafficSelector};
use tidegate_ike::wire::*;

pub(crate) fn header() -> impl Strategy<Value = Header> {
    let numbers = (1_u64.., any::<u64>(), any::<u8>(), 0_u8..16, 0_u8..16, any::<u8>(), any::<u32>());
    (numbers, any::<[bool; 3]>()).prop_map(|(numbers, flags)| {
        let (initiator, responder, next_payload, major_version, minor_version, exchange, id) = numbers;
        let [from_initiator, higher_version, response] = flags;
        Header {
            initiator_spi: IkeSpi(initiator),
            responder_spi: IkeSpi(responder),
            next_payload,
            major_version,
            minor_version,
            exchange: ExchangeType::from(exchange),
            from_initiator,
            higher_version,
            response,
            message_id: MessageId(id),
            length: 28,
        }
    })
}

pub(crate) fn sa_init_request() -> impl Strategy<Value = SaInitRequest> {
    let keys = (offer(Protocol::FirstIke), key_exchange(), nonce());
    (option::of(bytes(1..=64)), keys, nat(), any::<bool>(), vec(any::<u16>(), 0..5), notifies()).prop_map(
        |(cookie, (proposals, key_exchange, nonce), nat, fragmentation, signature_hashes, notifies)| {
            SaInitRequest {
                cookie,
                proposals,
                key_exchange,
                nonce,
                nat,
                fragmentation,
                signature_hashes,
                notifies,
            }
        },
    )
}

pub(crate) fn sa_init_response() -> impl Strategy<Value = SaInitResponse> {
    prop_oneof![
        4 => sa_init_accepted().prop_map(SaInitResponse::Accepted),
        1 => bytes(1..=64).prop_map(SaInitResponse::Cookie),
        1 => any::<u16>().prop_map(SaInitResponse::InvalidKe),
        1 => error().prop_map(SaInitResponse::Failed),
    ]
}

fn sa_init_accepted() -> impl Strategy<Value = SaInitAccepted> {
    let keys = (choice(Protocol::FirstIke), key_exchange(), nonce());
    let flags = any::<[bool; 2]>();
    (keys, nat(), certificates(), flags, vec(any::<u16>(), 0..5), notifies()).prop_map(
        |(keys, nat, certificate_requests, [fragmentation, childless], signature_hashes, notifies)| {
            let (proposal, key_exchange, nonce) = keys;
            SaInitAccepted {
                proposal,
                key_exchange,
                nonce,
                nat,
                certificate_requests,
                fragmentation,
                childless,
                signature_hashes,
                notifies,
            }
        },
    )
}

pub(crate) fn auth_request() -> impl Strategy<Value = AuthRequest> {
    let who = (id(), option::of(id()), certificates(), certificates(), option::of(authentication()));
    let mobike = (any::<[bool; 2]>(), option::of(addresses()), option::of(no_nats()));
    (who, option::of(configuration()), option::of(child_offer()), mobike, notifies()).prop_map(
        |(who, configuration, child, mobike, notifies)| {
            let (initiator_id, responder_id, certificates, certificate_requests, authentication) = who;
            let ([initial_contact, mobike], additional_addresses, no_nats_allowed) = mobike;
            AuthRequest {
                initiator_id,
                responder_id,
                certificates,
                certificate_requests,
                authentication,
                configuration,
                child,
                initial_contact,
                mobike,
                additional_addresses,
                no_nats_allowed,
                notifies,
            }
        },
    )
}

pub(crate) fn auth_response() -> impl Strategy<Value = AuthResponse> {
    prop_oneof![
        4 => auth_accepted().prop_map(|accepted| AuthResponse::Accepted(Box::new(accepted))),
        1 => error().prop_map(AuthResponse::Failed),
    ]
}

fn auth_accepted() -> impl Strategy<Value = AuthAccepted> {
    let who = (id(), certificates(), authentication());
    let rest = (any::<bool>(), option::of(addresses()), option::of(any::<u32>()));
    (who, option::of(configuration()), child_outcome(), rest, notifies()).prop_map(
        |(who, configuration, child, rest, notifies)| {
            let (responder_id, certificates, authentication) = who;
            let (mobike, additional_addresses, lifetime) = rest;
            AuthAccepted {
                responder_id,
                certificates,
                authentication,
                configuration,
                child,
                mobike,
                additional_addresses,
                lifetime,
                notifies,
            }
        },
    )
}

fn claimed() -> impl Strategy<Value = Claimed> {
    (id(), certificates(), authentication()).prop_map(|(id, certificates, authentication)| Claimed {
        id,
        certificates,
        authentication,
    })
}

pub(crate) fn further_request() -> impl Strategy<Value = FurtherRequest> {
    (option::of(claimed()), notifies()).prop_map(|(claim, notifies)| FurtherRequest { claim, notifies })
}

pub(crate) fn further_response() -> impl Strategy<Value = FurtherResponse> {
    let accepted = (option::of(claimed()), auth_accepted());
    prop_oneof![
        4 => accepted.prop_map(|(claim, first)| {
            FurtherResponse::Accepted(Box::new(FurtherAccepted { claim, ..FurtherAccepted::from(first) }))
        }),
        // Without a proof beside it, an error may still be about the child alone.
        1 => error()
            .prop_filter("refuses a child", |notify| !notify.kind.refuses_child())
            .prop_map(FurtherResponse::Failed),
    ]
}

fn child_outcome() -> impl Strategy<Value = ChildOutcome> {
    prop_oneof![
        Just(ChildOutcome::Absent),
        child_accepted().prop_map(ChildOutcome::Accepted),
        proptest::sample::select(vec![14_u16, 17, 34, 35, 36, 37, 38, 39, 43, 44])
            .prop_map(|kind| ChildOutcome::Refused(Notify::new(NotifyType(kind)))),
    ]
}

pub(crate) fn create_child_request() -> impl Strategy<Value = CreateChildRequest> {
    prop_oneof![
        child_request().prop_map(CreateChildRequest::Child),
        rekey_ike(offer(Protocol::NextIke)).prop_map(CreateChildRequest::RekeyIke),
    ]
}

fn child_request() -> impl Strategy<Value = ChildRequest> {
    (child_offer(), nonce(), option::of(key_exchange()), option::of(spi()), notifies()).prop_map(
        |(offer, nonce, key_exchange, rekeys, notifies)| ChildRequest {
            offer,
            nonce,
            key_exchange,
            rekeys,
            notifies,
        },
    )
}

pub(crate) fn create_child_response() -> impl Strategy<Value = CreateChildResponse> {
    prop_oneof![
        child_response().prop_map(CreateChildResponse::Child),
        rekey_ike(choice(Protocol::NextIke)).prop_map(CreateChildResponse::RekeyIke),
        any::<u16>().prop_map(CreateChildResponse::InvalidKe),
        error().prop_map(CreateChildResponse::Failed),
    ]
}

fn child_response() -> impl Strategy<Value = ChildResponse> {
    (child_accepted(), nonce(), option::of(key_exchange()), notifies()).prop_map(
        |(child, nonce, key_exchange, notifies)| ChildResponse { child, nonce, key_exchange, notifies },
    )
}

fn rekey_ike<P: std::fmt::Debug>(
    proposals: impl Strategy<Value = P>,
) -> impl Strategy<Value = RekeyIkeMessage<P>> {
    (proposals, nonce(), key_exchange(), notifies()).prop_map(|(proposals, nonce, key_exchange, notifies)| {
        RekeyIkeMessage { proposals, nonce, key_exchange, notifies }
    })
}

pub(crate) fn informational() -> impl Strategy<Value = Informational> {
    let mobike = (any::<[bool; 3]>(), option::of(bytes(8..=64)), nat());
    let addresses = (option::of(addresses()), option::of(no_nats()));
    let rest = (option::of(any::<u32>()), option::of(configuration()));
    (vec(delete(), 0..4), mobike, addresses, rest, notifies_and_errors()).prop_map(
        |(deletes, (flags, cookie2, nat), addresses, (lifetime, configuration), notifies)| {
            let [update_addresses, unexpected_nat, unacceptable_addresses] = flags;
            let (additional_addresses, no_nats_allowed) = addresses;
            Informational {
                deletes,
                update_addresses,
                cookie2,
                nat,
                additional_addresses,
                no_nats_allowed,
                unexpected_nat,
                unacceptable_addresses,
                lifetime,
                configuration,
                notifies,
            }
        },
    )
}

/// What proposals are for, which decides their SPIs.
#[derive(Clone, Copy)]
enum Protocol {
    FirstIke,
    NextIke,
    Child,
}

fn child_offer() -> impl Strategy<Value = ChildOffer> {
    (offer(Protocol::Child), selectors(), selectors(), any::<[bool; 2]>()).prop_map(
        |(proposals, initiator_selectors, responder_selectors, [transport_mode, no_tfc_padding])| {
            ChildOffer { proposals, initiator_selectors, responder_selectors, transport_mode, no_tfc_padding }
        },
    )
}

fn child_accepted() -> impl Strategy<Value = ChildAccepted> {
    (choice(Protocol::Child), selectors(), selectors(), any::<[bool; 2]>()).prop_map(
        |(proposal, initiator_selectors, responder_selectors, [transport_mode, no_tfc_padding])| {
            ChildAccepted {
                proposal,
                initiator_selectors,
                responder_selectors,
                transport_mode,
                no_tfc_padding,
            }
        },
    )
}

fn offer(purpose: Protocol) -> impl Strategy<Value = Vec<Proposal>> {
    vec(choice(purpose), 1..4).prop_map(|mut proposals| {
        for (proposal, number) in proposals.iter_mut().zip(1..) {
            proposal.number = number;
        }
        proposals
    })
}

fn choice(purpose: Protocol) -> impl Strategy<Value = Proposal> {
    let named = match purpose {
        Protocol::FirstIke => Just((ProtocolId::Ike, vec![])).boxed(),
        Protocol::NextIke => (Just(ProtocolId::Ike), bytes(8..=8)).boxed(),
        Protocol::Child => prop_oneof![
            4 => (Just(ProtocolId::Esp), bytes(4..=4)),
            1 => (Just(ProtocolId::Ah), bytes(4..=4)),
            1 => ((4_u8..).prop_map(ProtocolId::Other), bytes(0..=9)),
        ]
        .boxed(),
    };
    (any::<u8>(), named, vec(transform(), 0..8)).prop_map(|(number, (protocol, spi), transforms)| Proposal {
        number,
        protocol,
        spi,
        transforms,
    })
}

fn transform() -> impl Strategy<Value = Transform> {
    (any::<u8>(), any::<u16>(), option::of(any::<u16>())).prop_map(|(kind, id, key_length)| Transform {
        kind,
        id,
        key_length,
        unknown_attribute: false,
    })
}

fn selectors() -> impl Strategy<Value = Selectors> {
    vec((address_range(), any::<u8>(), ports()), 0..5).prop_map(|selectors| {
        selectors
            .into_iter()
            .map(|(addresses, protocol, ports)| TrafficSelector { addresses, protocol, ports })
            .collect()
    })
}

fn address_range() -> impl Strategy<Value = AddressRange> {
    prop_oneof![
        any::<(u32, u32)>()
            .prop_map(|(a, b)| AddressRange::V4 { start: a.min(b).into(), end: a.max(b).into() }),
        any::<(u128, u128)>()
            .prop_map(|(a, b)| AddressRange::V6 { start: a.min(b).into(), end: a.max(b).into() }),
    ]
}

fn ports() -> impl Strategy<Value = Ports> {
    prop_oneof![
        Just(Ports::ANY),
        Just(Ports::Opaque),
        any::<(u16, u16)>().prop_map(|(a, b)| Ports::Range(a.min(b), a.max(b))),
    ]
}

fn configuration() -> impl Strategy<Value = Configuration> {
    (any::<u8>().prop_map(ConfigurationKind::from), vec(attribute(), 0..6))
        .prop_map(|(kind, attributes)| Configuration { kind, attributes })
}

fn attribute() -> impl Strategy<Value = ConfigurationAttribute> {
    use ConfigurationAttribute as Attribute;
    let prefix = || option::of((any::<std::net::Ipv6Addr>(), 0_u8..=128));
    let unknown = prop_oneof![4_u16..8, 16_u16..0x8000];
    prop_oneof![
        any::<Option<std::net::Ipv4Addr>>().prop_map(Attribute::Ip4Address),
        any::<Option<std::net::Ipv4Addr>>().prop_map(Attribute::Ip4Netmask),
        any::<Option<std::net::Ipv4Addr>>().prop_map(Attribute::Ip4Dns),
        any::<Option<(std::net::Ipv4Addr, std::net::Ipv4Addr)>>().prop_map(Attribute::Ip4Subnet),
        prefix().prop_map(Attribute::Ip6Address),
        any::<Option<std::net::Ipv6Addr>>().prop_map(Attribute::Ip6Dns),
        prefix().prop_map(Attribute::Ip6Subnet),
        (unknown, bytes(0..=20)).prop_map(|(number, value)| Attribute::Other(number, value)),
    ]
}

fn key_exchange() -> impl Strategy<Value = KeyExchange> {
    (any::<u16>(), bytes(0..=70)).prop_map(|(group, public)| KeyExchange { group, public })
}

fn id() -> impl Strategy<Value = IdPayload> {
    (any::<u8>(), bytes(0..=40)).prop_map(|(kind, data)| IdPayload { kind, data })
}

fn authentication() -> impl Strategy<Value = AuthPayload> {
    (any::<u8>(), bytes(0..=70)).prop_map(|(method, data)| AuthPayload { method, data })
}

fn certificates() -> impl Strategy<Value = Vec<CertificatePayload>> {
    let certificate = (any::<u8>(), bytes(0..=90));
    vec(certificate.prop_map(|(encoding, data)| CertificatePayload { encoding, data }), 0..4)
}

fn nonce() -> impl Strategy<Value = Vec<u8>> {
    bytes(16..=256)
}

fn nat() -> impl Strategy<Value = NatDetection> {
    (vec(any::<[u8; 20]>(), 0..4), any::<Option<[u8; 20]>>())
        .prop_map(|(sources, destination)| NatDetection { sources, destination })
}

fn addresses() -> impl Strategy<Value = AdditionalAddresses> {
    prop_oneof![
        vec(any::<IpAddr>(), 1..5).prop_map(AdditionalAddresses::Some),
        Just(AdditionalAddresses::None),
    ]
}

fn no_nats() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![bytes(12..=12), bytes(36..=36)]
}

fn delete() -> impl Strategy<Value = Delete> {
    prop_oneof![
        Just(Delete::Ike),
        vec(spi(), 0..6).prop_map(Delete::Esp),
        prop_oneof![Just(0_u8), Just(2), 4_u8..].prop_map(Delete::Other),
    ]
}

fn spi() -> impl Strategy<Value = Spi> {
    (Spi::MIN..).prop_map(|value| Spi::new(value).unwrap())
}

/// Status notifications without a field in any message.
fn notifies() -> impl Strategy<Value = Vec<Notify>> {
    let kinds = prop_oneof![Just(16385_u16), Just(16392), Just(16438), 20000_u16..];
    vec(notify(kinds), 0..4)
}

fn notifies_and_errors() -> impl Strategy<Value = Vec<Notify>> {
    let kinds = prop_oneof![Just(7_u16), Just(11), Just(24), 8192_u16..16384, 20000_u16..];
    vec(notify(kinds), 0..4)
}

/// An error that is no request for another try.
fn error() -> impl Strategy<Value = Notify> {
    notify(prop_oneof![Just(7_u16), Just(14), Just(24), Just(43), 100_u16..16384])
}

fn notify(kinds: impl Strategy<Value = u16>) -> impl Strategy<Value = Notify> {
    let concerns = prop_oneof![
        4 => Just((ProtocolId::None, vec![])),
        1 => (Just(ProtocolId::Esp), bytes(4..=4)),
        1 => (Just(ProtocolId::Ah), bytes(4..=4)),
        1 => ((4_u8..).prop_map(ProtocolId::Other), bytes(1..=8)),
    ];
    (concerns, kinds, bytes(0..=24)).prop_map(|((protocol, spi), kind, data)| Notify {
        protocol,
        spi,
        kind: NotifyType(kind),
        data,
    })
}

fn bytes(length: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), length)
}
