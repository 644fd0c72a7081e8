//! Seeds of what is read from files, clients and servers, and words for the fuzzer to put together.

use crate::save;
use std::path::Path;
use tidegate::config::SECTIONS;

const MOON: &str = include_str!("../../../ike/tests/data/certs/moon.pem");
const LIST: &str = include_str!("../../../ike/tests/data/certs/crl-root.pem");

/// Writes all of them.
pub(crate) fn save_all() -> std::io::Result<()> {
    load()?;
    configuration()?;
    mesh()?;
    secrets()?;
    fetched()?;
    dictionaries()
}

fn load() -> std::io::Result<()> {
    let office = "version=2\nlocal_addrs:192.0.2.1\nremote_addrs:192.0.2.7,hub.example,10.0.0.0/24\n\
        remote_port=4500\nproposals:aes256gcm16-prfsha384-x25519-ke1_mlkem768,default\nvips:0.0.0.0,::\n\
        encap=yes\nmobike=no\ndpd_delay=10s\ndpd_timeout=1m\nfragmentation=force\nchildless=never\n\
        unique=replace\nrekey_time=4h\nover_time=10m\nrand_time=0\nkeyingtries=0\nsend_cert=never\n\
        local.auth=psk\nlocal.id=edge.example\nremote.auth=psk\nremote.id=*@example\n\
        children.net.local_ts:10.1.0.0/16,fd00::/64[tcp/443],dynamic\nchildren.net.remote_ts:10.2.0.0/16\n\
        children.net.esp_proposals:aes128gcm16-x25519,aes256-sha256\nchildren.net.start_action=trap|start\n\
        children.net.close_action=restart\nchildren.net.dpd_action=clear\nchildren.net.rekey_bytes=1G\n\
        children.net.life_packets=5000000\nchildren.net.replay_window=1024\nchildren.net.tfc_padding=mtu\n\
        children.net.copy_dscp=out\nchildren.net.copy_df=no\nchildren.net.inactivity=1h\n\
        children.local.mode=pass\nchildren.local.local_ts:10.1.0.0/16\nchildren.local.remote_ts:10.1.0.0/16\n";
    let certificates = "local-1.auth=rsa-2048-sha256\nlocal-1.certs:0\nlocal-1.round=1\nlocal-2.auth=psk\n\
        local-2.id=@#0102\nremote-1.auth=pubkey\nremote-1.cacerts:0\nremote-1.revocation=strict\n\
        remote-1.id=C=CH, O=*, CN=hub\nremote-2.auth=any\nremote-2.round=2\npools:guests\nsend_certreq=no\n";
    let bad = "version=1\naggressive=yes\nremote_addrs=\nproposals:aes128-md5\nlocal.auth=eap\ndscp=46\n\
        children.a.mode=beet\nchildren.a.tfc_padding=99999\nif_id_in=7\nnobody=knows\n";
    save("load", "office", office.as_bytes())?;
    save("load", "certificates", certificates.as_bytes())?;
    save("load", "bad", bad.as_bytes())?;
    let pool =
        "addrs=10.3.0.0/24\ndns:10.3.0.53,fd00::53\nnbns:10.3.0.2\nsubnet:10.0.0.0/8,fd00::/8\n28:61\n";
    save("load", "pool", pool.as_bytes())?;
    save("load", "pool_range", b"addrs=fd00::10-fd00::ff\ndhcp:fd00::1\nsplit_exclude:10.0.0.0/8\n")
}

