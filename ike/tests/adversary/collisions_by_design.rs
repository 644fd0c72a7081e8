//! Class "simultaneous rekeys and deletes", by a peer that holds the keys and means harm: authentic messages
//! that no honest engine sends.

use crate::evil::{EVIL_SPI, Scene, offer};
use std::time::Duration;
use tidegate_esp::{Spi, TrafficSelector};
use tidegate_ike::DataEvent;
use tidegate_ike::wire::{
    ChildAccepted, ChildRequest, ChildResponse, CreateChildRequest, CreateChildResponse, Delete,
    ExchangeType, Informational, KeyExchange, Notify, NotifyType, PayloadChain, Proposal, ProtocolId,
    RekeyIkeMessage, Transform,
};

const CREATE: ExchangeType = ExchangeType::CreateChildSa;
const INFORM: ExchangeType = ExchangeType::Informational;

fn spi(number: u32) -> Spi {
    Spi::new(number).unwrap()
}

fn deleting(deletes: Vec<Delete>) -> PayloadChain {
    Informational { deletes, ..Informational::default() }.emit()
}

fn child_request(number: u32) -> ChildRequest {
    ChildRequest {
        offer: offer(spi(number)),
        nonce: vec![7; 32],
        key_exchange: None,
        rekeys: None,
        notifies: Vec::new(),
    }
}

fn ike_request(spi: [u8; 8]) -> RekeyIkeMessage<Vec<Proposal>> {
    let transform = |kind, id, key_length| Transform { kind, id, key_length, unknown_attribute: false };
    let transforms = vec![transform(1, 20, Some(128)), transform(2, 5, None), transform(4, 31, None)];
    RekeyIkeMessage {
        proposals: vec![Proposal { number: 1, protocol: ProtocolId::Ike, spi: spi.to_vec(), transforms }],
        nonce: vec![9; 32],
        key_exchange: KeyExchange { group: 31, public: vec![9; 32] },
        notifies: Vec::new(),
    }
}

impl Scene {
    fn create(&mut self, request: ChildRequest) -> CreateChildResponse {
        let said = self.ask(CREATE, &CreateChildRequest::Child(request).emit()).expect("an answer");
        CreateChildResponse::parse(said.first, &said.bytes).unwrap()
    }

    #[track_caller]
    fn assert_refused(&mut self, request: ChildRequest, kind: NotifyType) {
        let response = self.create(request);
        assert!(
            matches!(&response, CreateChildResponse::Failed(notify) if notify.kind == kind),
            "{response:?}"
        );
        self.assert_stands(1);
    }

    /// The IKE SA stands, with so many children, and answers.
    #[track_caller]
    fn assert_stands(&mut self, children: usize) {
        assert_eq!(self.victim.standing().len(), 1, "{:?}", self.victim.events);
        assert_eq!(self.victim.children().len(), children);
        let alive = self.ask(INFORM, &PayloadChain::default());
        assert!(alive.is_some_and(|said| said.bytes.is_empty()));
    }

    /// The peer falls silent for ever: nothing is left of it.
    #[track_caller]
    fn assert_nothing_leaks(&mut self) {
        self.sleep(Duration::from_secs(5 * 3600));
        assert!(self.victim.endpoint.is_empty());
        assert!(self.victim.installed.is_empty());
        assert_eq!(self.victim.endpoint.resources(), [0, 0, 0]);
        assert_eq!(self.victim.endpoint.fragments_held(), 0);
    }
}

#[test]
fn deletes_of_what_does_not_exist_are_answered_and_change_nothing() {
    let mut scene = Scene::established();
    let ours = scene.evil.child.1;
    let absurd = [
        vec![Delete::Esp(Vec::new())],
        vec![Delete::Esp(vec![spi(0x7777)])],
        // A Delete names what its sender receives on; this one names what the victim does.
        vec![Delete::Esp(vec![ours])],
        vec![Delete::Esp((1000..16_000).map(spi).collect())],
        vec![Delete::Other(2)],
        vec![Delete::Other(77), Delete::Esp(vec![spi(0x8888); 400])],
        (0..60).map(|_| Delete::Esp(vec![spi(0x9999)])).collect(),
    ];
    for deletes in absurd {
        let said = scene.ask(INFORM, &deleting(deletes)).unwrap();
        assert!(said.bytes.is_empty(), "{said:?}");
        scene.assert_stands(1);
    }
    scene.assert_nothing_leaks();
}

