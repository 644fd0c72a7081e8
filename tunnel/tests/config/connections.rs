//! What is read of a connection.

use super::support::{CLOUD, Folder, NODE, OFFICE};
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate::config::Configuration;
use tidegate::connection::{After, ChildMode, Connection, Start};
use tidegate::mesh::Named;
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::connection::{AddressRequest, Childless, EncapsulationPolicy, Fragmentation, Unique};

fn connection(configuration: &Configuration, name: &str) -> Connection {
    let found = configuration.connections.iter().find(|it| &**it.name() == name);
    found.unwrap_or_else(|| panic!("no connection {name}")).connection()
}

#[test]
fn the_identity_of_a_node_is_its_certificates_subject() {
    let configuration = Folder::with_files().load(&format!("{NODE}{CLOUD}"));
    let subject = configuration.mesh.node.identity.to_string();
    assert!(subject.contains("CN=moon"), "{subject}");
    let cloud = connection(&configuration, "cloud");
    assert_eq!(cloud.ike.local.identity.to_string(), subject);
    assert!(matches!(*cloud.ike.local.auth, LocalAuth::Certificate(_)));
    assert!(matches!(*cloud.ike.remote.auth, RemoteAuth::Certificates(_)));
}

#[test]
fn ports_and_encapsulation_of_the_node_are_those_of_its_connections() {
    let node = format!("{NODE}port = 1500\nnat_port = 1501\nencapsulation = \"auto\"\n");
    let configuration = Folder::with_files().load(&format!("{node}{CLOUD}{OFFICE}"));
    for name in ["cloud", "office"] {
        let connection = connection(&configuration, name);
        assert_eq!(connection.ike.local.port, 1500, "{name}");
        assert_eq!(connection.ike.encapsulation, EncapsulationPolicy::Auto, "{name}");
    }
}

