//! What options of connections mean, which are refused, and which do nothing.

use std::num::NonZeroU32;
use std::time::Duration;
use tidegate::connection::{After, Child, ChildMode, Connection, HostAccess, Start};
use tidegate::vici::Message;
use tidegate::vici::load::Described;
use tidegate::vici::sections::{Method, Revocation};
use tidegate_esp::TfcPadding;
use tidegate_esp::outer::{OuterDontFragment, OuterDscp, OuterEcn};
use tidegate_ike::connection::{
    AddressRequest, Childless, EncapsulationPolicy, Fragmentation, RequestCertificates, SendCertificates,
    Unique,
};
use tidegate_ike::identity::{Identity, IdentityPattern};

const LISTS: [&str; 12] = [
    "local_addrs",
    "remote_addrs",
    "proposals",
    "vips",
    "pools",
    "groups",
    "cert_policy",
    "local_ts",
    "remote_ts",
    "esp_proposals",
    "ah_proposals",
    "certs",
];

/// A section of options as swanctl sends them: lists are written with commas between.
fn section(options: &[(&str, &str)]) -> Message {
    options.iter().fold(Message::new(), |section, (key, value)| match LISTS.contains(key) {
        true => section.with_list(key, value.split(',')),
        false => section.with(key, value),
    })
}

fn with_child(options: &[(&str, &str)]) -> Message {
    Message::new().with_section("children", Message::new().with_section("net", section(options)))
}

fn read(section: &Message) -> Described {
    Described::read("office", section).unwrap_or_else(|fault| panic!("{section:?}: {fault}"))
}

fn plan(options: &[(&str, &str)]) -> Connection {
    let described = read(&section(options));
    assert_eq!(described.warnings, [], "{options:?}");
    described.plan().clone()
}

fn child(options: &[(&str, &str)]) -> Child {
    let described = read(&with_child(options));
    assert_eq!(described.warnings, [], "{options:?}");
    described.plan().children[0].clone()
}

fn refusal(section: &Message) -> String {
    match Described::read("office", section) {
        Err(fault) => fault.to_string(),
        Ok(described) => panic!("{section:?} is taken, with {:?}", described.warnings),
    }
}

#[test]
fn without_options_a_connection_is_as_charon_has_it() {
    let plan = plan(&[]);
    assert_eq!(&**plan.name(), "office");
    assert_eq!((plan.ike.local.port, plan.ike.remote.port), (500, 500));
    assert!(plan.ike.local.addresses.is_empty() && plan.ike.remote.addresses.is_empty());
    assert_eq!(plan.ike.encapsulation, EncapsulationPolicy::Auto);
    assert_eq!((plan.ike.mobike, plan.ike.liveness), (true, None));
    assert_eq!((plan.ike.unique, plan.ike.childless), (Unique::No, Childless::Allow));
    assert_eq!(plan.ike.fragmentation, Fragmentation::Offer(1280));
    assert_eq!(plan.ike.send_certificates, SendCertificates::IfAsked);
    assert_eq!(plan.ike.lifetimes.rekey, Some(Duration::from_secs(14_400)));
    assert_eq!(plan.tries, NonZeroU32::new(1));

    let child = child(&[]);
    assert_eq!(&*child.config.name, "net");
    assert_eq!((child.mode, child.start), (ChildMode::Tunnel, Start::Wait));
    assert_eq!((child.on_close, child.on_death), (After::Clear, After::Clear));
    assert_eq!((child.inactivity, child.reqid), (None, None));
    assert_eq!(child.config.lifetimes.rekey, Some(Duration::from_secs(3600)));
}

