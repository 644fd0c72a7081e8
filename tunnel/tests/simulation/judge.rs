//! Who has sent what to whom, and what must never be seen of it.
//!
//! Every inner packet has a number: from which node, to which node, the how manieth. The rest of it is a mark
//! that nothing else on the wire contains, again and again, so that wherever eight bytes of a packet show in
//! clear they are recognised.

use std::collections::BTreeMap;
use tidegate_sim::SimRandom;

/// Inner addresses are those of the nodes' hosts: 10.77.n.1.
pub fn host(node: usize) -> [u8; 4] {
    [10, 77, node as u8, 1]
}

/// The node whose host has this address.
pub fn node_of(address: [u8; 4]) -> Option<usize> {
    (address[..2] == [10, 77] && address[3] == 1).then_some(usize::from(address[2]))
}

/// Keeps the books of all inner packets of a run.
pub struct Judge {
    mark: [u8; 8],
    packets: BTreeMap<(usize, usize), Vec<Fate>>,
    pub made: u64,
    pub arrived: u64,
    pub passed_on: u64,
    pub spoofed: u64,
    /// Datagrams that were looked through.
    pub watched: u64,
}

/// What has become of a packet.
#[derive(Clone, Copy, Default)]
struct Fate {
    arrived: bool,
    passed_on: bool,
    /// It says that it is from somebody else than who has sealed it.
    spoofed: bool,
}

/// Names a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    pub from: usize,
    pub to: usize,
    pub sequence: usize,
}

const IP_HEADER: usize = 20;
/// Mark, numbers of both nodes, sequence.
const SHORTEST: usize = IP_HEADER + 8 + 2 + 2 + 4;
const TIME_TO_LIVE: usize = 8;

impl Judge {
    pub fn new(random: &mut SimRandom) -> Self {
        let mark = random.next_u64().to_be_bytes();
        Self { mark, packets: BTreeMap::new(), made: 0, arrived: 0, passed_on: 0, spoofed: 0, watched: 0 }
    }

    /// The next packet from one node's host to another's.
    pub fn make(&mut self, from: usize, to: usize, filler: usize) -> (Number, Vec<u8>) {
        self.made += 1;
        self.write((from, to), filler, Fate::default())
    }

    /// A packet that says that it is from a node which has nothing to do with it: it must never arrive.
    pub fn spoof(&mut self, claims: usize, to: usize) -> Vec<u8> {
        self.spoofed += 1;
        self.write((claims, to), 64, Fate { spoofed: true, ..Fate::default() }).1
    }

    fn write(&mut self, (from, to): (usize, usize), filler: usize, fate: Fate) -> (Number, Vec<u8>) {
        let fates = self.packets.entry((from, to)).or_default();
        let sequence = fates.len();
        fates.push(fate);
        let total = SHORTEST + filler;
        let mut packet = vec![0x45, 0];
        packet.extend((total as u16).to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 253, 0, 0]);
        packet.extend(host(from));
        packet.extend(host(to));
        packet.extend(self.mark);
        packet.extend((from as u16).to_be_bytes());
        packet.extend((to as u16).to_be_bytes());
        packet.extend((sequence as u32).to_be_bytes());
        packet.extend(self.mark.iter().cycle().take(filler));
        (Number { from, to, sequence }, packet)
    }

    /// A datagram is on the wire: nothing of a packet may be seen in it.
    pub fn watch(&mut self, datagram: &[u8]) {
        self.watched += 1;
        let first = self.mark[0];
        let begins = datagram.iter().enumerate().filter(|(_, byte)| **byte == first);
        for (at, _) in begins {
            let seen = datagram[at..].starts_with(&self.mark);
            assert!(!seen, "a packet is on the wire in clear: {datagram:02x?}");
        }
    }

    /// A node's host gets a packet.
    pub fn arrive(&mut self, at: usize, packet: &[u8]) {
        let (number, fate) = self.find(packet);
        assert_eq!(number.to, at, "{number:?} was let in at {at}");
        assert!(!fate.spoofed, "{number:?} is not from {}, and was let in", number.from);
        assert!(!fate.arrived, "{number:?} was let in twice");
        fate.arrived = true;
        self.arrived += 1;
    }

    /// A connector passes a packet on.
    pub fn pass_on(&mut self, at: usize, packet: &[u8]) {
        let (number, fate) = self.find(packet);
        assert!(number.to != at && number.from != at, "{number:?} has no business at {at}");
        assert!(!fate.spoofed, "{number:?} is not from {}, and was let in at {at}", number.from);
        assert!(!fate.passed_on, "{number:?} was passed on twice");
        fate.passed_on = true;
        self.passed_on += 1;
    }

    /// Whether a packet has got to where it goes.
    pub fn has_arrived(&self, number: Number) -> bool {
        let fates = self.packets.get(&(number.from, number.to));
        fates.and_then(|fates| fates.get(number.sequence)).is_some_and(|fate| fate.arrived)
    }

    /// What is known of a packet that was let in: it has to be one that was made, to the last byte.
    fn find(&mut self, packet: &[u8]) -> (Number, &mut Fate) {
        let short = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
        assert!(packet.len() >= SHORTEST, "nobody has sent this: {packet:02x?}");
        let (from, to) = (short(IP_HEADER + 8), short(IP_HEADER + 10));
        let sequence: [u8; 4] = packet[IP_HEADER + 12..SHORTEST].try_into().expect("four bytes");
        let number = Number { from, to, sequence: u32::from_be_bytes(sequence) as usize };
        let whole = short(2) == packet.len()
            && source(packet) == host(from)
            && destination(packet) == host(to)
            && packet[IP_HEADER..].starts_with(&self.mark)
            && packet[SHORTEST..].iter().eq(self.mark.iter().cycle().take(packet.len() - SHORTEST));
        let fate = self.packets.get_mut(&(from, to)).and_then(|fates| fates.get_mut(number.sequence));
        match fate {
            Some(fate) if whole => (number, fate),
            _ => panic!("nobody has sent this: {packet:02x?}"),
        }
    }
}

