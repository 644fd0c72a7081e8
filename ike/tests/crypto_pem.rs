//! PEM files as operators have them.

mod crypto_support;

use crypto_support::{key_file, private_key, providers};
use tidegate_ike::crypto::pem::{self, PemError};

#[test]
fn a_key_is_found_among_other_blocks() {
    let text = format!("Some words\n{}\n{}\n", key_file("p256.pub"), key_file("p256.sec1"));
    assert_eq!(*pem::private_key(&text).expect("a key"), private_key("p256.sec1"));
    // `openssl ecparam -genkey` puts the curve in front.
    let text =
        format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{text}");
    assert_eq!(*pem::private_key(&text).expect("a key"), private_key("p256.sec1"));
}

#[test]
fn line_ends_of_either_kind_will_do() {
    let text = key_file("rsa2048.pk8").replace('\n', "\r\n");
    let key = pem::private_key(&text).expect("a key");
    assert_eq!(*key, private_key("rsa2048.pk8"));
    for provider in providers() {
        assert!((provider.load_key)(&key).is_ok());
    }
}

#[test]
fn certificates_come_in_order() {
    let block = |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
    let text = format!("leaf\n{}{}root\n{}", block("AQID"), key_file("p256.pub"), block("BAUG"));
    assert_eq!(pem::certificates(&text), Ok(vec![vec![1, 2, 3], vec![4, 5, 6]]));
    assert_eq!(pem::revocation_lists(&text), Err(PemError::Missing));
}

#[test]
fn an_encrypted_key_says_so() {
    assert_eq!(pem::private_key(&key_file("p256.encrypted")).err(), Some(PemError::Encrypted));
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAQID\n\
               -----END RSA PRIVATE KEY-----\n";
    assert_eq!(pem::private_key(old).err(), Some(PemError::Encrypted));
}

#[test]
fn a_text_without_a_key_says_so() {
    for text in ["", "no block", "-----BEGIN", "-----BEGIN -----END ", "----------"] {
        assert_eq!(pem::private_key(text).err(), Some(PemError::Missing), "{text}");
    }
    assert_eq!(pem::public_key(&key_file("p256.pk8")), Err(PemError::Missing));
}

#[test]
fn a_damaged_block_names_its_line() {
    let good = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
    for bad in [
        good.replace("AQID", "AQ*D"),
        good.replace("END CERTIFICATE", "END CRL"),
        good.replace("-----END CERTIFICATE-----", ""),
        good.replace("AQID\n", ""),
    ] {
        let text = format!("{good}{bad}");
        assert_eq!(pem::certificates(&text), Err(PemError::Damaged { line: 4 }), "{bad}");
    }
}

#[test]
fn no_cut_of_a_file_panics() {
    let text = key_file("ed25519.pk8");
    for length in 0..text.len() {
        drop(pem::private_key(&text[..length]));
        drop(pem::certificates(&text[length..]));
    }
}
