use crate::wire::{anywhere, at, batch, departure, receive, send};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, UdpSocket};
use std::num::NonZero;
use tidegate::io::Wire;
use tidegate::io::batch::{Arrival, Channel, Departure, ReceiveBatch};
use tidegate::io::udp::{BindError, Listen, Sockets};

const PAIRS: [(&str, &str); 2] = [("127.0.0.1", "127.0.0.1"), ("::1", "::1")];

#[test]
fn a_datagram_says_from_where_to_where_and_with_which_class_it_came() {
    for (here, there) in PAIRS {
        let (one, other) = (anywhere(), anywhere());
        let (local, remote) = (at(here, &one), at(there, &other));

        let way = Departure { traffic_class: 0xb9, ..departure(local, remote) };
        assert_eq!(send(&one, way, b"there"), 1);

        let arrival = Arrival { local: remote, remote: local, traffic_class: 0xb9, channel: Channel::Shared };
        assert_eq!(receive(&other), [(arrival, b"there".to_vec())]);
        assert_eq!(one.counters().sent, 1);
    }
}

#[test]
fn the_port_of_ike_is_told_from_the_shared_one() {
    let (one, other) = (anywhere(), anywhere());
    let mut remote = at("127.0.0.1", &other);
    remote.set_port(other.local_ports().0);
    one.send_one(at("127.0.0.1", &one), remote, b"ike", 0).unwrap();
    let received = receive(&other);
    assert_eq!(received[0].0.channel, Channel::Ike);
    assert_eq!(received[0].0.local, remote);
}

#[test]
fn an_answer_leaves_from_the_address_that_was_asked() {
    let (edge, connector) = (anywhere(), anywhere());
    for asked in ["127.0.0.2", "127.0.0.3"] {
        send(&edge, departure(at("127.0.0.1", &edge), at(asked, &connector)), b"question");
        let (question, _) = receive(&connector)[0];
        assert_eq!(question.local, at(asked, &connector));

        send(&connector, departure(question.local, question.remote), b"answer");

        assert_eq!(receive(&edge)[0].0.remote, at(asked, &connector));
    }
}

#[test]
fn the_system_picks_the_source_where_none_is_given() {
    let (one, other) = (anywhere(), anywhere());
    send(&one, departure(at("0.0.0.0", &one), at("127.0.0.1", &other)), b"from wherever");
    assert_eq!(receive(&other)[0].0.remote, at("127.0.0.1", &one));
}

#[test]
fn a_batch_of_many_arrives_whole_and_in_order() {
    let (one, other) = (anywhere(), anywhere());
    let way = departure(at("127.0.0.1", &one), at("127.0.0.1", &other));
    let numbers: Vec<[u8; 1]> = (0..200).map(|number| [number]).collect();

    assert_eq!(one.send(&batch(numbers.iter().map(|number| (way, &number[..])))).unwrap(), 200);

    let mut received = Vec::new();
    let mut batches = Vec::new();
    while received.len() < 200 {
        let batch = receive(&other);
        assert!(!batch.is_empty(), "{} came", received.len());
        batches.push(batch.len());
        received.extend(batch.into_iter().map(|(_, bytes)| bytes[0]));
    }
    assert_eq!(received, (0..200).collect::<Vec<_>>());
    assert!(batches.len() < 200 / 8, "{batches:?}");
}

#[test]
fn frames_of_several_sockets_go_in_one_batch() {
    let (one, other) = (anywhere(), anywhere());
    let ways = PAIRS.map(|(here, there)| departure(at(here, &one), at(there, &other)));
    let frames = [(ways[0], &b"4"[..]), (ways[1], b"6"), (ways[0], b"4"), (ways[1], b"6")];
    assert_eq!(one.send(&batch(frames)).unwrap(), 4);
    let mut bytes: Vec<_> = receive(&other).into_iter().map(|(_, bytes)| bytes).collect();
    bytes.sort();
    assert_eq!(bytes, [b"4", b"4", b"6", b"6"]);
}

#[test]
fn what_the_network_says_of_one_peer_costs_the_others_nothing() {
    let (one, other) = (anywhere(), anywhere());
    let local = at("127.0.0.1", &one);
    let closed = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    for round in 0..10 {
        // Nobody listens there: the kernel says so before the next datagram is sent.
        assert_eq!(send(&one, departure(local, closed), b"anyone?"), 1);
        assert_eq!(send(&one, departure(local, at("127.0.0.1", &other)), b"hello"), 1, "round {round}");
        assert_eq!(receive(&other).len(), 1);
        send(&one, departure(local, closed), b"anyone?");
        send(&other, departure(at("127.0.0.1", &other), local), b"hello");
        assert_eq!(receive(&one).len(), 1);
        one.path_mtu_errors(1, &mut |peer, mtu| panic!("{peer} {mtu}"));
    }
    assert_eq!(one.counters().refused, 0);
}

