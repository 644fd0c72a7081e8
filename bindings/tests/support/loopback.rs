//! Two nodes on loopback: `a` is 1, `b` is 2.

use std::net::UdpSocket;

/// What the nodes of a test prove themselves by.
pub(crate) struct Loopback {
    /// They are in 127.0.NETWORK.
    pub(crate) network: u8,
    /// What a node of this name has in its own section.
    pub(crate) node: fn(&str) -> String,
    /// What it has of a peer of this name.
    pub(crate) remote: fn(&str) -> String,
}

impl Loopback {
    /// The configuration of one of the two.
    pub(crate) fn configuration(&self, number: u8, port: u16) -> String {
        let (other, names, network) = (3 - number, ["", "a", "b"], self.network);
        let (name, peer) = (names[usize::from(number)], names[usize::from(other)]);
        let (node, remote) = ((self.node)(name), (self.remote)(peer));
        format!(
            r#"
            [node]
            name = "{name}"
            {node}
            listen = ["127.0.{network}.{number}"]
            port = {port}
            nat_port = {port}
            [[connection]]
            name = "peer"
            [connection.remote]
            {remote}
            addresses = ["127.0.{network}.{other}"]
            port = {port}
            [[connection.child]]
            name = "net"
            local = ["10.{number}.0.0/16"]
            remote = ["10.{other}.0.0/16"]
            "#
        )
    }

    /// A port that was free a moment ago.
    pub(crate) fn free_port(&self) -> u16 {
        let socket = UdpSocket::bind(format!("127.0.{}.1:0", self.network)).expect("loopback");
        socket.local_addr().expect("it is bound").port()
    }
}
