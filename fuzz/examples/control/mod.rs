//! Seeds of the control interface: what clients ask for, and packets that only servers send.

use crate::save;
use tidegate::vici::message::Element;
use tidegate::vici::{Message, packet};

const MOON: &str = include_str!("../../../ike/tests/data/certs/moon.pem");
const MOON_KEY: &str = include_str!("../../../ike/tests/data/certs/moon.key");
const ROOT: &str = include_str!("../../../ike/tests/data/certs/root.pem");
const LIST: &str = include_str!("../../../ike/tests/data/certs/crl-root.pem");
const PUBLIC_KEY: &str = include_str!("../../../ike/tests/data/keys/p256.pub.pem");
const LOCKED_KEY: &str = include_str!("../../../ike/tests/data/keys/p256.encrypted.pem");

/// Writes all of them.
pub(crate) fn save_all() -> std::io::Result<()> {
    packets()?;
    credentials()?;
    authorities()?;
    connections()?;
    listings()?;
    orders()
}

fn packets() -> std::io::Result<()> {
    let child = Message::new().with("mode", "TUNNEL").with_list("local-ts", ["10.1.0.0/24", "fd00::/64"]);
    let sa = Message::new()
        .with("state", "ESTABLISHED")
        .with_section("child-sas", Message::new().with_section("net-1", child))
        .with_list("remote-vips", [""; 0]);
    let arguments = Message::new().with("child", "net").with("ike", "office").with("timeout", -1);
    let deep = (0..16).fold(Message::new(), |inner, _| Message::new().with_section("s", inner));
    let frames = [
        ("request", packet::request("initiate", &arguments)),
        ("response", packet::response(&Message::new().with("success", "no").with("errmsg", "why"))),
        ("event", packet::event("list-sa", &Message::new().with_section("office", sa))),
        ("deep", packet::response(&deep)),
        ("register", packet::register("control-log")),
        ("unregister", packet::unregister("control-log")),
        ("unknown", Ok(packet::command_unknown())),
    ];
    for (name, frame) in frames {
        talk(name, &[frame.expect("short")])?;
    }
    Ok(())
}

/// Certificates, keys and secrets come, are shown and go.
fn credentials() -> std::io::Result<()> {
    let certificate = |kind: &str, flag: Option<&str>, data: &str| {
        let mut message = data_of(data).with("type", kind);
        message.put_some("flag", flag);
        ask("load-cert", &message)
    };
    let shown = [packet::register("list-cert").expect("short"), ask("list-certs", &Message::new())];
    let loads = [
        certificate("X509", Some("NONE"), MOON),
        certificate("X509", Some("CA"), ROOT),
        certificate("X509", Some("CA"), MOON),
        certificate("X509CA", None, ROOT),
        certificate("X509_CRL", None, LIST),
        certificate("PUBKEY", None, PUBLIC_KEY),
        certificate("X509_AC", Some(""), MOON),
        certificate("ANY", Some("OCSP"), MOON),
        ask("load-key", &data_of(MOON_KEY).with("type", "ANY")),
        ask("get-keys", &Message::new()),
    ];
    let kinds = ["ANY", "X509", "X509_CRL", "PUBKEY", "what"];
    let by_kind = kinds.map(|kind| ask("list-certs", &Message::new().with("type", kind)));
    let by_subject =
        ["C=CH, O=Tidegate, CN=moon.example.net", "moon.example.org", "C=CH, O=Tidegate, CN=Root"]
            .map(|subject| ask("list-certs", &Message::new().with("subject", subject)));
    let by_flag = ask("list-certs", &Message::new().with("type", "x509").with("flag", "CA"));
    let gone =
        ["flush-certs", "clear-creds", "get-keys", "list-certs"].map(|name| ask(name, &Message::new()));
    talk("certificates", &[&loads[..], &shown, &by_kind, &by_subject, &[by_flag], &gone].concat())?;

    let key = |kind: &str, data: &str| ask("load-key", &data_of(data).with("type", kind));
    let id = |id: &str| Message::new().with("id", id);
    let keys = [
        key("ECDSA", MOON_KEY),
        key("RSA", MOON_KEY),
        key("any", LOCKED_KEY),
        key("what", MOON_KEY),
        ask("unload-key", &id("da39a3ee5e6b4b0d3255bfef95601890afd80709")),
        ask("load-token", &Message::new()),
    ];
    talk("keys", &keys)?;

    let secret = |kind: &str, owners: &[&str]| {
        let message = Message::new().with("type", kind).with("data", "known to both").with("id", "one");
        ask("load-shared", &message.with_list("owners", owners))
    };
    let secrets = [
        secret("IKE", &["edge.example", "192.0.2.1", "%any"]),
        secret("ike", &[]),
        secret("EAP", &["somebody"]),
        ask("get-shared", &Message::new()),
        ask("unload-shared", &id("one")),
    ];
    talk("secrets", &secrets)
}

