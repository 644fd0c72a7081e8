//! The files of charon.

use super::material::{
    CA, CLOUD, Holder, authority, certificate_of, issue, issue_as, local_round, openssl, pattern,
};
use crate::fake::Folder as Place;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tidegate::pki::{KeyChoice, RsaBits};
use tidegate::vici::Credentials;
use tidegate::vici::credentials::folder::{
    Entry, Folder, FolderFault, Found, Line, LineFault, Material, Problem, lines,
};
use tidegate::vici::credentials::{CredentialFault, LockFault};
use tidegate::vici::sections::Method;
use tidegate_ike::auth::LocalAuth;
use tidegate_ike::identity::IdentityPattern;

fn write(place: &Place, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = place.path().join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("it is ours");
    fs::write(&path, content).expect(name);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect(name);
    path
}

fn problems(found: &Found) -> Vec<&Problem> {
    found.faults.iter().map(|fault| &fault.problem).collect()
}

fn secret(text: &str) -> Result<Vec<u8>, LineFault> {
    match lines(text.as_bytes()) {
        Ok(all) => match &all[..] {
            [Line { entry: Entry::Credential { material: Material::Secret(secret), .. }, .. }] => {
                Ok(secret.to_vec())
            }
            other => panic!("{text:?}: {other:?}"),
        },
        Err((1, fault)) => Err(fault),
        Err(other) => panic!("{text:?}: {other:?}"),
    }
}

#[test]
fn secrets_are_quoted_or_hexadecimal_or_base64_or_all_that_is_left() {
    for (text, expected) in [
        (": PSK \"known to both\"", &b"known to both"[..]),
        (": psk 'known \"to\" both'", b"known \"to\" both"),
        (": PSK \"with # inside\" # and a comment", b"with # inside"),
        (": PSK 0x00ffAb", b"\x00\xff\xab"),
        (": PSK \"0x00ffAb\"", b"0x00ffAb"),
        (": PSK 0sdGlkZQ==", b"tide"),
        (": PSK plain", b"plain"),
        (": PSK plain words  # and a comment", b"plain words"),
        ("\t:\tPSK\t\"tabs\"\r", b"tabs"),
        ("\"C=CN, CN=x\" 192.0.2.1 %any : PSK x", b"x"),
    ] {
        assert_eq!(secret(text).as_deref(), Ok(expected), "{text:?}");
    }
}

#[test]
fn every_line_that_makes_no_sense_is_named() {
    for (text, fault) in [
        ("PSK \"x\"", LineFault::NoColon),
        ("a: PSK \"x\"", LineFault::NoColon),
        (": PSK \"x", LineFault::Quote),
        (": PSK", LineFault::Secret),
        (": PSK \"\"", LineFault::Secret),
        (": PSK 0xabc", LineFault::Secret),
        (": PSK \"a\" b", LineFault::Secret),
        (":", LineFault::Kind(String::new())),
        (": DSA x", LineFault::Kind("DSA".to_owned())),
        (": RSA", LineFault::NoFile),
        (": RSA a b c", LineFault::Trailing),
        ("include", LineFault::Include),
        ("include a b", LineFault::Include),
    ] {
        assert_eq!(lines(text.as_bytes()).expect_err(text), (1, fault.clone()), "{text:?}");
        assert!(!fault.to_string().is_empty());
    }
    let (line, fault) =
        lines(b"# fine\n: PSK \"x\"\nCN=a,unknown=b : PSK \"y\"\n").expect_err("an id that is none");
    assert_eq!(line, 3);
    assert!(matches!(fault, LineFault::Id(_)));
    assert_eq!(lines(b": RSA \xff.key").expect_err("no text"), (1, LineFault::NotText));
}

