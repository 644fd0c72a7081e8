//! The tests.

mod capturing;
mod clients;
mod endurance;
mod flooded;
mod footprint;
mod laboratory;
mod matrix;
mod poc;
mod reloading;
mod sealed;
mod strongswan;

use crate::harness::Suite;

/// All suites. Those that take longest come first, so that they do not keep the others' end waiting.
pub(crate) fn all() -> Vec<Suite> {
    let mut suites = endurance::suites();
    suites.extend(clients::suites());
    suites.extend(strongswan::suites());
    suites.extend([
        matrix::suite(),
        poc::suite(),
        reloading::suite(),
        sealed::suite(),
        capturing::suite(),
        laboratory::suite(),
        flooded::suite(),
        footprint::suite(),
    ]);
    suites
}
