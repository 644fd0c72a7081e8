//! A `swanctl.conf` that drives strongSwan drives us, and both understand each other by it in both roles.

use super::office::Office;
use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::flow::Flow;
use crate::support::http::{self, Server};
use crate::support::pair::{Behind, Initiator, Pair};
use crate::support::wait;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The cases.
pub(super) fn suite() -> Suite {
    let mut cases = Cases::new("clients/roles", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Nobody));
    for (role, initiator) in [("we_initiate", Initiator::We), ("they_initiate", Initiator::They)] {
        cases = cases
            .case(format!("secret_and_several_children/{role}"), move |lab, pair: &mut Pair| {
                secret(lab, pair, initiator);
            })
            .case(format!("certificates/{role}"), move |lab, pair: &mut Pair| {
                certificates(lab, pair, initiator);
            })
            .case(format!("address_of_a_pool/{role}"), move |lab, pair: &mut Pair| pool(lab, pair, initiator))
            .case(format!("new_keys_after_so_many_bytes/{role}"), move |lab, pair: &mut Pair| {
                bytes(lab, pair, initiator);
            });
    }
    // strongSwan in userspace holds no packets back that could start its tunnels.
    cases.case("trap/we_initiate", trap).suite()
}

const SECRET: &str = r"
    office {
        version = 2
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        proposals = aes256-sha256-x25519, default
        encap = yes
        local  { auth = psk
                 id = HERE.office }
        remote { auth = psk
                 id = THERE.office }
        children {
            v4 { local_ts = HERE_PODS
                 remote_ts = THERE_PODS
                 esp_proposals = aes128gcm16-x25519, default }
            v6 { local_ts = HERE_PODS_V6
                 remote_ts = THERE_PODS_V6 }
        }
    }";

fn secret(lab: &Lab, pair: &Pair, initiator: Initiator) {
    let office = Office::open(lab, pair, SECRET);
    office.load();
    let tool = office.of(initiator);
    tool.run("--initiate --child v4 --timeout 10");
    tool.run("--initiate --child v6 --timeout 10");
    pair.assert_pods_talk();
    pair.assert_pods_talk_v6();
    tool.run("--rekey --child v4");
    tool.run("--rekey --ike office");
    wait::until_true("both have new keys", Duration::from_secs(5), || {
        [&office.ours, &office.theirs].iter().all(|tool| is_settled(&tool.run("--list-sas")))
    });
    pair.assert_pods_talk();
    pair.assert_pods_talk_v6();
    tool.run("--terminate --child v6 --timeout 5");
    tool.run("--terminate --ike office --timeout 5");
    wait::until_true("both have closed", Duration::from_secs(3), || {
        [&office.ours, &office.theirs].iter().all(|tool| !tool.run("--list-sas").contains("office: #"))
    });
    office.tidegate.stop();
}

/// One SA with two children, none of them an old one.
fn is_settled(sas: &str) -> bool {
    let children = sas.lines().filter(|line| line.contains("INSTALLED")).count();
    sas.matches("office: #").count() == 1 && children == 2 && !sas.contains("REKEY")
}

const CERTIFICATES: &str = r#"
    office {
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        encap = yes
        dpd_delay = 30s
        send_certreq = yes
        local  { auth = pubkey
                 certs = HERE.crt
                 id = "C=CN, O=Office, CN=HERE" }
        remote { auth = pubkey
                 cacerts = ca.crt
                 revocation = strict
                 id = "C=CN, O=Office, CN=THERE" }
        children {
            all { local_ts = HERE_PODS,HERE_PODS_V6
                  remote_ts = THERE_PODS,THERE_PODS_V6
                  dpd_action = restart }
        }
    }"#;

fn certificates(lab: &Lab, pair: &Pair, initiator: Initiator) {
    let office = Office::open(lab, pair, CERTIFICATES);
    office.equip(lab);
    office.load();
    office.of(initiator).run("--initiate --child all --timeout 10");
    pair.assert_pods_talk();
    pair.assert_pods_talk_v6();
    office.tidegate.stop();
}