#[test]
fn what_fabedge_sends_is_understood() {
    let child = Message::new()
        .with_list("local_ts", ["10.1.0.0/24", "192.0.2.1", "fd00:1::/64"])
        .with_list("remote_ts", ["10.2.0.0/24"])
        .with("start_action", "clear")
        .with("dpd_action", "trap");
    let connection = Message::new()
        .with_list("local_addrs", ["192.0.2.1"])
        .with_list("remote_addrs", ["cloud.example"])
        .with("local_port", 4500)
        .with("remote_port", 45_001)
        .with("dpd_delay", "10s")
        .with("mediation", "no")
        .with_section(
            "local",
            Message::new().with("id", "C=CN, O=fabedge.io, CN=a.edge").with("auth", "pubkey"),
        )
        .with_section(
            "remote",
            Message::new().with("id", "C=CN, O=fabedge.io, CN=a.cloud").with("auth", "pubkey"),
        )
        .with_section("children", Message::new().with_section("a-p2p", child));
    let described = read(&connection);
    let plan = described.plan();
    assert_eq!(plan.names, ["cloud.example"]);
    assert_eq!((plan.ike.local.port, plan.ike.remote.port), (4500, 45_001));
    assert_eq!(plan.ike.liveness, Some(Duration::from_secs(10)));
    assert_eq!(
        (described.local[0].method, described.remote[0].method),
        (Method::SIGNATURE, Method::SIGNATURE)
    );
    let peer: Identity = "C=CN, O=fabedge.io, CN=a.cloud".parse().expect("a name");
    assert_eq!(described.remote[0].identity, IdentityPattern::Exact(peer));
    let child = &plan.children[0];
    assert_eq!((child.config.local.len(), child.start, child.on_death), (3, Start::Wait, After::OnTraffic));
    assert_eq!(described.warnings, []);
}

