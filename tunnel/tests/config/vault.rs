//! What is in no file, and what is read into a configuration that there is already.

use super::support::{Folder, OFFICE, pki};
use std::path::Path;
use std::sync::Arc;
use tidegate::config::{Configuration, Vault};
use tidegate::mesh::Named;
use tidegate_ike::auth::LocalAuth;
use tidegate_ike::crypto::{RING, Secret, pem};

const NODE: &str =
    "[node]\nname = \"edge-1\"\ncertificate = \"mine\"\nkey = \"token:1\"\ntrust = [\"theirs\"]\n";
const PLAIN: &str = "[node]\nname = \"edge-1\"\n";

fn vault() -> Vault {
    let mut vault = Vault::default();
    vault.hold("mine", Secret::new(pki("moon.pem").into_bytes()));
    vault.hold("theirs", Secret::new(pki("root.pem").into_bytes()));
    vault.hold("peer.psk", Secret::new(b"held in memory".to_vec()));
    vault
}

fn read(text: &str, vault: &Vault) -> Configuration {
    Configuration::with_vault(text, Path::new("text"), vault).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

#[test]
fn secrets_and_certificates_may_be_in_no_file() {
    let configuration = read(&format!("{PLAIN}{OFFICE}"), &vault());
    let [office] = configuration.connections.as_slice() else { panic!("one connection") };
    match &*office.connection().ike.local.auth {
        LocalAuth::Psk(secret) => assert_eq!(&secret[..], b"held in memory"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_may_be_where_nobody_can_read_it() {
    let mut vault = vault();
    let der = pem::private_key(&pki("moon.key")).expect("a key");
    vault.hold_signer("token:1", Arc::from((RING.load_key)(&der).expect("a key")));
    let configuration = read(NODE, &vault);
    assert!(configuration.mesh.node.identity.to_string().contains("CN=moon"));
}

#[test]
fn a_key_that_belongs_to_another_certificate_is_a_mistake_of_the_key() {
    let mut vault = vault();
    let der = pem::private_key(&pki("moon-p384.key")).expect("a key");
    vault.hold_signer("token:1", Arc::from((RING.load_key)(&der).expect("a key")));
    let mistakes = Configuration::with_vault(NODE, Path::new("text"), &vault).expect_err("another's key");
    assert!(mistakes.to_string().starts_with("text:4:7: key:"), "{mistakes}");
}

#[test]
fn what_is_forgotten_is_looked_for_in_files() {
    let mut vault = vault();
    assert!(vault.forget("peer.psk"));
    assert!(!vault.forget("peer.psk"));
    let text = format!("{PLAIN}{OFFICE}");
    let mistakes = Configuration::with_vault(&text, Path::new("/nowhere/text"), &vault).expect_err("no file");
    assert!(mistakes.to_string().contains("/nowhere/peer.psk"), "{mistakes}");
}

#[test]
fn names_in_a_folder_are_those_that_are_written() {
    let folder = Folder::new();
    let path = folder.path("tidegate.toml");
    let configuration = Configuration::with_vault(&format!("{PLAIN}{OFFICE}"), &path, &vault());
    assert!(configuration.is_ok(), "{configuration:?}");
}

#[test]
fn what_is_added_is_as_the_node_where_it_says_nothing() {
    let node = format!("{PLAIN}port = 1500\nid = \"me.example\"\nencapsulation = \"auto\"\n");
    let added = read(&node, &vault()).additions(OFFICE, Path::new("more"), &vault()).expect("no mistake");
    let [office] = added.connections.as_slice() else { panic!("one connection") };
    let connection = office.connection();
    assert_eq!(&**office.name(), "office");
    assert_eq!(connection.ike.local.identity.to_string(), "me.example");
    assert_eq!(connection.ike.local.port, 1500);
}

#[test]
fn connections_that_are_added_may_use_pools_of_before_and_their_own() {
    let before = format!("{PLAIN}[[pool]]\nname = \"old\"\naddresses = \"10.9.0.0/24\"\n");
    let text = OFFICE.replace("name = \"office\"", "name = \"office\"\npools = [\"old\", \"new\"]");
    let text = format!("{text}[[pool]]\nname = \"new\"\naddresses = \"10.8.0.0/24\"\n");
    let added = read(&before, &vault()).additions(&text, Path::new("more"), &vault()).expect("no mistake");
    let pools: Vec<_> = added.pools.iter().map(|pool| &*pool.name).collect();
    assert_eq!(pools, ["new"]);
    assert_eq!(added.connections[0].connection().ike.pools.len(), 2);
}

#[test]
fn nothing_but_connections_and_pools_can_be_added() {
    let base = read(PLAIN, &vault());
    let mistakes = base.additions("[node]\nname = \"other\"\n", Path::new("more"), &vault());
    let mistakes = mistakes.expect_err("a node").to_string();
    assert!(mistakes.starts_with("more:1:2: unknown key \"node\" in the text"), "{mistakes}");
}
