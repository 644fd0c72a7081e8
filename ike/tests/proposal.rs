//! Proposals: words, offers, choices and the verdicts where there is none.

use proptest::prelude::*;
use std::str::FromStr;
use tidegate_esp::crypto::{AesKey, Cipher, Integrity, Suite};
use tidegate_esp::{SequenceNumbers, Spi};
use tidegate_ike::crypto::{GroupId, PrfId};
use tidegate_ike::proposal::{
    Difference, EspProposal, IkeProposal, Impossible, MismatchKind, ProposalError, TransformKind,
    confirm_esp, confirm_ike, esp_offer, ike_offer, select_esp, select_ike,
};
use tidegate_ike::wire::{Proposal, ProtocolId, Transform};

/// Type, id and key length of a transform.
type Numbers = (u8, u16, Option<u16>);

fn ike(words: &str) -> Vec<IkeProposal> {
    IkeProposal::parse_list(words).expect("known words")
}

fn esp(words: &str) -> Vec<EspProposal> {
    EspProposal::parse_list(words).expect("known words")
}

fn spi() -> Spi {
    Spi::new(0xc0de_0001).expect("not reserved")
}

fn transform(kind: u8, id: u16, key_length: Option<u16>) -> Transform {
    Transform { kind, id, key_length, unknown_attribute: false }
}

fn numbers(proposal: &Proposal) -> Vec<Numbers> {
    proposal.transforms.iter().map(|each| (each.kind, each.id, each.key_length)).collect()
}

fn ike_of(transforms: &[Numbers]) -> Proposal {
    let transforms = transforms.iter().map(|(kind, id, key)| transform(*kind, *id, *key)).collect();
    Proposal { number: 1, protocol: ProtocolId::Ike, spi: Vec::new(), transforms }
}

fn esp_of(transforms: &[Numbers]) -> Proposal {
    Proposal { protocol: ProtocolId::Esp, spi: spi().to_be_bytes().to_vec(), ..ike_of(transforms) }
}

// Words.

#[test]
fn words_become_the_iana_numbers() {
    let cases: &[(&str, &[Numbers])] = &[
        ("aes256gcm16-prfsha384-ecp384", &[(1, 20, Some(256)), (2, 6, None), (4, 20, None)]),
        ("aes128-sha256-x25519", &[(1, 12, Some(128)), (3, 12, None), (2, 5, None), (4, 31, None)]),
        ("aes128-sha256-modp2048", &[(1, 12, Some(128)), (3, 12, None), (2, 5, None), (4, 14, None)]),
        ("chacha20poly1305-prfsha256-x25519", &[(1, 28, None), (2, 5, None), (4, 31, None)]),
        ("aes256-sha384-prfsha384-ecp384", &[(1, 12, Some(256)), (3, 13, None), (2, 6, None), (4, 20, None)]),
        ("aes192-sha512-modp4096", &[(1, 12, Some(192)), (3, 14, None), (2, 7, None), (4, 16, None)]),
        ("aes128-sha1-modp3072", &[(1, 12, Some(128)), (3, 2, None), (2, 2, None), (4, 15, None)]),
        (
            "aes128gcm128-prfsha512-ecp521-ecp256",
            &[(1, 20, Some(128)), (2, 7, None), (4, 21, None), (4, 19, None)],
        ),
    ];
    for (words, expected) in cases {
        let offer = ike_offer(&ike(words), &[]);
        assert_eq!(offer.len(), 1, "{words}");
        assert_eq!(numbers(&offer[0]), *expected, "{words}");
    }
}

#[test]
fn esp_words_become_the_iana_numbers_with_a_width_always() {
    let cases: &[(&str, &[Numbers])] = &[
        ("aes128gcm16", &[(1, 20, Some(128)), (5, 0, None)]),
        ("aes256gcm16-esn", &[(1, 20, Some(256)), (5, 1, None)]),
        ("null-sha256-noesn", &[(1, 11, None), (3, 12, None), (5, 0, None)]),
        ("aes128gmac-esn-noesn", &[(1, 21, Some(128)), (5, 1, None), (5, 0, None)]),
        ("aes256-sha256-x25519", &[(1, 12, Some(256)), (3, 12, None), (4, 31, None), (5, 0, None)]),
    ];
    for (words, expected) in cases {
        let offer = esp_offer(&esp(words), spi(), true);
        assert_eq!(offer.len(), 1, "{words}");
        assert_eq!(numbers(&offer[0]), *expected, "{words}");
        assert_eq!(offer[0].spi, [0xc0, 0xde, 0, 1]);
    }
}

