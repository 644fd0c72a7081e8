//! Every key that a configuration may have.

/// A section and the keys that may stand in it.
#[derive(Debug)]
pub struct Schema {
    /// As mistakes name it.
    pub name: &'static str,
    /// Its path in the file; empty at the top.
    pub path: &'static str,
    /// Its keys.
    pub keys: &'static [&'static str],
}

/// All sections.
pub const SECTIONS: [&Schema; 14] = [
    &TOP,
    &NODE,
    &DEVICE,
    &ROUTES,
    &LOG,
    &PEER,
    &COMMUNITY,
    &POOL,
    &CONNECTION,
    &RETRANSMIT,
    &LOCAL,
    &REMOTE,
    &CHILD,
    &RETRY,
];

pub(super) const TOP: Schema =
    Schema { name: "the file", path: "", keys: &["node", "peer", "community", "pool", "connection"] };

/// What is read into a configuration that there is already.
pub(super) const ADDITIONS: Schema = Schema { name: "the text", path: "", keys: &["pool", "connection"] };

pub(super) const NODE: Schema = Schema {
    name: "[node]",
    path: "node",
    keys: &[
        "name",
        "id",
        "role",
        "certificate",
        "key",
        "trust",
        "crls",
        "revocation",
        "addresses",
        "subnets",
        "hosts",
        "listen",
        "port",
        "nat_port",
        "encapsulation",
        "state",
        "vici",
        "metrics",
        "key_log",
        "workers",
        "pin",
        "device",
        "routes",
        "log",
    ],
};

pub(super) const DEVICE: Schema =
    Schema { name: "[node.device]", path: "node.device", keys: &["kind", "name", "mtu", "offload"] };

pub(super) const ROUTES: Schema = Schema {
    name: "[node.routes]",
    path: "node.routes",
    keys: &["table", "priority", "mark", "charon_rule"],
};

pub(super) const LOG: Schema = Schema { name: "[node.log]", path: "node.log", keys: &["level", "format"] };

pub(super) const PEER: Schema = Schema {
    name: "[[peer]]",
    path: "peer",
    keys: &["name", "id", "role", "addresses", "port", "subnets", "hosts", "psk_file"],
};

pub(super) const COMMUNITY: Schema =
    Schema { name: "[[community]]", path: "community", keys: &["name", "members", "via"] };

pub(super) const POOL: Schema =
    Schema { name: "[[pool]]", path: "pool", keys: &["name", "addresses", "dns", "subnets"] };

pub(super) const CONNECTION: Schema = Schema {
    name: "[[connection]]",
    path: "connection",
    keys: &[
        "name",
        "proposals",
        "encapsulation",
        "mobike",
        "liveness",
        "retransmit",
        "retry",
        "tries",
        "unique",
        "fragment_size",
        "childless",
        "rekey",
        "reauth",
        "request_addresses",
        "pools",
        "local",
        "remote",
        "child",
    ],
};

pub(super) const RETRANSMIT: Schema = Schema {
    name: "retransmit of [[connection]]",
    path: "connection.retransmit",
    keys: &["first", "factor", "give_up"],
};

pub(super) const RETRY: Schema = Schema {
    name: "retry of [[connection]]",
    path: "connection.retry",
    keys: &["first", "factor", "most", "jitter"],
};

pub(super) const LOCAL: Schema = Schema {
    name: "[connection.local]",
    path: "connection.local",
    keys: &["id", "certificate", "key", "psk_file", "addresses", "port"],
};

pub(super) const REMOTE: Schema = Schema {
    name: "[connection.remote]",
    path: "connection.remote",
    keys: &["id", "addresses", "port", "psk_file", "trust", "crls", "revocation"],
};

pub(super) const CHILD: Schema = Schema {
    name: "[[connection.child]]",
    path: "connection.child",
    keys: &[
        "name",
        "local",
        "remote",
        "mode",
        "proposals",
        "rekey",
        "start",
        "on_close",
        "on_death",
        "inactivity",
        "updown",
    ],
};