#[test]
fn ids_are_the_owners_of_secrets() {
    let place = Place::new();
    write(
        &place,
        "ipsec.secrets",
        "# ours\ncloud edge : PSK \"theirs\"\n\n: PSK \"anybody's\"\n\"C=CN, CN=cloud\" edge : PSK 0x6464",
    );
    let mut credentials = Credentials::new();
    let found = Folder::new(place.path()).read();
    assert_eq!(problems(&found), [&Problem::Unsupported { line: 0, kind: "" }; 0]);
    credentials.replace_files(found.shelf);
    for (ours, peer, expected) in
        [("cloud", "edge", "theirs"), ("a", "b", "anybody's"), ("C=CN, CN=cloud", "edge", "dd")]
    {
        let round = local_round(Method::Psk, Some(ours));
        let (_, proof) = credentials.local(&round, &pattern(peer)).expect(ours);
        assert!(
            matches!(&*proof.auth, LocalAuth::Psk(secret) if ***secret == *expected.as_bytes()),
            "{ours}"
        );
    }
}

/// A folder as FabEdge fills it.
fn fabedge(place: &Place) -> Holder {
    let ca = authority(CA);
    let cloud = issue_as(&ca, CLOUD, &[], KeyChoice::Rsa(RsaBits::Bits2048));
    write(place, "ipsec.d/cacerts/ca.crt", ca.pem());
    write(place, "ipsec.d/certs/tls.crt", &cloud.pem);
    write(place, "ipsec.d/private/tls.key", &cloud.key_pem);
    write(place, "ipsec.secrets", ": RSA tls.key\n");
    cloud
}

#[test]
fn keys_and_certificates_are_found_where_charon_finds_them() {
    let place = Place::new();
    let cloud = fabedge(&place);
    let found = Folder::new(place.path()).read();
    assert_eq!(found.faults, []);
    assert_eq!((found.shelf.keys().len(), found.shelf.certificates().len()), (1, 2));
    for name in ["ipsec.secrets", "ipsec.d/private/tls.key", "ipsec.d/cacerts", "ipsec.d/crls"] {
        assert!(found.files.contains(&place.path().join(name)), "{name} is to be watched");
    }
    let mut credentials = Credentials::new();
    credentials.replace_files(found.shelf);
    let mut inline = local_round(Method::SIGNATURE, Some(CLOUD));
    assert!(credentials.local(&inline, &IdentityPattern::Any).is_ok(), "by its name");
    inline.certificates.push(cloud.certificate);
    assert!(credentials.local(&inline, &IdentityPattern::Any).is_ok(), "as a client names it");
}

#[test]
fn every_form_of_key_and_certificate_is_read() {
    let place = Place::new();
    let ca = authority(CA);
    write(&place, "ipsec.d/cacerts/ca.der", certificate_of(&ca).der());
    let rsa = issue_as(&ca, "CN=rsa", &[], KeyChoice::Rsa(RsaBits::Bits2048));
    let (p256, ed25519) = (issue(&ca, "CN=ec", &[]), issue_as(&ca, "CN=ed", &[], KeyChoice::Ed25519));
    let (Some(pkcs1), Some(pkcs1_der)) = (
        openssl("rsa -traditional", rsa.key_pem.as_bytes()),
        openssl("rsa -traditional -outform DER", rsa.key_pem.as_bytes()),
    ) else {
        return;
    };
    let sec1 = openssl("ec", p256.key_pem.as_bytes()).expect("as before");
    let sec1_der = openssl("ec -outform DER", p256.key_pem.as_bytes()).expect("as before");
    let forms: [(&str, &[u8]); 7] = [
        ("pkcs1.pem", &pkcs1),
        ("pkcs1.der", &pkcs1_der),
        ("sec1.pem", &sec1),
        ("sec1.der", &sec1_der),
        ("pkcs8.pem", ed25519.key_pem.as_bytes()),
        ("pkcs8.der", &ed25519.key),
        ("rsa.p8", &rsa.key),
    ];
    for (name, bytes) in forms {
        write(&place, &format!("ipsec.d/private/{name}"), bytes);
        for kind in ["RSA", "ecdsa", "PKCS8"] {
            write(&place, "ipsec.secrets", format!(": {kind} {name}"));
            let found = Folder::new(place.path()).read();
            assert_eq!(found.faults, [], "{name}");
            assert_eq!(found.shelf.keys().len(), 1, "{name}");
        }
    }
    let absolute = place.path().join("ipsec.d/private/pkcs1.pem");
    write(&place, "ipsec.secrets", format!(": RSA \"{}\" \"no passphrase\"", absolute.display()));
    assert_eq!(Folder::new(place.path()).read().shelf.keys().len(), 1);
}