#[test]
fn options_of_a_connection_are_honoured() {
    type Check = fn(&Connection) -> bool;
    let seconds = Duration::from_secs;
    let _ = seconds;
    let cases: &[(&str, &str, Check)] = &[
        ("version", "2", |_| true),
        ("version", "0", |_| true),
        ("encap", "yes", |it| it.ike.encapsulation == EncapsulationPolicy::Udp),
        ("encap", "no", |it| it.ike.encapsulation == EncapsulationPolicy::Auto),
        ("mobike", "no", |it| !it.ike.mobike),
        ("mobike", "0", |it| !it.ike.mobike),
        ("mobike", "True", |it| it.ike.mobike),
        ("dpd_delay", "30", |it| it.ike.liveness == Some(Duration::from_secs(30))),
        ("dpd_delay", "2m", |it| it.ike.liveness == Some(Duration::from_secs(120))),
        ("dpd_delay", "0s", |it| it.ike.liveness.is_none()),
        ("fragmentation", "accept", |it| it.ike.fragmentation == Fragmentation::AcceptOnly),
        ("fragmentation", "no", |it| it.ike.fragmentation == Fragmentation::Never),
        ("fragmentation", "force", |it| it.ike.fragmentation == Fragmentation::Offer(1280)),
        ("childless", "force", |it| it.ike.childless == Childless::Force),
        ("childless", "never", |it| it.ike.childless == Childless::Never),
        ("unique", "never", |it| it.ike.unique == Unique::Never),
        ("unique", "keep", |it| it.ike.unique == Unique::Keep),
        ("unique", "replace", |it| it.ike.unique == Unique::Replace),
        ("send_certreq", "no", |it| it.ike.request_certificates == RequestCertificates::No),
        ("send_cert", "always", |it| it.ike.send_certificates == SendCertificates::Always),
        ("send_cert", "never", |it| it.ike.send_certificates == SendCertificates::Never),
        ("keyingtries", "3", |it| it.tries == NonZeroU32::new(3)),
        ("keyingtries", "0", |it| it.tries.is_none()),
        ("keyingtries", "%forever", |it| it.tries.is_none()),
        ("rekey_time", "1 h", |it| it.ike.lifetimes.rekey == Some(Duration::from_secs(3600))),
        ("rekey_time", "0", |it| it.ike.lifetimes.rekey.is_none()),
        ("reauth_time", "1d", |it| {
            let times = it.ike.lifetimes;
            times.rekey.is_none() && times.reauthenticate == Some(Duration::from_secs(86_400))
        }),
        ("over_time", "100", |it| it.ike.lifetimes.overtime == Duration::from_secs(100)),
        ("rand_time", "0", |it| it.ike.lifetimes.jitter.is_zero()),
        ("local_port", "4500", |it| it.ike.local.port == 4500),
        ("remote_port", "0", |it| it.ike.remote.port == 500),
        ("local_addrs", "10.0.0.0/8", |it| it.ike.local.allows([10, 9, 9, 9].into())),
        ("local_addrs", "10.0.0.1-10.0.0.5", |it| !it.ike.local.allows([10, 0, 0, 6].into())),
        ("remote_addrs", "192.0.2.7", |it| it.ike.remote.address() == Some([192, 0, 2, 7].into())),
        ("remote_addrs", "%any", |it| it.ike.remote.addresses.is_empty()),
        ("remote_addrs", "%any,192.0.2.7", |it| {
            it.ike.remote.address() == Some([192, 0, 2, 7].into())
                && it.ike.remote.allows([1, 1, 1, 1].into())
        }),
        ("remote_addrs", "%any6", |it| !it.ike.remote.allows([1, 1, 1, 1].into())),
        ("remote_addrs", "192.0.2.7,edge.example", |it| it.names == ["192.0.2.7", "edge.example"]),
        ("proposals", "aes256-sha256-modp2048,default", |it| it.ike.proposals.len() == 3),
        ("vips", "0.0.0.0,::", |it| {
            it.ike.request_addresses == [AddressRequest::V4(None), AddressRequest::V6(None)]
        }),
        ("vips", "10.0.0.9", |it| {
            it.ike.request_addresses == [AddressRequest::V4(Some([10, 0, 0, 9].into()))]
        }),
        ("pools", "here,there", |it| it.ike.pools.len() == 2),
        ("dscp", "000000", |_| true),
        ("if_id_in", "0", |_| true),
        ("ppk_required", "no", |_| true),
        ("mediated_by", "", |_| true),
        ("aggressive", "no", |_| true),
        ("pull", "yes", |_| true),
    ];
    for (key, value, check) in cases {
        assert!(check(&plan(&[(key, value)])), "{key} = {value}");
    }
}

