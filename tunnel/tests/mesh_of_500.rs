//! A connector and five hundred edges in one process.
#![allow(clippy::print_stdout, reason = "figures for whoever asks with --nocapture")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate::driver::packets::Threads;
use tidegate::io::netstack::{Netstack, NetstackSettings, TcpListener, TcpStream};
use tidegate::io::udp::Listen;
use tidegate::mesh::{Address, Endpoint, Mesh, Role};
use tidegate::{Event, TunnelManager};
use tidegate_esp::AddressRange;
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::crypto::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const EDGES: u16 = 500;
const PORT: u16 = 7;
const PATIENCE: Duration = Duration::from_secs(60);

struct Node {
    stack: Netstack,
    manager: TunnelManager,
    endpoint: Endpoint,
    inner: IpAddr,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connector_and_five_hundred_edges_are_up_and_each_gets_an_answer() {
    let begun = Instant::now();
    let connector = Node::start(0).await;
    let mut edges = Vec::new();
    for number in 1..=EDGES {
        edges.push(Node::start(number).await);
    }
    let started = begun.elapsed();

    let mut events = connector.manager.events();
    let peers =
        edges.iter().map(|edge| Endpoint { addresses: Vec::new(), ..edge.endpoint.clone() }).collect();
    connector.join(peers).await;
    for edge in &edges {
        edge.join(vec![connector.endpoint.clone()]).await;
    }
    let all_up = async {
        let mut up = 0;
        while up < EDGES {
            up += u16::from(matches!(events.next().await, Some(Event::Up { .. })));
        }
    };
    tokio::time::timeout(PATIENCE, all_up).await.expect("all are up");
    let negotiated = begun.elapsed() - started;

    let answering = {
        let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), PORT);
        tokio::spawn(answer(connector.stack.listen(any, usize::from(EDGES)).expect("a listener")))
    };
    let asking: Vec<_> =
        edges.iter().map(|edge| tokio::spawn(ask(edge.stack.clone(), edge.inner, connector.inner))).collect();
    for (number, asked) in (1..).zip(asking) {
        let answered = tokio::time::timeout(PATIENCE, asked).await.expect("an answer").expect("no panic");
        assert!(answered.expect("an answer"), "edge {number} got another's answer");
    }
    answering.abort();
    let exchanged = begun.elapsed() - started - negotiated;
    println!(
        "{EDGES} edges: started in {started:.1?}, up in {negotiated:.1?}, one exchange each in {exchanged:.1?}, {} MB",
        resident_megabytes()
    );
    for edge in &edges {
        assert!(edge.manager.is_active("0").await.expect("it runs"));
    }
    let status = connector.manager.status().await.expect("it runs");
    assert_eq!(status.iter().filter(|connection| connection.state == "up").count(), usize::from(EDGES));
}

impl Node {
    /// 0 is the connector.
    async fn start(number: u16) -> Self {
        let [high, low] = (number + 256).to_be_bytes();
        let inner = Ipv4Addr::new(10, high, low, 1).into();
        let net = Ipv4Addr::new(10, high, low, 0).into();
        let outer = Ipv4Addr::new(127, 50, high, low).into();
        let mut settings = NetstackSettings::new(vec![(inner, 24)]);
        settings.tcp_buffer = 4096;
        let (stack, device) = Netstack::new(settings).expect("a stack");
        let secret = Secret::new(b"all of them know it".to_vec());
        let manager = TunnelManager::builder()
            .identity(Arc::new(LocalAuth::Psk(secret.clone())))
            .trust(Arc::new(RemoteAuth::Psk(secret)))
            .device(Arc::new(device))
            .listen(Listen { addresses: vec![outer], ike_port: 0, nat_port: 0, ..Listen::default() })
            .threads(Threads::One)
            .start()
            .await
            .expect("a manager");
        let role = if number == 0 { Role::Connector } else { Role::Edge };
        let identity = format!("node-{number}.example").parse().expect("an identity");
        let endpoint = Endpoint {
            addresses: vec![Address::Ip(outer)],
            port: manager.ports().1,
            subnets: vec![AddressRange::from_prefix(net, 24).expect("a prefix")],
            ..Endpoint::new(&number.to_string(), identity, role)
        };
        Self { stack, manager, endpoint, inner }
    }

    async fn join(&self, peers: Vec<Endpoint>) {
        let mesh = Mesh { node: self.endpoint.clone(), peers, communities: Vec::new() };
        self.manager.apply(mesh).await.expect("a sound mesh");
    }
}

/// Tells each who asks where it asked from.
async fn answer(listener: TcpListener) {
    loop {
        let (mut stream, from) = listener.accept().await.expect("a connection");
        tokio::spawn(async move {
            let mut question = [0; 4];
            stream.read_exact(&mut question).await?;
            stream.write_all(from.ip().to_string().as_bytes()).await?;
            stream.shutdown().await
        });
    }
}

async fn ask(stack: Netstack, own: IpAddr, connector: IpAddr) -> std::io::Result<bool> {
    let mut stream: TcpStream = stack.connect(SocketAddr::new(connector, PORT)).await?;
    stream.write_all(b"who?").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer == own.to_string())
}

fn resident_megabytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("a process's status");
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    let kilobytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
    kilobytes.expect("a number") / 1024
}
