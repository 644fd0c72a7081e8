//! Writes the seed corpora under `seeds/` from messages of our own: `cargo run --example seeds` in `fuzz/`.

mod chains;
mod control;
mod conversations;
mod packets;
mod streams;
mod texts;

use std::path::Path;
use tidegate_esp::{AddressRange, Ports, Spi, TrafficSelector};
use tidegate_ike::wire::{
    AdditionalAddresses, AuthAccepted, AuthPayload, AuthRequest, AuthResponse, CertificatePayload,
    ChildAccepted, ChildOffer, ChildOutcome, ChildRequest, ChildResponse, Configuration,
    ConfigurationAttribute, ConfigurationKind, CreateChildRequest, CreateChildResponse, Delete, Envelope,
    ExchangeType, Header, IdPayload, IkeSpi, Informational, KeyExchange, MessageId, NatDetection, Notify,
    NotifyType, Part, Proposal, ProtocolId, RekeyIkeMessage, SaInitAccepted, SaInitRequest, SaInitResponse,
    SealingSizes, Selectors, Transform, split,
};

use ExchangeType::{CreateChildSa, IkeAuth, IkeSaInit, Informational as Info};

fn main() -> std::io::Result<()> {
    let clear = [
        ("sa_init_request", header(IkeSaInit, false), sa_init_request().emit()),
        ("sa_init_response", header(IkeSaInit, true), sa_init_response().emit()),
        ("sa_init_cookie", header(IkeSaInit, true), SaInitResponse::Cookie(vec![1; 24]).emit()),
        ("sa_init_invalid_ke", header(IkeSaInit, true), SaInitResponse::InvalidKe(19).emit()),
    ];
    for (name, header, chain) in clear {
        save("message", name, &header.emit_with(&chain).expect("short"))?;
    }
    let protected = [
        ("auth_request", header(IkeAuth, false), auth_request().emit()),
        ("auth_response", header(IkeAuth, true), auth_response().emit()),
        ("auth_failed", header(IkeAuth, true), AuthResponse::Failed(failure()).emit()),
        ("child_request", header(CreateChildSa, false), child_request().emit()),
        ("child_response", header(CreateChildSa, true), child_response().emit()),
        ("rekey_ike_request", header(CreateChildSa, false), rekey_ike_request().emit()),
        ("rekey_ike_response", header(CreateChildSa, true), rekey_ike_response().emit()),
        ("informational", header(Info, false), informational().emit()),
        ("liveness", header(Info, true), Informational::default().emit()),
    ];
    // The target opens an envelope as if there were no cipher.
    let bare = SealingSizes { iv: 0, block: 1, icv: 0 };
    for (name, header, chain) in &protected {
        save("message", name, &Envelope::whole(header, chain, bare).expect("short").datagram)?;
    }
    let (_, header, chain) = &protected[0];
    for fragment in split(chain, 200, bare).expect("few fragments") {
        let Part::Fragment { number, .. } = fragment.part else { continue };
        let envelope = Envelope::lay_out(header, fragment.part, fragment.first, fragment.plain, bare);
        save("message", &format!("fragment_{number}"), &envelope.expect("short").datagram)?;
    }

    // Records of number, total, first payload and length.
    save("fragments", "in_order", &[1, 3, 35, 9, 2, 3, 0, 9, 3, 3, 0, 4])?;
    save("fragments", "out_of_order_with_duplicates", &[3, 3, 0, 9, 3, 3, 0, 9, 1, 3, 35, 9, 2, 3, 0, 1])?;
    save("fragments", "larger_total", &[1, 2, 35, 9, 1, 3, 35, 5, 2, 2, 0, 9, 2, 3, 0, 5, 3, 3, 0, 5])?;
    save("fragments", "bad_numbers", &[0, 2, 35, 1, 3, 2, 0, 1, 0, 0, 0, 0, 255, 255, 1, 1, 1, 65, 1, 1])?;
    let large: Vec<u8> = (1..=12).flat_map(|number| [number, 12, 35, 255]).collect();
    save("fragments", "too_long", &large)?;
    conversations::save_all()?;
    chains::save_all()?;
    control::save_all()?;
    packets::save_all()?;
    streams::save_all()?;
    texts::save_all()
}

