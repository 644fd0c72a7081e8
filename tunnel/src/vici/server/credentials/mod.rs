//! Commands that bring, take and show what ends prove who they are by.
//!
//! Replies are in charon's words where it has any, with the reason behind them.

pub(super) mod authorities;
pub(super) mod certificates;
pub(super) mod keys;
pub(super) mod secrets;

use super::Hall;
use super::command::success;
use crate::vici::control::Control;
use crate::vici::message::Message;

/// Forgets all that clients have brought, but for authorities.
pub(super) fn clear<C: Control>(hall: &Hall<C>) -> Message {
    hall.credentials().clear();
    success()
}
