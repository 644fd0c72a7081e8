//! Tidegate and strongSwan with the Internet between them, and a pod behind each.

use crate::support::certificates::{Authority, Credentials};
use crate::support::charon::{Charon, Esp};
use crate::support::namespace::Namespace;
use crate::support::network::{Internet, Nat, Prefix, Site, Uplink};
use crate::support::swanctl::{SwanChild, SwanConnection, Swanctl};
use crate::support::tidegate::Tidegate;
use crate::support::tidegate::config::{Child, Config, Connection, Party};
use crate::support::{Lab, flow::Flow, http};
use std::fs::{self, Permissions};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// Name of the only connection at both sides.
pub(crate) const NAME: &str = "peer";

/// Name of the base case's only child at both sides.
pub(crate) const CHILD: &str = "net";

/// Who is behind a NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    Nobody,
    Us,
    Them,
    Both,
}

/// Who begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Initiator {
    We,
    They,
}

/// Which protocol the tunnel's outside is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outside {
    V4,
    V6,
}

/// The topology, and strongSwan at its far end.
pub(crate) struct Pair {
    pub(crate) internet: Internet,
    pub(crate) us: Site,
    pub(crate) them: Site,
    pub(crate) our_uplink: Uplink,
    pub(crate) their_uplink: Uplink,
    pub(crate) charon: Charon,
    /// Address that each has at its own interface, and that the other one calls.
    our_addresses: Addresses,
    their_addresses: Addresses,
    _nats: Vec<Nat>,
    _servers: [http::Server; 2],
    secret: PathBuf,
}

#[derive(Clone, Copy)]
struct Addresses {
    own: IpAddr,
    called: IpAddr,
    called_v6: IpAddr,
}

/// What both sides are told about one connection.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) ours: Config,
    pub(crate) theirs: Swanctl,
}

const PSK: &str = "0123456789 a long and random enough secret";

impl Pair {
    /// Builds it.
    pub(crate) fn new(lab: &Lab, behind: Behind) -> Self {
        let internet = Internet::new();
        let (us, them) = (Site::new("us", 1), Site::new("them", 2));
        let mut nats = Vec::new();
        let mut attach = |site: &Site, number, nated: bool| {
            if nated {
                let nat = Nat::attach(&internet, &site.node, number);
                let (own, outside) = (nat.inside.into(), nat.outside);
                nats.push(nat);
                (outside, Addresses { own, called: outside.v4.into(), called_v6: outside.v6.into() })
            } else {
                let uplink = internet.attach(&site.node, number);
                let (own, called_v6) = (uplink.v4.into(), uplink.v6.into());
                (uplink, Addresses { own, called: own, called_v6 })
            }
        };
        let (our_uplink, our_addresses) = attach(&us, 1, matches!(behind, Behind::Us | Behind::Both));
        let (their_uplink, their_addresses) = attach(&them, 2, matches!(behind, Behind::Them | Behind::Both));
        let charon = Charon::start(lab, &them.node, "charon");
        let any = SocketAddr::new([0_u16; 8].into(), 80);
        let servers = [http::Server::start(&them.pod, "them", any), http::Server::start(&us.pod, "us", any)];
        let secret = lab.folder().join("psk");
        fs::write(&secret, PSK).expect("a file");
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("it is ours");
        Self {
            internet,
            us,
            them,
            our_uplink,
            their_uplink,
            charon,
            our_addresses,
            their_addresses,
            _nats: nats,
            _servers: servers,
            secret,
        }
    }

    /// The base case, from which cases vary one thing: a shared secret, AES-GCM, X25519, IPv4 inside and out.
    pub(crate) fn base(&self, outside: Outside) -> Setup {
        Setup { ours: self.our_base(outside), theirs: self.their_base(outside) }
    }

    fn our_base(&self, outside: Outside) -> Config {
        let mut config = Config::new("us");
        let local =
            Party { id: Some("us.example".into()), psk_file: Some(self.secret.clone()), ..Party::default() };
        let remote = Party {
            id: Some("them.example".into()),
            addresses: vec![self.their_addresses.called(outside).to_string()],
            psk_file: Some(self.secret.clone()),
            ..Party::default()
        };
        let child = Child::new(CHILD, &self.us.subnet_v4.to_string(), &self.them.subnet_v4.to_string());
        config.connections.push(Connection::new(NAME, local, remote, child));
        config
    }

    fn their_base(&self, outside: Outside) -> Swanctl {
        let own = match outside {
            Outside::V4 => self.their_addresses.own,
            Outside::V6 => self.their_addresses.called_v6,
        };
        let child = SwanChild {
            name: CHILD.into(),
            options: vec![
                ("local_ts", self.them.subnet_v4.to_string()),
                ("remote_ts", self.us.subnet_v4.to_string()),
                ("esp_proposals", "aes128gcm16".into()),
            ],
        };
        let connection = SwanConnection {
            name: NAME.into(),
            options: vec![
                ("version", "2".into()),
                ("local_addrs", own.to_string()),
                ("remote_addrs", self.our_addresses.called(outside).to_string()),
                ("proposals", "aes128gcm16-prfsha256-x25519".into()),
                ("encap", "yes".into()),
                ("mobike", "no".into()),
            ],
            local: vec![("auth", "psk".into()), ("id", "them.example".into())],
            remote: vec![("auth", "psk".into()), ("id", "us.example".into())],
            children: vec![child],
        };
        let secrets = vec![("us.example".into(), PSK.into())];
        Swanctl { connections: vec![connection], secrets, ..Swanctl::default() }
    }

    /// Loads strongSwan and starts Tidegate.
    pub(crate) fn start(&self, lab: &Lab, setup: &Setup) -> Tidegate {
        self.charon.load(&setup.theirs);
        Tidegate::start(lab, &self.us.node, &setup.ours)
    }