pub fn source(packet: &[u8]) -> [u8; 4] {
    packet[12..16].try_into().expect("four bytes")
}

pub fn destination(packet: &[u8]) -> [u8; 4] {
    packet[16..20].try_into().expect("four bytes")
}

/// One hop less to live; `false` when there is none left.
pub fn count_hop(packet: &mut [u8]) -> bool {
    packet[TIME_TO_LIVE] = packet[TIME_TO_LIVE].saturating_sub(1);
    packet[TIME_TO_LIVE] > 0
}

mod tests {
    use super::{Judge, destination};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use tidegate_sim::SimRandom;

    fn judge() -> Judge {
        Judge::new(&mut SimRandom::new(1))
    }

    fn objects(act: impl FnOnce()) -> bool {
        catch_unwind(AssertUnwindSafe(act)).is_err()
    }

    #[test]
    fn the_judge_sees_a_packet_that_arrives_twice() {
        let mut judge = judge();
        let (number, packet) = judge.make(1, 2, 30);
        assert!(!judge.has_arrived(number));
        judge.arrive(2, &packet);
        assert!(judge.has_arrived(number));
        assert!(objects(|| judge.arrive(2, &packet)));
    }

    #[test]
    fn the_judge_sees_a_packet_that_arrives_where_it_should_not() {
        let mut judge = judge();
        let packet = judge.make(1, 2, 30).1;
        assert!(objects(|| judge.arrive(3, &packet)));
        assert!(objects(|| judge.pass_on(2, &packet)));
        judge.pass_on(3, &packet);
        assert!(objects(|| judge.pass_on(4, &packet)));
    }

    #[test]
    fn the_judge_sees_packets_that_nobody_has_sent_or_somebody_else() {
        let mut judge = judge();
        let mut packet = judge.make(1, 2, 30).1;
        let spoofed = judge.spoof(1, 2);
        assert_eq!(destination(&spoofed), [10, 77, 2, 1]);
        assert!(objects(|| judge.arrive(2, &spoofed)));
        *packet.last_mut().expect("a byte") ^= 1;
        assert!(objects(|| judge.arrive(2, &packet)));
        assert!(objects(|| judge.arrive(2, &packet[..20])));
    }

    #[test]
    fn the_judge_sees_eight_bytes_of_a_packet_on_the_wire() {
        let mut judge = judge();
        let packet = judge.make(1, 2, 30).1;
        let mut datagram = vec![7; 40];
        judge.watch(&datagram);
        datagram.extend(&packet[44..53]);
        assert!(objects(|| judge.watch(&datagram)));
    }
}
