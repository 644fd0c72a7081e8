//! Networks: a router that stands for the Internet, sites with a pod behind them, NATs, overlays.

use crate::support::http;
use crate::support::namespace::Namespace;
use crate::support::process::run;
use crate::support::wait;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

/// Addresses that share their first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// Reads it as it is written everywhere: `10.1.0.0/24`.
    pub(crate) fn new(text: &str) -> Self {
        let (address, length) = text.split_once('/').expect("a prefix has a slash");
        Self {
            address: address.parse().expect("an address before the slash"),
            length: length.parse().expect("a number behind the slash"),
        }
    }

    /// Whether `address` is one of them.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let differ = match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => (ours.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(ours), IpAddr::V6(other)) => (ours.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => return false,
        };
        differ >= u32::from(self.length)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.length)
    }
}

/// Joins two namespaces by a wire with these interfaces at its ends.
pub(crate) fn wire((a, at_a): (&Namespace, &str), (b, at_b): (&Namespace, &str)) {
    let words =
        ["link", "add", at_a, "netns", a.name(), "type", "veth", "peer", "name", at_b, "netns", b.name()];
    run(Command::new("ip").args(words));
    a.ip(&format!("link set {at_a} up"));
    b.ip(&format!("link set {at_b} up"));
}

/// A router with a link to each node. Only the outside of tunnels crosses it.
pub(crate) struct Internet {
    /// For captures and for rules.
    pub(crate) router: Namespace,
}

/// What a node has at its end of a link to the [`Internet`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uplink {
    number: u8,
    /// Its address.
    pub(crate) v4: Ipv4Addr,
    /// Its other one.
    pub(crate) v6: Ipv6Addr,
}

impl Internet {
    /// A router without links.
    pub(crate) fn new() -> Self {
        let router = Namespace::new("internet");
        router.forward();
        Self { router }
    }

    /// Links a node, whose interface is called `wan`. The number says which addresses it has.
    pub(crate) fn attach(&self, node: &Namespace, number: u8) -> Uplink {
        self.attach_as(node, "wan", number)
    }

    /// Links a node by an interface of the given name; it takes the default route over.
    pub(crate) fn attach_as(&self, node: &Namespace, interface: &str, number: u8) -> Uplink {
        let port = format!("link{number}");
        wire((node, interface), (&self.router, &port));
        let uplink = Uplink {
            number,
            v4: Ipv4Addr::new(198, 18, number, 2),
            v6: Ipv6Addr::new(0x2001, 0xdb8, 0, number.into(), 0, 0, 0, 2),
        };
        self.router.ip(&format!("addr add {}/24 dev {port}", uplink.router_v4()));
        self.router.ip(&format!("addr add {}/64 dev {port} nodad", uplink.router_v6()));
        node.ip(&format!("addr add {}/24 dev {interface}", uplink.v4));
        node.ip(&format!("addr add {}/64 dev {interface} nodad", uplink.v6));
        node.ip(&format!("route replace default via {}", uplink.router_v4()));
        node.ip(&format!("-6 route replace default via {} dev {interface}", uplink.router_v6()));
        uplink
    }

    /// Drops this share of all that is forwarded from or to a link.
    pub(crate) fn lose(&self, uplink: Uplink, percent: u8) {
        self.add_rules(&format!(
            "iifname link{0} numgen random mod 100 < {percent} drop; \
             oifname link{0} numgen random mod 100 < {percent} drop",
            uplink.number
        ));
    }

    /// Cuts a link off.
    pub(crate) fn cut(&self, uplink: Uplink) {
        self.add_rules(&format!("iifname link{0} drop; oifname link{0} drop", uplink.number));
    }

    /// Drops all that comes from an address or goes to it.
    pub(crate) fn silence(&self, address: Ipv4Addr) {
        self.add_rules(&format!("ip saddr {address} drop; ip daddr {address} drop"));
    }

    /// Undoes all losses and cuts.
    pub(crate) fn heal(&self) {
        self.router.nft("flush ruleset");
    }

    fn add_rules(&self, rules: &str) {
        self.router
            .nft("add table inet lab; add chain inet lab forward { type filter hook forward priority 0; }");
        for rule in rules.split(';') {
            self.router.nft(&format!("add rule inet lab forward {rule}"));
        }
    }
}

impl Uplink {
    /// The router's address on the link.
    pub(crate) fn router_v4(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, 1)
    }

    fn router_v6(self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, self.number.into(), 0, 0, 0, 1)
    }
}

