use crate::support::{NOW, authority, node};
use tidegate::pki::{KeyChoice, PkiError, RsaBits, describe};
use tidegate_ike::WallTime;

#[test]
fn a_certificate_is_shown_as_people_read_it() {
    let issued = authority(KeyChoice::EcdsaP384)
        .issue(
            &node("C=CN, O=fabedge.io, CN=edge-1", &["edge-1.example", "192.0.2.1"]),
            KeyChoice::Rsa(RsaBits::Bits2048),
        )
        .unwrap();
    let description = &describe(&issued.pem()).unwrap()[0];
    let shown = description.display(NOW).to_string();
    for line in [
        "subject      C=CN, O=fabedge.io, CN=edge-1",
        "issuer       C=CN, O=fabedge.io, CN=Fabedge CA",
        "names        dns:edge-1.example, ip:192.0.2.1",
        "key          RSA 2048",
        "valid from   2027-01-15T07:55:00Z",
        "valid until  2028-01-15T08:00:00Z, 365 days left",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n---\n{shown}");
    }
    assert_eq!(description.serial.len(), 32);
    assert!(shown.contains("fingerprint  sha256 "));
}

#[test]
fn days_left_turn_into_days_ago() {
    let authority = authority(KeyChoice::Ed25519);
    let description = &describe(&authority.pem()).unwrap()[0];
    let shown = |now| description.display(WallTime(now)).to_string();
    assert!(shown(NOW.0).contains("key          Ed25519, issues certificates"));
    assert!(shown(NOW.0).contains("3650 days left"));
    assert!(shown(NOW.0 + 3652 * 86_400).contains("expired 2 days ago"));
    assert!(shown(0).contains("not valid yet"));
}

#[test]
fn all_certificates_of_a_text_are_described() {
    let authority = authority(KeyChoice::Ed25519);
    assert_eq!(describe(&(authority.pem() + &authority.pem())).unwrap().len(), 2);
    assert!(matches!(describe("nothing"), Err(PkiError::Certificate(_))));
}
