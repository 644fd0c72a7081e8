//! What runs the engine and the workers: threads, mailboxes, the clock.

pub mod clock;
pub mod mailbox;
pub mod packets;
