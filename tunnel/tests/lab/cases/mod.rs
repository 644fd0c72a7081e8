//! The tests.

mod laboratory;

use crate::harness::Suite;

/// All suites. Those that take longest come first, so that they do not keep the others' end waiting.
pub(crate) fn all() -> Vec<Suite> {
    vec![laboratory::suite()]
}