fn authorities() -> std::io::Result<()> {
    let register = packet::register("list-authority").expect("short");
    let section = |data: &str| {
        let mut section = Message::new().with_list("crl_uris", ["http://crl.example/a.crl"]);
        section.push("cacert".to_owned(), Element::Value(data.as_bytes().to_vec()));
        section
    };
    let load = |section: Message| ask("load-authority", &Message::new().with_section("ours", section));
    let name = Message::new().with("name", "ours");
    let steps = [
        register,
        load(section(ROOT)),
        load(section(MOON)),
        load(section(ROOT).with_list("ocsp_uris", ["http://ocsp.example/"])),
        load(section(ROOT).with("cert_uri_base", "http://certs.example/").with("handle", "0102")),
        load(Message::new().with_list("crl_uris", ["https://crl.example/a.crl"])),
        ask("get-authorities", &Message::new()),
        ask("list-authorities", &Message::new()),
        ask("list-authorities", &name),
        ask("unload-authority", &name),
        ask("unload-authority", &name),
    ];
    talk("authorities", &steps)
}

/// Connections and pools that clients load, with what they prove themselves by.
fn connections() -> std::io::Result<()> {
    let pubkey = Message::new().with("auth", "pubkey");
    let by_certificate = with_pem(pubkey.clone(), "certs", MOON);
    let remote = with_pem(pubkey.with("revocation", "strict").with("id", "CN=*"), "cacerts", ROOT);
    let psk = |id: &str| Message::new().with("auth", "psk").with("id", id);
    // What becomes of a connection depends on the length of its name.
    let load =
        |name: &str, connection: Message| ask("load-conn", &Message::new().with_section(name, connection));
    let pool = Message::new().with("addrs", "10.8.0.0/24").with_list("dns", ["10.8.0.53"]);
    let steps = [
        packet::register("list-conn").expect("short"),
        ask("load-pool", &Message::new().with_section("guests", pool.clone())),
        ask(
            "load-pool",
            &Message::new().with_section(
                "guests",
                pool.clone().with_list("subnet", ["10.0.0.0/8"]).with_list("28", ["0102"]),
            ),
        ),
        ask("load-key", &data_of(MOON_KEY).with("type", "ANY")),
        load("nine-char", office(by_certificate, remote)),
        load("with-a-psk", office(psk("edge.example"), psk("hub.example"))),
        load("certain", office(psk("edge.example"), psk("%any"))),
        load("wrong", office(psk("edge.example").with("aaa_id", "x"), psk("%any")).with("dscp", "101010")),
        load("four", office(psk("edge.example"), psk("%any")).with("version", 1)),
        load("none", Message::new()),
        ask("load-shared", &Message::new().with("type", "IKE").with("data", "known to both")),
        ask("list-conns", &Message::new()),
        ask("list-conns", &Message::new().with("ike", "nine-char")),
        ask("get-conns", &Message::new()),
        ask("get-pools", &Message::new().with("leases", "yes")),
        ask("initiate", &Message::new().with("child", "net").with("ike", "nine-char")),
        ask("unload-conn", &Message::new().with("name", "nine-char")),
        ask("unload-pool", &Message::new().with("name", "guests")),
        ask("unload-pool", &Message::new().with("name", "guests")),
        ask("unload-pool", &Message::new().with("name", "from-a-file")),
        ask("load-pool", &Message::new().with_section("odd", pool.clone())),
        ask("load-pool", &Message::new().with_section("odd", Message::new().with("addrs", "10.9.0.0/24"))),
        ask("unload-pool", &Message::new().with("name", "odd")),
        ask("load-nothing", &Message::new()),
    ];
    talk("connections", &steps)
}

/// A connection with one child that is set up and one that passes.
fn office(local: Message, remote: Message) -> Message {
    let selectors = |net| {
        Message::new().with_list("local_ts", [net]).with_list("remote_ts", ["10.2.0.0/16[tcp/80]", "dynamic"])
    };
    let children = Message::new()
        .with_section("net", selectors("10.1.0.0/16").with("start_action", "trap").with("rekey_bytes", "1G"))
        .with_section("past", selectors("10.3.0.1-10.3.0.9").with("mode", "pass"));
    Message::new()
        .with_list("local_addrs", ["192.0.2.1"])
        .with_list("remote_addrs", ["192.0.2.7", "hub.example"])
        .with_list("pools", ["guests"])
        .with("dpd_delay", "10s")
        .with("unique", "replace")
        .with_section("local", local)
        .with_section("remote", remote)
        .with_section("children", children)
}