#[test]
fn a_prf_follows_from_integrity_even_where_aead_drops_that() {
    let proposal = IkeProposal::from_str("aes256gcm16-sha384-ecp384").expect("as strongSwan takes it");
    assert_eq!(proposal.prfs, [PrfId::HmacSha384]);
    assert!(proposal.integrity.is_empty());
}

#[test]
fn a_bad_word_is_named() {
    let error = IkeProposal::parse_list("default, aes128-sha257-x25519").expect_err("no such hash");
    let (word, proposal) = ("sha257".to_owned(), "aes128-sha257-x25519".to_owned());
    assert_eq!(error, ProposalError::UnknownWord { word, proposal });
    assert!(error.to_string().contains("\"sha257\""));
}

#[test]
fn a_word_of_others_is_refused_with_the_reason() {
    for word in ["3des", "aes192gcm16", "aes128gcm8", "sha256_96", "modp1024", "md5", "sha2_256_96"] {
        let error = EspProposal::from_str(&format!("aes128-sha256-{word}")).expect_err(word);
        assert!(matches!(&error, ProposalError::Unsupported { word: named, .. } if named == word), "{error}");
    }
}

#[test]
fn what_cannot_work_is_refused_with_the_reason() {
    let ike = |words| match IkeProposal::from_str(words) {
        Err(ProposalError::Impossible { reason, .. }) => reason,
        other => panic!("{words}: {other:?}"),
    };
    assert_eq!(ike("sha256-x25519"), Impossible::NoEncryption);
    assert_eq!(ike("aes128-sha256"), Impossible::NoGroup);
    assert_eq!(ike("aes128gcm16-x25519"), Impossible::NoPrf);
    assert_eq!(ike("aes128-prfsha256-x25519"), Impossible::NoIntegrity(Cipher::AesCbc(AesKey::Bits128)));
    assert_eq!(ike("null-sha256-x25519"), Impossible::NotForIke(Cipher::Null));
    assert_eq!(ike("aes128gmac-prfsha256-x25519"), Impossible::NotForIke(Cipher::AesGmac(AesKey::Bits128)));
    assert_eq!(ike("aes128-sha256-x25519-esn"), Impossible::SequenceNumbersInIke);
    assert_eq!(ike("default-aes128"), Impossible::DefaultInside);

    let esp = |words| match EspProposal::from_str(words) {
        Err(ProposalError::Impossible { reason, .. }) => reason,
        other => panic!("{words}: {other:?}"),
    };
    assert_eq!(esp("aes128"), Impossible::NoIntegrity(Cipher::AesCbc(AesKey::Bits128)));
    assert_eq!(esp("null"), Impossible::NoIntegrity(Cipher::Null));
    assert_eq!(esp("aes128gcm16-prfsha256"), Impossible::PrfInEsp(PrfId::HmacSha256));
}

#[test]
fn nothing_at_all_is_no_proposal() {
    for words in ["", ",", "aes128gcm16,"] {
        assert_eq!(EspProposal::parse_list(words), Err(ProposalError::Empty), "{words:?}");
    }
}

#[test]
fn the_default_has_aead_and_cbc_and_no_sha1() {
    let offer = ike_offer(&ike("default"), &[]);
    assert_eq!(offer.len(), 2);
    assert!(offer[0].transforms.iter().all(|each| each.kind != 3));
    assert!(offer[1].transforms.contains(&transform(3, 12, None)));
    assert!(
        offer
            .iter()
            .flat_map(|each| &each.transforms)
            .all(|each| !matches!((each.kind, each.id), (2 | 3, 2)))
    );
    assert_eq!(esp_offer(&esp("default"), spi(), true).len(), 2);
}

// Offers.

