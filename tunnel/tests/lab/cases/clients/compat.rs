//! Charon's files change under a running daemon: what is new is taken up, and no tunnel goes.

use super::peering::{Member, Role};
use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::agent::Agent;
use crate::support::certificates::{Authority, Credentials, Key};
use crate::support::etc::Etc;
use crate::support::flow::{self, Flow};
use crate::support::network::{Internet, Site, Uplink};
use crate::support::tidegate::Tidegate;
use crate::support::tidegate::config::Config;
use crate::support::tool::Tool;
use crate::support::wait;
use serde_json::{Value, json};
use std::time::Duration;

/// The cases.
pub(super) fn suite() -> Suite {
    Cases::new("clients/compat", Needs::Python, Ends::new)
        .case("new_certificates_and_keys_are_taken_up", certificates)
        .case("new_secrets_are_taken_up", secrets)
        .suite()
}

/// An edge and a connector, with an authority for both.
struct Ends {
    _internet: Internet,
    authority: Authority,
    edge: End,
    cloud: End,
}

struct End {
    site: Site,
    uplink: Uplink,
    role: Role,
    credentials: Credentials,
}

/// A daemon at one of the ends.
struct Running<'a> {
    end: &'a End,
    etc: Etc,
    tidegate: Tidegate,
    agent: Agent,
}

/// How long it may take until files are read again.
const PATIENCE: Duration = Duration::from_secs(8);

impl Ends {
    fn new(lab: &Lab) -> Self {
        let internet = Internet::new();
        let authority = Authority::new(lab.folder(), "fabedge-ca", Key::Rsa(4096));
        let edge = End::new(&internet, &authority, ("edge-1", Role::Edge, 1));
        let cloud = End::new(&internet, &authority, ("cloud-connector", Role::Connector, 2));
        Self { _internet: internet, authority, edge, cloud }
    }

    fn start(&self, lab: &Lab) -> [Running<'_>; 2] {
        [&self.edge, &self.cloud].map(|end| {
            let etc = Etc::new(&lab.fresh("etc"), &self.authority, &end.credentials);
            let config = Config::new(&end.member().name);
            let tidegate = Tidegate::start_like_charon(lab, &end.site.node, &config, etc.folder());
            Running { end, etc, agent: Agent::new(tidegate.socket()), tidegate }
        })
    }

    fn flows(&self) -> [Flow; 2] {
        [
            Flow::start(&self.edge.site.pod, &self.cloud.site.pod, self.cloud.site.pod_v4.into(), 500),
            Flow::start(&self.cloud.site.pod, &self.edge.site.pod, self.edge.site.pod_v4.into(), 500),
        ]
    }
}

impl End {
    fn new(internet: &Internet, authority: &Authority, (name, role, number): (&str, Role, u8)) -> Self {
        let site = Site::new(name, number);
        let uplink = internet.attach(&site.node, number);
        let credentials = authority.issue(&format!("C=CN, O=fabedge.io, CN=beijing.{name}"), Key::Rsa(2048));
        Self { site, uplink, role, credentials }
    }

    fn member(&self) -> Member {
        let name = match self.role {
            Role::Connector => "cloud-connector",
            Role::Edge => "edge-1",
        };
        Member {
            name: name.into(),
            subject: self.credentials.subject.clone(),
            role: self.role,
            address: self.uplink.v4.to_string(),
            pods: self.site.subnets().map(|subnet| subnet.to_string()).to_vec(),
        }
    }

    /// Its connection to the other, by a certificate that is found in the files.
    fn connection_to(&self, peer: &Self) -> Value {
        let mut connection = self.member().connection_to(&peer.member(), "");
        connection[&peer.member().name]["local"] =
            json!({ "id": self.credentials.subject, "auth": "pubkey" });
        connection
    }

    /// The same by a secret.
    fn secret_connection_to(&self, peer: &Self) -> Value {
        let mut connection = self.connection_to(peer);
        let sections = &mut connection[&peer.member().name];
        (sections["local"]["auth"], sections["remote"]["auth"]) = (json!("psk"), json!("psk"));
        connection
    }
}

impl Running<'_> {
    fn initiate(&self, child: &str) -> Option<String> {
        self.agent.try_to("initiate", json!({ "child": child, "timeout": "5000" })).error
    }

    /// Numbers of all children, by which old ones can be told from new ones.
    fn children(&self, peer: &End) -> Vec<String> {
        let events = self.agent.sas(&peer.member().name);
        let sas = events.iter().flat_map(|event| event.as_object().expect("a section").values());
        let children = sas.flat_map(|sa| sa["child-sas"].as_object().expect("always there").values());
        let mut all: Vec<_> =
            children.filter_map(|child| child["spi-in"].as_str().map(str::to_owned)).collect();
        all.sort();
        all
    }

    /// The certificate that has this number in it is listed.
    fn lists(&self, lab: &Lab, serial: &str) -> bool {
        let tool = Tool::new(&lab.fresh("swanctl"), self.tidegate.socket());
        tool.run("--list-certs").contains(serial)
    }
}