fn with_pem(mut section: Message, key: &str, pem: &str) -> Message {
    section.push(key.to_owned(), Element::List(vec![pem.as_bytes().to_vec()]));
    section
}

/// Everything that can be shown, to one who wants to see it.
fn listings() -> std::io::Result<()> {
    let events = [
        "log",
        "control-log",
        "list-sa",
        "list-conn",
        "list-policy",
        "list-cert",
        "list-authority",
        "ike-updown",
        "ike-rekey",
        "ike-update",
        "child-updown",
        "child-rekey",
        "alert",
        "tidegate-event",
        "tidegate-connection",
    ];
    let registered = events.map(|name| packet::register(name).expect("short"));
    let commands = [
        "version",
        "stats",
        "list-sas",
        "list-conns",
        "get-conns",
        "get-pools",
        "get-algorithms",
        "list-certs",
        "get-keys",
        "get-shared",
        "get-authorities",
        "list-authorities",
        "get-counters",
        "tidegate-status",
        "tidegate-counters",
        "reload-settings",
    ];
    let shown = commands.map(|name| ask(name, &Message::new()));
    let policies = Message::new().with("trap", "yes").with("drop", "yes").with("pass", "yes");
    let counters = Message::new().with("all", "yes");
    let of_one = Message::new().with("ike", "edge-1");
    let particular = [
        ask("list-policies", &policies),
        ask("list-sas", &of_one),
        ask("list-sas", &Message::new().with("ike-id", 7).with("child-id", 1).with("reqid", "x")),
        ask("list-sas", &Message::new().with("child", "edge-1-p2p")),
        ask("get-counters", &counters),
        ask("get-counters", &Message::new().with("name", "edge-1")),
        ask("reset-counters", &counters),
    ];
    talk("listings", &[&registered[..], &shown, &particular].concat())
}

/// Orders of each kind, and enough of them that each event comes.
fn orders() -> std::io::Result<()> {
    let wanted = [
        "control-log",
        "log",
        "ike-updown",
        "child-updown",
        "ike-rekey",
        "child-rekey",
        "ike-update",
        "alert",
    ]
    .map(|name| packet::register(name).expect("short"));
    let of = |key: &str, value: &str| Message::new().with(key, value);
    // The SA is gone before anybody looks, and comes up all the same.
    let unseen = [ask("install", &of("child", "sea")), wanted[2].clone(), ask("install", &of("child", "a"))];
    talk("unseen", &unseen)?;
    let names = ["a", "be", "sea", "four", "fives"];
    let by_name = names.map(|name| {
        [
            ask("initiate", &of("child", name).with("loglevel", 2)),
            ask("initiate", &of("ike", name).with("init-limits", "yes").with("timeout", 100)),
            ask("terminate", &of("ike", name).with("force", "yes").with("timeout", 10)),
            ask("rekey", &of("child", name).with("reauth", "yes")),
            ask("install", &of("child", name)),
            ask("uninstall", &of("child", name)),
        ]
        .concat()
    });
    let particular = [
        ask("terminate", &of("ike-id", "7").with("child", "edge-1-p2p")),
        ask("terminate", &of("child-id", "1").with("ike", "edge-1").with("timeout", -1)),
        ask("terminate", &of("ike", "edge-1").with("ike-id", 7)),
        ask("rekey", &of("reqid", "1")),
        ask("rekey", &of("ike", "edge-1").with("reqid", 1)),
        ask("redirect", &of("ike", "edge-1").with("gateway", "192.0.2.9")),
        ask("initiate", &of("child", "edge-2-p2p").with("ike", "edge-2").with("timeout", -1)),
    ];
    talk("orders", &[&wanted[..], &by_name, &by_name, &particular].concat())
}

/// A certificate or key in PEM, as the value that commands take it by.
fn data_of(pem: &str) -> Message {
    Message::new().with("data", pem)
}

fn ask(command: &str, arguments: &Message) -> Vec<u8> {
    packet::request(command, arguments).expect("short")
}

/// In pieces of 256 bytes.
fn talk(name: &str, frames: &[Vec<u8>]) -> std::io::Result<()> {
    save("vici", name, &[&[255], &frames.concat()[..]].concat())
}