#[test]
fn a_peer_may_prove_itself_by_a_secret() {
    let secret = format!("{CLOUD}psk_file = \"peer.psk\"\n");
    let configuration =
        Folder::with_files().load(&format!("[node]\nname = \"a\"\nsubnets = [\"10.1.0.0/24\"]{secret}"));
    let cloud = connection(&configuration, "cloud");
    assert_eq!(cloud.ike.local.identity.to_string(), "a", "there is no certificate to take it from");
    match (&*cloud.ike.local.auth, &*cloud.ike.remote.auth) {
        (LocalAuth::Psk(ours), RemoteAuth::Psk(theirs)) => {
            assert_eq!((&ours[..], &theirs[..]), (&b"known to both"[..], &b"known to both"[..]));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_setting_of_a_connection_arrives() {
    let text = r#"
[[pool]]
name = "vips"
addresses = "10.9.0.0/24"
dns = ["10.9.0.1"]
subnets = ["10.233.0.0/16"]
[[connection]]
name = "office"
proposals = "aes128gcm16-prfsha256-x25519, aes256-sha384-modp3072"
encapsulation = "raw"
mobike = false
liveness = "never"
retransmit = { first = "250ms", factor = 2, give_up = "1m" }
retry = { first = "3s", factor = 1.5, most = "1m30s", jitter = 0 }
tries = 5
unique = "replace"
fragment_size = 0
childless = "prefer"
rekey = "30s"
reauth = "1d"
request_addresses = ["0.0.0.0", "fd00::5"]
pools = ["vips"]
[connection.local]
id = "edge.example"
psk_file = "peer.psk"
addresses = ["192.0.2.77", "198.51.100.0/24"]
port = 4500
[connection.remote]
id = "*.example"
addresses = ["192.0.2.0/24", "192.0.2.9"]
port = 45500
[[connection.child]]
name = "net"
local = ["dynamic[tcp/80]"]
remote = ["10.4.0.0/16[udp]", "fd00::/64"]
proposals = "chacha20poly1305-x25519"
rekey = "1h"
start = "on-traffic"
on_close = "on-traffic"
on_death = "restart"
inactivity = "10m"
updown = "/bin/true x"
"#;
    let configuration = Folder::with_files().load(&format!("{NODE}{text}"));
    let Connection { ike, names, children, retry, tries, .. } = connection(&configuration, "office");
    let proposals: Vec<String> = ike.proposals.iter().map(ToString::to_string).collect();
    assert_eq!(proposals, ["aes128gcm16-prfsha256-x25519", "aes256-sha384-prfsha384-modp3072"]);
    assert_eq!((ike.encapsulation, ike.mobike, ike.liveness), (EncapsulationPolicy::Raw, false, None));
    assert_eq!(ike.retransmission.first, Duration::from_millis(250));
    assert_eq!((ike.retransmission.factor, ike.retransmission.give_up), (2.0, Duration::from_secs(60)));
    assert_eq!((ike.fragmentation, ike.childless), (Fragmentation::Never, Childless::Prefer));
    assert_eq!(ike.lifetimes.rekey, Some(Duration::from_secs(30)));
    assert!(ike.lifetimes.jitter <= Duration::from_secs(3), "it does not come up half an hour early");
    assert_eq!(ike.lifetimes.reauthenticate, Some(Duration::from_secs(86_400)));
    let asked = [AddressRequest::V4(None), AddressRequest::V6(Some("fd00::5".parse().expect("one")))];
    assert_eq!(ike.request_addresses, asked);
    assert_eq!(ike.pools, ["vips".into()]);
    assert_eq!((ike.local.identity.to_string(), ike.local.port), ("edge.example".into(), 4500));
    let ours = |text: &str| text.parse::<tidegate_esp::TrafficSelector>().expect("one").addresses;
    assert_eq!(ike.local.addresses, [ours("192.0.2.77"), ours("198.51.100.0/24")]);
    assert_eq!((ike.remote.port, names.len()), (45500, 0));
    assert_eq!(ike.remote.address(), Some("192.0.2.9".parse().expect("one")), "a range is nowhere to go to");
    assert!(matches!(*ike.remote.auth, RemoteAuth::Psk(_)), "the secret of one end is that of both");
    assert_eq!((retry.first, retry.most), (Duration::from_secs(3), Duration::from_secs(90)));
    assert_eq!((retry.factor, retry.jitter), (1.5, 0.0));
    assert_eq!((tries, ike.unique), (NonZeroU32::new(5), Unique::Replace));
    let child = &children[0];
    assert_eq!(child.inactivity, Some(Duration::from_secs(600)));
    assert_eq!(child.updown.as_deref(), Some("/bin/true x"));
    assert_eq!(
        (child.start, child.on_close, child.on_death),
        (Start::OnTraffic, After::OnTraffic, After::Restart)
    );
    assert_eq!(child.config.proposals[0].to_string(), "chacha20poly1305-x25519");
    assert_eq!((child.config.local.len(), child.config.remote.len()), (1, 2));
    assert_eq!(configuration.pools[0].subnets, [("10.233.0.0".parse().expect("one"), 16)]);
}

#[test]
fn names_are_looked_up_and_let_the_peer_come_from_anywhere() {
    let office = OFFICE.replace(r#"["192.0.2.9"]"#, r#"["192.0.2.9", "office.example"]"#);
    let office = connection(&Folder::with_files().load(&format!("{NODE}{office}")), "office");
    assert_eq!(office.names, ["192.0.2.9", "office.example"]);
    assert!(office.ike.remote.addresses.is_empty());
}

#[test]
fn children_pass_and_drop_and_wait_for_traffic_again_and_again() {
    let child = |rest: &str| {
        let text = format!("{NODE}{OFFICE}{rest}");
        connection(&Folder::with_files().load(&text), "office").children.remove(0)
    };
    let tunnel = child("");
    assert_eq!((tunnel.mode, tunnel.start, tunnel.inactivity), (ChildMode::Tunnel, Start::Wait, None));
    assert_eq!(child("start = \"trap\"").start, Start::Trap);
    for (mode, meaning) in [("pass", ChildMode::Pass), ("drop", ChildMode::Drop)] {
        let shunt = child(&format!("mode = {mode:?}"));
        assert_eq!((shunt.mode, shunt.start), (meaning, Start::AtOnce), "it is in force");
        let waiting = child(&format!("mode = {mode:?}\nstart = \"wait\""));
        assert_eq!(waiting.start, Start::Wait, "until somebody installs it");
    }
}

#[test]
fn what_no_list_speaks_of_is_let_in_or_not() {
    let remote = |lines: &str| {
        format!(
            "{NODE}[[connection]]\nname = \"x\"\n[connection.remote]\nid = \"gateway.example\"\n{lines}\n"
        )
    };
    let folder = Folder::with_files();
    folder.copy("crl-root.pem", "root.crl");
    let revocation = |text: &str| {
        let auth = connection(&folder.load(text), "x").ike.remote.auth;
        let shown = format!("{auth:?}");
        ["Off", "Relaxed", "IfUri", "Strict"].into_iter().find(|mode| shown.contains(mode)).map(str::to_owned)
    };
    assert_eq!(revocation(&remote("")).as_deref(), Some("Relaxed"));
    for (word, mode) in [("off", "Off"), ("relaxed", "Relaxed"), ("ifuri", "IfUri"), ("strict", "Strict")] {
        let of_node = remote(&format!("revocation = {word:?}"));
        assert_eq!(revocation(&of_node).as_deref(), Some(mode), "with whom the node trusts");
        let own = remote(&format!("trust = [\"ca.pem\"]\ncrls = [\"root.crl\"]\nrevocation = {word:?}"));
        assert_eq!(revocation(&own).as_deref(), Some(mode));
    }
    let strict = remote("").replace("subnets", "revocation = \"strict\"\nsubnets");
    assert_eq!(revocation(&strict).as_deref(), Some("Strict"), "as [node] has it");
    let relaxed = strict.replace("gateway.example\"", "gateway.example\"\nrevocation = \"relaxed\"");
    assert_eq!(revocation(&relaxed).as_deref(), Some("Relaxed"));
    let update = folder.load(&relaxed).changes_since(&folder.load(&strict));
    assert_eq!(update.connections.changed, ["x".into()]);
}

#[test]
fn a_folder_of_certificates_is_trusted_whole() {
    let folder = Folder::with_files();
    std::fs::create_dir(folder.path("cas")).expect("a folder");
    folder.copy("root.pem", "cas/one.pem");
    folder.copy("fabedge-ca.pem", "cas/two.crt");
    folder.write("cas/notes.txt", "nothing to trust");
    let configuration = folder.load(&format!("{NODE}{CLOUD}").replace("ca.pem", "cas"));
    let trust = format!("{:?}", connection(&configuration, "cloud").ike.remote.auth);
    assert!(trust.contains("fabedge"), "{trust}");
    assert!(configuration.files.contains(&folder.path("cas")), "what is put there is seen");
}
