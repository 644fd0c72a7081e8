//! Seeds of the stack in the process: steps, as `fuzz_targets/netstack.rs` takes them.

use crate::packets::{fragment, ping, tcp, udp};
use crate::save;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

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
    for ends in [0, 1] {
        for shape in [0, 2 + 4, 1 + 8] {
            for (name, steps) in connections(ends) {
                let name = format!("{name}_{}_{shape}", if ends == 0 { "v4" } else { "v6" });
                save("netstack", &name, &[&[shape], &steps.concat()[..]].concat())?;
            }
        }
    }
    for (name, steps) in [("datagrams", datagrams()), ("echoes", echoes()), ("anything", anything())] {
        save("netstack", name, &[&[0], &steps.concat()[..]].concat())?;
    }
    Ok(())
}

fn connections(ends: u8) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let segment = |which, flags, length: u16| segment(ends, which, flags, 0, length);
    let own = |steps: &[&[u8]]| steps.iter().map(|step| step.to_vec()).collect::<Vec<_>>();
    let listen = vec![7, ends | 0xc0];
    let taken = [
        vec![listen.clone(), segment(FRESH, SYN, 0)],
        own(&[FETCH]),
        vec![segment(KNOWN, ACK, 0)],
        own(&[ACCEPT]),
    ]
    .concat();
    let opened =
        [vec![vec![9, ends]], own(&[FETCH]), vec![segment(KNOWN, SYN | ACK, 0)], own(&[ACCEPT])].concat();
    let after = |first: &[Vec<u8>], then: &[Vec<u8>]| [first, then].concat();
    let talk = [
        segment(KNOWN, ACK, 1000),
        write(2500),
        FETCH.to_vec(),
        read(700),
        segment(KNOWN, ACK, 900),
        read(3000),
        FETCH.to_vec(),
        segment(KNOWN, ACK, 0),
    ];
    let near_ends_first = [
        SHUT.to_vec(),
        FETCH.to_vec(),
        segment(KNOWN, FIN | ACK, 10),
        read(50),
        FETCH.to_vec(),
        wait(12_000),
    ];
    let far_ends_first =
        [segment(KNOWN, FIN | ACK, 10), read(50), DROP.to_vec(), FETCH.to_vec(), segment(KNOWN, ACK, 0)];
    let reordered = [
        self::segment(ends, KNOWN, ACK, 300, 300),
        self::segment(ends, KNOWN, ACK, 100, 300),
        self::segment(ends, KNOWN, ACK, -50, 200),
        FETCH.to_vec(),
        read(800),
        [&[2, 0, 60, 1], &segment(KNOWN, ACK, 30)[1..]].concat(),
        self::segment(ends, KNOWN, FIN | ACK, 900, 30),
        read(800),
    ];
    let silent = [write(1000), wait(3000), FETCH.to_vec(), wait(60_000), FETCH.to_vec(), read(1)];
    let again = after(&far_ends_first, &[segment(FRESH, SYN, 0), FETCH.to_vec(), segment(KNOWN, ACK, 5)]);
    vec![
        ("taken", after(&after(&taken, &talk), &near_ends_first)),
        ("taken_and_left", after(&after(&taken, &talk), &far_ends_first)),
        ("opened", after(&after(&opened, &talk), &far_ends_first)),
        ("opened_and_left", after(&after(&opened, &talk), &near_ends_first)),
        ("reordered", after(&taken, &reordered)),
        ("silent", after(&opened, &silent)),
        ("again", after(&taken, &again)),
        ("reset", after(&taken, &[segment(KNOWN, RST | ACK, 0), read(5), write(5)])),
        ("aborted", after(&opened, &[ABORT.to_vec(), FETCH.to_vec(), segment(KNOWN, ACK, 9)])),
        (
            "refused",
            after(&[vec![9, ends]], &[FETCH.to_vec(), segment(KNOWN, RST | ACK, 0), ACCEPT.to_vec()]),
        ),
        ("half_open", vec![listen, segment(FRESH, SYN, 0), segment(FRESH, SYN, 0), wait(11_000)]),
        ("unheard", vec![segment(FRESH, SYN, 0), segment(FRESH, ACK, 20), FETCH.to_vec(), UNLISTEN.to_vec()]),
        ("moved", after(&opened, &[vec![15, 1 | ends << 1], write(9), FETCH.to_vec(), wait(9000)])),
    ]
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

fn segment(ends: u8, which: u8, flags: u8, ahead: i16, length: u16) -> Vec<u8> {
    let options = if flags & SYN == 0 { 0 } else { 64 };
    [&[0, ends, which, flags], &ahead.to_be_bytes()[..], &[0, options, 0xf0, 0], &length.to_be_bytes()]
        .concat()
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
