//! Whatever is brought, nothing panics.

use proptest::prelude::*;
use tidegate::vici::credentials::folder::lines;
use tidegate::vici::credentials::{Owner, StoredCertificate, StoredKey, StoredList};

/// Lines of words that mean something, with anything between them.
fn secrets() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: [&[u8]; 15] = [
        b":",
        b" ",
        b"\n",
        b"\"",
        b"'",
        b"#",
        b"PSK",
        b"RSA",
        b"include",
        b"0x",
        b"0s",
        b"%any",
        b"CN=x",
        b"\xff\x00",
        b"a@b",
    ];
    let word = prop::sample::select(&WORDS[..]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

/// A key that a passphrase protects, by one round.
const LOCKED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
MIGaMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAgsLkMW4UFKOgIBATAM\n\
BggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBAgQQ0RFalE6muYSvg3OJvix+XwRA5xIs\n\
aqLLVHbIqOEQ7rGk2o6oRxs67pg5//OLHhR6bjt9m7fyHUCbFqeEolLYs4QCNVK/\n\
4QeUDiSmcqXVEF8T6g==\n\
-----END ENCRYPTED PRIVATE KEY-----\n";

/// A PEM or DER text with some of its bytes exchanged.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    const KEY: &[u8] = include_bytes!("../../../../ike/tests/data/certs/moon-rsa.key");
    const CERTIFICATE: &[u8] = include_bytes!("../../../../ike/tests/data/certs/moon.pem");
    const LIST: &[u8] = include_bytes!("../../../../ike/tests/data/certs/crl-root.pem");
    let base = prop_oneof![Just(KEY), Just(CERTIFICATE), Just(LIST), Just(LOCKED)];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (base, changes, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(base, changes, end, cut)| {
        let mut bytes = base.to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        bytes
    })
}

fn read_all(bytes: &[u8]) {
    let _ = StoredCertificate::read(bytes).map(StoredCertificate::authority);
    let _ = StoredKey::read(bytes);
    let _ = StoredKey::read_locked(bytes, b"x");
    let _ = StoredList::read(bytes);
    let _ = lines(bytes);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
    }

    #[test]
    fn any_secrets_file_is_read_or_refused_by_a_line_that_it_has(bytes in secrets()) {
        match lines(&bytes) {
            Ok(lines) => prop_assert!(lines.len() <= bytes.split(|byte| *byte == b'\n').count()),
            Err((line, fault)) => {
                prop_assert!(line <= bytes.split(|byte| *byte == b'\n').count());
                prop_assert!(!fault.to_string().is_empty());
            }
        }
    }

    #[test]
    fn damaged_files_are_read_or_refused(bytes in damaged()) {
        read_all(&bytes);
    }

    #[test]
    fn any_owner_is_read_or_refused(text in ".{0,60}") {
        let _ = text.parse::<Owner>();
    }
}

#[test]
fn what_is_damaged_was_whole() {
    assert!(StoredKey::read_locked(LOCKED, b"x").is_ok());
}