#[test]
fn options_of_a_child_are_honoured() {
    type Check = fn(&Child) -> bool;
    let cases: &[(&str, &str, Check)] = &[
        ("mode", "pass", |it| it.mode == ChildMode::Pass),
        ("mode", "drop", |it| it.mode == ChildMode::Drop),
        ("start_action", "none", |it| it.start == Start::Wait),
        ("start_action", "trap", |it| {
            (it.start, it.on_close, it.on_death) == (Start::Trap, After::OnTraffic, After::OnTraffic)
        }),
        ("start_action", "start", |it| (it.start, it.on_close) == (Start::AtOnce, After::Clear)),
        ("start_action", "trap|start", |it| (it.start, it.on_death) == (Start::AtOnce, After::OnTraffic)),
        ("dpd_action", "restart", |it| (it.on_death, it.on_close) == (After::Restart, After::Clear)),
        ("dpd_action", "clear", |it| it.on_death == After::Clear),
        ("close_action", "start", |it| it.on_close == After::Restart),
        ("close_action", "trap", |it| it.on_close == After::OnTraffic),
        ("rekey_time", "10m", |it| {
            let times = it.config.lifetimes;
            (times.rekey, times.overtime) == (Some(Duration::from_secs(600)), Duration::from_secs(60))
        }),
        ("life_time", "2h", |it| it.config.lifetimes.overtime == Duration::from_secs(3600)),
        ("rand_time", "0", |it| it.config.lifetimes.jitter.is_zero()),
        ("rekey_bytes", "1k", |it| {
            (it.config.lifetimes.volume.soft_bytes, it.config.lifetimes.volume.hard_bytes) == (1024, 1126)
        }),
        ("life_bytes", "1G", |it| it.config.lifetimes.volume.hard_bytes == 1 << 30),
        ("rekey_packets", "50", |it| it.config.lifetimes.volume.hard_packets == 55),
        ("life_packets", "50", |it| {
            (it.config.lifetimes.volume.soft_packets, it.config.lifetimes.volume.hard_packets)
                == (u64::MAX, 50)
        }),
        ("inactivity", "1m", |it| it.inactivity == Some(Duration::from_secs(60))),
        ("reqid", "7", |it| it.reqid == NonZeroU32::new(7)),
        ("updown", "/bin/true x", |it| it.updown.as_deref() == Some("/bin/true x")),
        ("replay_window", "64", |it| it.config.replay_window == 64),
        ("tfc_padding", "1300", |it| it.config.tfc == TfcPadding::To(1300)),
        ("tfc_padding", "0", |it| it.config.tfc == TfcPadding::None),
        ("copy_df", "no", |it| it.config.marking.dont_fragment == OuterDontFragment::Clear),
        ("copy_df", "yes", |it| it.config.marking.dont_fragment == OuterDontFragment::Copy),
        ("copy_ecn", "no", |it| it.config.marking.ecn == OuterEcn::Clear),
        ("copy_dscp", "no", |it| it.config.marking.dscp == OuterDscp::Fixed(0)),
        ("copy_dscp", "out", |it| it.config.marking.dscp == OuterDscp::Copy),
        ("local_ts", "10.0.0.0/8[tcp/443],dynamic[udp],10.0.0.1-10.0.0.9,::/0[/opaque]", |it| {
            it.config.local.len() == 4
        }),
        ("esp_proposals", "aes128gcm16-x25519,default", |it| it.config.proposals.len() == 3),
        ("hostaccess", "yes", |it| it.host_access == HostAccess::Wanted),
        ("hostaccess", "no", |it| it.host_access == HostAccess::Untold),
        ("hw_offload", "auto", |_| true),
        ("mark_in", "0/0x00000000", |_| true),
        ("if_id_out", "0", |_| true),
        ("priority", "0", |_| true),
        ("policies", "yes", |_| true),
        ("ipcomp", "no", |_| true),
        ("ah_proposals", "", |_| true),
        ("label", "", |_| true),
    ];
    for (key, value, check) in cases {
        assert!(check(&child(&[(key, value)])), "{key} = {value}");
    }
}

#[test]
fn a_child_may_end_without_being_rekeyed() {
    let lifetimes = child(&[("rekey_time", "0"), ("life_time", "1h")]).config.lifetimes;
    assert_eq!((lifetimes.rekey, lifetimes.unrenewed), (None, Some(Duration::from_secs(3600))));
    let lifetimes = child(&[("rekey_time", "0")]).config.lifetimes;
    assert_eq!((lifetimes.rekey, lifetimes.unrenewed), (None, None));
}

#[test]
fn names_of_ours_are_looked_up_like_those_of_the_peer() {
    let plan = plan(&[("local_addrs", "192.0.2.1,edge.example")]);
    assert_eq!(plan.local_names, ["192.0.2.1", "edge.example"]);
    assert!(plan.ike.local.addresses.is_empty(), "any will do until it is known");
}

