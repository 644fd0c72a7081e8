//! The inside of SA payloads (RFC 7296 §3.3).

use crate::build::{Piece, chain, create_child, ke, nonce, piece, rekey_ike, sa, ts, without};
use crate::build::{SA, TSI, TSR};
use tidegate_ike::wire::{
    CreateChildRequest, CreateChildResponse, Fault, MessageError, PayloadType, Proposal, ProtocolId,
    SaInitRequest, SaInitResponse, Transform,
};

/// The proposals of an IKE_SA_INIT request with this SA payload.
fn offered(body: &[u8]) -> Result<Vec<Proposal>, Fault> {
    let (first, bytes) = chain(&[piece(SA, body), ke(), nonce()]);
    SaInitRequest::parse(first, &bytes).map(|request| request.proposals).map_err(fault)
}

fn chosen(body: &[u8]) -> Result<SaInitResponse, Fault> {
    let (first, bytes) = chain(&[piece(SA, body), ke(), nonce()]);
    SaInitResponse::parse(first, &bytes).map_err(fault)
}

fn fault(error: MessageError) -> Fault {
    match error {
        MessageError::Payload { payload: PayloadType::SECURITY_ASSOCIATION, fault } => fault,
        other => panic!("{other:?}"),
    }
}

/// Proposals with these numbers, each with one transform.
fn numbered(numbers: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (index, number) in numbers.iter().enumerate() {
        let more = if index + 1 == numbers.len() { 0 } else { 2 };
        body.extend([more, 0, 0, 16, *number, 1, 0, 1, 0, 0, 0, 8, 4, 0, 0, 31]);
    }
    body
}

/// One proposal with this many transforms, counted as `said`.
fn with_transforms(said: u8, found: usize) -> Vec<u8> {
    let length = u16::try_from(8 + 8 * found).unwrap().to_be_bytes();
    let mut body = vec![0, 0, length[0], length[1], 1, 1, 0, said];
    for index in 0..found {
        body.extend([if index + 1 == found { 0 } else { 3 }, 0, 0, 8, 4, 0, 0, 31]);
    }
    body
}

/// One proposal with one transform that has these attributes.
fn with_attributes(attributes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(attributes.len()).unwrap();
    let mut body = vec![0, 0, 0, 16 + length, 1, 1, 0, 1, 0, 0, 0, 8 + length, 1, 0, 0, 12];
    body.extend(attributes);
    body
}

fn only_transform(body: &[u8]) -> Transform {
    let proposals = offered(body).unwrap();
    assert_eq!((proposals.len(), proposals[0].transforms.len()), (1, 1));
    proposals[0].transforms[0]
}

/// RFC 7296 §3.3: lengths and counts must agree at every level.
#[test]
fn a_proposal_length_that_leaves_bytes_over_is_refused() {
    let body = numbered(&[1]);
    for length in 0..=u8::MAX {
        let mut wrong = body.clone();
        wrong[3] = length;
        assert_eq!(offered(&wrong).is_ok(), length == 16, "length {length}");
    }
}

#[test]
fn a_transform_length_that_leaves_bytes_over_is_refused() {
    let body = numbered(&[1]);
    for length in 0..=u8::MAX {
        let mut wrong = body.clone();
        wrong[11] = length;
        assert_eq!(offered(&wrong).is_ok(), length == 8, "length {length}");
    }
}

#[test]
fn a_transform_count_that_its_transforms_deny_is_refused() {
    assert!(offered(&with_transforms(3, 3)).is_ok());
    assert_eq!(offered(&with_transforms(4, 3)), Err(Fault::Count { said: 4, found: 3 }));
    assert_eq!(offered(&with_transforms(2, 3)), Err(Fault::Count { said: 2, found: 3 }));
    assert_eq!(offered(&with_transforms(0, 1)), Err(Fault::Count { said: 0, found: 1 }));
}