fn save(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(name), bytes)
}

fn header(exchange: ExchangeType, response: bool) -> Header {
    Header {
        initiator_spi: IkeSpi(0x1122_3344_5566_7788),
        responder_spi: IkeSpi(if exchange == IkeSaInit && !response { 0 } else { 0x99aa_bbcc_ddee_ff00 }),
        next_payload: 0,
        major_version: Header::MAJOR_VERSION,
        minor_version: 0,
        exchange,
        from_initiator: !response,
        higher_version: false,
        response,
        message_id: MessageId(if exchange == IkeSaInit { 0 } else { 1 }),
        length: 0,
    }
}

fn sa_init_request() -> SaInitRequest {
    SaInitRequest {
        cookie: Some(vec![7; 24]),
        proposals: vec![proposal(1, ProtocolId::Ike, &[]), proposal(2, ProtocolId::Ike, &[])],
        key_exchange: key_exchange(),
        nonce: vec![3; 32],
        nat: nat(),
        fragmentation: true,
        signature_hashes: vec![2, 3, 4, 5],
        notifies: vec![Notify::new(NotifyType::REDIRECT_SUPPORTED)],
    }
}

fn sa_init_response() -> SaInitResponse {
    SaInitResponse::Accepted(SaInitAccepted {
        proposal: proposal(1, ProtocolId::Ike, &[]),
        key_exchange: key_exchange(),
        nonce: vec![4; 32],
        nat: nat(),
        certificate_requests: vec![CertificatePayload { encoding: 4, data: vec![6; 20] }],
        fragmentation: true,
        childless: true,
        signature_hashes: vec![2],
        notifies: vec![],
    })
}

fn auth_request() -> AuthRequest {
    AuthRequest {
        initiator_id: IdPayload { kind: 2, data: b"edge.example".to_vec() },
        responder_id: Some(IdPayload { kind: 3, data: b"hub@example".to_vec() }),
        certificates: vec![CertificatePayload { encoding: 4, data: vec![0x30; 60] }],
        certificate_requests: vec![CertificatePayload { encoding: 4, data: vec![6; 20] }],
        authentication: Some(AuthPayload { method: 14, data: vec![5; 64] }),
        configuration: Some(configuration(ConfigurationKind::Request)),
        child: Some(offer()),
        initial_contact: true,
        mobike: true,
        additional_addresses: Some(addresses()),
        no_nats_allowed: Some(vec![1; 12]),
        notifies: vec![],
    }
}

fn auth_response() -> AuthResponse {
    AuthResponse::Accepted(Box::new(AuthAccepted {
        responder_id: IdPayload { kind: 1, data: vec![192, 0, 2, 1] },
        certificates: vec![],
        authentication: AuthPayload { method: 2, data: vec![5; 32] },
        configuration: Some(configuration(ConfigurationKind::Reply)),
        child: ChildOutcome::Accepted(accepted()),
        mobike: true,
        additional_addresses: Some(AdditionalAddresses::None),
        lifetime: Some(3600),
        notifies: vec![],
    }))
}

fn child_request() -> CreateChildRequest {
    CreateChildRequest::Child(ChildRequest {
        offer: offer(),
        nonce: vec![8; 32],
        key_exchange: Some(key_exchange()),
        rekeys: spi(),
        notifies: vec![],
    })
}

fn child_response() -> CreateChildResponse {
    CreateChildResponse::Child(ChildResponse {
        child: accepted(),
        nonce: vec![9; 32],
        key_exchange: None,
        notifies: vec![Notify::new(NotifyType::ADDITIONAL_TS_POSSIBLE)],
    })
}

