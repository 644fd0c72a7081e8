use crate::namespace::Namespace;
use crate::wire::{at, departure, receive, send};
use tidegate::io::batch::{Arrival, Channel, Departure};
use tidegate::io::udp::{Listen, RawEsp, Sockets};
use tidegate_esp::Encapsulation;

fn bare(address: &str) -> Sockets {
    let addresses = vec![address.parse().unwrap()];
    let listen = Listen {
        addresses,
        ike_port: 0,
        nat_port: 0,
        raw_esp: RawEsp::On,
        mark: Some(7),
        ..Listen::default()
    };
    Sockets::bind(&listen).unwrap()
}

#[test]
fn esp_goes_over_ip_as_it_is() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.ip("address add fd00::1/128 dev lo nodad");
    namespace.ip("address add fd00::2/128 dev lo nodad");
    for (here, there) in [("127.0.0.2", "127.0.0.3"), ("fd00::1", "fd00::2")] {
        let (one, other) = namespace.run(|| (bare(here), bare(there)));
        let way = departure(at(here, &one), at(there, &other));
        let way = Departure { encapsulation: Encapsulation::None, traffic_class: 0x28, ..way };

        assert_eq!(send(&one, way, b"\0\0\x10\0sealed"), 1);

        let (mut local, mut remote) = (at(there, &other), at(here, &one));
        local.set_port(0);
        remote.set_port(0);
        let arrival = Arrival { local, remote, traffic_class: 0x28, channel: Channel::Esp };
        assert_eq!(receive(&other), [(arrival, b"\0\0\x10\0sealed".to_vec())]);
    }
}