#[test]
fn what_is_wrong_or_not_done_is_refused_by_name() {
    let of_connections = [
        ("bogus", "1", "unknown option: bogus"),
        ("version", "1", "unsupported value for: version"),
        ("version", "3", "invalid value for: version"),
        ("unique", "yes", "invalid value for: unique"),
        ("rekey_time", "1x", r#"invalid value for: rekey_time, config discarded: "1x" is not a time"#),
        ("rekey_time", "-1", "invalid value for: rekey_time"),
        ("rekey_time", "99999999999999999999d", "invalid value for: rekey_time"),
        ("mobike", "maybe", "invalid value for: mobike"),
        ("keyingtries", "often", "invalid value for: keyingtries"),
        ("local_port", "70000", "invalid value for: local_port"),
        ("remote_addrs", "no name", "invalid value for: remote_addrs"),
        ("vips", "x", "invalid value for: vips"),
        ("proposals", "aes128", "invalid value for: proposals"),
        ("dscp", "3", "invalid value for: dscp"),
        ("dscp", "101110", "unsupported value for: dscp"),
        ("mediation", "yes", "unsupported value for: mediation"),
        ("mediated_by", "x", "unsupported value for: mediated_by"),
        ("mediation_peer", "x", "unsupported value for: mediation_peer"),
        ("if_id_in", "5", "unsupported value for: if_id_in"),
        ("ppk_id", "x", "unsupported value for: ppk_id"),
    ];
    for (key, value, expected) in of_connections {
        let refusal = refusal(&section(&[(key, value)]));
        assert!(refusal.starts_with(expected), "{key} = {value}: {refusal}");
    }
    let of_children = [
        ("bogus", "1", "unknown option: children.net.bogus"),
        ("mode", "transport", "unsupported value for: children.net.mode"),
        ("mode", "beet", "unsupported value for: children.net.mode"),
        ("mode", "x", "invalid value for: children.net.mode"),
        ("start_action", "hold", "invalid value for: children.net.start_action"),
        ("local_ts", "bogus", "invalid value for: children.net.local_ts"),
        ("ah_proposals", "sha256", "unsupported value for: children.net.ah_proposals"),
        ("life_time", "10m", r#"invalid value for: children.net.life_time, config discarded: "10m" is less"#),
        ("life_bytes", "1x", "invalid value for: children.net.life_bytes"),
        ("ipcomp", "yes", "unsupported value for: children.net.ipcomp"),
        ("sha256_96", "yes", "unsupported value for: children.net.sha256_96"),
        ("policies", "no", "unsupported value for: children.net.policies"),
        ("copy_dscp", "in", "unsupported value for: children.net.copy_dscp"),
        ("tfc_padding", "mtu", "unsupported value for: children.net.tfc_padding"),
        ("replay_window", "0", "unsupported value for: children.net.replay_window"),
        ("hw_offload", "yes", "unsupported value for: children.net.hw_offload"),
        ("mark_in", "%unique", "unsupported value for: children.net.mark_in"),
        ("set_mark_out", "42", "unsupported value for: children.net.set_mark_out"),
        ("if_id_out", "%unique", "unsupported value for: children.net.if_id_out"),
        ("label", "system_u", "unsupported value for: children.net.label"),
        ("interface", "eth0", "unsupported value for: children.net.interface"),
        ("priority", "9", "unsupported value for: children.net.priority"),
        ("reqid", "x", "invalid value for: children.net.reqid"),
    ];
    for (key, value, expected) in of_children {
        let refusal = refusal(&with_child(&[(key, value)]));
        assert!(refusal.starts_with(expected), "{key} = {value}: {refusal}");
    }
}

#[test]
fn what_charon_pays_no_heed_to_is_taken_with_a_warning() {
    let warned = |section: Message| {
        let described = read(&section);
        described.warnings.into_iter().map(|warning| warning.option).collect::<Vec<_>>()
    };
    for (key, value) in [("aggressive", "yes"), ("pull", "no"), ("dpd_timeout", "60s")] {
        assert_eq!(warned(section(&[(key, value)])), [key]);
    }
    assert_eq!(warned(with_child(&[("policies_fwd_out", "yes")])), ["children.net.policies_fwd_out"]);
    let remote = Message::new().with("eap_id", "somebody");
    assert_eq!(warned(Message::new().with_section("remote", remote)), ["remote.eap_id"]);
}

#[test]
fn values_lists_and_sections_are_not_mixed_up() {
    let list = Message::new().with_list("version", ["2"]);
    assert_eq!(refusal(&list), "unknown option: version, config discarded");
    let value = Message::new().with("local_addrs", "192.0.2.1");
    assert_eq!(refusal(&value), "unknown option: local_addrs, config discarded");
    let odd = Message::new().with_section("bogus", Message::new());
    assert_eq!(refusal(&odd), "invalid section: bogus");
    let inner = Message::new().with_section("local", Message::new().with_section("bogus", Message::new()));
    assert_eq!(refusal(&inner), "invalid section: local.bogus");
    let child = Message::new().with_section("children", Message::new().with("net", "x"));
    assert_eq!(refusal(&child), "unknown option: children.net, config discarded");
}

#[test]
fn rounds_come_in_their_order() {
    let round = |id: &str, place: u32| Message::new().with("id", id).with("auth", "psk").with("round", place);
    let described = read(
        &Message::new()
            .with_section("local-x", round("a", 2))
            .with_section("local-y", round("keyid:b", 1))
            .with_section("local-z", Message::new().with("id", "@#0102").with("auth", "pubkey"))
            .with_section("remote", Message::new().with("id", "*.example.org").with("revocation", "strict")),
    );
    let ids: Vec<_> = described.local.iter().filter_map(|it| it.identity.clone()).collect();
    let expected = [Identity::KeyId(vec![1, 2]), Identity::KeyId(b"b".to_vec()), Identity::Fqdn("a".into())];
    assert_eq!(ids, expected);
    assert_eq!(described.remote[0].identity, IdentityPattern::Subdomain("example.org".into()));
    assert_eq!(described.remote[0].revocation, Revocation::Strict);
}

#[test]
fn what_ends_prove_is_refused_by_name_where_it_is_not_done() {
    let cases = [
        ("local", "auth", "eap", "unsupported value for: local.auth"),
        ("local", "auth", "xauth", "unsupported value for: local.auth"),
        ("local", "auth", "bogus", "invalid value for: local.auth"),
        ("remote", "auth", "pubkey-sha256", "unsupported value for: remote.auth"),
        ("remote", "auth", "eap-tls", "unsupported value for: remote.auth"),
        ("remote", "groups", "admins", "unsupported value for: remote.groups"),
        ("remote", "cert_policy", "1.2.3", "unsupported value for: remote.cert_policy"),
        ("remote", "ca_id", "CN=CA", "unsupported value for: remote.ca_id"),
        ("remote", "revocation", "no", "invalid value for: remote.revocation"),
        ("local", "id", "*.example.org", "invalid value for: local.id"),
        ("local", "certs", "nonsense", "invalid value for: local.certs"),
        ("local", "bogus", "x", "unknown option: local.bogus"),
    ];
    for (end, key, value, expected) in cases {
        let refusal = refusal(&Message::new().with_section(end, section(&[(key, value)])));
        assert!(refusal.starts_with(expected), "{end}.{key} = {value}: {refusal}");
    }
    let token = Message::new().with("handle", "0102");
    let local = Message::new().with_section("cert1", token);
    let refused = refusal(&Message::new().with_section("local", local));
    assert!(refused.starts_with("unsupported value for: local.cert1.handle"), "{refused}");
    let device = Message::new().with_section("cert", Message::new().with("file", "/dev/zero"));
    let refused = refusal(&Message::new().with_section("local", device));
    assert!(refused.starts_with("invalid value for: local.cert.file"), "{refused}");
}

#[test]
fn whoever_shares_a_secret_and_has_no_name_is_its_address() {
    let connection = section(&[("local_addrs", "192.0.2.1")]);
    let described = read(&connection.with_section("local", Message::new().with("auth", "psk")));
    assert_eq!(described.local[0].identity, Some(Identity::Ipv4([192, 0, 2, 1].into())));
}