const POOL: &str = r"
    road {
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        encap = yes
        vips = 0.0.0.0
        local  { auth = psk
                 id = road.HERE.office }
        remote { auth = psk
                 id = gate.THERE.office }
        children {
            road { remote_ts = THERE_PODS }
        }
    }
    gate {
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        encap = yes
        pools = pool-HERE
        local  { auth = psk
                 id = gate.HERE.office }
        remote { auth = psk
                 id = road.THERE.office }
        children {
            gate { local_ts = HERE_PODS }
        }
    }";

fn pool(lab: &Lab, pair: &Pair, initiator: Initiator) {
    let office = Office::open(lab, pair, POOL);
    office.load();
    office.of(initiator).run("--initiate --child road --timeout 10");
    let (road, far, name, leased, gate) = match initiator {
        Initiator::We => (&pair.us, &pair.them, "them", "10.72.0.1", &office.theirs),
        Initiator::They => (&pair.them, &pair.us, "us", "10.71.0.1", &office.ours),
    };
    let server = SocketAddr::new(far.pod_v4.into(), 80);
    let answer = wait::until("the road warrior is answered", Duration::from_secs(5), || {
        http::get(&road.node, server, Duration::from_secs(2)).ok()
    });
    let client: IpAddr = leased.parse().expect("an address");
    assert_eq!(answer, http::Answer { server: name.into(), client });
    let back = SocketAddr::new(client, 8080);
    let _server = Server::start(&road.node, "road", back);
    let answer = http::get(&far.pod, back, Duration::from_secs(5)).expect("the way back");
    assert_eq!(answer, http::Answer { server: "road".into(), client: far.pod_v4.into() });
    let leases = gate.run("--list-pools --leases");
    assert!(
        leases.contains("1 / 0 / 254") && leases.contains(leased) && leases.contains("online"),
        "{leases}"
    );
    office.of(initiator).run("--terminate --ike road --timeout 5");
    wait::until_true("the address is free again", Duration::from_secs(3), || {
        gate.run("--list-pools").contains("0 / 1 / 254")
    });
    office.tidegate.stop();
}

const BYTES: &str = r"
    office {
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        encap = yes
        local  { auth = psk
                 id = HERE.office }
        remote { auth = psk
                 id = THERE.office }
        children {
            net { local_ts = HERE_PODS
                  remote_ts = THERE_PODS
                  rekey_bytes = 40000
                  life_bytes = 4000000
                  rand_bytes = 0 }
        }
    }";

fn bytes(lab: &Lab, pair: &Pair, initiator: Initiator) {
    let office = Office::open(lab, pair, BYTES);
    office.load();
    office.of(initiator).run("--initiate --child net --timeout 10");
    let numbers = || {
        let sas = office.ours.run("--list-sas --raw");
        sas.split("name=net uniqueid=")
            .skip(1)
            .filter_map(|rest| rest.split(' ').next())
            .map(str::to_owned)
            .collect()
    };
    let first: Vec<String> = numbers();
    let flows = pair.flows();
    wait::until_true("the first child is gone", Duration::from_secs(8), || {
        let now: Vec<String> = numbers();
        !now.is_empty() && now.iter().all(|number| !first.contains(number))
    });
    for (flow, way) in flows.into_iter().zip(["from us", "to us"]) {
        Flow::finish(flow).assert_whole(way);
    }
    office.tidegate.stop();
}

const TRAP: &str = r"
    office {
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        encap = yes
        local  { auth = psk
                 id = HERE.office }
        remote { auth = psk
                 id = THERE.office }
        children {
            net { local_ts = HERE_PODS
                  remote_ts = THERE_PODS
                  start_action = trap }
        }
    }";

fn trap(lab: &Lab, pair: &mut Pair) {
    let office = Office::open(lab, pair, TRAP);
    office.load();
    let policies = office.ours.run("--list-pols --trap");
    assert!(policies.contains("office/net, TUNNEL"), "{policies}");
    assert!(!office.ours.run("--list-sas").contains("office: #"));
    pair.assert_pods_talk();
    assert!(office.ours.run("--list-sas").contains("ESTABLISHED"));
    office.tidegate.stop();
}
