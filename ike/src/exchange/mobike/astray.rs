//! A peer that comes from elsewhere than we send to, and has said nothing of it: its NAT maps it anew, or
//! somebody has given its IKE_AUTH or its update another source on the way. Left alone, nothing of ours gets
//! there, and as long as its own packets come in neither end would notice.
//!
//! What comes from elsewhere is no sign that the peer hears us (RFC 4555 §3.12). A responder asks it by COOKIE2
//! whether it is where it was last known to be. Where that stays unanswered the question goes to either address
//! in turn; what is then answered is asked once more at that address alone, and only then do the children go
//! there (§3.7). The initiator need not ask: it moves the IKE SA as it likes.

use super::{Established, Frame, PATIENCE, Task, Verified};
use crate::connection::EncapsulationPolicy;
use crate::core::Core;
use crate::sa::Role;
use std::net::SocketAddr;
use std::time::Duration;

/// Where the peer is: one of two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    /// Where it was last known to be.
    pub(super) known: SocketAddr,
    /// Where its packets come from.
    elsewhere: SocketAddr,
    /// How often the question under way has changed its address.
    pub(super) turns: u32,
}

/// The question is not asked more often.
const PAUSE: Duration = Duration::from_secs(5);

impl Established {
    /// A request of the peer's has come from there.
    pub(crate) fn hear_request(&mut self, frame: &Frame, core: &Core, remote: SocketAddr) {
        if !self.is_astray(frame, remote) {
            self.heard = core.now.time;
        }
    }

    /// Authentic ESP of the peer's has come from there; bare ESP comes from port 0.
    pub(crate) fn hear_esp(&mut self, frame: &Frame, core: &Core, remote: SocketAddr) {
        if self.is_astray(frame, remote) {
            self.doubt(frame, core, remote);
        } else {
            self.heard = core.now.time;
        }
    }

    /// Behind a NAT of our own a changed source says nothing.
    fn is_astray(&self, frame: &Frame, remote: SocketAddr) -> bool {
        let known = frame.path.remote;
        let same = known.ip() == remote.ip() && (remote.port() == 0 || known.port() == remote.port());
        self.mobike.is_some() && !self.nat.local_behind_nat && !same
    }

    /// RFC 4555 §3.8: no source of IKE may lead to a move that the peer has not asked for, one of ESP may.
    fn doubt(&mut self, frame: &Frame, core: &Core, remote: SocketAddr) {
        let fixed = self.connection.encapsulation == EncapsulationPolicy::Raw || remote.port() == 0;
        if self.origin != Role::Responder || fixed || !self.connection.remote.allows(remote.ip()) {
            return;
        }
        let now = core.now.time;
        let Some(mobike) = &mut self.mobike else { return };
        if mobike.doubted.is_some_and(|last| now < last + PAUSE) {
            return;
        }
        mobike.doubted = Some(now);
        let known = frame.path.remote;
        let doubt = mobike.doubt.get_or_insert(Doubt { known, elsewhere: remote, turns: 0 });
        doubt.elsewhere = remote;
        self.want(Task::CheckRoute);
    }

    /// The peer has said or shown where it is.
    pub(super) fn know_where_it_is(&mut self) {
        if let Some(mobike) = &mut self.mobike {
            mobike.doubt = None;
        }
    }

    /// A request of ours goes unanswered.
    pub(super) fn ask_elsewhere(&mut self, frame: &mut Frame) {
        let attempts = frame.window.attempts();
        let Some(doubt) = self.mobike.as_mut().and_then(|mobike| mobike.doubt.as_mut()) else { return };
        if attempts < PATIENCE {
            return;
        }
        doubt.turns = doubt.turns.wrapping_add(1);
        frame.path.remote = if frame.path.remote == doubt.known { doubt.elsewhere } else { doubt.known };
    }

    /// An answer of the peer's has come: for the time being it is where that came from.
    pub(super) fn believe(&self, frame: &mut Frame, message: &Verified) {
        let Some(doubt) = self.mobike.as_ref().and_then(|mobike| mobike.doubt) else { return };
        let remote = message.path.remote;
        if remote == doubt.known || remote == doubt.elsewhere {
            frame.path.remote = remote;
        }
    }
}
