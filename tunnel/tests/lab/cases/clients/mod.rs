//! Clients that were made for charon, before our daemon: `swanctl` with folders and files, and agents that speak vici.

mod alike;
mod compat;
mod crowd;
mod fabedge;
mod fleet;
mod folders;
mod office;
mod peering;
mod roles;
mod rounds;
mod traps;

use crate::harness::Suite;

/// All suites of clients.
pub(crate) fn suites() -> Vec<Suite> {
    vec![
        fabedge::suite(),
        fleet::suite(),
        roles::suite(),
        alike::suite(),
        rounds::suite(),
        compat::suite(),
        traps::suite(),
        folders::suite(),
        folders::suite_of_newest(),
        crowd::suite(),
    ]
}
