//! Seeds of the stack in the process: steps, as `fuzz_targets/netstack.rs` takes them.

use crate::packets::{ACK, SYN, fragment, ping, tcp, udp};
use crate::save;

const FIN: u8 = 0x01;
const RST: u8 = 0x04;

/// Between which ends a connection is new.
const FRESH: u8 = 0;
/// On the first one that was heard of.
const KNOWN: u8 = 192;

const ACCEPT: &[u8] = &[8];
const FETCH: &[u8] = &[5, 32];
const SHUT: &[u8] = &[12, 5];
const DROP: &[u8] = &[12, 6];
const ABORT: &[u8] = &[12, 4];
const UNLISTEN: &[u8] = &[12, 0];

/// Writes all of them, for each family and with roomy and narrow bounds.
pub(crate) fn save_all() -> std::io::Result<()> {
    for (family, ends) in [("v4", 0), ("v6", 1)] {
        for shape in [0, 2 + 4, 1 + 8] {
            for (name, steps) in Between(ends).connections() {
                save("netstack", &format!("{name}_{family}_{shape}"), &[&[shape], &steps[..]].concat())?;
            }
        }
    }
    for (name, steps) in [("datagrams", datagrams()), ("echoes", echoes()), ("anything", anything())] {
        save("netstack", name, &[&[0], &steps.concat()[..]].concat())?;
    }
    Ok(())
}

/// Two ends, and what may happen on a connection between them.
#[derive(Clone, Copy)]
struct Between(u8);

impl Between {
    fn connections(self) -> [(&'static str, Vec<u8>); 13] {
        let Self(ends) = self;
        let (taken, opened, carried) = (self.is_taken(), self.is_opened(), self.carries());
        let (near_ends, far_ends) = (self.near_ends_first(), self.far_ends_first());
        let syn = self.says(FRESH, SYN, 0);
        let again = [&syn, FETCH, &self.says(KNOWN, ACK, 5)].concat();
        let silent = [&write(1000), &wait(3000), FETCH, &wait(60_000), FETCH, &read(1)].concat();
        let refused = [&[9, ends], FETCH, &self.says(KNOWN, RST | ACK, 0), ACCEPT].concat();
        let gone = [&[15, 1 | ends << 1], &write(9)[..], FETCH, &wait(9000)].concat();
        [
            ("taken", [&taken[..], &carried, &near_ends].concat()),
            ("taken_and_left", [&taken[..], &carried, &far_ends].concat()),
            ("opened", [&opened[..], &carried, &far_ends].concat()),
            ("opened_and_left", [&opened[..], &carried, &near_ends].concat()),
            ("reordered", [taken.clone(), self.reorders()].concat()),
            ("silent", [opened.clone(), silent].concat()),
            ("again", [&taken[..], &far_ends, &again].concat()),
            ("reset", [&taken, &self.says(KNOWN, RST | ACK, 0), &read(5)[..], &write(5)].concat()),
            ("aborted", [&opened, ABORT, FETCH, &self.says(KNOWN, ACK, 9)].concat()),
            ("refused", refused),
            ("half_open", [&self.listens(), &syn, &syn[..], &wait(11_000)].concat()),
            ("unheard", [&syn, &self.says(FRESH, ACK, 20), FETCH, UNLISTEN].concat()),
            ("moved", [opened, gone].concat()),
        ]
    }

    fn listens(self) -> Vec<u8> {
        vec![7, self.0 | 0xc0]
    }

    fn is_taken(self) -> Vec<u8> {
        let (syn, ack) = (self.says(FRESH, SYN, 0), self.says(KNOWN, ACK, 0));
        [&self.listens(), &syn, FETCH, &ack, ACCEPT].concat()
    }

    fn is_opened(self) -> Vec<u8> {
        [&[9, self.0], FETCH, &self.says(KNOWN, SYN | ACK, 0), ACCEPT].concat()
    }

    fn carries(self) -> Vec<u8> {
        let there = [&self.says(KNOWN, ACK, 1000), &write(2500)[..], FETCH, &read(700)].concat();
        let back = [&self.says(KNOWN, ACK, 900), &read(3000)[..], FETCH, &self.says(KNOWN, ACK, 0)].concat();
        [there, back].concat()
    }

    fn near_ends_first(self) -> Vec<u8> {
        [SHUT, FETCH, &self.says(KNOWN, FIN | ACK, 10), &read(50), FETCH, &wait(12_000)].concat()
    }

    fn far_ends_first(self) -> Vec<u8> {
        let (fin, ack) = (self.says(KNOWN, FIN | ACK, 10), self.says(KNOWN, ACK, 0));
        [&fin, &read(50)[..], DROP, FETCH, &ack].concat()
    }

    fn reorders(self) -> Vec<u8> {
        let ahead = |ahead, flags, length| self.segment(KNOWN, flags, ahead, length);
        let early = [ahead(300, ACK, 300), ahead(100, ACK, 300), ahead(-50, ACK, 200)].concat();
        let damaged = [&[2, 0, 60, 1], &self.says(KNOWN, ACK, 30)[1..]].concat();
        let end = ahead(900, FIN | ACK, 30);
        [&early, FETCH, &read(800), &damaged, &end, &read(800)].concat()
    }

    /// A segment that is in order.
    fn says(self, which: u8, flags: u8, length: u16) -> Vec<u8> {
        self.segment(which, flags, 0, length)
    }

    fn segment(self, which: u8, flags: u8, ahead: i16, length: u16) -> Vec<u8> {
        let options = if flags & SYN == 0 { 0 } else { 64 };
        let head = [0, self.0, which, flags];
        [&head, &ahead.to_be_bytes()[..], &[0, options, 0xf0, 0], &length.to_be_bytes()].concat()
    }
}

fn datagrams() -> Vec<Vec<u8>> {
    let there = |length: u16| [&[4, 2][..], &length.to_be_bytes()].concat();
    let receive = |length: u16| [&[13, 0xc0][..], &length.to_be_bytes()].concat();
    let send = |length: u16| [&[13, 0x42][..], &length.to_be_bytes()].concat();
    let bind = vec![13, 2, 0, 0];
    let mut steps = vec![there(8), bind, there(100), receive(500), receive(5), there(900), receive(40)];
    steps.extend([send(300), send(1252), send(1253), FETCH.to_vec()]);
    steps
}

fn echoes() -> Vec<Vec<u8>> {
    [0x80, 0x81].map(|how| vec![vec![14, how], FETCH.to_vec(), vec![14, 0], ACCEPT.to_vec()]).concat()
}

fn anything() -> Vec<Vec<u8>> {
    let packets = [tcp(true, SYN, 1, b""), udp(false, b"data"), ping(), fragment()];
    let step = |packet: &Vec<u8>| [&[3], &(packet.len() as u16).to_be_bytes()[..], packet].concat();
    packets.iter().flat_map(|packet| [step(packet), FETCH.to_vec()]).collect()
}

fn write(length: u16) -> Vec<u8> {
    [&[10, 0][..], &length.to_be_bytes()].concat()
}

fn read(length: u16) -> Vec<u8> {
    [&[11, 0][..], &length.to_be_bytes()].concat()
}

fn wait(millis: u16) -> Vec<u8> {
    [&[6][..], &millis.to_be_bytes()].concat()
}
