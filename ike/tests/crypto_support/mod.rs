//! What the tests of the cryptography share.
#![allow(dead_code, reason = "each test binary uses its part")]

use tidegate_ike::crypto::{Provider, RING, SEEDED, pem};

/// Every provider of this build.
pub(crate) fn providers() -> Vec<&'static Provider> {
    vec![
        &RING,
        &SEEDED,
        #[cfg(feature = "aws-lc-rs")]
        &tidegate_ike::crypto::AWS_LC,
    ]
}

/// Every provider with every other one and with itself.
pub(crate) fn pairs() -> Vec<(&'static Provider, &'static Provider)> {
    let all = providers();
    all.iter().flat_map(|one| all.iter().map(move |other| (*one, *other))).collect()
}

/// A file of `data/keys`, without `.pem`.
pub(crate) fn key_file(name: &str) -> String {
    let path = format!("{}/tests/data/keys/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A private key of `data/keys` in DER.
pub(crate) fn private_key(name: &str) -> Vec<u8> {
    pem::private_key(&key_file(name)).expect("a test key").to_vec()
}

/// A public key of `data/keys` in DER.
pub(crate) fn public_key(name: &str) -> Vec<u8> {
    pem::public_key(&key_file(&format!("{name}.pub"))).expect("a test key")
}

/// Octets of a vector; spaces and line ends do not count.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "whole octets");
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(pair, 16).expect("hexadecimal")
        })
        .collect()
}

/// A vector of `data/vectors.txt`, which `data/vectors.py` wrote.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    let all = include_str!("../data/vectors.txt");
    let line = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" ="));
    hex(line.unwrap_or_else(|| panic!("no vector {name}")))
}
