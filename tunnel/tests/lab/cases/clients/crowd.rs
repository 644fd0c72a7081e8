//! Clients with bad manners before a daemon with tunnels: they leave the tunnels alone, and others are served.

use crate::harness::{Cases, Needs, Suite};
use crate::support::Lab;
use crate::support::flow::{self, Flow};
use crate::support::tool::Tool;
use crate::support::twins::Twins;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// The cases. Others would take processor time from what is measured.
pub(super) fn suite() -> Suite {
    Cases::new("clients/crowd", Needs::StrongSwan, Twins::new)
        .alone()
        .case("tunnels_are_left_alone", crowd)
        .suite()
}

/// Connections at the same time.
const CLIENTS: usize = 1000;

fn crowd(lab: &Lab, twins: &mut Twins) {
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }).expect("up to the hard limit");
    let [edge, connector] = twins.start(lab);
    let tool = Tool::new(&lab.fresh("swanctl"), edge.socket());
    let before = edge.status()[0]["sas"][0]["spis"].clone();
    let losses = || edge.losses().and(connector.losses());
    let earlier = losses();
    let flows = twins.flows();
    flow::arrive(&flows, 300);
    let crowd: Vec<UnixStream> = (0..CLIENTS).filter_map(|number| misbehave(edge.socket(), number)).collect();
    assert!(crowd.len() > CLIENTS / 2, "only {} got as far as being rude", crowd.len());
    let slowest = (0..5).map(|_| time_of_a_list(&tool)).max().expect("five of them");
    lab.say(format!("{} rude clients, and a polite one is served within {slowest:.1?}", crowd.len()));
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    flow::arrive(&flows, 300);
    drop(crowd);
    flow::arrive(&flows, 300);
    assert_eq!(edge.status()[0]["sas"][0]["spis"], before);
    let tallies = flows.map(Flow::finish);
    let lost = losses().since(&earlier);
    let [from_edge, to_edge] = tallies.each_ref().map(|tally| (tally.sent, tally.lost.len()));
    lab.say(format!("sent and lost: from the edge {from_edge:?}, to the edge {to_edge:?}; {lost:?}"));
    flow::assert_carried(&tallies, &lost);
}

fn time_of_a_list(tool: &Tool) -> Duration {
    let start = Instant::now();
    let sas = tool.run("--list-sas");
    assert!(sas.contains("ESTABLISHED"), "{sas}");
    start.elapsed()
}

/// Half packets, nonsense, lengths that nobody has, requests whose answers are never read, and silence.
fn misbehave(socket: &Path, number: usize) -> Option<UnixStream> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_nonblocking(true).ok()?;
    let nonsense: Vec<u8> = (0..512_usize).map(|at| (at.wrapping_mul(number + 7) >> 3) as u8).collect();
    let said: Vec<u8> = match number % 6 {
        0 => vec![0, 0, 0],
        1 => vec![0, 0, 1, 0, 0, 8, b'l', b'i'],
        2 => nonsense,
        3 => vec![0xff; 64],
        4 => [&[0, 0, 0, 10, 0, 8][..], b"list-sas"].concat().repeat(50),
        _ => vec![],
    };
    // Whoever was dropped before it was done has been rude enough.
    let _ = stream.write_all(&said);
    Some(stream)
}
