//! Many edges in this process: each has an engine and a control socket of its own, and a network stack for its pods.

use crate::support::http::{self, Answer};
use crate::support::namespace::Namespace;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tidegate::TunnelManager;
use tidegate::driver::packets::Threads;
use tidegate::io::netstack::{Netstack, NetstackSettings};
use tidegate::io::udp::Listen;
use tidegate::vici::Credentials;
use tidegate::vici::Server;
use tidegate::vici::credentials::{StoredCertificate, StoredKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

/// Edges of one namespace.
pub(crate) struct Swarm {
    edges: Vec<Edge>,
    runtime: Runtime,
}

/// What an edge begins with.
pub(crate) struct Start {
    /// Where its agent finds it.
    pub(crate) socket: PathBuf,
    /// Its own address, which has to be one of the namespace's.
    pub(crate) address: IpAddr,
    /// The addresses of its pod, with their prefixes.
    pub(crate) pod: Vec<(IpAddr, u8)>,
    /// What lies in its folders, as text: the authority's certificate and its own key.
    pub(crate) files: [String; 2],
}

struct Edge {
    socket: PathBuf,
    stack: Netstack,
    _manager: TunnelManager,
    _server: Server,
}

impl Swarm {
    /// Starts them inside a namespace.
    pub(crate) fn start(namespace: &Namespace, edges: Vec<Start>) -> Self {
        raise_limit();
        // What its threads open is opened where they began.
        let runtime = namespace.within(|| Builder::new_multi_thread().worker_threads(2).enable_all().build());
        let runtime = runtime.expect("a runtime");
        let started = edges.into_iter().map(|start| runtime.spawn(Edge::start(start)));
        let started: Vec<_> = started.collect();
        let edges = started.into_iter().map(|edge| runtime.block_on(edge).expect("no panic")).collect();
        Self { edges, runtime }
    }

    /// The control socket of one.
    pub(crate) fn socket(&self, number: usize) -> &Path {
        &self.edges.get(number).expect("there are as many").socket
    }

    /// Asks a server from the pod of each of these, one after the other, and says how long each answer took.
    pub(crate) fn ask(
        &self,
        numbers: impl Iterator<Item = usize>,
        server: SocketAddr,
        limit: Duration,
    ) -> Vec<(Answer, Duration)> {
        let ask = |number: usize| {
            let stack = self.edges.get(number).expect("there are as many").stack.clone();
            let start = Instant::now();
            let asked =
                self.runtime.spawn(async move { tokio::time::timeout(limit, ask(stack, server)).await });
            let answer = self.runtime.block_on(asked).expect("no panic");
            let answer = answer.unwrap_or_else(|_| panic!("edge {number} got no answer within {limit:?}"));
            (answer.unwrap_or_else(|error| panic!("edge {number}: {error}")), start.elapsed())
        };
        numbers.map(ask).collect()
    }
}

impl Edge {
    async fn start(start: Start) -> Self {
        let mut settings = NetstackSettings::new(start.pod);
        settings.tcp_buffer = 16 << 10;
        let (stack, device) = Netstack::new(settings).expect("a stack");
        let manager = TunnelManager::builder()
            .device(Arc::new(device))
            .listen(Listen { addresses: vec![start.address], ..Listen::default() })
            .threads(Threads::One)
            .start()
            .await
            .expect("a manager");
        let credentials = Arc::new(Mutex::new(credentials(&start.files)));
        let server = Server::with_credentials(manager.clone(), credentials, &start.socket);
        let server = server.expect("a socket");
        Self { socket: start.socket, stack, _manager: manager, _server: server }
    }
}

fn credentials([authority, key]: &[String; 2]) -> Credentials {
    let mut credentials = Credentials::new();
    let added = credentials.change_clients(|shelf| {
        shelf.add_certificate(StoredCertificate::read(authority.as_bytes())?)?;
        shelf.add_key(StoredKey::read(key.as_bytes())?)
    });
    added.expect("sound files");
    credentials
}

async fn ask(stack: Netstack, server: SocketAddr) -> io::Result<Answer> {
    let mut stream = stack.connect(server).await?;
    stream.write_all(http::request(server).as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    http::parse(&answer).ok_or(io::ErrorKind::InvalidData.into())
}

/// Every edge has sockets and pipes.
fn raise_limit() {
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }).expect("up to the hard limit");
}