fn certificates(lab: &Lab, ends: &mut Ends) {
    let [edge, cloud] = ends.start(lab);
    cloud.agent.ask("load-conn", ends.cloud.connection_to(&ends.edge));
    edge.agent.ask("load-conn", ends.edge.connection_to(&ends.cloud));
    assert_eq!(edge.initiate("cloud-connector-p2p"), None);
    let flows = ends.flows();
    flow::arrive(&flows, 100);
    let before = edge.children(&ends.cloud);

    // Another authority takes over, with new keys for both, while datagrams go on.
    let next = Authority::new(lab.folder(), "next-ca", Key::Rsa(4096));
    for end in [&edge, &cloud] {
        let credentials = next.issue(&end.end.credentials.subject, Key::Rsa(2048));
        end.etc.put(&next.certificate, "ipsec.d/cacerts/ca.crt");
        end.etc.put(&credentials.key, "ipsec.d/private/tls.key");
        end.etc.put(&credentials.chain, "ipsec.d/certs/tls.crt");
        wait::until_true("the new certificate is there", PATIENCE, || end.lists(lab, "CN=next-ca"));
        assert!(!end.lists(lab, "CN=fabedge-ca"), "what was replaced is still there");
    }
    flow::arrive(&flows, 100);
    assert_eq!(edge.children(&ends.cloud), before, "an SA has gone because files have changed");
    for (flow, way) in flows.into_iter().zip(["to the cloud", "to the edge"]) {
        flow.finish().assert_whole(way);
    }

    // Neither end has anything left that the old authority has signed: a new SA is by the new one.
    edge.agent.ask("terminate", json!({ "ike": "cloud-connector" }));
    assert_eq!(edge.initiate("cloud-connector-p2p"), None);
    flow::arrive(&ends.flows(), 100);

    // One end alone that has gone back is refused, so files decide indeed.
    edge.etc.put(&ends.edge.credentials.key, "ipsec.d/private/tls.key");
    edge.etc.put(&ends.edge.credentials.chain, "ipsec.d/certs/tls.crt");
    wait::until_true("the old certificate is there again", PATIENCE, || edge.lists(lab, "CN=fabedge-ca"));
    edge.agent.ask("terminate", json!({ "ike": "cloud-connector" }));
    assert!(edge.initiate("cloud-connector-p2p").is_some(), "a certificate of nobody's is good");
}

fn secrets(lab: &Lab, ends: &mut Ends) {
    let [edge, cloud] = ends.start(lab);
    let secret = |text: &str| format!(": RSA tls.key\n%any : PSK \"{text}\"\n");
    for end in [&edge, &cloud] {
        end.etc.write_secrets(&secret("the first of them, long enough"));
    }
    cloud.agent.ask("load-conn", ends.cloud.secret_connection_to(&ends.edge));
    edge.agent.ask("load-conn", ends.edge.secret_connection_to(&ends.cloud));
    // Until the file was read again neither end has a secret.
    wait::until_true("the secrets are there", PATIENCE, || edge.initiate("cloud-connector-p2p").is_none());
    let flows = ends.flows();
    flow::arrive(&flows, 100);
    let before = edge.children(&ends.cloud);
    cloud.etc.write_secrets(&secret("the second, which is another"));
    wait::until_true("the cloud has another secret", PATIENCE, || {
        // A reauthentication beside the SA that stands would tell as well, but would be in its way.
        cloud.tidegate.log().matches("were read again").count() > 1
    });
    assert_eq!(edge.children(&ends.cloud), before, "an SA has gone because a secret has changed");
    for (flow, way) in flows.into_iter().zip(["to the cloud", "to the edge"]) {
        flow.finish().assert_whole(way);
    }
    edge.agent.ask("terminate", json!({ "ike": "cloud-connector" }));
    assert!(edge.initiate("cloud-connector-p2p").is_some(), "the secret of before is still good");
    edge.etc.write_secrets(&secret("the second, which is another"));
    wait::until_true("both have the new one", PATIENCE, || edge.initiate("cloud-connector-p2p").is_none());
    flow::arrive(&ends.flows(), 100);
}