fn configuration() -> std::io::Result<()> {
    let example = include_str!("../../../tunnel/tidegate.example.toml");
    // Without what is said of each key, and with it taken for said.
    let bare: Vec<&str> = example.lines().filter(|line| !line.starts_with("# ")).collect();
    let bare = bare.join("\n").replace("\n#", "\n");
    save("configuration", "example", bare.replace("edge-1.", "node.").as_bytes())?;
    let node = "[node]\nname = \"edge-1\"\ncertificate = \"node.pem\"\nkey = \"node.key\"\n\
        trust = [\"ca.pem\"]\nsubnets = [\"10.1.0.0/24\"]\n";
    let peers = "[[peer]]\nname = \"cloud\"\nid = \"CN=cloud\"\nrole = \"connector\"\n\
        addresses = [\"192.0.2.1\"]\nsubnets = [\"10.233.0.0/16\"]\n[[peer]]\nname = \"edge-2\"\n\
        id = \"CN=edge-2\"\nsubnets = [\"10.2.0.0/24\"]\n[[community]]\nname = \"a\"\n\
        members = [\"edge-1\", \"edge-2\"]\nvia = \"cloud\"\n";
    let connection = "[[pool]]\nname = \"p\"\naddresses = \"10.8.0.0/24\"\n[[connection]]\nname = \"office\"\n\
        pools = [\"p\"]\n[connection.remote]\nid = \"gateway.example\"\naddresses = [\"192.0.2.9\"]\n\
        psk_file = \"peer.psk\"\n[[connection.child]]\nname = \"net\"\nlocal = [\"10.1.0.0/24\"]\n\
        remote = [\"10.4.0.0/16\", \"10.5.0.0/16[tcp/443]\"]\n";
    save("configuration", "mesh", [node, peers].concat().as_bytes())?;
    save("configuration", "connection", [node, connection].concat().as_bytes())?;
    save("configuration", "addition", connection.as_bytes())?;
    save("configuration", "bad", b"[node]\nname = 1\nnmae = \"x\"\n[[peer]]\nsubnets = \"10.0.0.0/33\"\n")
}

fn mesh() -> std::io::Result<()> {
    let own = r#"{"node":{"name":"edge-1","identity":"CN=edge-1","role":"edge","subnets":["10.1.1.0/24"],"#;
    let own = own.to_owned() + r#""hosts":["192.0.2.11"]},"#;
    let cloud = r#"{"name":"cloud","identity":"CN=cloud","role":"connector","addresses":["192.0.2.1"],"#;
    let cloud = cloud.to_owned() + r#""port":4500,"subnets":["10.233.0.0/16","fd00::/64"]}"#;
    let edge = r#"{"name":"edge-2","identity":"edge-2.example","addresses":["edge-2.example"],"#;
    let edge = edge.to_owned() + r#""subnets":["10.1.2.0/24"]}"#;
    let direct = r#""communities":[{"name":"a","members":["edge-1","edge-2"]}]}"#;
    let relayed = r#""communities":[{"name":"a","members":["edge-1","edge-2"],"via":"cloud"}]}"#;
    save("mesh", "direct", format!("{own}\"peers\":[{cloud},{edge}],{direct}").as_bytes())?;
    save("mesh", "relayed", format!("{own}\"peers\":[{cloud},{edge}],{relayed}").as_bytes())?;
    save("mesh", "twice", format!("{own}\"peers\":[{cloud},{cloud}],{direct}").as_bytes())?;
    let fabedge = r#"{"self":{"name":"cloud","id":"C=CN, O=fabedge.io, CN=cloud","type":"Connector",
        "publicAddresses":["192.0.2.1"],"subnets":["10.233.0.0/16"],"nodeSubnets":["10.0.0.1/32"]},
        "peers":[{"name":"edge","id":"C=CN, O=fabedge.io, CN=edge","type":"EdgeNode","publicAddresses":[],
        "subnets":["10.1.0.0/24"],"nodeSubnets":["10.0.0.2/32"]}]}"#;
    save("mesh", "fabedge", fabedge.as_bytes())
}