#[test]
fn keys_that_a_passphrase_protects_are_opened_with_it() {
    let place = Place::new();
    let cloud = issue(&authority(CA), CLOUD, &[]);
    let Some(plain) = openssl("pkey", cloud.key_pem.as_bytes()) else { return };
    let lock = |how: &str| openssl(how, &plain).expect("as before");
    let id = |found: &Found| found.shelf.keys().iter().map(|key| key.id()).collect::<Vec<_>>();
    write(&place, "ipsec.d/private/tls.key", &plain);
    write(&place, "ipsec.secrets", ": ECDSA tls.key");
    let expected = id(&Folder::new(place.path()).read());
    for how in [
        "pkcs8 -topk8 -v2 aes-256-cbc -passout pass:open,sesame",
        "pkcs8 -topk8 -v2 aes-192-cbc -v2prf hmacWithSHA512 -iter 5000 -passout pass:open,sesame",
        "pkcs8 -topk8 -v2 aes-128-cbc -v2prf hmacWithSHA1 -passout pass:open,sesame",
        "pkcs8 -topk8 -v2 aes-256-cbc -outform DER -passout pass:open,sesame",
    ] {
        write(&place, "ipsec.d/private/tls.key", lock(how));
        for given in
            ["\"open,sesame\"", "open,sesame", "'open,sesame' # with a comment", "0x6f70656e2c736573616d65"]
        {
            write(&place, "ipsec.secrets", format!(": ECDSA tls.key {given}"));
            let found = Folder::new(place.path()).read();
            assert_eq!((found.faults.as_slice(), id(&found)), (&[][..], expected.clone()), "{how}: {given}");
        }
        write(&place, "ipsec.secrets", ": ECDSA tls.key \"close\"");
        let found = Folder::new(place.path()).read();
        assert_eq!(problems(&found), [&Problem::Credential(CredentialFault::Locked(LockFault::Passphrase))]);
        let told = found.faults[0].to_string();
        assert!(told.contains("ipsec.d/private/tls.key: private key is encrypted"), "{told}");
        assert!(!told.contains("close"));
    }
    // What has no passphrase, and what there is no way to open, is named.
    for (how, line, fault) in [
        ("pkcs8 -topk8 -v2 aes-256-cbc -passout pass:x", "", "private key is encrypted"),
        ("pkcs8 -topk8 -v2 aes-256-cbc -passout pass:x", "%prompt", "private key is encrypted"),
        ("pkcs8 -topk8 -v2 des3 -passout pass:x", "\"x\"", "1.2.840.113549.3.7"),
        ("ec -aes256 -passout pass:x", "\"x\"", "older form"),
    ] {
        write(&place, "ipsec.d/private/tls.key", lock(how));
        write(&place, "ipsec.secrets", format!(": ECDSA tls.key {line}"));
        let found = Folder::new(place.path()).read();
        assert!(found.shelf.keys().is_empty(), "{how}");
        let told: Vec<_> = found.faults.iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].contains("tls.key") && told[0].contains(fault), "{told:?}");
    }
}

#[test]
fn what_is_of_no_use_is_said_and_left_out() {
    let place = Place::new();
    write(
        &place,
        "ipsec.secrets",
        ": P12 a.p12 \"x\"\nalice : EAP \"x\"\nbob : XAUTH \"y\"\n: PIN %smartcard\n: PSK \"z\"",
    );
    let cloud = issue(&authority(CA), CLOUD, &[]);
    write(&place, "ipsec.d/cacerts/cloud.pem", &cloud.pem);
    write(&place, "ipsec.d/crls/a.crl", "garbage");
    write(&place, "ipsec.d/cacerts/.hidden", "garbage");
    write(&place, "ipsec.d/cacerts/backup~", "garbage");
    let found = Folder::new(place.path()).read();
    let unsupported = |line, kind| Problem::Unsupported { line, kind };
    assert_eq!(
        problems(&found),
        [
            &Problem::Credential(CredentialFault::NotAuthority),
            &Problem::Credential(CredentialFault::Encoding(tidegate_ike::crypto::pem::PemError::Missing)),
            &unsupported(1, "P12"),
            &unsupported(2, "EAP"),
            &unsupported(3, "XAUTH"),
            &unsupported(4, "PIN"),
        ]
    );
    assert_eq!(found.shelf.secrets().len(), 1);
    assert!(found.faults[0].to_string().contains("cloud.pem"), "{}", found.faults[0]);
}