// RFC 7296 §3.3, RFC 5282 §8
#[test]
fn aead_and_other_ciphers_are_offered_apart() {
    let offer =
        ike_offer(&ike("aes128gcm16-aes128-sha256-x25519,aes256-chacha20poly1305-sha512-ecp521"), &[]);
    let ciphers: Vec<_> = offer.iter().map(|each| each.transforms[0]).collect();
    assert_eq!(offer.iter().map(|each| each.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let expected = [(20, Some(128)), (12, Some(128)), (12, Some(256)), (28, None)];
    assert_eq!(ciphers, expected.map(|(id, key_length)| transform(1, id, key_length)));
    for (proposal, integrity) in offer.iter().zip([false, true, true, false]) {
        assert_eq!(proposal.transforms.iter().any(|each| each.kind == 3), integrity);
    }
}

// RFC 7296 §1.2
#[test]
fn groups_stay_out_of_ike_auth() {
    let offer = esp_offer(&esp("aes128gcm16-x25519"), spi(), false);
    assert!(offer[0].transforms.iter().all(|each| each.kind != 4));
}

// The responder's choice.

#[test]
fn the_responder_follows_its_own_order() {
    let configured = ike("aes256gcm16-prfsha384-ecp384,aes128-aes256-sha512-sha256-x25519");
    let offered = ike_offer(&ike("aes256-aes128-sha256-sha512-modp2048-x25519"), &[]);
    let choice = select_ike(&configured, &offered, None).expect("they share the second");
    let suite = Suite::with_integrity(Cipher::AesCbc(AesKey::Bits128), Integrity::HmacSha512_256);
    assert_eq!(Some(choice.suite), suite);
    assert_eq!((choice.prf, choice.group), (PrfId::HmacSha512, GroupId::X25519));
}

#[test]
fn the_group_of_the_ke_payload_wins_where_both_allow_it() {
    let configured = ike("aes128gcm16-prfsha256-x25519-ecp256");
    let offered = ike_offer(&ike("aes128gcm16-prfsha256-modp2048-ecp256-x25519"), &[]);
    let group = |preferred| select_ike(&configured, &offered, preferred).expect("common").group;
    assert_eq!(group(Some(GroupId::Ecp256)), GroupId::Ecp256);
    assert_eq!(group(Some(GroupId::Modp2048)), GroupId::X25519);
    assert_eq!(group(None), GroupId::X25519);
}

#[test]
fn the_initiators_first_group_wins_for_a_child() {
    let offered = esp_offer(&esp("aes128gcm16-modp2048-ecp256-x25519"), spi(), true);
    let choice = select_esp(&esp("aes128gcm16-x25519-ecp256"), &offered, true).expect("common");
    assert_eq!(choice.group, Some(GroupId::Ecp256));
}

// RFC 7296 §3.3.6
#[test]
fn an_unknown_type_spoils_its_proposal_alone() {
    let mut offered = ike_offer(&ike("aes128gcm16-prfsha256-x25519,aes256gcm16-prfsha256-x25519"), &[]);
    offered[0].transforms.push(transform(6, 35, None));
    let choice = select_ike(&ike("default"), &offered, None).expect("the second is intact");
    assert_eq!(choice.number, 2);
    let mismatch = select_ike(&ike("default"), &offered[..1], None).expect_err("spoiled");
    assert_eq!(mismatch.nearest.expect("it was close").differences, [Difference::UnknownKind(6)]);
}

// RFC 7296 §3.3.6
#[test]
fn an_unknown_attribute_spoils_its_transform_alone() {
    let mut offered = ike_offer(&ike("aes128gcm16-aes256gcm16-prfsha256-x25519"), &[]);
    offered[0].transforms[0].unknown_attribute = true;
    let choice = select_ike(&ike("default"), &offered, None).expect("256 bits are left");
    assert_eq!(Some(choice.suite), Suite::aead(Cipher::AesGcm16(AesKey::Bits256)));
}

// RFC 7296 §3.3.5
#[test]
fn key_lengths_are_wanted_for_aes_and_refused_for_chacha() {
    let without = ike_of(&[(1, 12, None), (3, 12, None), (2, 5, None), (4, 31, None)]);
    let with = ike_of(&[(1, 28, Some(256)), (2, 5, None), (4, 31, None)]);
    for offer in [without, with] {
        let mismatch = select_ike(&ike("default"), &[offer], None).expect_err("malformed");
        let differences = mismatch.nearest.expect("a pair").differences;
        assert_eq!(differences, [Difference::Algorithm(TransformKind::Encryption)]);
    }
}

#[test]
fn aead_beside_no_integrity_algorithm_is_understood_and_answered_alike() {
    let offered = [ike_of(&[(1, 20, Some(128)), (3, 0, None), (2, 5, None), (4, 31, None)])];
    let choice = select_ike(&ike("default"), &offered, None).expect("NONE is harmless");
    // RFC 7296 §2.7: the answer has every type of the proposal.
    assert!(choice.to_wire(&[]).transforms.contains(&transform(3, 0, None)));
}

// RFC 5282 §8
#[test]
fn aead_beside_an_integrity_algorithm_is_refused() {
    let offered = [ike_of(&[(1, 20, Some(128)), (3, 12, None), (2, 5, None), (4, 31, None)])];
    let mismatch = select_ike(&ike("aes128gcm16-prfsha256-x25519"), &offered, None).expect_err("both");
    let differences = mismatch.nearest.expect("a pair").differences;
    assert_eq!(differences, [Difference::Algorithm(TransformKind::Integrity)]);
}

#[test]
fn a_proposal_without_a_mandatory_type_is_refused() {
    for missing in [1, 2, 4] {
        let mut offered = ike_offer(&ike("aes128gcm16-prfsha256-x25519"), &[]);
        offered[0].transforms.retain(|each| each.kind != missing);
        assert!(select_ike(&ike("default"), &offered, None).is_err(), "type {missing}");
    }
}

#[test]
fn esp_without_a_width_has_32_bits() {
    let offered = [esp_of(&[(1, 20, Some(128))])];
    let choice = select_esp(&esp("default"), &offered, true).expect("tolerated");
    assert_eq!(choice.sequence_numbers, SequenceNumbers::Short);
    assert_eq!(choice.to_wire(spi()).transforms, [transform(1, 20, Some(128))]);
    assert!(select_esp(&esp("aes128gcm16-esn"), &offered, true).is_err());
}

#[test]
fn group_none_means_no_pfs() {
    let offered = [esp_of(&[(1, 20, Some(128)), (4, 31, None), (4, 0, None), (5, 0, None)])];
    let choice = select_esp(&esp("aes128gcm16"), &offered, true).expect("NONE is among them");
    assert_eq!(choice.group, None);
    assert!(choice.to_wire(spi()).transforms.contains(&transform(4, 0, None)));
}

#[test]
fn groups_in_ike_auth_are_passed_over() {
    let offered = [esp_of(&[(1, 20, Some(128)), (4, 31, None), (5, 0, None)])];
    let choice = select_esp(&esp("aes128gcm16-modp2048"), &offered, false).expect("groups do not count");
    assert_eq!(choice.group, None);
    assert!(choice.to_wire(spi()).transforms.iter().all(|each| each.kind != 4));
}

#[test]
fn an_spi_that_names_no_sa_is_refused() {
    let mut offered = esp_offer(&esp("aes128gcm16"), spi(), true);
    for bad in [vec![], vec![0, 0, 0, 255], vec![1; 8]] {
        offered[0].spi = bad;
        let mismatch = select_esp(&esp("aes128gcm16"), &offered, true).expect_err("no SPI");
        assert_eq!(mismatch.nearest.expect("a pair").differences, [Difference::Spi]);
    }
}

// The initiator's look at the answer.

// RFC 7296 §3.3.6
#[test]
fn an_answer_that_was_not_offered_is_refused() {
    let offered = ike_offer(&ike("aes128gcm16-prfsha256-x25519-ecp256"), &[]);
    let good = ike_of(&[(1, 20, Some(128)), (2, 5, None), (4, 19, None)]);
    assert_eq!(confirm_ike(&offered, &good).expect("offered").group, GroupId::Ecp256);

    let number = Proposal { number: 2, ..good.clone() };
    let protocol = Proposal { protocol: ProtocolId::Esp, ..good.clone() };
    let key = ike_of(&[(1, 20, Some(256)), (2, 5, None), (4, 19, None)]);
    let several = ike_of(&[(1, 20, Some(128)), (2, 5, None), (4, 19, None), (4, 31, None)]);
    let none = ike_of(&[(1, 20, Some(128)), (2, 5, None)]);
    let cases = [
        (number, Difference::Number),
        (protocol, Difference::Protocol(ProtocolId::Esp)),
        (key, Difference::Algorithm(TransformKind::Encryption)),
        (several, Difference::Several(TransformKind::Group)),
        (none, Difference::Algorithm(TransformKind::Group)),
    ];
    for (answer, expected) in cases {
        let mismatch = confirm_ike(&offered, &answer).expect_err("not offered");
        assert_eq!(mismatch.kind, MismatchKind::AnswerNotOffered);
        assert_eq!(mismatch.ours, offered);
        assert_eq!(mismatch.nearest.expect("a pair").differences, [expected]);
    }
}

#[test]
fn an_answer_without_the_group_we_asked_for_is_refused() {
    let offered = esp_offer(&esp("aes128gcm16-x25519"), spi(), true);
    let mismatch = confirm_esp(&offered, &esp_of(&[(1, 20, Some(128)), (5, 0, None)])).expect_err("no PFS");
    assert!(mismatch.only_group_differs());
}

// Verdicts.

#[test]
fn a_pfs_mismatch_is_told_apart() {
    let offered = esp_offer(&esp("aes256-sha256-modp2048,aes128gcm16-modp2048"), spi(), true);
    let pfs = select_esp(&esp("aes128gcm16-x25519"), &offered, true).expect_err("other groups");
    assert!(pfs.only_group_differs());
    assert_eq!(pfs.nearest.as_ref().expect("a pair").theirs, 2);
    let cipher = select_esp(&esp("aes256gcm16-modp2048"), &offered, true).expect_err("other ciphers");
    assert!(!cipher.only_group_differs());
}

#[test]
fn a_verdict_reads_well() {
    let mut offered = ike_offer(&ike("aes128-sha256-modp2048"), &[]);
    offered[0].transforms.push(transform(1, 23, Some(256)));
    let mismatch = select_ike(&ike("aes128-sha256-x25519"), &offered, None).expect_err("other groups");
    assert_eq!(
        mismatch.to_string(),
        "no IKE proposal in common: ours [1: aes128-sha256-prfsha256-x25519], \
         the peer's [1: aes128-sha256-prfsha256-modp2048-encryption(23 key 256)]; \
         closest are our 1 and the peer's 1: key exchange group differs, ours x25519, theirs modp2048"
    );
}

#[test]
fn a_verdict_stays_short_whatever_the_peer_offers() {
    let transforms = vec![transform(200, 0xffff, Some(0xffff)); 255];
    let offered: Vec<_> =
        (1..=255).map(|number| Proposal { number, transforms: transforms.clone(), ..ike_of(&[]) }).collect();
    let mismatch = select_ike(&ike("default"), &offered, None).expect_err("nonsense");
    assert!(mismatch.to_string().len() < 16_384);
}

// Properties.

fn some_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T], least: usize) -> BoxedStrategy<Vec<T>> {
    proptest::sample::subsequence(all, least..=all.len()).prop_shuffle().boxed()
}

