//! `tidegate.toml`, and what is added to it later, as any text: every mistake has a place in it and a remedy,
//! and what is found to make sense says the same when it is read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::LazyLock;
use tidegate::config::{Configuration, Mistakes, Vault};
use tidegate::mesh::Named;
use tidegate_ike::crypto::Secret;

/// Nothing is read from disk but what a text asks for by its full path.
const PLACE: &str = "/nonexistent/tidegate.toml";

/// What texts may name: a certificate, its key, its CA, and a secret.
static VAULT: LazyLock<Vault> = LazyLock::new(|| {
    let mut vault = Vault::default();
    for (name, content) in [
        ("node.pem", include_str!("../../ike/tests/data/certs/moon.pem")),
        ("node.key", include_str!("../../ike/tests/data/certs/moon.key")),
        ("ca.pem", include_str!("../../ike/tests/data/certs/root.pem")),
        ("peer.psk", "known to both\n"),
    ] {
        for name in [name.to_owned(), format!("/nonexistent/{name}")] {
            vault.hold(&name, Secret::new(content.as_bytes().to_vec()));
        }
    }
    vault
});

/// A configuration to add something to.
static BASE: LazyLock<Configuration> = LazyLock::new(|| {
    let text = "[node]\nname = \"base\"\n[[pool]]\nname = \"guests\"\naddresses = \"10.8.0.0/24\"\n";
    read(text).expect("it makes sense")
});

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // A device or a pipe may never end.
    if text.contains("/dev") || text.contains("/proc") {
        return;
    }
    match read(text) {
        Ok(configuration) => {
            let again = read(text).expect("it was read just now");
            assert!(again.changes_since(&configuration).is_empty(), "nothing has changed");
            assert!(configuration.connections.is_sorted_by_key(|connection| connection.name()));
        }
        Err(mistakes) => told(&mistakes, text),
    }
    if let Err(mistakes) = BASE.additions(text, Path::new(PLACE), &VAULT) {
        told(&mistakes, text);
    }
});

fn read(text: &str) -> Result<Configuration, Mistakes> {
    Configuration::with_vault(text, Path::new(PLACE), &VAULT)
}

fn told(mistakes: &Mistakes, text: &str) {
    assert!(!mistakes.all.is_empty());
    let lines = text.matches('\n').count() + 1;
    for mistake in &mistakes.all {
        assert!((1..=lines).contains(&mistake.place.line) && mistake.place.column >= 1);
        assert!(!mistake.fault.to_string().is_empty() && !mistake.fault.remedy().is_empty());
    }
}
