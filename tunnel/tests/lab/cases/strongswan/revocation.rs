//! Certificates that say where to hear whether they were revoked.

use super::ROLES;
use super::certificates::{OUR_SUBJECT, THEIR_SUBJECT};
use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::certificates::{Authority, Credentials, Key};
use crate::support::http::Server;
use crate::support::pair::{Behind, CHILD, Initiator, NAME, Outside, Pair, Setup};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// The cases.
pub(super) fn suite() -> Suite {
    let mut cases =
        Cases::new("strongswan/revocation", Needs::StrongSwan, |lab| Pair::new(lab, Behind::Nobody));
    for (role, initiator) in ROLES {
        cases = cases.case(format!("revoked/{role}"), move |lab, pair: &mut Pair| {
            revoked(lab, pair, initiator);
        });
        cases = cases.case(format!("not_revoked/{role}"), move |lab, pair: &mut Pair| {
            not_revoked(lab, pair, initiator);
        });
    }
    cases.case("server_behind_the_tunnel", server_behind_the_tunnel).suite()
}

const PORT: u16 = 8081;

/// A pair where the peer's certificate says that lists are at this address.
fn setup(lab: &Lab, pair: &Pair, at: IpAddr) -> (Authority, Credentials, Setup) {
    let authority = Authority::new(lab.folder(), "authority", Key::Ecdsa(256));
    let ours = authority.issue(OUR_SUBJECT, Key::Ecdsa(256));
    let uri = format!("http://{}/authority.crl", SocketAddr::new(at, PORT));
    let theirs = authority.issue_with_list(THEIR_SUBJECT, &uri);
    let mut setup = pair.base(Outside::V4);
    setup.prove(&authority, &ours, &theirs);
    (authority, theirs, setup)
}

fn serve(pair: &Pair, list: String) -> Server {
    let at = SocketAddr::new(pair.their_uplink.v4.into(), PORT);
    Server::start_with(&pair.them.node, "lists", at, move |_| list.clone())
}

fn revoked(lab: &Lab, pair: &mut Pair, initiator: Initiator) {
    let (authority, theirs, setup) = setup(lab, pair, pair.their_uplink.v4.into());
    let _server = serve(pair, authority.list(&[&theirs]));
    let tidegate = pair.start(lab, &setup);
    let said = match initiator {
        Initiator::We => tidegate.up_in_vain(NAME),
        Initiator::They => {
            pair.charon.initiate_in_vain(CHILD);
            tidegate.log()
        }
    };
    assert!(said.contains("revoked"), "{said}");
    tidegate.stop();
}

fn not_revoked(lab: &Lab, pair: &mut Pair, initiator: Initiator) {
    let (authority, _, setup) = setup(lab, pair, pair.their_uplink.v4.into());
    let _server = serve(pair, authority.list(&[]));
    let tidegate = pair.connect(lab, &setup, initiator);
    assert!(tidegate.log().contains("revocation list"), "{}", tidegate.log());
    pair.assert_pods_talk_as(&setup);
    tidegate.stop();
}

/// What would tell waits for the tunnel that waits for it. A little later there is a tunnel, for want of a reason to
/// refuse it.
fn server_behind_the_tunnel(lab: &Lab, pair: &mut Pair) {
    let (_, _, setup) = setup(lab, pair, pair.them.pod_v4.into());
    let start = Instant::now();
    let tidegate = pair.start(lab, &setup);
    tidegate.up(NAME);
    tidegate.wait_until_up(NAME, Duration::from_secs(5));
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    pair.assert_pods_talk_as(&setup);
    tidegate.stop();
}