fn secrets() -> std::io::Result<()> {
    let file = "# whose : what\n: RSA moon.key\nedge.example 192.0.2.1 : PSK \"known to both\"\n\
        %any : PSK 0sa25vd24gdG8gYm90aA==\n@a\\ b : PSK 0x6b6e6f776e\n\"C=CH, CN=moon\" : ECDSA a.pem \"pass\"\n\
        include ipsec.d/*.secrets\nuser : EAP \"x\"\n: PSK words without quotes # and a comment\n";
    let behind = |what: u8, file: &[u8]| [&[what], file].concat();
    save("secrets", "file", &behind(0, file.as_bytes()))?;
    for (name, file) in
        [("colon", "a PSK b\n"), ("quote", ": PSK \"b\n"), ("kind", ": KEY b\n"), ("id", "@# : PSK b")]
    {
        save("secrets", &format!("no_{name}"), &behind(0, file.as_bytes()))?;
    }
    for (name, key) in [
        ("pkcs8", include_str!("../../../ike/tests/data/keys/p256.pk8.pem")),
        ("sec1", include_str!("../../../ike/tests/data/keys/p384.sec1.pem")),
        ("pkcs1", include_str!("../../../ike/tests/data/keys/rsa1024.pkcs1.pem")),
        ("ed25519", include_str!("../../../ike/tests/data/keys/ed25519.pk8.pem")),
        ("encrypted", include_str!("../../../ike/tests/data/keys/p256.encrypted.pem")),
    ] {
        save("secrets", &format!("key_{name}"), &behind(1, key.as_bytes()))?;
        save("secrets", &format!("key_{name}_der"), &behind(1, &der(key)))?;
    }
    save("secrets", "certificate", &behind(2, MOON.as_bytes()))?;
    save("secrets", "certificate_der", &behind(2, &der(MOON)))?;
    save("secrets", "list_der", &behind(2, &der(LIST)))?;
    let owners = "%any\n192.0.2.1\n*@example.org\n@fqdn.example\n@#c0ffee\nC=CH, O=*, CN=moon\n\
        asn1dn:C=CH\nkeyid:abc\n{1}:#00\nda39a3ee5e6b4b0d3255bfef95601890afd80709\n";
    save("secrets", "owners", &behind(3, [owners, MOON].concat().as_bytes()))
}

