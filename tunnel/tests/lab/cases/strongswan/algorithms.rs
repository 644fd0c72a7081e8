//! Proposals, address families, and NATs.

use super::{ROLES, Suites, connect_and_talk};
use crate::harness::{Cases, Needs, Suite};
use crate::support::flow;
use crate::support::pair::{Behind, NAME, Outside, Pair, Setup};

/// A name, and proposals for IKE and for ESP, spelled out.
const PROPOSALS: [(&str, &str, &str); 10] = [
    ("psk", "aes128gcm16-prfsha256-x25519", "aes128gcm16"),
    ("aes256gcm", "aes256gcm16-prfsha384-x25519", "aes256gcm16"),
    ("chacha", "chacha20poly1305-prfsha256-x25519", "chacha20poly1305"),
    ("cbc_and_hmac_sha256", "aes128-sha256-prfsha256-x25519", "aes128-sha256"),
    ("cbc_and_hmac_sha512", "aes256-sha512-prfsha512-x25519", "aes256-sha512"),
    ("p256", "aes128gcm16-prfsha256-ecp256", "aes128gcm16"),
    ("p384", "aes128gcm16-prfsha256-ecp384", "aes128gcm16"),
    ("p521", "aes128gcm16-prfsha256-ecp521", "aes128gcm16"),
    ("modp2048", "aes128gcm16-prfsha256-modp2048", "aes128gcm16"),
    ("modp3072", "aes128gcm16-prfsha256-modp3072", "aes128gcm16"),
];

/// Which families are inside and outside.
const FAMILIES: [(&str, Outside, Inside); 4] = [
    ("v6_inside", Outside::V4, Inside::V6),
    ("both_inside", Outside::V4, Inside::Both),
    ("v6_outside", Outside::V6, Inside::V4),
    ("v6_inside_and_outside", Outside::V6, Inside::V6),
];

#[derive(Clone, Copy)]
enum Inside {
    V4,
    V6,
    Both,
}

/// Cases without a NAT.
pub(super) fn suite() -> Suite {
    let mut cases = Cases::new("strongswan/base", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Nobody));
    for (role, initiator) in ROLES {
        for (name, ike, esp) in PROPOSALS {
            cases = cases.case(format!("{name}/{role}"), move |lab, pair: &mut Pair| {
                let mut setup = pair.base(Outside::V4);
                setup.propose(ike, esp);
                connect_and_talk(lab, pair, &setup, initiator, &Suites { ike, esp });
            });
        }
        for (name, outside, inside) in FAMILIES {
            cases = cases.case(format!("{name}/{role}"), move |lab, pair: &mut Pair| {
                let mut setup = pair.base(outside);
                carry(&mut setup, pair, inside);
                connect_and_talk(lab, pair, &setup, initiator, &BASE);
            });
        }
    }
    cases.suite()
}

const BASE: Suites<'static> = Suites { ike: "aes128gcm16-prfsha256-x25519", esp: "aes128gcm16" };

fn carry(setup: &mut Setup, pair: &Pair, inside: Inside) {
    let list = |subnets: [_; 2]| match inside {
        Inside::V4 => vec![subnets[0]],
        Inside::V6 => vec![subnets[1]],
        Inside::Both => subnets.to_vec(),
    };
    setup.carry(&list(pair.us.subnets()), &list(pair.them.subnets()));
}

/// Cases with a NAT in front of one side or both.
pub(super) fn suites_behind_nats() -> Vec<Suite> {
    let mut behind_us =
        Cases::new("strongswan/nat_before_us", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Us));
    let mut behind_them =
        Cases::new("strongswan/nat_before_them", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Them));
    let mut behind_both =
        Cases::new("strongswan/nat_before_both", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Both));
    for (role, initiator) in ROLES {
        // strongSwan's ESP in userspace needs UDP, so it has us believe in a NAT before it wherever it is.
        let case = move |before_us: bool| {
            move |lab: &_, pair: &mut Pair| {
                let setup = pair.base(Outside::V4);
                let tidegate = pair.connect(lab, &setup, initiator);
                let sa = tidegate.connection(NAME)["sas"][0].clone();
                assert_eq!(sa["nat"], serde_json::json!([before_us, true]), "{sa:#}");
                pair.assert_pods_talk();
                flow::arrive(&pair.flows(), 300);
                tidegate.stop();
            }
        };
        behind_us = behind_us.case(role, case(true));
        behind_them = behind_them.case(role, case(false));
        behind_both = behind_both.case(role, case(true));
    }
    vec![behind_us.suite(), behind_them.suite(), behind_both.suite()]
}
