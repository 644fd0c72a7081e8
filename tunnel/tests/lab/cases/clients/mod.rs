//! Clients that were made for charon, before our daemon: `swanctl` with folders and files, and agents that speak vici.

mod compat;
mod crowd;
mod fabedge;
mod fleet;
mod folders;
mod office;
mod peering;
mod roles;

use crate::harness::Suite;

/// All suites of clients.
pub(crate) fn suites() -> Vec<Suite> {
    vec![
        fabedge::suite(),
        fleet::suite(),
        roles::suite(),
        compat::suite(),
        folders::suite(),
        folders::suite_of_newest(),
        crowd::suite(),
    ]
}
