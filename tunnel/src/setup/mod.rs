//! From a configuration to what a manager is made of: for the daemon, and for whoever embeds the engine.

mod device;

pub use device::{DeviceError, device};

use crate::config::{Configuration, NodeSettings, RouteTable};
use crate::io::udp::{Listen, RawEsp};
use crate::route::RouteSettings;

/// Where it listens.
pub fn listen(configuration: &Configuration) -> Listen {
    let node = &configuration.node;
    Listen {
        addresses: node.listen.clone(),
        ike_port: node.port,
        nat_port: node.nat_port,
        mark: None,
        raw_esp: if configuration.wants_raw_esp() { RawEsp::On } else { RawEsp::Off },
        ..Listen::default()
    }
}

/// How packets find its device.
pub fn routes(node: &NodeSettings) -> RouteSettings {
    let RouteTable { table, priority, mark, charon_rule } = node.routes;
    let mtu = Some(node.device.mtu.into());
    RouteSettings { table, priority, mark, mtu, charon_rule, ..RouteSettings::default() }
}