#[test]
fn a_last_flag_that_the_length_denies_is_refused() {
    let mut early = numbered(&[1, 2]);
    early[0] = 0;
    assert_eq!(offered(&early), Err(Fault::LastFlag(0)));
    let mut late = numbered(&[1]);
    late[0] = 2;
    assert_eq!(offered(&late), Err(Fault::LastFlag(2)));
    let mut transform = with_transforms(1, 1);
    transform[8] = 3;
    assert_eq!(offered(&transform), Err(Fault::LastFlag(3)));
    let mut of_a_proposal = with_transforms(2, 2);
    of_a_proposal[8] = 2;
    assert_eq!(offered(&of_a_proposal), Err(Fault::LastFlag(2)));
}

#[test]
fn an_spi_size_past_the_proposal_is_refused() {
    let mut body = numbered(&[1]);
    body[6] = 9;
    assert_eq!(offered(&body), Err(Fault::Short { needed: 9, left: 8 }));
}

#[test]
fn an_sa_payload_without_proposals_is_refused() {
    assert_eq!(offered(&[]), Err(Fault::Empty));
}

/// RFC 7296 §3.3.6: such a proposal is unacceptable, which is for the negotiation to say.
#[test]
fn a_proposal_without_transforms_is_read() {
    assert_eq!(offered(&with_transforms(0, 0)).unwrap()[0].transforms, []);
}

/// RFC 7296 §3.3.1.
#[test]
fn offered_proposals_are_numbered_from_one_without_gaps() {
    assert_eq!(offered(&numbered(&[1, 2, 3])).unwrap().len(), 3);
    assert_eq!(offered(&numbered(&[2])), Err(Fault::ProposalNumber { expected: 1, found: 2 }));
    assert_eq!(offered(&numbered(&[1, 3])), Err(Fault::ProposalNumber { expected: 2, found: 3 }));
    assert_eq!(offered(&numbered(&[1, 1])), Err(Fault::ProposalNumber { expected: 2, found: 1 }));
}

/// RFC 7296 §3.3.1 and §2.7.
#[test]
fn an_answer_holds_one_proposal_under_any_number() {
    let Ok(SaInitResponse::Accepted(accepted)) = chosen(&numbered(&[7])) else { panic!() };
    assert_eq!(accepted.proposal.number, 7);
    assert_eq!(chosen(&numbered(&[1, 2])), Err(Fault::Count { said: 1, found: 2 }));
}

#[test]
fn more_proposals_or_transforms_than_anyone_needs_are_refused() {
    let numbers: Vec<u8> = (1..).take(Proposal::MAX + 1).collect();
    assert_eq!(offered(&numbered(&numbers[..Proposal::MAX])).unwrap().len(), Proposal::MAX);
    assert_eq!(offered(&numbered(&numbers)), Err(Fault::TooMany { limit: Proposal::MAX }));
    let limit = Transform::MAX;
    assert!(offered(&with_transforms(128, limit)).is_ok());
    assert_eq!(offered(&with_transforms(129, limit + 1)), Err(Fault::TooMany { limit }));
}

/// RFC 7296 §3.3.5.
#[test]
fn the_key_length_attribute_is_read() {
    let transform = only_transform(&with_attributes(&[0x80, 14, 1, 0]));
    assert_eq!((transform.key_length, transform.unknown_attribute), (Some(256), false));
}

/// RFC 7296 §3.3.6.
#[test]
fn an_unknown_attribute_marks_its_transform_and_hides_nothing_behind_it() {
    let short = only_transform(&with_attributes(&[0x80, 99, 1, 2, 0x80, 14, 1, 0]));
    assert_eq!((short.key_length, short.unknown_attribute), (Some(256), true));
    let long = only_transform(&with_attributes(&[0, 99, 0, 3, 1, 2, 3, 0x80, 14, 1, 0]));
    assert_eq!((long.key_length, long.unknown_attribute), (Some(256), true));
}