#[test]
fn a_child_deleted_twice_in_one_message_is_gone_once() {
    let mut scene = Scene::established();
    let said = scene.ask(INFORM, &deleting(vec![Delete::Esp(vec![spi(EVIL_SPI); 3])])).unwrap();
    let answer = Informational::parse(said.first, &said.bytes).unwrap();
    assert_eq!(answer.deletes, [Delete::Esp(vec![scene.evil.child.1])]);
    scene.assert_stands(0);
    scene.assert_nothing_leaks();
}

#[test]
fn a_delete_of_the_ike_sa_counts_whatever_else_is_deleted_with_it() {
    let mut scene = Scene::established();
    let deletes = vec![Delete::Esp(vec![spi(1000)]), Delete::Ike, Delete::Esp(vec![spi(EVIL_SPI)])];
    assert!(scene.ask(INFORM, &deleting(deletes)).is_some());
    assert!(scene.victim.standing().is_empty());
    assert!(scene.victim.installed.is_empty());
    scene.assert_nothing_leaks();
}

#[test]
fn a_rekey_of_an_unknown_spi_is_told_which_one_it_was() {
    let mut scene = Scene::established();
    let request = ChildRequest { rekeys: Some(spi(0x5555)), ..child_request(0x6666_0002) };
    let CreateChildResponse::Failed(notify) = scene.create(request) else { panic!("accepted") };
    assert_eq!(notify.kind, NotifyType::CHILD_SA_NOT_FOUND);
    assert_eq!(notify.spi, 0x5555_u32.to_be_bytes());
    scene.assert_stands(1);
    scene.assert_nothing_leaks();
}

#[test]
fn a_child_is_rekeyed_only_once_however_often_it_is_asked() {
    let mut scene = Scene::established();
    let again = |number| ChildRequest { rekeys: Some(spi(EVIL_SPI)), ..child_request(number) };
    assert!(matches!(scene.create(again(0x6666_0002)), CreateChildResponse::Child(_)));
    let second = scene.create(again(0x6666_0003));
    assert!(
        matches!(&second, CreateChildResponse::Failed(notify) if notify.kind == NotifyType::TEMPORARY_FAILURE)
    );
    scene.assert_stands(1);
    scene.assert_nothing_leaks();
}

#[test]
fn selectors_of_another_family_or_of_nobody_are_refused() {
    for text in ["2001:db8::/32", "192.0.2.0/24", "255.255.255.255/32"] {
        let mut scene = Scene::established();
        let mut request = child_request(0x6666_0002);
        let selector: TrafficSelector = text.parse().unwrap();
        request.offer.initiator_selectors = vec![selector];
        scene.assert_refused(request, NotifyType::TS_UNACCEPTABLE);
        scene.assert_nothing_leaks();
    }
}

#[test]
fn a_rekey_that_would_carry_less_is_refused() {
    let mut scene = Scene::established();
    let mut request = ChildRequest { rekeys: Some(spi(EVIL_SPI)), ..child_request(0x6666_0002) };
    request.offer.initiator_selectors = vec!["10.1.7.0/24".parse().unwrap()];
    scene.assert_refused(request, NotifyType::TS_UNACCEPTABLE);
}

/// Both are the same to whoever sends on them, so a Delete means both.
#[test]
fn two_children_with_one_spi_go_together() {
    let mut scene = Scene::established();
    assert!(matches!(scene.create(child_request(EVIL_SPI)), CreateChildResponse::Child(_)));
    scene.assert_stands(2);
    scene.ask(INFORM, &deleting(vec![Delete::Esp(vec![spi(EVIL_SPI)])])).unwrap();
    scene.assert_stands(0);
    scene.assert_nothing_leaks();
}

