//! What scripts are told, by the names that charon's have.

use crate::connection::HostAccess;
use crate::event::ChildFacts;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use tidegate_esp::{AddressRange, Encapsulation, Ports, SelectorPair, TrafficSelector};

/// No script is told of more pairs of selectors.
const MOST_PAIRS: usize = 64;
/// No value is longer.
const LONGEST: usize = 2048;

/// A child that comes or goes, as scripts are told of it.
#[derive(Clone, Debug)]
pub(super) struct ChildChange {
    /// What it does.
    pub(super) verb: Verb,
    /// Everything that is known of it.
    pub(super) child: Arc<ChildFacts>,
    /// The interface of our outer address, if it has one.
    pub(super) interface: Option<String>,
}

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// It carries from now on.
    Up,
    /// It carries no more.
    Down,
}

/// The variables of each run, of the form `NAME=value`: a run for each pair of selectors of one family.
pub(super) fn environment(change: &ChildChange) -> Vec<Vec<String>> {
    let SelectorPair { local, remote } = &*change.child.selectors;
    let pairs = local.iter().flat_map(|ours| remote.iter().map(move |theirs| (ours, theirs)));
    let alike = pairs.filter(|(ours, theirs)| is_v4(ours) == is_v4(theirs));
    alike.take(MOST_PAIRS).map(|(ours, theirs)| variables(change, ours, theirs)).collect()
}

fn variables(change: &ChildChange, ours: &TrafficSelector, theirs: &TrafficSelector) -> Vec<String> {
    let child = &*change.child;
    let mut list = List(Vec::new());
    list.put("PLUTO_VERSION", "1.1");
    list.put("PLUTO_VERB", &verb(change, ours));
    // In charon's scripts too this is the child and not the connection.
    list.put("PLUTO_CONNECTION", &child.child);
    list.put("PLUTO_INTERFACE", change.interface.as_deref().unwrap_or("unknown"));
    list.put("PLUTO_REQID", &child.reqid.to_string());
    list.put("PLUTO_PROTO", "esp");
    list.put("PLUTO_UNIQUEID", &child.ike_sa.to_string());
    list.end("ME", "MY", child.local.ip(), &child.local_id.to_string(), ours);
    list.end("PEER", "PEER", child.remote.ip(), &child.remote_id.to_string(), theirs);
    list.addresses("PLUTO_MY_SOURCEIP", &child.addresses);
    list.addresses("PLUTO_PEER_SOURCEIP", &child.peer_addresses);
    if child.encapsulation == Encapsulation::Udp {
        list.put("PLUTO_UDP_ENC", &child.remote.port().to_string());
    }
    list.numbered("PLUTO_DNS", &child.dns);
    if child.host_access == HostAccess::Wanted {
        list.put("PLUTO_HOST_ACCESS", "1");
    }
    list.0
}

fn verb(change: &ChildChange, ours: &TrafficSelector) -> String {
    let verb = match change.verb {
        Verb::Up => "up",
        Verb::Down => "down",
    };
    let whom = if single(ours.addresses) == Some(change.child.local.ip()) { "host" } else { "client" };
    // Of what is carried, whatever it is carried over.
    let family = if is_v4(ours) { "" } else { "-v6" };
    format!("{verb}-{whom}{family}")
}

struct List(Vec<String>);

impl List {
    fn put(&mut self, name: &str, value: &str) {
        self.0.push(format!("{name}={}", harmless(value)));
    }

    fn end(&mut self, host: &str, side: &str, address: IpAddr, identity: &str, selector: &TrafficSelector) {
        self.put(&format!("PLUTO_{host}"), &address.to_string());
        self.put(&format!("PLUTO_{side}_ID"), identity);
        self.put(&format!("PLUTO_{side}_CLIENT"), &subnet(selector.addresses));
        self.put(&format!("PLUTO_{side}_PORT"), &ports(selector.ports));
        self.put(&format!("PLUTO_{side}_PROTOCOL"), &selector.protocol.to_string());
    }

    /// The first one by the short name, and all by family and number.
    fn addresses(&mut self, name: &str, addresses: &[IpAddr]) {
        if let Some(first) = addresses.first() {
            self.put(name, &first.to_string());
        }
        self.numbered(name, addresses);
    }