/// RFC 7296 §3.3.5: it has a fixed length, so the long form is not its encoding.
#[test]
fn a_key_length_in_the_long_form_is_an_unknown_attribute() {
    let transform = only_transform(&with_attributes(&[0, 14, 0, 2, 1, 0]));
    assert_eq!((transform.key_length, transform.unknown_attribute), (None, true));
}

#[test]
fn two_key_lengths_are_refused() {
    let twice = with_attributes(&[0x80, 14, 0, 128, 0x80, 14, 1, 0]);
    assert_eq!(offered(&twice), Err(Fault::RepeatedAttribute(14)));
}

#[test]
fn an_attribute_that_does_not_fit_is_refused() {
    assert_eq!(offered(&with_attributes(&[0x80, 14, 1])), Err(Fault::Short { needed: 2, left: 1 }));
    assert_eq!(offered(&with_attributes(&[0, 99, 0, 4, 1])), Err(Fault::Short { needed: 4, left: 1 }));
}

#[test]
fn unknown_protocols_and_transforms_survive_as_numbers() {
    let mut body = numbered(&[1]);
    (body[5], body[12], body[15]) = (77, 200, 201);
    let proposal = &offered(&body).unwrap()[0];
    assert_eq!(proposal.protocol, ProtocolId::Other(77));
    assert_eq!((proposal.transforms[0].kind, proposal.transforms[0].id), (200, 201));
}

#[test]
fn reserved_bytes_are_ignored() {
    let mut body = numbered(&[1]);
    (body[1], body[9], body[13]) = (0xff, 0xff, 0xff);
    assert_eq!(offered(&body), offered(&numbered(&[1])));
}

/// RFC 7296 §3.3.1: the header names the SPI of the first IKE SA.
#[test]
fn an_spi_in_the_proposals_of_ike_sa_init_is_refused() {
    let Piece { body, .. } = sa(1, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let wrong = Fault::SpiSize { protocol: ProtocolId::Ike, size: 8 };
    assert_eq!(offered(&body), Err(wrong));
    assert_eq!(chosen(&body), Err(wrong));
}

/// RFC 7296 §3.3.1: 8 bytes for IKE, 4 for AH and ESP.
#[test]
fn the_proposals_of_create_child_sa_carry_spis_of_their_protocol() {
    let cases = [(1, ProtocolId::Ike, 8), (2, ProtocolId::Ah, 4), (3, ProtocolId::Esp, 4)];
    for (number, protocol, right) in cases {
        for size in [0, 3, 4, 5, 7, 8, 9] {
            let rest = if number == 1 { rekey_ike() } else { create_child() };
            let pieces = [vec![sa(number, &vec![1; size])], without(rest, SA)].concat();
            let (first, bytes) = chain(&pieces);
            let request = CreateChildRequest::parse(first, &bytes);
            let response = CreateChildResponse::parse(first, &bytes);
            if size == right {
                assert!(request.is_ok() && response.is_ok());
            } else {
                assert_eq!(fault(request.unwrap_err()), Fault::SpiSize { protocol, size });
                assert_eq!(fault(response.unwrap_err()), Fault::SpiSize { protocol, size });
            }
        }
    }
}

/// RFC 7296 §1.3: a request makes a child or succeeds the IKE SA, not both.
#[test]
fn ike_and_esp_proposals_in_one_sa_payload_are_refused() {
    let esp = [2, 0, 0, 20, 1, 3, 4, 1, 0, 0, 1, 0, 0, 0, 0, 8, 1, 0, 0, 20];
    let ike = [0, 0, 0, 24, 2, 1, 8, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 8, 1, 0, 0, 20];
    let pieces = [piece(SA, [&esp[..], &ike].concat()), nonce(), ts(TSI), ts(TSR)];
    let (first, bytes) = chain(&pieces);
    let error = CreateChildRequest::parse(first, &bytes).unwrap_err();
    assert_eq!(fault(error), Fault::MixedProtocols);
}
