//! Files that secrets and keys come from: `ipsec.secrets`, private keys, certificates, and files of shared
//! secrets, as somebody who wants in may have written them.
//!
//! The first byte says what the rest is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::vici::credentials::folder::{Entry, Material, lines};
use tidegate::vici::credentials::{
    KeyId, Limits, Owner, SharedSecret, Shelf, StoredCertificate, StoredKey, StoredList,
};
use tidegate_ike::crypto::pem;
use tidegate_ike::identity::Identity;

fuzz_target!(|input: &[u8]| {
    let Some((&what, file)) = input.split_first() else { return };
    match what % 4 {
        0 => secrets(file),
        1 => key(file),
        2 => certificate(file),
        _ => text(file),
    }
});

/// `ipsec.secrets`.
fn secrets(file: &[u8]) {
    let count = file.split(|byte| *byte == b'\n').count();
    let read = match lines(file) {
        Ok(read) => read,
        Err((line, fault)) => {
            assert!((1..=count).contains(&line));
            return assert!(!fault.to_string().is_empty());
        }
    };
    assert!(read.len() <= count && read.windows(2).all(|pair| pair[0].number < pair[1].number));
    let mut shelf = Shelf::default();
    for line in read.into_iter().take(100) {
        let alone = file.split(|byte| *byte == b'\n').nth(line.number - 1).expect("it was there");
        let alone = lines(alone).expect("it was read before");
        assert_eq!(alone.len(), 1, "a line says the same wherever it stands");
        // What is told of a line has no secret in it, whatever was written where.
        let told = format!("{line:?}");
        let Entry::Credential { owners, material } = line.entry else { continue };
        assert!(owners.len() <= Limits::OWNERS);
        // Files of keys are not opened here, and kinds that we have no use for have nothing in them.
        let Material::Secret(secret) = material else { continue };
        assert!(!secret.is_empty() && secret.len() <= file.len());
        assert!(told.contains("Secret { .. }"), "{told}");
        let everybodys = SharedSecret::new(None, Vec::new(), secret.clone());
        let theirs = SharedSecret::new(None, owners, secret);
        assert!(shelf.add_secret(theirs).is_ok() && shelf.add_secret(everybodys).is_ok());
    }
}

/// A private key.
fn key(file: &[u8]) {
    match StoredKey::read(file) {
        Ok(key) => {
            assert_eq!(KeyId::of(key.public_key()), Some(key.id()));
            assert_eq!(KeyId::from_text(&key.id().to_string()), Some(key.id()));
            assert!(!key.kind().is_empty());
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
}

/// A certificate or a revocation list.
fn certificate(file: &[u8]) {
    match StoredCertificate::read(file) {
        Ok(certificate) => {
            assert_eq!(StoredCertificate::read(certificate.der()).as_ref(), Ok(&certificate));
            let _ = certificate.authority();
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
    if let Ok(list) = StoredList::read(file) {
        assert!(StoredList::read(list.der()).is_ok());
    }
}

/// PEM, and names of owners.
fn text(file: &[u8]) {
    let Ok(text) = std::str::from_utf8(file) else { return };
    let _ = pem::private_key(text);
    for read in [pem::certificates(text), pem::revocation_lists(text)].into_iter().flatten() {
        assert!(read.iter().map(Vec::len).sum::<usize>() <= text.len());
    }
    for line in text.lines() {
        let _ = line.parse::<Owner>();
        let _ = KeyId::from_text(line);
        if let Ok(identity) = line.parse::<Identity>() {
            assert_eq!(identity.to_string().parse(), Ok(identity));
        }
    }
}