#[test]
fn files_that_others_can_read_are_named_and_read() {
    let place = Place::new();
    fabedge(&place);
    for (name, mode) in [("ipsec.secrets", 0o644), ("ipsec.d/private/tls.key", 0o640)] {
        fs::set_permissions(place.path().join(name), fs::Permissions::from_mode(mode)).expect(name);
    }
    let found = Folder::new(place.path()).read();
    assert_eq!(problems(&found), [&Problem::Loose { mode: 0o644 }, &Problem::Loose { mode: 0o640 }]);
    assert!(found.faults.iter().all(FolderFault::is_harmless));
    assert_eq!(found.shelf.keys().len(), 1);
}

#[test]
fn what_is_half_written_leaves_what_was_there() {
    let place = Place::new();
    let cloud = fabedge(&place);
    let mut folder = Folder::new(place.path());
    let before = folder.read().shelf;
    for (name, whole) in [
        ("ipsec.d/private/tls.key", cloud.key_pem.as_str()),
        ("ipsec.d/certs/tls.crt", cloud.pem.as_str()),
        ("ipsec.secrets", "cloud : PSK \"x\"\n: RSA tls.key\n"),
    ] {
        let half = if name == "ipsec.secrets" { "cloud : PSK \"x" } else { &whole[..whole.len() / 2] };
        write(&place, name, half);
        for _ in 0..2 {
            let found = folder.read();
            assert!(matches!(problems(&found)[..], [Problem::Kept(_)]), "{name}: {:?}", found.faults);
            assert!(found.faults[0].to_string().contains("still counts"));
            assert_eq!(found.shelf.keys().len(), 1, "{name}");
            assert_eq!(found.shelf.certificates().len(), before.certificates().len(), "{name}");
        }
        write(&place, name, whole);
        assert_eq!(folder.read().faults, [], "{name}");
    }
}

#[test]
fn what_is_gone_has_nothing_to_say_any_more() {
    let place = Place::new();
    fabedge(&place);
    let mut folder = Folder::new(place.path());
    assert_eq!(folder.read().shelf.keys().len(), 1);
    fs::remove_file(place.path().join("ipsec.d/private/tls.key")).expect("it was there");
    let found = folder.read();
    assert_eq!(problems(&found), [&Problem::Io(std::io::ErrorKind::NotFound)]);
    assert_eq!(found.shelf.keys().len(), 0);
    fs::remove_dir_all(place.path().join("ipsec.d")).expect("it was there");
    fs::remove_file(place.path().join("ipsec.secrets")).expect("it was there");
    let found = folder.read();
    assert_eq!(problems(&found), [&Problem::Io(std::io::ErrorKind::NotFound)]);
    assert!(found.shelf.certificates().is_empty());
}

#[test]
fn includes_are_followed_by_pattern_and_not_for_ever() {
    let place = Place::new();
    write(&place, "ipsec.secrets", "include ipsec.*.secrets\ninclude more/one\ninclude not/there\n");
    write(&place, "ipsec.a.secrets", "a b : PSK \"a\"");
    write(&place, "ipsec.b.secrets", "a c : PSK \"b\"");
    write(&place, "more/one", "a d : PSK \"c\"\ninclude two");
    write(&place, "more/two", "a e : PSK \"d\"\n");
    let found = Folder::new(place.path()).read();
    assert_eq!(found.faults, []);
    assert_eq!(found.shelf.secrets().len(), 4);
    assert!(found.files.contains(&place.path().join("not/there")), "it may come");

    write(&place, "more/two", "a e : PSK \"d\"\ninclude one");
    let found = Folder::new(place.path()).read();
    assert!(problems(&found).contains(&&Problem::TooManyIncludes));
    assert_eq!(found.shelf.secrets().len(), 4);
}
