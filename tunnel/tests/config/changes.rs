//! A reload touches only what differs.

use super::support::{CLOUD, Folder, NODE, OFFICE, pki};
use tidegate::config::Update;

fn update(folder: &Folder, old: &str, new: &str) -> Update {
    let old = folder.load(old);
    folder.load(new).changes_since(&old)
}

fn base() -> String {
    format!("{NODE}{CLOUD}{OFFICE}")
}

#[test]
fn nothing_changes_when_only_comments_do() {
    let folder = Folder::with_files();
    assert!(update(&folder, &base(), &format!("# Ours.\n{}", base())).is_empty());
}

#[test]
fn one_connection_changes() {
    let folder = Folder::with_files();
    let update = update(&folder, &base(), &base().replace("10.4.0.0/16", "10.5.0.0/16"));
    assert_eq!(update.connections.changed, ["office".into()]);
    assert!(update.connections.added.is_empty() && update.connections.removed.is_empty());
}

#[test]
fn peers_come_and_go() {
    let folder = Folder::with_files();
    let edge = "[[peer]]\nname = \"edge-2\"\nid = \"CN=edge-2\"\nsubnets = [\"10.2.0.0/24\"]\naddresses = [\"192.0.2.2\"]\n\
                [[community]]\nname = \"app\"\nmembers = [\"edge-1\", \"edge-2\"]\n";
    let with = format!("{}{edge}", base());
    assert_eq!(update(&folder, &base(), &with).connections.added, ["edge-2".into()]);
    let gone = update(&folder, &with, &base()).connections;
    assert_eq!((gone.removed.len(), gone.changed.len(), gone.added.len()), (1, 0, 0));
}

#[test]
fn a_new_certificate_counts_for_the_connections_that_use_it() {
    let folder = Folder::with_files();
    let old = folder.load(&base());
    folder.copy("moon-p384.pem", "node.pem");
    folder.write_secret("node.key", &pki("moon-p384.key"));
    let update = folder.load(&base()).changes_since(&old);
    assert!(update.connections.changed.contains(&"cloud".into()));
}

#[test]
fn a_new_secret_counts_for_its_connection_alone() {
    let folder = Folder::with_files();
    let old = folder.load(&base());
    folder.write_secret("peer.psk", "known to both, and new\n");
    let update = folder.load(&base()).changes_since(&old);
    assert_eq!(update.connections.changed, ["office".into()]);
}

#[test]
fn a_secret_written_another_way_is_the_same() {
    let folder = Folder::with_files();
    let old = folder.load(&base());
    folder.write_secret("peer.psk", "0x6b6e6f776e20746f20626f7468");
    assert!(folder.load(&base()).changes_since(&old).is_empty());
}

#[test]
fn pools_change() {
    let folder = Folder::with_files();
    let pool = |name: &str| format!("[[pool]]\nname = \"{name}\"\naddresses = \"10.9.0.0/24\"\n");
    let update =
        update(&folder, &format!("{}{}", base(), pool("one")), &format!("{}{}", base(), pool("two")));
    assert_eq!(update.pools[0].name, "two".into());
    assert_eq!(update.unpooled, ["one".into()]);
}

#[test]
fn the_log_changes_at_once_and_the_device_at_a_restart() {
    let folder = Folder::with_files();
    let level = format!("{NODE}metrics = \"[::1]:9464\"\n[node.log]\nlevel = \"debug\"\n");
    let update = update(&folder, NODE, &level);
    assert_eq!(update.log.expect("it is another").level, "debug");
    assert_eq!(update.restart, ["metrics"]);
    assert!(update.connections.is_empty());
}

#[test]
fn secrets_are_not_shown() {
    let configuration = Folder::with_files().load(&base());
    let shown = format!("{configuration:?}");
    assert!(!shown.contains("known to both") && shown.contains("Fingerprint { .. }"), "{shown}");
}

#[test]
fn nothing_changes_along_with_the_port() {
    let folder = Folder::with_files();
    let update = update(&folder, &base(), &base().replace("[node]", "[node]\nport = 1500"));
    assert_eq!(update, Update { restart: vec!["port"], ..Update::default() });
}
