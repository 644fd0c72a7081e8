//! What crossed the wire: kept on request, for asserts and for a pcap file.

use crate::network::Datagram;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

/// One thing that happened to one datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, in nanoseconds.
    pub at: u64,
    /// What happened.
    pub fate: Fate,
    /// The datagram with the addresses it had then.
    pub datagram: Datagram,
}

/// What happens to a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It left its sender's NATs, if there are any, for the open network.
    Sent,
    /// The adversary put it there.
    Forged,
    /// Its receiver has it.
    Delivered,
    /// It is gone.
    Dropped(DropCause),
}

/// Why a datagram is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropCause {
    /// Chance.
    Lost,
    /// The adversary.
    Adversary,
    /// A partition.
    Partition,
    /// The link of the sender or of the receiver is down.
    LinkDown,
    /// The receiver has crashed.
    NodeDown,
    /// No such address, or no way there: a private address from outside, or one not held by the sender.
    NoRoute,
    /// A NAT does not let it in, has no room for it, or would have to turn it around (hairpin).
    Nat,
    /// Too many datagrams are under way.
    Overflow,
}

/// Records in the order of events; past its capacity the oldest give way.
#[derive(Debug)]
pub struct Trace {
    records: VecDeque<Record>,
    capacity: usize,
    forgotten: u64,
}

impl Trace {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { records: VecDeque::new(), capacity, forgotten: 0 }
    }

    /// Whether there is any use in a record.
    pub(crate) const fn is_kept(&self) -> bool {
        self.capacity > 0
    }

    pub(crate) fn push(&mut self, record: Record) {
        if self.records.len() >= self.capacity {
            self.records.pop_front();
            self.forgotten += 1;
        }
        self.records.push_back(record);
    }

    /// The records, the oldest first.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.records.iter()
    }

    /// How many gave way.
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Writes what was sent and forged as a pcap file of raw IP packets with nanosecond times.
    pub fn write_pcap(&self, out: &mut impl Write) -> io::Result<()> {
        const NANOSECOND_MAGIC: u32 = 0xa1b2_3c4d;
        const RAW_IP: u32 = 101;
        out.write_all(&NANOSECOND_MAGIC.to_le_bytes())?;
        out.write_all(&[2, 0, 4, 0])?;
        out.write_all(&[0; 8])?;
        out.write_all(&u32::from(u16::MAX).to_le_bytes())?;
        out.write_all(&RAW_IP.to_le_bytes())?;
        let on_the_wire = |record: &&Record| matches!(record.fate, Fate::Sent | Fate::Forged);
        for record in self.records.iter().filter(on_the_wire) {
            let packet = ip_packet(&record.datagram);
            let length = (packet.len() as u32).to_le_bytes();
            out.write_all(&((record.at / crate::SECOND) as u32).to_le_bytes())?;
            out.write_all(&((record.at % crate::SECOND) as u32).to_le_bytes())?;
            out.write_all(&length)?;
            out.write_all(&length)?;
            out.write_all(&packet)?;
        }
        Ok(())
    }
}

/// Enough of IP and UDP for a reader to take the packet apart; checksums stay 0, which readers take for
/// offloaded. A datagram between two families, which cannot be, counts as IPv6.
fn ip_packet(datagram: &Datagram) -> Vec<u8> {
    let udp_length = (datagram.bytes.len() + 8) as u16;
    let mut packet = match (datagram.from.ip(), datagram.to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut header = vec![0x45, 0];
            header.extend((udp_length + 20).to_be_bytes());
            header.extend([0, 0, 0, 0, 64, 17, 0, 0]);
            header.extend(from.octets());
            header.extend(to.octets());
            header
        }
        _ => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(udp_length.to_be_bytes());
            header.extend([17, 64]);
            header.extend(v6_octets(datagram.from));
            header.extend(v6_octets(datagram.to));
            header
        }
    };
    packet.extend(datagram.from.port().to_be_bytes());
    packet.extend(datagram.to.port().to_be_bytes());
    packet.extend(udp_length.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(&datagram.bytes);
    packet
}

fn v6_octets(end: SocketAddr) -> [u8; 16] {
    match end.ip() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(from: &str, to: &str, fate: Fate) -> Record {
        let datagram = Datagram {
            from: from.parse().expect("an address"),
            to: to.parse().expect("an address"),
            bytes: b"hello".to_vec(),
        };
        Record { at: 3 * crate::SECOND + 7, fate, datagram }
    }

    #[test]
    fn the_oldest_records_give_way() {
        let mut trace = Trace::new(2);
        for port in 1..=3 {
            trace.push(record(&format!("192.0.2.1:{port}"), "192.0.2.2:1", Fate::Sent));
        }
        let ports: Vec<u16> = trace.records().map(|record| record.datagram.from.port()).collect();
        assert_eq!((ports, trace.forgotten()), (vec![2, 3], 1));
    }

    #[test]
    fn a_pcap_file_holds_what_was_on_the_wire() {
        let mut trace = Trace::new(9);
        trace.push(record("192.0.2.1:500", "192.0.2.2:4500", Fate::Sent));
        trace.push(record("192.0.2.1:500", "192.0.2.2:4500", Fate::Delivered));
        trace.push(record("[2001:db8::1]:500", "[2001:db8::2]:500", Fate::Forged));
        let mut file = Vec::new();
        trace.write_pcap(&mut file).expect("memory takes it");
        assert_eq!(file.len(), 24 + (16 + 20 + 8 + 5) + (16 + 40 + 8 + 5));
        assert_eq!(file[24..40], [3, 0, 0, 0, 7, 0, 0, 0, 33, 0, 0, 0, 33, 0, 0, 0]);
        assert_eq!(file[40], 0x45);
        assert_eq!(file[60..68], [1, 0xf4, 0x11, 0x94, 0, 13, 0, 0]);
        assert_eq!(&file[68..73], b"hello");
        assert_eq!(file[89], 0x60);
    }
}