#[test]
fn a_reserved_spi_makes_no_child() {
    for number in [0_u32, 1, 255] {
        let mut scene = Scene::established();
        let mut request = child_request(0x6666_0002);
        for proposal in &mut request.offer.proposals {
            proposal.spi = number.to_be_bytes().to_vec();
        }
        let response = scene.create(request);
        assert!(matches!(response, CreateChildResponse::Failed(_)), "{response:?}");
        assert!(scene.victim.children().len() <= 1);
        scene.assert_nothing_leaks();
    }
}

#[test]
fn children_without_end_end_at_a_limit() {
    let mut scene = Scene::established();
    let mut refused = 0;
    for number in 0..400 {
        if let CreateChildResponse::Failed(notify) = scene.create(child_request(0x6666_1000 + number)) {
            assert_eq!(notify.kind, NotifyType::NO_ADDITIONAL_SAS);
            refused += 1;
        }
    }
    assert_eq!(scene.victim.children().len() + refused, 401);
    assert!(scene.victim.children().len() <= 256);
    scene.assert_nothing_leaks();
}

#[test]
fn a_successor_of_the_ike_sa_with_no_spi_is_refused() {
    let mut scene = Scene::established();
    let request = CreateChildRequest::RekeyIke(ike_request([0; 8]));
    let said = scene.ask(CREATE, &request.emit()).unwrap();
    let response = CreateChildResponse::parse(said.first, &said.bytes).unwrap();
    assert!(matches!(response, CreateChildResponse::Failed(_)), "{response:?}");
    scene.assert_stands(1);
    scene.assert_nothing_leaks();
}

/// The peer makes a successor and is never seen on it.
#[test]
fn a_successor_that_nobody_uses_goes_with_its_children() {
    let mut scene = Scene::established();
    let said = scene.ask(CREATE, &CreateChildRequest::RekeyIke(ike_request([5; 8])).emit()).unwrap();
    assert!(matches!(
        CreateChildResponse::parse(said.first, &said.bytes).unwrap(),
        CreateChildResponse::RekeyIke(_)
    ));
    scene.assert_nothing_leaks();
}

/// RFC 7296 §2.21.3: what does not parse ends the IKE SA, at both ends and without a rest.
#[test]
fn messages_that_do_not_parse_end_the_ike_sa_and_leave_nothing() {
    let chain = |first, bytes: &[u8]| PayloadChain { first, bytes: bytes.to_vec() };
    let nonce = |length: usize| ChildRequest { nonce: vec![7; length], ..child_request(0x6666_0002) };
    let absurd = [
        (CREATE, PayloadChain::default()),
        (CREATE, chain(33, &[0, 0, 0, 4])),
        (CREATE, chain(33, &[0, 0, 0, 3])),
        (CREATE, CreateChildRequest::Child(nonce(15)).emit()),
        (CREATE, CreateChildRequest::Child(nonce(257)).emit()),
        (INFORM, chain(42, &[0, 0, 0, 5, 3])),
        (INFORM, chain(42, &[0, 0, 0, 8, 3, 4, 255, 255])),
        (INFORM, chain(41, &[41, 0, 255, 255])),
        (INFORM, chain(33, &[0, 0, 0, 4])),
        (ExchangeType::IkeAuth, PayloadChain::default()),
        (ExchangeType::Other(38), PayloadChain::default()),
        (ExchangeType::Other(255), chain(41, &[0, 0, 0, 8, 0, 0, 64, 0])),
    ];
    for (exchange, chain) in absurd {
        let mut scene = Scene::established();
        let said = scene.ask(exchange, &chain).unwrap();
        let answer = Informational::parse(said.first, &said.bytes).unwrap();
        assert_eq!(answer.notifies, [Notify::new(NotifyType::INVALID_SYNTAX)], "{exchange:?}");
        assert!(scene.victim.standing().is_empty());
        assert!(scene.victim.installed.is_empty());
        scene.assert_nothing_leaks();
    }
}

