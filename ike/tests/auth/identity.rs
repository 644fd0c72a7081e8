//! Identities: payloads, text and patterns.

use proptest::prelude::*;
use tidegate_ike::identity::{
    DistinguishedName, Identity, IdentityError, IdentityPattern, MAX_NAME_LEN, MatchQuality,
};
use tidegate_ike::wire::IdPayload;

fn identity(text: &str) -> Identity {
    text.parse().expect(text)
}

fn pattern(text: &str) -> IdentityPattern {
    text.parse().expect(text)
}

fn payload(kind: u8, data: &[u8]) -> IdPayload {
    IdPayload { kind, data: data.to_vec() }
}

#[test]
fn text_is_read_as_strongswan_reads_it() {
    let cases: &[(&str, u8, &[u8])] = &[
        ("10.1.2.3", 1, &[10, 1, 2, 3]),
        ("moon.example.org", 2, b"moon.example.org"),
        ("@moon.example.org", 2, b"moon.example.org"),
        ("@10.1.2.3", 2, b"10.1.2.3"),
        ("fqdn:10.1.2.3", 2, b"10.1.2.3"),
        ("dns:moon", 2, b"moon"),
        ("carol@example.org", 3, b"carol@example.org"),
        ("@@carol@example.org", 3, b"carol@example.org"),
        ("email:carol@example.org", 3, b"carol@example.org"),
        ("::1", 5, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ("@#0a0B:0c", 11, &[10, 11, 12]),
        ("keyid:some key", 11, b"some key"),
        ("keyid:#ff00", 11, &[0xff, 0]),
        ("fqdn:#6d6f6f6e", 2, b"moon"),
        ("not:an:address", 11, b"not:an:address"),
        ("{12}:#0102", 12, &[1, 2]),
    ];
    for (text, kind, data) in cases {
        assert_eq!(identity(text).to_payload(), payload(*kind, data), "{text}");
    }
}

#[test]
fn a_distinguished_name_is_encoded_in_the_order_written() {
    let expected = [
        &[0x30, 0x33, 0x31, 0x0b, 0x30, 0x09, 6, 3, 0x55, 4, 6, 0x13, 2][..],
        b"CN",
        &[0x31, 0x13, 0x30, 0x11, 6, 3, 0x55, 4, 10, 0x13, 10],
        b"fabedge.io",
        &[0x31, 0x0f, 0x30, 0x0d, 6, 3, 0x55, 4, 3, 0x13, 6],
        b"c.node",
    ]
    .concat();

    for text in
        ["C=CN, O=fabedge.io, CN=c.node", "/C=CN/O=fabedge.io/CN=c.node", "c=CN,o=fabedge.io,cn=c.node"]
    {
        assert_eq!(identity(text).to_payload(), payload(9, &expected), "{text}");
    }
    assert_eq!(identity("/C=CN/O=fabedge.io/CN=c.node").to_string(), "C=CN, O=fabedge.io, CN=c.node");
}

#[test]
fn names_are_equal_by_type_and_value_whatever_the_string_type_and_case() {
    let printable = identity("CN=#13046e6f6465");
    let utf8 = identity("CN=#0c044e4f4445");
    let bmp = identity("CN=#1e08006e006f00640065");

    assert_eq!(printable, utf8);
    assert_eq!(printable, bmp);
    assert_ne!(printable, identity("CN=node2"));
    assert_ne!(printable, identity("O=node"));
    let unsorted = DistinguishedName::from_der(
        b"\x30\x18\x31\x16\x30\x09\x06\x03\x55\x04\x0a\x0c\x02on\x30\x09\x06\x03\x55\x04\x03\x0c\x02cn",
    );
    assert_eq!(unsorted, "CN=cn+O=on".parse());
    assert_ne!(identity("O=a, CN=b"), identity("CN=b, O=a"));
    assert_ne!(identity("O=a, CN=b"), identity("O=a+CN=b"));
}

#[test]
fn escapes_and_quotes_are_undone_and_written_again() {
    for (text, written) in [
        (r#"O="Smith, Jones", CN=x"#, r"O=Smith\, Jones, CN=x"),
        (r"O=a\2cb", r"O=a\,b"),
        (r"CN=\ lead and trail\ ", r"CN=\20lead and trail\20"),
        (r"CN=\23hash", r"CN=\#hash"),
        (r"CN=\2a", r"CN=\2a"),
        ("CN=a+b", r"CN=a\+b"),
        ("/CN=http://x/y/O=z", "CN=http://x/y, O=z"),
        ("1.2.3.4=text", "1.2.3.4=text"),
        ("oid.2.5.4.3=text", "CN=text"),
        ("emailAddress=a@b", "E=a@b"),
        ("O=o+CN=n", "CN=n+O=o"),
    ] {
        let name: DistinguishedName = text.parse().expect(text);
        assert_eq!(name.to_string(), written);
        assert_eq!(written.parse(), Ok(name));
    }
}

#[test]
fn malformed_text_is_refused_with_the_reason() {
    let cases = [
        ("", IdentityError::Empty),
        ("%any", IdentityError::Wildcard),
        ("fqdn:*.example.org", IdentityError::Wildcard),
        ("*.example.org", IdentityError::Wildcard),
        ("CN=*", IdentityError::Wildcard),
        ("XX=1, CN=2", IdentityError::UnknownAttribute("XX".into())),
        ("CN=a, b", IdentityError::UnknownAttribute("b".into())),
        ("@#0g", IdentityError::Hex),
        ("@#0", IdentityError::Hex),
        ("@#+1", IdentityError::Hex),
        ("ipv4:1.2.3", IdentityError::Prefix("1.2.3".into())),
        ("a b", IdentityError::ForbiddenByte { at: 1 }),
    ];
    for (text, error) in cases {
        assert_eq!(text.parse::<Identity>(), Err(error), "{text}");
    }
}

/// Adversary, lengths in TLVs: every length but the right one is refused (RFC 7296 §3.5).
#[test]
fn an_address_of_another_length_is_refused() {
    for (kind, expected) in [(1, 4), (5, 16)] {
        for actual in (0..20).filter(|actual| *actual != expected) {
            assert_eq!(
                Identity::from_payload(&payload(kind, &vec![1; actual])),
                Err(IdentityError::AddressLength { expected, actual })
            );
        }
    }
}

/// Adversary: a terminator inside a name must not make it another one in somebody's log or comparison.
#[test]
fn terminators_and_blanks_in_names_are_refused() {
    assert_eq!(
        Identity::from_payload(&payload(2, b"moon\0.evil")),
        Err(IdentityError::ForbiddenByte { at: 4 })
    );
    assert_eq!(Identity::from_payload(&payload(3, b"a@b\r")), Err(IdentityError::ForbiddenByte { at: 3 }));
    assert_eq!(Identity::from_payload(&payload(2, b"")), Err(IdentityError::Empty));
    assert_eq!(Identity::from_payload(&payload(3, b"nobody")), Err(IdentityError::NotAnAddress));
    assert_eq!(Identity::from_payload(&payload(3, &[0xff, b'@', b'a'])), Err(IdentityError::NotText));
    assert_eq!(Identity::from_payload(&payload(11, b"")), Err(IdentityError::Empty));
}

/// Adversary, lengths in TLVs: a name cut short anywhere, or followed by more, is none.
#[test]
fn a_truncated_or_padded_name_is_refused() {
    let whole = identity("C=CN, O=fabedge.io, CN=node").to_payload().data;
    for end in 0..whole.len() {
        assert!(Identity::from_payload(&payload(9, &whole[..end])).is_err(), "{end}");
    }
    let padded = [whole.as_slice(), &[0]].concat();
    assert_eq!(Identity::from_payload(&payload(9, &padded)), Err(IdentityError::Name));
    assert_eq!(Identity::from_payload(&payload(9, &[0x30, 0])), Err(IdentityError::Empty));
    assert_eq!(
        Identity::from_payload(&payload(9, &vec![0x30; MAX_NAME_LEN + 1])),
        Err(IdentityError::NameTooLong { length: MAX_NAME_LEN + 1 })
    );
}

/// RFC 4945 §3.1.2, §3.1.3
#[test]
fn host_names_and_addresses_are_equal_without_regard_to_case() {
    assert_eq!(identity("Moon.Example.org"), identity("moon.example.ORG"));
    assert_eq!(identity("carol@Example.org"), identity("carol@example.org"));
    assert_eq!(identity("Carol@example.org"), identity("carol@example.org"));
    assert_ne!(identity("keyid:A"), identity("keyid:a"));
}

#[test]
fn patterns_match_what_they_say_and_nothing_else() {
    let matching = [
        ("%any", "10.0.0.1"),
        ("*", "CN=x"),
        ("*.example.org", "moon.example.org"),
        ("*.example.org", "a.b.EXAMPLE.org"),
        ("@*.example.org", "moon.example.org"),
        ("*@example.org", "carol@Example.org"),
        ("C=CN, O=fabedge.io, CN=*", "C=CN, O=fabedge.io, CN=edge1"),
        ("C=*, O=*, CN=*", "C=CN, O=fabedge.io, CN=edge1"),
        ("O=*+CN=a", "CN=a+O=b"),
        ("CN=*+CN=a", "CN=a+CN=b"),
        ("keyid:abc", "keyid:abc"),
    ];
    for (text, who) in matching {
        assert!(pattern(text).matches(&identity(who)).is_some(), "{text} {who}");
    }
    let others = [
        ("*.example.org", "example.org"),
        ("*.example.org", "fqdn:.example.org"),
        ("*.example.org", "badexample.org"),
        ("*.example.org", "carol@moon.example.org"),
        ("*@example.org", "carol@moon.example.org"),
        ("C=CN, O=fabedge.io, CN=*", "C=CN, O=other, CN=edge1"),
        ("C=CN, O=fabedge.io, CN=*", "C=CN, CN=edge1, O=fabedge.io"),
        ("C=CN, O=fabedge.io, CN=*", "C=CN, O=fabedge.io"),
        ("C=CN, O=fabedge.io, CN=*", "C=CN, O=fabedge.io, CN=edge1, CN=more"),
        ("C=CN, O=fabedge.io, CN=*", "C=CN, O=fabedge.io, OU=edge1"),
        (r"CN=\2a", "CN=edge1"),
        ("CN=*", "CN=a+O=b"),
        ("CN=*+O=*", "CN=a"),
        ("keyid:abc", "keyid:abcd"),
        ("10.0.0.1", "@10.0.0.1"),
    ];
    for (text, who) in others {
        assert_eq!(pattern(text).matches(&identity(who)), None, "{text} {who}");
    }
}

#[test]
fn a_better_pattern_ranks_higher() {
    let who = identity("C=CN, O=fabedge.io, CN=edge1");
    let ranked = [
        "%any",
        "C=*, O=*, CN=*",
        "C=*, O=fabedge.io, CN=*",
        "C=CN, O=fabedge.io, CN=*",
        "C=CN, O=fabedge.io, CN=edge1",
    ];
    let qualities: Vec<MatchQuality> =
        ranked.iter().map(|text| pattern(text).matches(&who).expect("matches")).collect();
    assert!(qualities.is_sorted_by(|a, b| a < b), "{qualities:?}");

    let host = identity("a.b.example.org");
    assert!(pattern("*.b.example.org").matches(&host) > pattern("*.example.org").matches(&host));
    assert_eq!(qualities[0], MatchQuality::ANY);
    assert_eq!(qualities[4], MatchQuality::EXACT);
}

#[test]
fn patterns_read_back() {
    for text in ["%any", "*.example.org", "*@example.org", "C=CN, O=*, CN=x", "moon", "keyid:x", r"CN=\2a"] {
        let pattern = pattern(text);
        assert_eq!(pattern.to_string().parse(), Ok(pattern.clone()), "{text}");
    }
    for text in ["*.", "*@", "*@a@b", "CN=*, XX=1", "*x.example.org"] {
        assert!(text.parse::<IdentityPattern>().is_err(), "{text}");
    }
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", "\\PC{0,8}", Just("*".to_owned()), Just(" ".to_owned())]
}

proptest! {
    #[test]
    fn any_payload_gives_an_identity_or_an_error(kind: u8, data: Vec<u8>) {
        let payload = IdPayload { kind, data };
        if let Ok(identity) = Identity::from_payload(&payload) {
            prop_assert_eq!(identity.to_payload(), payload);
        }
    }

    #[test]
    fn every_identity_that_came_reads_back_from_its_text(
        kind in 1u8..14,
        data in prop::collection::vec(0x20u8..0x7f, 1..24),
    ) {
        if let Ok(identity) = Identity::from_payload(&IdPayload { kind, data }) {
            let text = identity.to_string();
            prop_assert_eq!(text.parse::<Identity>(), Ok(identity), "{}", text);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        if let Ok(identity) = text.parse::<Identity>() {
            prop_assert_eq!(identity.to_string().parse::<Identity>(), Ok(identity.clone()));
            let quality = IdentityPattern::from(identity.clone()).matches(&identity);
            prop_assert_eq!(quality, Some(MatchQuality::EXACT));
        }
        if let Ok(pattern) = text.parse::<IdentityPattern>() {
            prop_assert_eq!(pattern.to_string().parse::<IdentityPattern>(), Ok(pattern));
        }
    }

    #[test]
    fn name_text_round_trips(values in prop::collection::vec(any_value(), 1..5)) {
        let types = ["C", "O", "OU", "CN", "1.2.3.4"];
        let hex = |value: &str| value.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let parts: Vec<String> = values.iter().zip(types)
            .map(|(value, kind)| format!("{kind}=#0c{:02x}{}", value.len(), hex(value)))
            .collect();
        let name: DistinguishedName = parts.join(",").parse().expect("well-formed");
        prop_assert_eq!(name.to_string().parse::<DistinguishedName>(), Ok(name.clone()), "{}", name);
        let identity = Identity::from_payload(&payload(9, name.as_der())).expect("a name");
        prop_assert_eq!(identity.to_string().parse::<Identity>(), Ok(identity.clone()), "{}", identity);
    }

    #[test]
    fn a_name_fits_itself_with_any_values_starred(stars in prop::collection::vec(any::<bool>(), 4)) {
        let parts = ["C=CN", "O=fabedge.io", "OU=edge", "CN=node"];
        let name = identity(&parts.join(", "));
        let starred: Vec<String> = parts.iter().zip(&stars)
            .map(|(part, star)| match star {
                true => format!("{}=*", part.split('=').next().expect("a type")),
                false => (*part).to_owned(),
            })
            .collect();
        let pattern = pattern(&starred.join(", "));
        let quality = pattern.matches(&name);
        prop_assert!(quality.is_some());
        prop_assert_eq!(quality == Some(MatchQuality::EXACT), stars.iter().all(|star| !star));
        prop_assert_eq!(pattern.matches(&identity("C=CN, O=fabedge.io, OU=edge")), None);
    }

    #[test]
    fn any_bytes_in_a_name_are_read_or_refused(bytes: Vec<u8>) {
        let sequence = [&[0x30, bytes.len() as u8], bytes.as_slice()].concat();
        let set = [&[0x30, bytes.len() as u8 ^ 2, 0x31, bytes.len() as u8], bytes.as_slice()].concat();
        for name in [bytes, sequence, set] {
            if let Ok(name) = DistinguishedName::from_der(&name) {
                prop_assert_eq!(name.to_string().parse::<DistinguishedName>().is_ok(), !name.is_empty());
            }
        }
    }
}
