//! A connector and two edges in this process, for whoever wants to see it work: no root, no interface, no file.
//!
//! Each has an engine with sockets on loopback, and a [`Netstack`](crate::io::netstack::Netstack) in place of an
//! interface. They negotiate, a page crosses each tunnel, keys are replaced under a transfer, and a manager is
//! timed from its start to its first packet. Only the public API is used: this is what an agent does.

mod failure;
mod identity;
mod node;
mod web;

pub use failure::{Cause, Failure, Step};

use failure::At;
use node::Node;
use std::io::Write;
use std::time::{Duration, Instant};

/// Nothing here takes longer when it works.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many times a manager is started to be timed.
const STARTS: usize = 5;
/// Keys are replaced so many times under one transfer.
const REKEYS: usize = 4;

/// Runs it and writes an account of it. An error names the step that went wrong.
pub async fn run(account: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut nodes = start(account).await?;
    let result = exercise(&nodes, account).await;
    for node in nodes.drain(..) {
        node.manager.shutdown().await;
    }
    result?;
    first_packets(account).await?;
    let total = Millis(begun.elapsed());
    writeln!(account, "done        everything worked, in {total}").at(Step::Report)
}

async fn start(account: &mut (dyn Write + Send)) -> Result<Vec<Node>, Failure> {
    let begun = Instant::now();
    let identities = identity::make(&["cloud", "edge-1", "edge-2"]).at(Step::Identities)?;
    writeln!(account, "identities  {}, in {}", identities.kind, Millis(begun.elapsed())).at(Step::Report)?;
    let begun = Instant::now();
    let mut nodes = Vec::new();
    for (number, identity) in (1..).zip(identities.nodes) {
        nodes.push(Node::start(number, identity).await.at(Step::Start)?);
    }
    for node in &nodes {
        let (subnet, inner, outer) = (node.subnet(), node.inner(), node.outer());
        writeln!(account, "start       {:<7} {inner} of {subnet}, reached at {outer}", node.name)
            .at(Step::Report)?;
    }
    writeln!(account, "            in {}", Millis(begun.elapsed())).at(Step::Report)?;
    Ok(nodes)
}

async fn exercise(nodes: &[Node], account: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let [cloud, one, two] = nodes else { return Ok(()) };
    negotiate(nodes, account).await?;
    for node in nodes {
        web::serve(&node.stack, node.name.clone()).at(Step::Page)?;
    }
    for (from, to) in [(one, cloud), (one, two), (cloud, two)] {
        page(from, to, account).await?;
    }
    transfer(one, two, account).await
}

async fn negotiate(nodes: &[Node], account: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let begun = Instant::now();
    for node in nodes {
        node.join(nodes).await.at(Step::Negotiate)?;
    }
    let pairs = nodes.iter().flat_map(|node| nodes.iter().map(move |peer| (node, peer)));
    for (node, peer) in pairs.clone().filter(|(node, peer)| node.name != peer.name) {
        node.wait_for(peer, PATIENCE).await.at(Step::Negotiate)?;
    }
    let took = Millis(begun.elapsed());
    for (node, peer) in pairs.filter(|(node, peer)| node.name > peer.name) {
        let (ike, child) = node.suites(peer).await.at(Step::Negotiate)?;
        let link = format!("{} - {}", node.name, peer.name);
        writeln!(account, "negotiate   {link:<17} IKEv2 {ike}, ESP {child}").at(Step::Report)?;
    }
    writeln!(account, "            all up in {took}").at(Step::Report)
}

async fn page(from: &Node, to: &Node, account: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let begun = Instant::now();
    let page = web::get(&from.stack, to.inner(), PATIENCE).await.at(Step::Page)?;
    let took = Millis(begun.elapsed());
    if page != web::page(&to.name) {
        return Err(Failure { step: Step::Page, cause: Cause::WrongPage(page) });
    }
    writeln!(account, "http        {} -> {}: {:?} in {took}", from.name, to.name, page.trim())
        .at(Step::Report)
}

/// Bytes flow from one edge to the other for as long as keys are being replaced, and a checksum tells whether
/// all of them came.
async fn transfer(from: &Node, to: &Node, account: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let mut download = web::Download::open(&from.stack, to.inner(), PATIENCE).await.at(Step::Transfer)?;
    let before = from.keys(to).await.at(Step::Transfer)?;
    let begun = Instant::now();
    let stop = std::sync::Arc::new(tokio::sync::Notify::new());
    let reading = tokio::spawn({
        let stop = stop.clone();
        async move { download.run(&stop).await }
    });
    let mut rekeyed = 0;
    for round in 0..REKEYS {
        rekeyed += from.rekey(to, round).await.at(Step::Rekey)?;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let after = from.keys(to).await.at(Step::Rekey)?;
    stop.notify_one();
    let finished = tokio::time::timeout(PATIENCE, reading).await.at(Step::Transfer)?;
    let received = finished.at(Step::Transfer)?.at(Step::Transfer)?;
    let took = begun.elapsed();
    if before == after || rekeyed < REKEYS {
        return Err(Failure { step: Step::Rekey, cause: Cause::SameKeys });
    }
    let rate = received as f64 * 8.0 / 1e6 / took.as_secs_f64();
    let megabytes = received as f64 / 1e6;
    writeln!(
        account,
        "transfer    {} -> {}: {megabytes:.1} MB at {rate:.0} Mb/s, {rekeyed} rekeys meanwhile, checksum right",
        to.name, from.name
    )
    .at(Step::Report)
}

/// How long it takes from nothing to a first packet that has come through a tunnel.
async fn first_packets(account: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let median = first_packet().await?;
    writeln!(account, "first esp   {} from the start of a manager, the median of {STARTS}", Millis(median))
        .at(Step::Report)
}

/// The median time from the start of a manager to its first packet at a peer that runs already.
pub async fn first_packet() -> Result<Duration, Failure> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let identities = identity::make(&["waiting", "started"]).at(Step::Identities)?;
        let [waiting, started] = <[_; 2]>::try_from(identities.nodes).map_err(|_| Failure::no_nodes())?;
        times.push(node::time_first_packet(waiting, started, PATIENCE).await.at(Step::FirstPacket)?);
    }
    times.sort_unstable();
    times.get(STARTS / 2).copied().ok_or(Failure::no_nodes())
}

/// A time as people read it.
struct Millis(Duration);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1e3)
    }
}