/// RFC 7296 §2.5: it is named, and the IKE SA goes on.
#[test]
fn an_unknown_payload_that_must_be_understood_is_refused_alone() {
    let mut scene = Scene::established();
    let critical = PayloadChain { first: 200, bytes: vec![0, 0x80, 0, 4] };
    for exchange in [CREATE, INFORM] {
        let said = scene.ask(exchange, &critical).unwrap();
        let answer = Informational::parse(said.first, &said.bytes).unwrap();
        let kind = NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD;
        assert_eq!(answer.notifies, [Notify::with_data(kind, vec![200])]);
    }
    scene.assert_stands(1);
}

/// What the victim asks for is answered with anything but a proper answer.
#[test]
fn absurd_answers_leave_no_child_and_no_spi_behind() {
    for case in 0..12 {
        for rekey in [false, true] {
            let mut scene = Scene::established();
            absurd_answer(&mut scene, case, rekey);
            assert!(scene.victim.children().len() <= 1, "case {case}");
            scene.assert_nothing_leaks();
        }
    }
}

fn absurd_answer(scene: &mut Scene, case: u32, rekey: bool) {
    let (now, ours) = (scene.now(), scene.evil.child.1);
    scene.victim.sent.clear();
    if rekey {
        scene.victim.endpoint.rekey_child(now, ours).unwrap();
    } else {
        let sa = scene.victim.standing()[0];
        scene.victim.endpoint.create_child(now, sa, "net").unwrap();
    }
    scene.victim.drain(now.time);
    let request = scene.request().unwrap();
    let CreateChildRequest::Child(asked) = CreateChildRequest::parse(request.first, &request.bytes).unwrap()
    else {
        panic!("a child was asked for");
    };
    let proposal =
        |spi: u32| Proposal { spi: spi.to_be_bytes().to_vec(), ..asked.offer.proposals[1].clone() };
    let answer = |proposal| ChildResponse {
        child: ChildAccepted {
            proposal,
            initiator_selectors: asked.offer.initiator_selectors.clone(),
            responder_selectors: asked.offer.responder_selectors.clone(),
            transport_mode: false,
            no_tfc_padding: false,
        },
        nonce: vec![3; 32],
        key_exchange: None,
        notifies: Vec::new(),
    };
    let good = answer(proposal(0x6666_0009));
    let child = |response| CreateChildResponse::Child(response).emit();
    let (exchange, chain) = match case {
        0 => (INFORM, child(good)),
        1 => (CREATE, PayloadChain::default()),
        2 => (CREATE, PayloadChain { first: 33, bytes: vec![0, 0, 0, 5, 1] }),
        3 => (CREATE, child(answer(proposal(0)))),
        4 => (CREATE, child(answer(proposal(255)))),
        // Wider than what was asked.
        5 => {
            let mut wide = good;
            wide.child.responder_selectors = vec![TrafficSelector::any_v4()];
            (CREATE, child(wide))
        }
        6 => {
            let mut none = good;
            none.child.initiator_selectors = Vec::new();
            (CREATE, child(none))
        }
        // A key exchange that was agreed on and left out, or in another group, or with a value that is none.
        7 => (CREATE, child(answer(Proposal { spi: vec![1, 2, 3, 4], ..asked.offer.proposals[0].clone() }))),
        8 | 9 => {
            let mut other = answer(Proposal { spi: vec![1, 2, 3, 4], ..asked.offer.proposals[0].clone() });
            let (group, public) = if case == 8 { (19, vec![4; 64]) } else { (31, vec![0; 32]) };
            other.key_exchange = Some(KeyExchange { group, public });
            (CREATE, child(other))
        }
        10 => (CREATE, CreateChildResponse::InvalidKe(2).emit()),
        _ => {
            let proposals = ike_request([1; 8]).proposals[0].clone();
            let RekeyIkeMessage { nonce, key_exchange, notifies, .. } = ike_request([1; 8]);
            let rekey = RekeyIkeMessage { proposals, nonce, key_exchange, notifies };
            (CREATE, CreateChildResponse::RekeyIke(rekey).emit())
        }
    };
    scene.answer(&request, exchange, &chain);
}

