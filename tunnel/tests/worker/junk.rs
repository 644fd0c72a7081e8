//! No bytes from either side make a worker panic, or send anything in clear.

use crate::packets::Packet;
use crate::world::*;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use tidegate::io::batch::{Arrival, Channel};
use tidegate_esp::virtio::VirtioHeader;

/// Anything, or a packet with a few bytes changed and some cut off.
fn nearly_packets() -> impl Strategy<Value = Vec<u8>> {
    let packets = [udp(1, 30), syn(1460), Packet::tcp_v4(1, &[3; 100]), udp(2, 60).v6(), syn(1460).v6()];
    let whole = prop_oneof![
        Just(packets[0].bytes()),
        Just(packets[1].bytes()),
        Just(packets[2].bytes()),
        Just(packets[3].bytes()),
        Just(packets[4].bytes()),
    ];
    let damaged = (whole, vec((any::<usize>(), any::<u8>()), 0..3), any::<usize>());
    let damaged = damaged.prop_map(|(mut bytes, changes, end)| {
        for (place, value) in changes {
            let place = place % bytes.len();
            bytes[place] = value;
        }
        let end = end % (2 * bytes.len());
        bytes.truncate(end.max(1));
        bytes
    });
    prop_oneof![3 => damaged, 1 => vec(any::<u8>(), 0..200)]
}

/// What a kernel might say of a packet, and what it never would.
fn headers() -> impl Strategy<Value = VirtioHeader> {
    let any_header = any::<[u8; 10]>().prop_map(|bytes| {
        VirtioHeader::parse(&bytes).map_or_else(|_| VirtioHeader::default(), |(header, _)| header)
    });
    prop_oneof![Just(VirtioHeader::default()), any_header]
}

fn channels() -> impl Strategy<Value = Channel> {
    prop_oneof![Just(Channel::Ike), Just(Channel::Shared), Just(Channel::Esp)]
}

proptest! {
    #[test]
    fn whatever_the_device_gives_only_esp_goes_out(packets in vec((headers(), nearly_packets()), 1..20)) {
        let (mut left, mut right, installed) = connected();
        for (virtio, packet) in &packets {
            left.take_super(at(0), virtio, packet);
        }
        let spi = installed.right_spi.to_be_bytes();
        assert!(left.seen.sent.iter().all(|(bytes, _)| bytes.starts_with(&spi)));
        let sent = left.seen.sent.len();
        carry(at(0), &mut left, &mut right);
        let opened = right.incoming.counters().snapshot().esp.opened_packets;
        assert_eq!(opened, sent as u64, "what one end seals the other opens");
    }

    #[test]
    fn whatever_the_network_gives_nothing_forged_comes_in(
        datagrams in vec((channels(), vec(any::<u8>(), 0..120), any::<bool>()), 1..20),
    ) {
        let (_, mut right, installed) = connected();
        let spi = installed.right_spi.to_be_bytes();
        let datagrams: Vec<_> = datagrams
            .into_iter()
            .map(|(channel, bytes, ours)| (channel, if ours { [&spi[..], &bytes].concat() } else { bytes }))
            .collect();
        let arrival = |channel| Arrival { local: outer(2), remote: outer(1), traffic_class: 3, channel };
        right.receive(at(0), datagrams.iter().map(|(channel, bytes)| (&bytes[..], arrival(*channel))));
        assert!(right.seen.delivered.is_empty());
        assert_eq!(right.incoming.counters().snapshot().esp.opened_packets, 0);
    }
}
