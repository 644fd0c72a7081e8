//! Offloads of a device, and how they are lost: a kernel may refuse a super-packet that it has said it takes.

use rustix::io::Errno;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tidegate_esp::segment::Offloads;
use tidegate_esp::virtio::{SegmentKind, VirtioHeader};

/// So many refusals in a row are none of a single packet's fault.
const REFUSALS: u32 = 3;

/// What a device may still be given.
#[derive(Debug)]
pub(super) struct Granted {
    tcp: Grant,
    udp: Grant,
}

#[derive(Debug)]
struct Grant {
    stands: AtomicBool,
    /// Refusals since one was last taken.
    refused: AtomicU32,
}

impl Granted {
    pub(super) fn new(offloads: Offloads) -> Self {
        let grant = |stands| Grant { stands: AtomicBool::new(stands), refused: AtomicU32::new(0) };
        Self { tcp: grant(offloads.tcp), udp: grant(offloads.udp) }
    }

    pub(super) fn offloads(&self) -> Offloads {
        let stands = |grant: &Grant| grant.stands.load(Ordering::Relaxed);
        Offloads { tcp: stands(&self.tcp), udp: stands(&self.udp) }
    }

    /// What became of a super-packet. Once the last of so many in a row was refused, its kind is given no more;
    /// what was in it is lost, as on any network. An interface that is down says EIO of everything, which says
    /// nothing of offloads.
    pub(super) fn written(&self, virtio: &VirtioHeader, outcome: &io::Result<()>, interface: &str) {
        let Some(cut) = virtio.segmentation else { return };
        let (grant, kind) = match cut.kind {
            SegmentKind::TcpV4 | SegmentKind::TcpV6 => (&self.tcp, "TCP"),
            SegmentKind::Udp => (&self.udp, "UDP"),
        };
        let Err(error) = outcome else { return grant.taken() };
        let refused = matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::OPNOTSUPP));
        if refused && grant.refused() {
            tracing::warn!(
                area = "io",
                %error,
                interface,
                "{kind} crosses the device packet by packet from here on: the kernel refuses super-packets"
            );
        }
    }
}

impl Grant {
    fn taken(&self) {
        // As a rule nothing is to be written here.
        if self.refused.load(Ordering::Relaxed) != 0 {
            self.refused.store(0, Ordering::Relaxed);
        }
    }

    /// Whether the grant is lost by this.
    fn refused(&self) -> bool {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        refused >= REFUSALS && self.stands.swap(false, Ordering::Relaxed)
    }
}