    fn numbered(&mut self, name: &str, addresses: &[IpAddr]) {
        for (family, of_family) in [("4", IpAddr::is_ipv4 as fn(&IpAddr) -> bool), ("6", IpAddr::is_ipv6)] {
            let addresses = addresses.iter().filter(|address| of_family(address)).take(MOST_PAIRS);
            for (number, address) in (1..).zip(addresses) {
                self.put(&format!("{name}{family}_{number}"), &address.to_string());
            }
        }
    }
}

/// Nothing that would end a variable or a line of a log: scripts are not always careful.
fn harmless(value: &str) -> String {
    let shown = value.chars().map(|letter| if letter.is_control() { '?' } else { letter });
    let mut room = LONGEST;
    let fits = |letter: &char| {
        room = room.saturating_sub(letter.len_utf8());
        room > 0
    };
    shown.take_while(fits).collect()
}

fn is_v4(selector: &TrafficSelector) -> bool {
    matches!(selector.addresses, AddressRange::V4 { .. })
}

fn single(range: AddressRange) -> Option<IpAddr> {
    match range {
        AddressRange::V4 { start, end } => (start == end).then_some(start.into()),
        AddressRange::V6 { start, end } => (start == end).then_some(start.into()),
    }
}

/// The smallest prefix that holds a range.
fn subnet(range: AddressRange) -> String {
    match range {
        AddressRange::V4 { start, end } => {
            let length = (start.to_bits() ^ end.to_bits()).leading_zeros();
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            format!("{}/{length}", Ipv4Addr::from_bits(start.to_bits() & mask))
        }
        AddressRange::V6 { start, end } => {
            let length = (start.to_bits() ^ end.to_bits()).leading_zeros();
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            format!("{}/{length}", Ipv6Addr::from_bits(start.to_bits() & mask))
        }
    }
}