    /// The same, and has one side bring the child up.
    #[track_caller]
    pub(crate) fn connect(&self, lab: &Lab, setup: &Setup, initiator: Initiator) -> Tidegate {
        let tidegate = self.start(lab, setup);
        match initiator {
            Initiator::We => tidegate.up(NAME),
            Initiator::They => self.charon.initiate(CHILD),
        }
        tidegate.wait_until_up(NAME, Duration::from_secs(5));
        tidegate
    }

    /// Has strongSwan's life end without a word, and begin again. It is told nothing yet.
    pub(crate) fn restart_charon(&mut self, lab: &Lab) {
        self.restart_charon_with(lab, Esp::Userspace);
    }

    /// The same with its ESP wherever it may be.
    pub(crate) fn restart_charon_with(&mut self, lab: &Lab, esp: Esp) {
        // Its interface and routes must be gone before the next one makes them.
        self.charon.end();
        self.charon = Charon::start_with(lab, &self.them.node, "charon", esp);
    }

    /// Makes sure that pods talk, both ways, over TCP with full packets, and see each other's address.
    #[track_caller]
    pub(crate) fn assert_pods_talk(&self) {
        self.assert_talk(self.us.pod_v4.into(), self.them.pod_v4.into());
    }

    /// The same over IPv6.
    #[track_caller]
    pub(crate) fn assert_pods_talk_v6(&self) {
        self.assert_talk(self.us.pod_v6.into(), self.them.pod_v6.into());
    }

    /// The same over what a setup's child carries.
    #[track_caller]
    pub(crate) fn assert_pods_talk_as(&self, setup: &Setup) {
        let carried = setup.ours.connections.iter().flat_map(|connection| &connection.children);
        let carried: Vec<_> = carried.flat_map(|child| &child.local).collect();
        if carried.iter().any(|range| range.contains('.')) {
            self.assert_pods_talk();
        }
        if carried.iter().any(|range| range.contains(':')) {
            self.assert_pods_talk_v6();
        }
    }

    #[track_caller]
    fn assert_talk(&self, ours: IpAddr, theirs: IpAddr) {
        let ask = |from: &Namespace, to: IpAddr, name: &str, own: IpAddr| {
            let answer = http::get(from, SocketAddr::new(to, 80), Duration::from_secs(5));
            let answer = answer.unwrap_or_else(|error| panic!("{own} asks {to}: {error}"));
            assert_eq!(answer, http::Answer { server: name.into(), client: own });
        };
        ask(&self.us.pod, theirs, "them", ours);
        ask(&self.them.pod, ours, "us", theirs);
    }

    /// Datagrams both ways, 1,000 a second each.
    pub(crate) fn flows(&self) -> [Flow; 2] {
        [
            Flow::start(&self.us.pod, &self.them.pod, self.them.pod_v4.into(), 1000),
            Flow::start(&self.them.pod, &self.us.pod, self.us.pod_v4.into(), 1000),
        ]
    }

    /// What must not be seen on the wire.
    pub(crate) fn inner(&self) -> Vec<Prefix> {
        [self.us.subnets(), self.them.subnets()].concat()
    }
}

impl Addresses {
    fn called(&self, outside: Outside) -> IpAddr {
        match outside {
            Outside::V4 => self.called,
            Outside::V6 => self.called_v6,
        }
    }
}

impl Setup {
    /// Our connection.
    pub(crate) fn our(&mut self) -> &mut Connection {
        self.ours.connections.first_mut().expect("there is one")
    }

    /// Our child.
    pub(crate) fn our_child(&mut self) -> &mut Child {
        self.our().children.first_mut().expect("there is one")
    }

    /// Their connection.
    pub(crate) fn their(&mut self) -> &mut SwanConnection {
        self.theirs.connections.first_mut().expect("there is one")
    }

    /// Has both sides offer these and nothing else.
    pub(crate) fn propose(&mut self, ike: &str, esp: &str) {
        self.our().proposals = ike.to_owned();
        self.our_child().proposals = esp.to_owned();
        self.their().set("proposals", ike);
        self.their().child().set("esp_proposals", esp);
    }

    /// Has the child carry these, ours and theirs.
    pub(crate) fn carry(&mut self, ours: &[Prefix], theirs: &[Prefix]) {
        let words = |prefixes: &[Prefix]| prefixes.iter().map(ToString::to_string).collect::<Vec<_>>();
        self.our_child().local = words(ours);
        self.our_child().remote = words(theirs);
        self.their().child().set("local_ts", words(theirs).join(","));
        self.their().child().set("remote_ts", words(ours).join(","));
    }

    /// Has both sides prove themselves by certificates.
    pub(crate) fn prove(&mut self, authority: &Authority, ours: &Credentials, theirs: &Credentials) {
        let our = self.our();
        our.local = Party {
            id: Some(ours.subject.clone()),
            certificate: Some(ours.chain.clone()),
            key: Some(ours.key.clone()),
            ..Party::default()
        };
        our.remote.id = Some(theirs.subject.clone());
        our.remote.psk_file = None;
        our.remote.trust = vec![authority.certificate.clone()];
        let quoted = |subject: &str| format!("\"{subject}\"");
        let own_file = theirs.files.first().expect("the node's own certificate").display().to_string();
        let their = self.their();
        their.local = vec![("auth", "pubkey".into()), ("id", quoted(&theirs.subject)), ("certs", own_file)];
        their.remote = vec![("auth", "pubkey".into()), ("id", quoted(&ours.subject))];
        self.theirs.secrets.clear();
        self.theirs.authorities = vec![authority.certificate.clone()];
        self.theirs.credentials = vec![theirs.clone()];
    }
}
