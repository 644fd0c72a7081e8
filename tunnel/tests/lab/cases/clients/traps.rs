//! Traffic that brings a tunnel up: what `start_action = trap` catches, at ours and at strongSwan's.

use super::office::Office;
use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::charon::Esp;
use crate::support::http;
use crate::support::pair::{Behind, Pair};
use crate::support::wait;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// The cases.
pub(super) fn suite() -> Suite {
    Cases::new("clients/traps", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Nobody))
        .case("only_what_is_asked_for_is_caught", explicit)
        .case("what_strongswan_catches_is_answered", theirs)
        .suite()
}

const EXPLICIT: &str = r"
    office {
        local_addrs = HERE_ADDRESS
        remote_addrs = THERE_ADDRESS
        encap = yes
        local  { auth = psk
                 id = HERE.office }
        remote { auth = psk
                 id = THERE.office }
        children {
            web { local_ts = HERE_PODS[tcp]
                  remote_ts = THERE_PODS[tcp/80]
                  start_action = trap }
            serve { local_ts = HERE_PODS[tcp/80]
                  remote_ts = THERE_PODS[tcp] }
        }
    }";

fn explicit(lab: &Lab, pair: &mut Pair) {
    let office = Office::open(lab, pair, EXPLICIT);
    office.theirs.run("--load-all --clear");
    office.ours.run("--load-all --clear");
    let policies = office.ours.run("--list-pols --trap");
    assert!(policies.contains("office/web, TUNNEL") && policies.contains("[tcp/80]"), "{policies}");
    let socket = pair.us.pod.within(|| UdpSocket::bind((pair.us.pod_v4, 0))).expect("a socket");
    wait::holds("what is not asked for brings nothing up", Duration::from_millis(300), || {
        let _ = socket.send_to(b"not TCP", (pair.them.pod_v4, 80));
        !office.ours.run("--list-sas").contains("office: #")
    });
    let server = SocketAddr::new(pair.them.pod_v4.into(), 80);
    let answer = http::get(&pair.us.pod, server, Duration::from_secs(5)).expect("the tunnel comes up");
    assert_eq!(answer, http::Answer { server: "them".into(), client: pair.us.pod_v4.into() });
    let sas = office.ours.run("--list-sas");
    assert!(sas.contains("ESTABLISHED") && sas.contains("web: #") && sas.contains("[tcp/80]"), "{sas}");
    assert!(!sas.contains("serve: #"), "{sas}");
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

/// Only the kernel holds packets back for strongSwan. Where it has no ESP, it finds that out when all has been
/// agreed on.
fn theirs(lab: &Lab, pair: &mut Pair) {
    pair.restart_charon_with(lab, Esp::Kernel);
    let office = Office::open(lab, pair, TRAP);
    office.load();
    office.ours.run("--uninstall --child net");
    let policies = office.theirs.run("--list-pols --trap");
    assert!(policies.contains("office/net, TUNNEL"), "{policies}");
    let socket = pair.them.pod.within(|| UdpSocket::bind((pair.them.pod_v4, 0))).expect("a socket");
    let up = "child \"net\" established";
    wait::until_true("their traffic brings our child up", Duration::from_secs(5), || {
        let _ = socket.send_to(b"wake up", (pair.us.pod_v4, 9));
        office.tidegate.log().contains(up)
    });
    match pair.them.node.has_esp() {
        true => pair.assert_pods_talk(),
        false => lab.say("this kernel has no ESP: nothing was carried"),
    }
    pair.restart_charon_with(lab, Esp::Userspace);
    office.tidegate.stop();
}
