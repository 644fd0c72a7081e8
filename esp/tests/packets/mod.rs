//! Inner packets for tests, made field by field and summed up the plain way.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::net::IpAddr;

/// TCP or UDP in IPv4 or IPv6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub traffic_class: u8,
    pub hop_limit: u8,
    pub identification: u16,
    pub dont_fragment: bool,
    pub transport: Transport,
    pub source_port: u16,
    pub destination_port: u16,
    pub payload: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp { sequence: u32, acknowledgement: u32, flags: u8, window: u16, options: Vec<u8> },
    Udp,
}

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;
pub const URG: u8 = 0x20;
pub const ECE: u8 = 0x40;
pub const CWR: u8 = 0x80;

impl Packet {
    pub fn tcp_v4(sequence: u32, payload: &[u8]) -> Self {
        Self {
            source: IpAddr::from([10, 1, 0, 1]),
            destination: IpAddr::from([10, 2, 0, 1]),
            traffic_class: 0,
            hop_limit: 64,
            identification: 7,
            dont_fragment: true,
            transport: Transport::Tcp {
                sequence,
                acknowledgement: 99,
                flags: ACK,
                window: 512,
                options: vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
            },
            source_port: 40_000,
            destination_port: 443,
            payload: payload.to_vec(),
        }
    }

    pub fn udp_v4(payload: &[u8]) -> Self {
        Self { transport: Transport::Udp, ..Self::tcp_v4(0, payload) }
    }

    pub fn v6(self) -> Self {
        let source = IpAddr::from([0xfd00, 1, 0, 0, 0, 0, 0, 1]);
        Self { source, destination: IpAddr::from([0xfd00, 2, 0, 0, 0, 0, 0, 1]), ..self }
    }

    pub fn flags(mut self, set: u8) -> Self {
        if let Transport::Tcp { flags, .. } = &mut self.transport {
            *flags = set;
        }
        self
    }

    pub fn protocol(&self) -> u8 {
        if matches!(self.transport, Transport::Tcp { .. }) { 6 } else { 17 }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let transport = self.transport_bytes();
        let mut packet = self.network_bytes(transport.len());
        packet.extend_from_slice(&transport);
        packet
    }

    pub fn network_bytes(&self, transport_length: usize) -> Vec<u8> {
        let mut header = Vec::new();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = u16::try_from(20 + transport_length).unwrap();
                header.extend_from_slice(&[0x45, self.traffic_class]);
                header.extend_from_slice(&length.to_be_bytes());
                header.extend_from_slice(&self.identification.to_be_bytes());
                header.extend_from_slice(&[if self.dont_fragment { 0x40 } else { 0 }, 0]);
                header.extend_from_slice(&[self.hop_limit, self.protocol(), 0, 0]);
                header.extend_from_slice(&source.octets());
                header.extend_from_slice(&destination.octets());
                let sum = checksum(&header);
                header[10..12].copy_from_slice(&sum);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let length = u16::try_from(transport_length).unwrap();
                header.extend_from_slice(&[0x60 | self.traffic_class >> 4, self.traffic_class << 4, 0, 0]);
                header.extend_from_slice(&length.to_be_bytes());
                header.extend_from_slice(&[self.protocol(), self.hop_limit]);
                header.extend_from_slice(&source.octets());
                header.extend_from_slice(&destination.octets());
            }
            _ => panic!("families differ"),
        }
        header
    }

    fn transport_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.source_port.to_be_bytes());
        bytes.extend_from_slice(&self.destination_port.to_be_bytes());
        let place = match &self.transport {
            Transport::Tcp { sequence, acknowledgement, flags, window, options } => {
                bytes.extend_from_slice(&sequence.to_be_bytes());
                bytes.extend_from_slice(&acknowledgement.to_be_bytes());
                let words = u8::try_from((20 + options.len()) / 4).unwrap();
                bytes.extend_from_slice(&[words << 4, *flags]);
                bytes.extend_from_slice(&window.to_be_bytes());
                bytes.extend_from_slice(&[0; 4]);
                bytes.extend_from_slice(options);
                16
            }
            Transport::Udp => {
                bytes.extend_from_slice(&u16::try_from(8 + self.payload.len()).unwrap().to_be_bytes());
                bytes.extend_from_slice(&[0; 2]);
                6
            }
        };
        bytes.extend_from_slice(&self.payload);
        let sum = self.transport_checksum(&bytes);
        bytes[place..place + 2].copy_from_slice(&sum);
        bytes
    }

    fn transport_checksum(&self, transport: &[u8]) -> [u8; 2] {
        let mut covered = Vec::new();
        for address in [self.source, self.destination] {
            match address {
                IpAddr::V4(address) => covered.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => covered.extend_from_slice(&address.octets()),
            }
        }
        covered.extend_from_slice(&[0, self.protocol()]);
        covered.extend_from_slice(&u16::try_from(transport.len()).unwrap().to_be_bytes());
        covered.extend_from_slice(transport);
        match checksum(&covered) {
            [0, 0] if self.protocol() == 17 => [0xff, 0xff],
            sum => sum,
        }
    }
}

/// The Internet checksum, word by word.
pub fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!u16::try_from(sum).unwrap()).to_be_bytes()
}

/// A stream cut into full segments the way a sender would, PSH on the last.
pub fn stream(first: &Packet, size: usize, data: &[u8]) -> Vec<Packet> {
    let count = data.len().div_ceil(size);
    let segment = |(index, chunk): (usize, &[u8])| {
        let mut packet = Packet { payload: chunk.to_vec(), ..first.clone() };
        packet.identification = first.identification.wrapping_add(u16::try_from(index).unwrap());
        if let Transport::Tcp { sequence, flags, .. } = &mut packet.transport {
            *sequence = sequence.wrapping_add(u32::try_from(index * size).unwrap());
            *flags |= if index + 1 == count { PSH } else { 0 };
        }
        packet
    };
    data.chunks(size).enumerate().map(segment).collect()
}