fn rekey_ike_request() -> CreateChildRequest {
    CreateChildRequest::RekeyIke(RekeyIkeMessage {
        proposals: vec![proposal(1, ProtocolId::Ike, &[1, 2, 3, 4, 5, 6, 7, 8])],
        nonce: vec![8; 32],
        key_exchange: key_exchange(),
        notifies: vec![],
    })
}

fn rekey_ike_response() -> CreateChildResponse {
    CreateChildResponse::RekeyIke(RekeyIkeMessage {
        proposals: proposal(1, ProtocolId::Ike, &[8, 7, 6, 5, 4, 3, 2, 1]),
        nonce: vec![8; 32],
        key_exchange: key_exchange(),
        notifies: vec![],
    })
}

fn informational() -> Informational {
    Informational {
        deletes: vec![Delete::Ike, Delete::Esp(spi().into_iter().collect()), Delete::Other(2)],
        update_addresses: true,
        cookie2: Some(vec![2; 16]),
        nat: nat(),
        additional_addresses: Some(addresses()),
        no_nats_allowed: Some(vec![1; 36]),
        unexpected_nat: true,
        unacceptable_addresses: true,
        lifetime: Some(60),
        configuration: Some(configuration(ConfigurationKind::Set)),
        notifies: vec![failure()],
    }
}

fn offer() -> ChildOffer {
    ChildOffer {
        proposals: vec![
            proposal(1, ProtocolId::Esp, &[1, 2, 3, 4]),
            proposal(2, ProtocolId::Esp, &[1, 2, 3, 4]),
        ],
        initiator_selectors: selectors(),
        responder_selectors: selectors(),
        transport_mode: true,
        no_tfc_padding: true,
    }
}

fn accepted() -> ChildAccepted {
    ChildAccepted {
        proposal: proposal(2, ProtocolId::Esp, &[4, 3, 2, 1]),
        initiator_selectors: selectors(),
        responder_selectors: selectors(),
        transport_mode: false,
        no_tfc_padding: true,
    }
}

fn proposal(number: u8, protocol: ProtocolId, spi: &[u8]) -> Proposal {
    let transform = |kind, id, key_length| Transform { kind, id, key_length, unknown_attribute: false };
    let transforms = vec![
        transform(1, 20, Some(256)),
        transform(2, 5, None),
        transform(3, 12, None),
        transform(4, 31, None),
        transform(5, 0, None),
    ];
    Proposal { number, protocol, spi: spi.to_vec(), transforms }
}

fn key_exchange() -> KeyExchange {
    KeyExchange { group: 31, public: vec![0xa5; 32] }
}

fn nat() -> NatDetection {
    NatDetection { sources: vec![[1; 20], [2; 20]], destination: Some([3; 20]) }
}

fn addresses() -> AdditionalAddresses {
    AdditionalAddresses::Some(vec![[198, 51, 100, 7].into(), [0x20; 16].into()])
}

fn failure() -> Notify {
    Notify::new(NotifyType::AUTHENTICATION_FAILED)
}

fn configuration(kind: ConfigurationKind) -> Configuration {
    let attributes = vec![
        ConfigurationAttribute::Ip4Address(Some([10, 0, 0, 1].into())),
        ConfigurationAttribute::Ip6Address(Some(([0x20; 16].into(), 64))),
        ConfigurationAttribute::Ip4Subnet(Some(([10, 0, 0, 0].into(), [255, 0, 0, 0].into()))),
        ConfigurationAttribute::Ip6Dns(None),
        ConfigurationAttribute::Other(7, b"version".to_vec()),
    ];
    Configuration { kind, attributes }
}

fn selectors() -> Selectors {
    vec![
        TrafficSelector {
            addresses: AddressRange::V4 { start: [10, 0, 0, 0].into(), end: [10, 255, 255, 255].into() },
            protocol: 6,
            ports: Ports::Range(80, 443),
        },
        TrafficSelector {
            addresses: AddressRange::host([0x20; 16].into()),
            protocol: 0,
            ports: Ports::Opaque,
        },
    ]
}

fn spi() -> Option<Spi> {
    Spi::new(0xc0ff_ee01)
}