/// The peer has made its half by then, so it is asked to take it back.
#[test]
fn the_peers_half_of_a_child_that_we_cannot_use_is_deleted() {
    for rekey in [false, true] {
        let mut scene = Scene::established();
        absurd_answer(&mut scene, 5, rekey);
        let request = scene.request().expect("a Delete");
        let delete = Informational::parse(request.first, &request.bytes).unwrap();
        assert!(matches!(&delete.deletes[..], [Delete::Esp(spis)] if spis.len() == 1), "{delete:?}");
        assert_eq!(scene.victim.endpoint.resources()[0], 2, "its SPI is kept until then");
        scene.answer(&request, INFORM, &PayloadChain::default());
        assert_eq!(scene.victim.endpoint.resources()[0], 1);
        scene.assert_stands(1);
    }
}

/// RFC 7296 §2.25: it is dropped here without a word, and set up anew.
#[test]
fn a_child_that_the_peer_has_lost_is_set_up_anew() {
    let mut scene = Scene::established();
    let (now, ours) = (scene.now(), scene.evil.child.1);
    scene.victim.sent.clear();
    scene.victim.endpoint.rekey_child(now, ours).unwrap();
    scene.victim.drain(now.time);
    let request = scene.request().unwrap();
    let lost = CreateChildResponse::Failed(Notify::new(NotifyType::CHILD_SA_NOT_FOUND));
    scene.answer(&request, CREATE, &lost.emit());
    assert!(scene.victim.children().is_empty());
    let next = scene.request().expect("another child");
    let CreateChildRequest::Child(asked) = CreateChildRequest::parse(next.first, &next.bytes).unwrap() else {
        panic!("a child was to be asked for");
    };
    assert_eq!(asked.rekeys, None);
    scene.assert_nothing_leaks();
}

/// Messages of all kinds, cut and changed at random, until the peer has had enough.
#[test]
fn authentic_nonsense_of_any_kind_neither_panics_nor_leaks() {
    let rounds = 1000 * (1 + crate::on_path::effort());
    for seed in 0..rounds {
        let mut dice = crate::on_path::Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut scene = Scene::established();
        let corpus = [
            CreateChildRequest::Child(child_request(0x6666_0002)).emit(),
            CreateChildRequest::Child(ChildRequest {
                rekeys: Some(spi(EVIL_SPI)),
                ..child_request(0x6666_0003)
            })
            .emit(),
            CreateChildRequest::RekeyIke(ike_request([5; 8])).emit(),
            deleting(vec![Delete::Esp(vec![spi(EVIL_SPI)])]),
            deleting(vec![Delete::Ike]),
            PayloadChain::default(),
        ];
        for _ in 0..24 {
            let mut chain = corpus[dice.below(corpus.len())].clone();
            for _ in 0..dice.below(4) {
                if !chain.bytes.is_empty() {
                    let at = dice.below(chain.bytes.len());
                    chain.bytes[at] ^= 1 << dice.below(8);
                }
            }
            if dice.below(8) == 0 {
                chain.bytes.truncate(dice.below(chain.bytes.len() + 1));
            }
            let exchange = [CREATE, INFORM, ExchangeType::IkeAuth, ExchangeType::Other(40)]
                [[0, 0, 0, 1, 1, 2, 3][dice.below(7)]];
            match dice.below(4) {
                0 => {
                    let (now, ours) = (scene.now(), scene.evil.child.1);
                    let _ = scene.victim.endpoint.rekey_child(now, ours);
                    scene.victim.endpoint.handle_data(now, DataEvent::FirstInbound(ours));
                    scene.victim.drain(now.time);
                }
                1 => {
                    if let Some(request) = scene.request() {
                        let exchange = if dice.below(4) == 0 { exchange } else { request.header.exchange };
                        scene.answer(&request, exchange, &chain);
                    }
                }
                _ => {
                    scene.ask(exchange, &chain);
                }
            }
            scene.sleep(Duration::from_millis(100));
        }
        scene.assert_nothing_leaks();
    }
}