/// 0 for any, one port, or a range.
fn ports(ports: Ports) -> String {
    match ports {
        Ports::Range(0, u16::MAX) => "0".to_owned(),
        Ports::Range(first, last) if first == last => first.to_string(),
        Ports::Range(first, last) => format!("{first}:{last}"),
        Ports::Opaque => "opaque".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::connection::ChildMode;
    use tidegate_esp::Spi;
    use tidegate_ike::identity::Identity;

    fn facts(local: &[&str], remote: &[&str]) -> ChildFacts {
        let side = |side: &[&str]| side.iter().map(|text| text.parse().unwrap()).collect();
        ChildFacts {
            connection: "gateway".into(),
            child: "net".into(),
            updown: Some("true".into()),
            reqid: 7,
            mode: ChildMode::Tunnel,
            ike_sa: 3,
            number: 4,
            host_access: HostAccess::Untold,
            spi_in: Spi::new(4096).unwrap(),
            spi_out: Spi::new(4097).unwrap(),
            local_id: "edge-1.example".parse().unwrap(),
            remote_id: "O=peer, CN=a".parse().unwrap(),
            local: "192.0.2.1:4500".parse().unwrap(),
            remote: "198.51.100.9:1024".parse().unwrap(),
            encapsulation: Encapsulation::Udp,
            selectors: Arc::new(SelectorPair { local: side(local), remote: side(remote) }),
            addresses: vec!["10.9.0.7".parse().unwrap(), "fd09::7".parse().unwrap()],
            dns: vec!["10.9.0.1".parse().unwrap()],
            peer_addresses: Vec::new(),
        }
    }

    fn up(facts: ChildFacts) -> ChildChange {
        ChildChange { verb: Verb::Up, child: Arc::new(facts), interface: Some("eth0".into()) }
    }

    fn change(local: &[&str], remote: &[&str]) -> ChildChange {
        up(facts(local, remote))
    }

    #[test]
    fn scripts_are_told_what_charon_tells_them() {
        let runs = environment(&change(&["10.1.0.0/24[udp/53]"], &["10.2.0.0/16"]));
        let wanted = [
            "PLUTO_VERSION=1.1",
            "PLUTO_VERB=up-client",
            "PLUTO_CONNECTION=net",
            "PLUTO_INTERFACE=eth0",
            "PLUTO_REQID=7",
            "PLUTO_PROTO=esp",
            "PLUTO_UNIQUEID=3",
            "PLUTO_ME=192.0.2.1",
            "PLUTO_MY_ID=edge-1.example",
            "PLUTO_MY_CLIENT=10.1.0.0/24",
            "PLUTO_MY_PORT=53",
            "PLUTO_MY_PROTOCOL=17",
            "PLUTO_PEER=198.51.100.9",
            "PLUTO_PEER_ID=O=peer, CN=a",
            "PLUTO_PEER_CLIENT=10.2.0.0/16",
            "PLUTO_PEER_PORT=0",
            "PLUTO_PEER_PROTOCOL=0",
            "PLUTO_MY_SOURCEIP=10.9.0.7",
            "PLUTO_MY_SOURCEIP4_1=10.9.0.7",
            "PLUTO_MY_SOURCEIP6_1=fd09::7",
            "PLUTO_UDP_ENC=1024",
            "PLUTO_DNS4_1=10.9.0.1",
        ];
        assert_eq!(runs, [wanted]);
    }

    #[test]
    fn a_script_that_is_to_open_the_host_is_told_so() {
        let wanted =
            ChildFacts { host_access: HostAccess::Wanted, ..facts(&["10.1.0.0/24"], &["10.2.0.0/16"]) };
        assert_eq!(environment(&up(wanted))[0].last().map(String::as_str), Some("PLUTO_HOST_ACCESS=1"));
    }

    #[test]
    fn each_pair_of_one_family_is_a_run() {
        let runs =
            environment(&change(&["10.1.0.0/24", "fd01::/64"], &["10.2.0.0/24", "10.3.0.0/24", "fd02::/64"]));
        let told = |run: &Vec<String>| [run[9].clone(), run[14].clone()].join(" ");
        let pairs: Vec<String> = runs.iter().map(told).collect();
        assert_eq!(
            pairs,
            [
                "PLUTO_MY_CLIENT=10.1.0.0/24 PLUTO_PEER_CLIENT=10.2.0.0/24",
                "PLUTO_MY_CLIENT=10.1.0.0/24 PLUTO_PEER_CLIENT=10.3.0.0/24",
                "PLUTO_MY_CLIENT=fd01::/64 PLUTO_PEER_CLIENT=fd02::/64"
            ]
        );
    }

    #[test]
    fn verbs_tell_hosts_from_networks_and_families_apart() {
        let verb = |change: &ChildChange| environment(change)[0][1].clone();
        let mut host = facts(&["192.0.2.1"], &["10.2.0.0/24"]);
        assert_eq!(verb(&up(host.clone())), "PLUTO_VERB=up-host");
        assert_eq!(verb(&ChildChange { verb: Verb::Down, ..up(host.clone()) }), "PLUTO_VERB=down-host");
        host.local = "[2001:db8::1]:500".parse().unwrap();
        assert_eq!(verb(&up(host)), "PLUTO_VERB=up-client");
        let mut host = facts(&["2001:db8::1"], &["fd02::/64"]);
        assert_eq!(verb(&up(host.clone())), "PLUTO_VERB=up-client-v6");
        host.local = "[2001:db8::1]:500".parse().unwrap();
        assert_eq!(verb(&up(host)), "PLUTO_VERB=up-host-v6");
    }

    #[test]
    fn what_a_peer_calls_itself_ends_no_line_and_no_variable() {
        assert_eq!(harmless("a\0b\nPLUTO_VERB=down\r\u{1b}[0m"), "a?b?PLUTO_VERB=down??[0m");
        let mut evil = facts(&["10.1.0.0/24"], &["10.2.0.0/24"]);
        evil.remote_id = Identity::KeyId(b"a\0b\nc".to_vec());
        evil.child = "ä".repeat(5000).into();
        let runs = environment(&up(evil));
        assert!(runs[0].iter().all(|variable| variable.len() < LONGEST + 32));
        assert!(!runs[0].iter().flat_map(|variable| variable.chars()).any(char::is_control));
    }

    #[test]
    fn ranges_are_told_as_the_prefix_that_holds_them() {
        for (range, prefix) in [
            ("10.1.0.1-10.1.0.2", "10.1.0.0/30"),
            ("10.1.0.7", "10.1.0.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("fd01::1-fd01::ff", "fd01::/120"),
            ("::/0", "::/0"),
        ] {
            let selector: TrafficSelector = range.parse().unwrap();
            assert_eq!(subnet(selector.addresses), prefix);
        }
    }
}
