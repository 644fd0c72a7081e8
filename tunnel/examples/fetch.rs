//! Fetches a page from behind a connector, with no root and no interface: the network stack is in this process.
//!
//! ```text
//! cargo run --example fetch -- ADDRESS[:PORT] OUR-ID ITS-ID SECRET-FILE http://10.233.0.10/
//! ```
//!
//! The address is that of the connector, which gives us an address of a pool inside: any IKEv2 responder that does
//! will do, strongSwan's too.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tidegate::TunnelManager;
use tidegate::connection::{Child, Connection};
use tidegate::engine::Target;
use tidegate::io::netstack::{Netstack, NetstackSettings};
use tidegate::io::udp::Listen;
use tidegate_esp::{AddressRange, Ports, TrafficSelector};
use tidegate_ike::ChildConfig;
use tidegate_ike::connection::AddressRequest;
use tidegate_ike::crypto::Secret;
use tidegate_ike::narrow::ConfiguredSelector;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

type Outcome<T> = Result<T, Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [connector, us, it, secret, url] = arguments.as_slice() else {
        return Err("usage: fetch ADDRESS[:PORT] OUR-ID ITS-ID SECRET-FILE URL".into());
    };
    let (service, host, path) = parse(url)?;
    let secret = Secret::new(fs::read_to_string(secret)?.trim().as_bytes().to_vec());

    // The stack has no address until the connector gives it one.
    let (stack, device) = Netstack::new(NetstackSettings::new(Vec::new()))?;
    let listen = Listen { ike_port: 0, nat_port: 0, ..Listen::default() };
    let manager = TunnelManager::builder().device(Arc::new(device)).listen(listen).start().await?;
    let mut connection = connection(us, it, secret, service.ip())?;
    let (address, port) = match connector.parse::<SocketAddr>() {
        Ok(address) => (address.ip(), address.port()),
        Err(_) => (connector.parse()?, connection.ike.remote.port),
    };
    connection.ike.remote.port = port;
    manager.load(connection.with_peer_address(address)).await?;
    timeout(PATIENCE, manager.initiate(Target::Connection(it.as_str().into()))).await??;

    let mut stream = timeout(PATIENCE, stack.connect(service)).await??;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut page = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut page)).await??;
    std::io::stdout().write_all(&page)?;
    manager.shutdown().await;
    Ok(())
}

/// From whatever address we are given to the one service.
fn connection(us: &str, it: &str, secret: Secret, service: IpAddr) -> Outcome<Connection> {
    let mut ike = tidegate_ike::Connection::psk(it, us.parse()?, it.parse()?, secret);
    ike.request_addresses = vec![match service {
        IpAddr::V4(_) => AddressRequest::V4(None),
        IpAddr::V6(_) => AddressRequest::V6(None),
    }];
    let service = TrafficSelector::for_addresses(AddressRange::host(service));
    let mut child = ChildConfig::new("service", service, service);
    child.local = vec![ConfiguredSelector::Dynamic { protocol: 0, ports: Ports::ANY }];
    Ok(Connection::new(ike).with_child(Child::new(child)))
}

/// `http://ADDRESS[:PORT]/PATH`
fn parse(url: &str) -> Outcome<(SocketAddr, &str, String)> {
    let rest = url.strip_prefix("http://").ok_or("the URL has to begin with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let service = match host.parse::<SocketAddr>() {
        Ok(service) => service,
        Err(_) => SocketAddr::new(host.trim_matches(['[', ']']).parse()?, 80),
    };
    Ok((service, host, format!("/{path}")))
}
