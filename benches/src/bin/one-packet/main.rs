//! Seals or opens packets again and again, for a profiler to look at.
//!
//! ```sh
//! cargo run --release -p tidegate-benches --bin one-packet -- out-1400 100000
//! valgrind --tool=callgrind --toggle-collect='*watched*' target/release/one-packet in-64 1000
//! ```
//!
//! What is looked at is what a worker does in `watched`: `out-` from a packet of the device to a datagram, `in-`
//! the way back. Behind that stands the length of the packet, or `super` for a super-packet of TCP. It prints
//! how many packets were on the wire.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for a terminal")]

use std::process::ExitCode;
use tidegate_benches::meter::{Marked, Meter};
use tidegate_benches::worker::{DevicePacket, Link, Opener, Sealer, Sink, pair};

/// Packets that a turn takes when there are many.
const TURN: usize = 32;
/// As many full segments as fit into a super-packet.
const SEGMENTS: usize = 45;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((case, turns)) = parse(&arguments) else {
        eprintln!("usage: one-packet out-LENGTH|out-super|in-LENGTH|in-super TURNS");
        return ExitCode::FAILURE;
    };
    println!("{}", case.run(turns));
    ExitCode::SUCCESS
}

struct Case {
    packets: Vec<DevicePacket>,
    direction: Direction,
    /// Whether datagrams come joined.
    joined: bool,
}

enum Direction {
    Out,
    In,
}

fn parse(arguments: &[String]) -> Option<(Case, u32)> {
    let [name, turns] = arguments else { return None };
    let (direction, packet) = name.split_once('-')?;
    let direction = match direction {
        "out" => Direction::Out,
        "in" => Direction::In,
        _ => return None,
    };
    let packets = match packet {
        "super" => vec![DevicePacket::tcp(SEGMENTS)],
        length => {
            vec![DevicePacket::udp(length.parse().ok().filter(|length| (28..=1400).contains(length))?); TURN]
        }
    };
    Some((Case { packets, direction, joined: packet == "super" }, turns.parse().ok()?))
}

impl Case {
    /// Returns how many packets were on the wire.
    fn run(&self, turns: u32) -> u64 {
        let (mut sealer, mut opener) = pair();
        match self.direction {
            Direction::Out => self.seal(&mut sealer, turns),
            Direction::In => self.open(&mut sealer, &mut opener, turns),
        }
    }

    fn seal(&self, sealer: &mut Sealer, turns: u32) -> u64 {
        // The first packet of a flow is another matter.
        sealer.turn(&mut self.packets.clone(), &mut Sink::default());
        let mut sink = Sink::default();
        for _ in 0..turns {
            let mut packets = self.packets.clone();
            Marked.during(|| sealer.turn(&mut packets, &mut sink));
        }
        sink.sent
    }

    fn open(&self, sealer: &mut Sealer, opener: &mut Opener, turns: u32) -> u64 {
        let (mut link, mut sink) = (Link::new(self.joined), Sink::default());
        let mut opened = 0;
        sealer.turn(&mut self.packets.clone(), &mut link);
        opener.turn(&mut link.arrived, &mut sink);
        let each = sink.delivered;
        for _ in 0..turns {
            link.clear();
            sealer.turn(&mut self.packets.clone(), &mut link);
            opened += link.arrived.frames().len() as u64;
            Marked.during(|| opener.turn(&mut link.arrived, &mut sink));
        }
        assert_eq!(sink.delivered, each * (turns as usize + 1), "something was lost");
        opened
    }
}