const CIPHERS: &[&str] = &["aes128gcm16", "aes256gcm16", "chacha20poly1305", "aes128", "aes192", "aes256"];
const INTEGRITY: &[&str] = &["sha256", "sha384", "sha512", "sha1"];
const PRFS: &[&str] = &["prfsha256", "prfsha384", "prfsha512", "prfsha1"];
const GROUPS: &[&str] = &["x25519", "ecp256", "ecp384", "ecp521", "modp2048", "modp3072", "modp4096"];
const WIDTHS: &[&str] = &["esn", "noesn"];

fn ike_list() -> impl Strategy<Value = Vec<IkeProposal>> {
    let one = (some_of(CIPHERS, 1), some_of(INTEGRITY, 1), some_of(PRFS, 1), some_of(GROUPS, 1));
    let words = one.prop_map(|(c, i, p, g)| [c, i, p, g].concat().join("-"));
    proptest::collection::vec(words.prop_map(|words| words.parse().expect("known words")), 1..4)
}

fn esp_list() -> impl Strategy<Value = Vec<EspProposal>> {
    let one = (some_of(CIPHERS, 1), some_of(INTEGRITY, 1), some_of(GROUPS, 0), some_of(WIDTHS, 1));
    let words = one.prop_map(|(c, i, g, w)| [c, i, g, w].concat().join("-"));
    proptest::collection::vec(words.prop_map(|words| words.parse().expect("known words")), 1..4)
}