/// A node with a bridge, and a pod on it.
pub(crate) struct Site {
    /// Where the daemon runs.
    pub(crate) node: Namespace,
    /// What it carries for.
    pub(crate) pod: Namespace,
    /// The pod's addresses.
    pub(crate) pod_v4: Ipv4Addr,
    /// The other one.
    pub(crate) pod_v6: Ipv6Addr,
    /// What the site's pods have addresses of.
    pub(crate) subnet_v4: Prefix,
    /// The same for IPv6.
    pub(crate) subnet_v6: Prefix,
}

impl Site {
    /// Makes one; the number says which subnets it has: `10.<number>.0.0/24` and `fd00:<number>::/64`.
    pub(crate) fn new(label: &str, number: u8) -> Self {
        let (node, pod) = (Namespace::new(label), Namespace::new(&format!("{label}-pod")));
        node.forward();
        bridge(&node, "br-pods", &[&format!("10.{number}.0.1/24"), &format!("fd00:{number}::1/64")]);
        let pod_v4 = Ipv4Addr::new(10, number, 0, 2);
        let prefix_v6 = Prefix::new(&format!("fd00:{number}::/64"));
        let pod_v6: Ipv6Addr = format!("fd00:{number}::2").parse().expect("an address");
        plug((&node, "br-pods"), &pod, "pod");
        pod.ip(&format!("addr add {pod_v4}/24 dev eth0"));
        pod.ip(&format!("addr add {pod_v6}/64 dev eth0 nodad"));
        pod.ip(&format!("route add default via 10.{number}.0.1"));
        pod.ip(&format!("-6 route add default via fd00:{number}::1"));
        Self {
            node,
            pod,
            pod_v4,
            pod_v6,
            subnet_v4: Prefix::new(&format!("10.{number}.0.0/24")),
            subnet_v6: prefix_v6,
        }
    }

    /// Its subnets.
    pub(crate) fn subnets(&self) -> [Prefix; 2] {
        [self.subnet_v4, self.subnet_v6]
    }
}

/// Adds a bridge with these addresses.
pub(crate) fn bridge(node: &Namespace, name: &str, addresses: &[&str]) {
    node.ip(&format!("link add {name} type bridge forward_delay 0"));
    node.ip(&format!("link set {name} up"));
    for address in addresses {
        let nodad = if address.contains(':') { "nodad" } else { "" };
        node.ip(&format!("addr add {address} dev {name} {nodad}"));
    }
}

/// Plugs a pod into a bridge; its interface is `eth0`, and that at the node is named after `port`.
pub(crate) fn plug((node, bridge): (&Namespace, &str), pod: &Namespace, port: &str) {
    let port = format!("{port}0");
    wire((pod, "eth0"), (node, &port));
    node.ip(&format!("link set {port} master {bridge}"));
}

/// A NAT between a node and the Internet. What is not expected on IKE's ports goes to the node.
pub(crate) struct Nat {
    _gateway: Namespace,
    /// The address outside.
    pub(crate) outside: Uplink,
    /// The node's address behind it.
    pub(crate) inside: Ipv4Addr,
}

impl Nat {
    /// Puts a node behind a NAT.
    pub(crate) fn attach(internet: &Internet, node: &Namespace, number: u8) -> Self {
        let gateway = Namespace::new("nat");
        gateway.forward();
        let outside = internet.attach(&gateway, number);
        wire((node, "wan"), (&gateway, "lan"));
        gateway.ip("addr add 192.168.0.1/24 dev lan");
        node.ip("addr add 192.168.0.2/24 dev wan");
        node.ip("route add default via 192.168.0.1");
        let inside = Ipv4Addr::new(192, 168, 0, 2);
        gateway.nft(&format!(
            "table ip nat {{
                chain out {{
                    type nat hook postrouting priority 100
                    oifname wan meta l4proto udp masquerade to :20000-30000
                    oifname wan masquerade
                }}
                chain in {{
                    type nat hook prerouting priority -100
                    iifname wan udp dport {{ 500, 4500 }} dnat to {inside}
                }}
            }}"
        ));
        Self { _gateway: gateway, outside, inside }
    }
}

/// Whether two namespaces can talk over TCP, waiting until they can.
#[track_caller]
pub(crate) fn wait_until_reachable(from: &Namespace, to: &Namespace, address: IpAddr, limit: Duration) {
    let server = SocketAddr::new(address, 8099);
    let _running = http::Server::start(to, "there", server);
    wait::until(&format!("{address} is reachable from {}", from.name()), limit, || {
        http::get(from, server, Duration::from_secs(2)).ok()
    });
}