fn fetched() -> std::io::Result<()> {
    let list = der(LIST);
    let length = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/pkix-crl\r\nContent-Length: {}\r\n\r\n",
        list.len()
    );
    save("fetched", "by_length", &[&[255], length.as_bytes(), &list].concat())?;
    let (one, two) = list.split_at(list.len() / 2);
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = [head, &format!("{:x};x=y\r\n", one.len())].concat();
    let next = format!("\r\n{:X}\r\n", two.len());
    let chunks = [&[99], chunks.as_bytes(), one, next.as_bytes(), two, b"\r\n0\r\n\r\n"].concat();
    save("fetched", "in_chunks", &chunks)?;
    save("fetched", "until_the_end", &[&[9], &b"HTTP/1.0 200\r\n\r\n"[..], LIST.as_bytes()].concat())?;
    save("fetched", "bare", &[&[9], &list[..]].concat())?;
    for (name, text) in [
        ("moved", "HTTP/1.1 301 Moved\r\nLocation: /elsewhere?x=y#z\r\n\r\n"),
        ("moved_far", "HTTP/1.1 307 There\r\nlocation: http://[2001:db8::1]:81/a.crl\r\n\r\n"),
        ("gone", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        ("packed", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"),
        ("address", "//crl.example:8080/b.crl?q"),
    ] {
        save("fetched", name, &[&[0], text.as_bytes()].concat())?;
    }
    Ok(())
}

/// What is in PEM.
fn der(text: &str) -> Vec<u8> {
    let body: String =
        text.lines().filter(|line| !line.starts_with("-----") && !line.contains(':')).collect();
    let sextet = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let sextets: Vec<u8> = body.trim_end_matches('=').bytes().map(sextet).collect();
    let three = |four: &[u8]| {
        let bits = four.iter().fold(0_u32, |bits, &sextet| bits << 6 | u32::from(sextet));
        let octets = (bits << (6 * (4 - four.len()))).to_be_bytes();
        octets[1..four.len()].to_vec()
    };
    sextets.chunks(4).flat_map(three).collect()
}

/// Words that a fuzzer would not find: each goes into texts as it is.
fn dictionaries() -> std::io::Result<()> {
    let mut keys: Vec<String> =
        SECTIONS.iter().flat_map(|section| section.keys).map(|&key| key.to_owned()).collect();
    keys.extend(
        SECTIONS.iter().flat_map(|section| [format!("[{}]", section.path), format!("[[{}]]", section.path)]),
    );
    keys.extend(VALUES.map(str::to_owned));
    dictionary("configuration", keys)?;
    dictionary("load", OPTIONS.into_iter().chain(VALUES).map(str::to_owned).collect())?;
    dictionary("mesh", MESH.map(str::to_owned).into())?;
    dictionary("secrets", SECRETS.map(str::to_owned).into())?;
    dictionary("fetched", HTTP.map(str::to_owned).into())
}

fn dictionary(target: &str, mut words: Vec<String>) -> std::io::Result<()> {
    words.sort();
    words.dedup();
    let escape = |word: &str| {
        word.replace('\\', r"\\").replace('"', "\\\"").replace('\r', r"\x0d").replace('\n', r"\x0a")
    };
    let lines: String = words.iter().map(|word| format!("\"{}\"\n", escape(word))).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionaries");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("{target}.dict")), lines)
}

const VALUES: [&str; 30] = [
    "yes",
    "no",
    "true",
    "false",
    "never",
    "force",
    "accept",
    "auto",
    "udp",
    "raw",
    "dynamic",
    "start",
    "trap",
    "restart",
    "clear",
    "strict",
    "ifuri",
    "relaxed",
    "10.0.0.0/8",
    "fd00::/64",
    "10.0.0.1-10.0.0.9",
    "[tcp/80]",
    "[udp/opaque]",
    "%any",
    "1h30m",
    "500ms",
    "1G",
    "aes256gcm16-prfsha384-x25519",
    "aes128-sha256",
    "connector",
];

const OPTIONS: [&str; 66] = [
    "local.",
    "remote.",
    "local-1.",
    "remote-2.",
    "children.",
    "children.net.",
    "version=",
    "aggressive=",
    "local_addrs:",
    "remote_addrs:",
    "local_port=",
    "remote_port=",
    "proposals:",
    "vips:",
    "pools:",
    "encap=",
    "mobike=",
    "fragmentation=",
    "childless=",
    "unique=",
    "send_cert=",
    "send_certreq=",
    "rekey_time=",
    "reauth_time=",
    "over_time=",
    "rand_time=",
    "dpd_delay=",
    "dpd_timeout=",
    "keyingtries=",
    "dscp=",
    "auth=",
    "id=",
    "round=",
    "certs:",
    "cacerts:",
    "pubkeys:",
    "revocation=",
    "groups:",
    "local_ts:",
    "remote_ts:",
    "esp_proposals:",
    "ah_proposals:",
    "mode=",
    "start_action=",
    "close_action=",
    "dpd_action=",
    "inactivity=",
    "life_time=",
    "rekey_bytes=",
    "life_bytes=",
    "rekey_packets=",
    "life_packets=",
    "rand_bytes=",
    "reqid=",
    "priority=",
    "replay_window=",
    "tfc_padding=",
    "copy_df=",
    "copy_ecn=",
    "copy_dscp=",
    "hw_offload=",
    "ipcomp=",
    "updown=",
    "hostaccess=",
    "addrs=",
    "subnet:",
];

const MESH: [&str; 24] = [
    "\"node\":",
    "\"self\":",
    "\"peers\":",
    "\"communities\":",
    "\"name\":",
    "\"identity\":",
    "\"id\":",
    "\"role\":",
    "\"type\":",
    "\"connector\"",
    "\"edge\"",
    "\"Connector\"",
    "\"EdgeNode\"",
    "\"addresses\":",
    "\"publicAddresses\":",
    "\"port\":",
    "\"subnets\":",
    "\"hosts\":",
    "\"nodeSubnets\":",
    "\"members\":",
    "\"via\":",
    "\"10.1.0.0/24\"",
    "\"fd00::/64\"",
    "\"CN=edge-1\"",
];

const SECRETS: [&str; 26] = [
    " : PSK ",
    ": RSA ",
    ": ECDSA ",
    ": PKCS8 ",
    ": EAP ",
    ": P12 ",
    "include ",
    "0x",
    "0s",
    "%any",
    "@#",
    "keyid:",
    "asn1dn:",
    "fqdn:",
    "C=CH, ",
    "CN=",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN EC PRIVATE KEY-----",
    "-----BEGIN ENCRYPTED PRIVATE KEY-----",
    "-----BEGIN CERTIFICATE-----",
    "-----END CERTIFICATE-----",
    "-----BEGIN X509 CRL-----",
    "*.example",
    "192.0.2.1",
];

const HTTP: [&str; 20] = [
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 ",
    "301",
    "307",
    "\r\n\r\n",
    "Content-Length: ",
    "Transfer-Encoding: chunked\r\n",
    "Content-Encoding: ",
    "identity",
    "gzip",
    "Location: ",
    "http://",
    "https://",
    "//",
    "[::1]",
    ":8080",
    "0\r\n\r\n",
    "ffffffffffffffff\r\n",
    "-----BEGIN X509 CRL-----\n",
    "-----END X509 CRL-----\n",
];