/// Any bytes' worth of proposals: small numbers, so that some of them make sense.
fn any_offer(protocol: ProtocolId) -> impl Strategy<Value = Vec<Proposal>> {
    let key = prop_oneof![Just(None), Just(Some(128)), Just(Some(256)), any::<u16>().prop_map(Some)];
    let transform = (0u8..8, 0u16..32, key, proptest::bool::weighted(0.1)).prop_map(
        |(kind, id, key_length, unknown_attribute)| Transform { kind, id, key_length, unknown_attribute },
    );
    let spi = prop_oneof![Just(vec![]), Just(vec![1; 4]), Just(vec![1; 8]), Just(vec![0; 3])];
    let proposal = (1u8..4, spi, proptest::collection::vec(transform, 0..12))
        .prop_map(move |(number, spi, transforms)| Proposal { number, protocol, spi, transforms });
    proptest::collection::vec(proposal, 0..4)
}

fn member(offer: &[Proposal], chosen: &Proposal) -> bool {
    offer.iter().any(|each| chosen.transforms.iter().all(|transform| each.transforms.contains(transform)))
}

proptest! {
    #[test]
    fn words_return_from_their_display(ike in ike_list(), esp in esp_list()) {
        for proposal in ike {
            prop_assert_eq!(proposal.to_string().parse(), Ok(proposal));
        }
        for proposal in esp {
            prop_assert_eq!(proposal.to_string().parse(), Ok(proposal));
        }
    }

    #[test]
    fn what_is_offered_to_oneself_is_taken_first(ike in ike_list(), esp in esp_list()) {
        let offer = ike_offer(&ike, &[]);
        let choice = select_ike(&ike, &offer, None).expect("the same list");
        prop_assert_eq!(choice.number, 1);
        let offer = esp_offer(&esp, spi(), true);
        prop_assert_eq!(select_esp(&esp, &offer, true).expect("the same list").number, 1);
    }

    #[test]
    fn an_ike_choice_is_a_member_of_both_lists(ours in ike_list(), theirs in ike_list(), at in 0..GROUPS.len()) {
        let offer = ike_offer(&theirs, &[]);
        let preferred = GroupId::ALL.get(at).copied();
        match select_ike(&ours, &offer, preferred) {
            Ok(choice) => {
                let answer = choice.to_wire(&[]);
                prop_assert!(member(&ike_offer(&ours, &[]), &answer));
                let confirmed = confirm_ike(&offer, &answer).expect("it was offered");
                prop_assert_eq!(confirmed, choice);
            }
            Err(mismatch) => {
                // What one side cannot choose, the other cannot either.
                prop_assert!(select_ike(&theirs, &ike_offer(&ours, &[]), preferred).is_err());
                prop_assert!(!mismatch.nearest.expect("both have proposals").differences.is_empty());
            }
        }
    }

    #[test]
    fn an_esp_choice_is_a_member_of_both_lists(ours in esp_list(), theirs in esp_list(), groups: bool) {
        let offer = esp_offer(&theirs, spi(), groups);
        match select_esp(&ours, &offer, groups) {
            Ok(choice) => {
                let answer = choice.to_wire(spi());
                prop_assert!(member(&esp_offer(&ours, spi(), groups), &answer));
                prop_assert_eq!(confirm_esp(&offer, &answer).expect("it was offered"), choice);
            }
            Err(_) => prop_assert!(select_esp(&theirs, &esp_offer(&ours, spi(), groups), groups).is_err()),
        }
    }

    #[test]
    fn any_offer_is_answered_from_within_itself(
        ike in any_offer(ProtocolId::Ike),
        esp in any_offer(ProtocolId::Esp),
        groups: bool,
    ) {
        if let Ok(choice) = select_ike(&IkeProposal::default_list(), &ike, None) {
            prop_assert!(member(&ike, &choice.to_wire(&[])));
        }
        if let Ok(choice) = select_esp(&EspProposal::default_list(), &esp, groups) {
            prop_assert!(member(&esp, &choice.to_wire(spi())));
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "[a-z0-9_,-]{0,40}") {
        let _ = IkeProposal::parse_list(&text).map_err(|error| error.to_string());
        let _ = EspProposal::parse_list(&text).map_err(|error| error.to_string());
    }
}
