//! Each mistake says where it is, what it is, and what to do about it.

use super::support::{CLOUD, Folder, NODE, OFFICE};
use tidegate::config::{Configuration, Fault, FileFault};

fn mistake(text: &str) -> String {
    Folder::with_files().mistake(text)
}

#[test]
fn a_file_that_is_not_there() {
    let folder = Folder::new();
    let mistakes = Configuration::load(&folder.path("tidegate.toml")).expect_err("there is none").all;
    assert_eq!(mistakes[0].fault, Fault::Unreadable(FileFault::Io(std::io::ErrorKind::NotFound)));
}

#[test]
fn text_that_is_not_toml() {
    assert!(
        mistake("[node]\nname = edge-1\n").starts_with("2:8: not TOML: "),
        "{}",
        mistake("[node]\nname = edge-1\n")
    );
}

#[test]
fn an_unknown_key_and_the_one_that_was_meant() {
    let text = NODE.replace("subnets", "subnet");
    assert_eq!(mistake(&text), r#"7:1: unknown key "subnet" in [node]; did you mean "subnets"?"#);
    let text = format!("{NODE}colour = \"red\"\n");
    assert!(mistake(&text).starts_with(r#"8:1: unknown key "colour" in [node]; known here are name, id,"#));
}

#[test]
fn unknown_keys_of_nested_tables() {
    let text = format!("{NODE}{}", OFFICE.replace("psk_file", "psk_flie"));
    let folder = Folder::with_files();
    let mistakes = folder.mistakes(&text);
    let first = mistakes[0].to_string();
    assert!(
        first.contains(r#"unknown key "psk_flie" in [connection.remote]; did you mean "psk_file"?"#),
        "{first}"
    );
    let text = format!("{NODE}[node.device]\nkind = \"none\"\nmtus = 1\n");
    assert_eq!(mistake(&text), r#"10:1: unknown key "mtus" in [node.device]; did you mean "mtu"?"#);
}

#[test]
fn a_value_of_the_wrong_type() {
    let text = NODE.replace(r#"["10.1.0.0/24"]"#, r#""10.1.0.0/24""#);
    assert_eq!(
        mistake(&text),
        r#"7:11: subnets has a value of the wrong type, string; write subnets = a list of texts in brackets, ["…", "…"]"#
    );
    let text = format!("{NODE}port = \"500\"\n");
    assert!(
        mistake(&text)
            .starts_with("8:8: port has a value of the wrong type, string; write port = a whole number")
    );
    let text = format!("{NODE}[connection]\nname = \"one\"\n");
    assert!(mistake(&text).contains("connection has a value of the wrong type, table"), "{}", mistake(&text));
}

#[test]
fn numbers_out_of_bounds() {
    for (line, told) in [
        ("port = 0", "port = \"0\": out of bounds; write a number from 1 to 65535"),
        ("port = 70000", "port = \"70000\": out of bounds; write a number from 1 to 65535"),
        ("nat_port = -1", "nat_port = \"-1\": out of bounds; write a number from 1 to 65535"),
        (
            "port = 99999999999999999999",
            "port = \"99999999999999999999\": out of bounds; write a number from 1 to 65535",
        ),
    ] {
        let text = mistake(&format!("{NODE}{line}\n"));
        assert!(text.ends_with(told), "{text}");
    }
}

#[test]
fn keys_that_cannot_be_left_out() {
    assert!(mistake("").starts_with("1:1: the file has no node; add node to the file"));
    assert!(mistake(&NODE.replace("name", "#")).starts_with("2:1: [node] has no name; add name to [node]"));
    let text = mistake(&format!("{NODE}{}", CLOUD.replace("id =", "#")));
    assert!(
        text.starts_with("9:1: [[peer]] has no id; add id to [[peer]]: it has to prove to be that"),
        "{text}"
    );
    let text = mistake(&NODE.replace("key =", "#"));
    assert!(
        text.contains("[node] has no key; add key to [node]: the certificate needs its private key"),
        "{text}"
    );
}

#[test]
fn values_that_cannot_be_understood() {
    let cases = [
        ("rekey = \"4 hours\"", "rekey = \"4 hours\": not a duration; write a number and its unit"),
        ("liveness = \"0s\"", "liveness = \"0s\": not a duration"),
        ("encapsulation = \"udpp\"", "not one of the words for it; did you mean \"udp\"?"),
        ("childless = \"often\"", "not one of the words for it; write one of never, allow, prefer"),
        (
            "proposals = \"aes128gcm16-prfsha256-x25519,aes512\"",
            "unknown algorithm \"aes512\" in proposal \"aes512\"",
        ),
        ("proposals = \"aes128\"", "names no key exchange group"),
        ("request_addresses = [\"any\"]", "not an IP address"),
        ("retransmit = { factor = 0.5 }", "factor = \"0.5\": out of bounds; write a number from 1 to 10"),
        ("retransmit = 3", "retransmit has a value of the wrong type, integer; write retransmit = a table"),
        ("pools = [\"vip\"]", "there is no pool \"vip\"; add a [[pool]] of that name"),
    ];
    for (line, told) in cases {
        let text =
            format!("{NODE}{}", OFFICE.replace("name = \"office\"", &format!("name = \"office\"\n{line}")));
        let mistake = mistake(&text);
        assert!(mistake.starts_with("11:"), "{mistake}");
        assert!(mistake.contains(told), "{mistake}");
    }
}

#[test]
fn selectors_addresses_and_identities() {
    let cases = [
        (
            "10.4.0.0/16",
            "10.4.0.0/33",
            "`33` is not a prefix length of that family; write a prefix, an address or a range",
        ),
        ("10.4.0.0/16", "10.4.0.0/16[tpc]", "`tpc` is not a protocol name or number"),
        ("192.0.2.9", "192.0.2.999", "neither an IP address nor a DNS name; write an IP address such as"),
        ("gateway.example", "O=x, Q=y", "unknown attribute type \"Q\"; write a name such as"),
    ];
    for (right, wrong, told) in cases {
        let mistake = mistake(&format!("{NODE}{}", OFFICE.replace(right, wrong)));
        assert!(mistake.contains(wrong) && mistake.contains(told), "{mistake}");
    }
    let text = mistake(&NODE.replace("10.1.0.0/24", "10.1.0.0/24[tcp]"));
    assert!(
        text.ends_with("a protocol or port where addresses alone are wanted; leave out the brackets"),
        "{text}"
    );
}

#[test]
fn files_that_are_missing_or_hold_something_else() {
    let text = mistake(&NODE.replace("node.pem", "nodes.pem"));
    assert!(text.starts_with("4:15: certificate: nodes.pem: entity not found; correct the path"), "{text}");
    let text = mistake(&NODE.replace("node.key", "node.pem"));
    assert!(text.contains("(mode 0644)"), "{text}");
    let text = mistake(&NODE.replace("\"node.pem\"", "\"ca.pem\""));
    assert!(text.starts_with("5:7: key: node.key: the private key is not that of certificate"), "{text}");
    let text = mistake(&NODE.replace("node.key", "peer.psk"));
    assert!(
        text.starts_with("5:7: key: peer.psk: no such PEM block; name a PEM file that holds it"),
        "{text}"
    );
    let text = mistake(&NODE.replace("[\"ca.pem\"]", "[\"ca.pem\", \"node.pem\"]"));
    assert!(
        text.starts_with("6:20: trust: node.pem: ") && text.ends_with("not a CA; name a CA certificate"),
        "{text}"
    );
}

#[test]
fn a_key_of_another_certificate() {
    let text = mistake(&NODE.replace("node.key", "other.key"));
    assert!(text.starts_with("5:7: key: other.key: the private key is not that of certificate"), "{text}");
    assert!(text.ends_with("; name the key that belongs to the certificate"), "{text}");
}

#[test]
fn secrets_that_others_may_read() {
    let folder = Folder::with_files();
    for mode in [0o640, 0o604, 0o644, 0o620] {
        folder.permit("node.key", mode);
        let text = folder.mistake(NODE);
        assert!(text.starts_with("5:7: key: node.key: others may read this secret"), "{text}");
        assert!(text.contains("chmod 600"), "{text}");
    }
    for mode in [0o600, 0o400] {
        folder.permit("node.key", mode);
        folder.load(NODE);
    }
    folder.permit("peer.psk", 0o644);
    let text = folder.mistake(&format!("{NODE}{OFFICE}"));
    assert!(text.contains("psk_file: peer.psk: others may read this secret (mode 0644)"), "{text}");
}

#[test]
fn a_configuration_that_everybody_may_write() {
    let folder = Folder::with_files();
    folder.write("tidegate.toml", NODE);
    let path = folder.path("tidegate.toml");
    Configuration::load(&path).expect("no mistake");
    folder.permit("tidegate.toml", 0o646);
    let text = Configuration::load(&path).expect_err("everybody may write it").to_string();
    assert!(text.contains("everybody may write it (mode 0646); chmod o-w it"), "{text}");
}

#[test]
fn a_secret_that_is_empty() {
    let folder = Folder::with_files();
    folder.write_secret("peer.psk", "\n");
    let text = folder.mistake(&format!("{NODE}{OFFICE}"));
    assert!(text.contains("psk_file: peer.psk: no shared secret; write text"), "{text}");
}

#[test]
fn nodes_and_communities_that_do_not_go_together() {
    let peer = "[[peer]]\nname = \"edge-2\"\nid = \"CN=edge-2\"\nsubnets = [\"10.1.0.128/25\"]\n";
    let text = mistake(&format!("{NODE}{CLOUD}{peer}"));
    assert!(
        text.starts_with("15:1: 10.1.0.0/24 of \"edge-1\" and 10.1.0.128/25 of \"edge-2\" overlap; let"),
        "{text}"
    );
    let text =
        mistake(&format!("{NODE}{CLOUD}[[community]]\nname = \"app\"\nmembers = [\"edge-1\", \"edge-9\"]\n"));
    assert!(
        text.starts_with("17:22: community \"app\" has the member \"edge-9\", which is no node; add it"),
        "{text}"
    );
    let text = mistake(&format!("{NODE}{}", CLOUD.replace("\"192.0.2.1\"", "")));
    assert!(text.contains("connector \"cloud\" has no address"), "{text}");
}

#[test]
fn connections_and_peers_share_their_names() {
    let text = mistake(&format!("{NODE}{CLOUD}{}", OFFICE.replace("\"office\"", "\"cloud\"")));
    assert!(
        text.contains("there is another connection or peer \"cloud\"; give each a name of its own"),
        "{text}"
    );
}

#[test]
fn a_peer_that_nobody_can_check() {
    let text = mistake(&format!("[node]\nname = \"edge-1\"\nsubnets = [\"10.1.0.0/24\"]\n{CLOUD}"));
    assert!(text.contains("[node] has no certificate; add certificate to [node]"), "{text}");
    let text = mistake(&format!("{}{CLOUD}", NODE.replace("trust =", "crls =")).replace("\"ca.pem\"", ""));
    assert!(text.contains("[node] has no trust; add trust to [node]"), "{text}");
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = format!("{}port = 0\n{}", NODE.replace("name", "nam"), OFFICE.replace("10.4.0.0/16", "10.4"));
    let lines: Vec<usize> = Folder::with_files().mistakes(&text).iter().map(|it| it.place.line).collect();
    assert_eq!(lines, [2, 3, 8, 19]);
}