#[test]
fn a_source_that_no_socket_has_costs_only_its_own_frames() {
    let (one, other) = (anywhere(), anywhere());
    let good = departure(at("127.0.0.1", &one), at("127.0.0.1", &other));
    let mut wrong_port = good;
    wrong_port.local.set_port(1);
    let wrong_address = Departure { local: at("192.0.2.77", &one), ..good };
    let frames = [(wrong_port, &b"1"[..]), (good, b"2"), (wrong_address, b"3"), (good, b"4")];
    assert_eq!(one.send(&batch(frames)).unwrap(), 2);
    assert_eq!(receive(&other).len(), 2);
    let counters = one.counters();
    assert_eq!((counters.no_source, counters.refused), (1, 1));
}

#[test]
fn a_port_in_use_is_named_with_its_address() {
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let holder = UdpSocket::bind(taken).unwrap();
    let listen =
        Listen { addresses: vec![taken.ip()], ike_port: 0, nat_port: taken.port(), ..Listen::default() };
    let error = Sockets::bind(&listen).unwrap_err();
    assert!(matches!(error, BindError::InUse { address } if address == taken), "{error}");
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
    drop(holder);
    Sockets::bind(&listen).unwrap();
}

#[test]
fn an_address_may_come_after_its_socket() {
    let addresses = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    let listen = Listen { addresses, ike_port: 0, nat_port: 0, ..Listen::default() };
    assert_eq!(Sockets::bind(&listen).unwrap().fds().len(), 4);
}

#[test]
fn all_addresses_have_the_same_ports() {
    let sockets = anywhere();
    let (ike, shared) = sockets.local_ports();
    assert_ne!(ike, shared);
    let port = |at: usize| {
        let name = rustix::net::getsockname(sockets.fds()[at]).unwrap();
        std::net::SocketAddr::try_from(name).unwrap().port()
    };
    assert_eq!([0, 1, 2, 3].map(port), [ike, shared, ike, shared]);
}

#[test]
fn one_port_for_both_is_one_socket() {
    let port = anywhere().local_ports().1;
    let listen = Listen {
        addresses: vec![Ipv4Addr::LOCALHOST.into()],
        ike_port: port,
        nat_port: port,
        ..Listen::default()
    };
    let sockets = Sockets::bind(&listen).unwrap();
    assert_eq!(sockets.fds().len(), 1);
    assert_eq!(sockets.local_ports(), (port, port));
}

#[test]
fn an_empty_socket_says_so_instead_of_waiting() {
    let error = anywhere().receive(0, &mut ReceiveBatch::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn an_empty_datagram_arrives_too() {
    let (one, other) = (anywhere(), anywhere());
    send(&one, departure(at("127.0.0.1", &one), at("127.0.0.1", &other)), b"");
    assert_eq!(receive(&other)[0].1, b"");
}

#[test]
fn the_source_towards_a_peer_is_what_the_system_would_take() {
    let sockets = anywhere();
    for (source, peer) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1")] {
        assert_eq!(sockets.source_towards(peer.parse().unwrap()), Some(source.parse().unwrap()));
    }
}

#[test]
fn peers_are_spread_over_sockets_that_share_a_port_and_each_stays_with_one() {
    let listen = Listen {
        addresses: vec![Ipv4Addr::LOCALHOST.into()],
        ike_port: 0,
        nat_port: 0,
        lanes: NonZero::new(3).unwrap(),
        ..Listen::default()
    };
    let sockets = Sockets::bind(&listen).unwrap();
    let lanes: Vec<usize> = (0..sockets.fds().len()).map(|socket| sockets.lane(socket)).collect();
    assert_eq!(lanes, [0, 0, 1, 2], "one for IKE, and three");
    let peers: Vec<_> = (0..32).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    for _ in 0..5 {
        for peer in &peers {
            peer.send_to(b"hello", at("127.0.0.1", &sockets)).unwrap();
        }
    }
    let mut lanes_of = BTreeMap::<_, BTreeSet<usize>>::new();
    let mut count = 0;
    for socket in 1..4 {
        let mut batch = ReceiveBatch::new();
        while sockets.receive(socket, &mut batch).is_ok() {
            for frame in batch.frames() {
                lanes_of.entry(frame.arrival.remote).or_default().insert(sockets.lane(socket));
                count += 1;
            }
            batch.clear();
        }
    }
    assert_eq!((count, lanes_of.len()), (5 * 32, 32));
    assert!(lanes_of.values().all(|lanes| lanes.len() == 1), "{lanes_of:?}");
    let used: BTreeSet<usize> = lanes_of.values().flatten().copied().collect();
    assert!(used.len() > 1, "{used:?}");
}

#[test]
fn a_port_that_several_sockets_share_is_in_use_for_everyone_else() {
    let lanes = NonZero::new(2).unwrap();
    let addresses = vec![Ipv4Addr::LOCALHOST.into()];
    let listen = Listen { addresses, ike_port: 0, nat_port: 0, lanes, ..Listen::default() };
    let sockets = Sockets::bind(&listen).unwrap();
    let same = Listen { nat_port: sockets.local_ports().1, ..listen };
    let error = Sockets::bind(&same).unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
}
