//! From the wire to the device.

use super::tidings::Tidings;
use super::{Control, PathMtus, WorkerCounters};
use crate::io::batch::{Arrival, Channel, ReceiveBatch, Received};
use crate::tables::{Opening, Sealing, View};
use std::io::{self, IoSlice};
use std::sync::Arc;
use tidegate_esp::encap::{self, Datagram, NON_ESP_MARKER};
use tidegate_esp::inbound::Opener;
use tidegate_esp::mss::{TransportChecksum, clamp};
use tidegate_esp::segment::{Joined, Joiner, Offloads};
use tidegate_esp::snapshot::{Decision, Snapshot};
use tidegate_esp::virtio::VirtioHeader;
use tidegate_esp::wire::Header;
use tidegate_esp::{DropReason, Inner, Opened, Rejected, outer};
use tidegate_ike::{Framing, Path, Time};

/// More parts than any super-packet has, its header included.
const PARTS_MAX: usize = 80;
/// More than a batch holds as a rule.
const READY: usize = 64;
const PROTOCOL_TCP: u8 = 6;

/// Where what comes out of a worker goes. Nothing here may wait: what there is no room for is lost.
pub trait Inward: Control {
    /// Takes a packet, given in parts.
    fn deliver(&mut self, virtio: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()>;
}

/// Takes batches of the sockets, opens what is ESP, and delivers what was in it.
pub struct Incoming {
    view: View,
    joiner: Joiner,
    offloads: Offloads,
    stages: Stages,
}

/// Everything but the view and the joiner, so that all can be borrowed at a time.
struct Stages {
    mtus: Arc<PathMtus>,
    counters: Arc<WorkerCounters>,
    tidings: Tidings,
    /// Opened packets of a batch: where each begins in its buffer, and what it is.
    ready: Vec<(usize, Inner)>,
}

/// An SA in use, for as long as packets of it come one after the other.
struct Run<'a> {
    opening: &'a Opening,
    opener: Opener<'a>,
}

type Tables = Snapshot<Opening, Sealing>;

impl Incoming {
    /// A worker that reads the tables through this view, and joins what its device takes in one piece.
    pub fn new(view: View, mtus: Arc<PathMtus>, offloads: Offloads) -> Self {
        let ready = Vec::with_capacity(READY);
        let stages = Stages { mtus, counters: Arc::default(), tidings: Tidings::new(), ready };
        Self { view, joiner: Joiner::new(offloads), offloads, stages }
    }

    /// Joins what its device takes in one piece by now.
    pub fn join(&mut self, offloads: Offloads) {
        if offloads != self.offloads {
            self.offloads = offloads;
            self.joiner = Joiner::new(offloads);
        }
    }

    /// Takes all of a batch.
    pub fn take(&mut self, now: Time, batch: &mut ReceiveBatch, inward: &mut impl Inward) {
        let tables = self.view.current();
        let mut run = None;
        for index in 0..batch.frames().len() {
            let Some(start) = batch.frames().get(index).map(|frame| frame.range.start) else { break };
            let Some(received) = batch.received(index) else { continue };
            self.stages.sort(now, tables, &mut run, (start, received), inward);
        }
        drop(run);
        self.deliver(batch.buffer(), inward);
    }

    /// What it measures paths by; whoever learns of one tells it there.
    pub fn path_mtus(&self) -> &Arc<PathMtus> {
        &self.stages.mtus
    }

    /// What it counts.
    pub fn counters(&self) -> &Arc<WorkerCounters> {
        &self.stages.counters
    }

    /// Forgets every packet in it: something went badly wrong with one.
    pub fn reset(&mut self) {
        self.stages.ready.clear();
        self.joiner = Joiner::new(self.offloads);
    }

    fn deliver(&mut self, buffer: &[u8], inward: &mut impl Inward) {
        let Stages { counters, ready, .. } = &mut self.stages;
        let bytes = ready.iter().map(|(_, inner)| inner.total_length as u64).sum();
        counters.esp.opened(ready.len() as u64, bytes);
        if let [(start, inner)] = ready.as_slice() {
            // Nothing there is to join it with.
            let whole = buffer.get(*start..).and_then(|rest| rest.get(..inner.total_length));
            if inward.deliver(&VirtioHeader::default(), &[IoSlice::new(whole.unwrap_or_default())]).is_err() {
                counters.esp.dropped(DropReason::Queue);
            }
            return ready.clear();
        }
        let mut write = |joined: Joined<'_>| {
            if write_parts(&joined, inward).is_err() {
                joined.slices().for_each(|_| counters.esp.dropped(DropReason::Queue));
            }
        };
        for (start, inner) in ready.drain(..) {
            self.joiner.push(buffer, start, &inner, &mut write);
        }
        self.joiner.finish(buffer, &mut write);
    }
}

impl Stages {
    fn sort<'t>(
        &mut self,
        now: Time,
        tables: &'t Tables,
        run: &mut Option<Run<'t>>,
        (start, received): (usize, Received<'_>),
        control: &mut impl Control,
    ) {
        let Received { arrival, bytes } = received;
        let packet = match arrival.channel {
            Channel::Ike => return self.hand_on(&arrival, Framing::Bare, bytes, control),
            Channel::Esp => bytes,
            // RFC 3948 §2.2: four zero bytes stand where ESP has its SPI.
            Channel::Shared if bytes.starts_with(&NON_ESP_MARKER) => {
                return self.hand_on(&arrival, Framing::Marked, bytes, control);
            }
            Channel::Shared => match encap::sort(bytes) {
                Datagram::Esp(packet) => packet,
                Datagram::Keepalive | Datagram::Ike(_) => return self.counters.keepalive(),
            },
        };
        match self.open(now, tables, run, &arrival, packet, control) {
            Ok((front_len, inner)) => {
                self.ready.push((start + front_len, inner));
            }
            Err(reason) => self.counters.esp.dropped(reason),
        }
    }

    fn hand_on(&self, arrival: &Arrival, framing: Framing, bytes: &[u8], control: &mut impl Control) {
        self.counters.handed_on();
        control.ike(Path { local: arrival.local, remote: arrival.remote, framing }, bytes);
    }

    /// Opens in place; returns where in the packet its datagram begins, and what that is.
    fn open<'t>(
        &mut self,
        now: Time,
        tables: &'t Tables,
        run: &mut Option<Run<'t>>,
        arrival: &Arrival,
        packet: &mut [u8],
        control: &mut impl Control,
    ) -> Result<(usize, Inner), DropReason> {
        let header = Header::parse(packet).ok_or(DropReason::Malformed)?;
        let run = match run {
            Some(run) if run.opening.esp.spi() == header.spi => run,
            _ => match tables.inbound(header.spi) {
                Some(opening) => run.insert(Run { opening, opener: opening.esp.opener() }),
                None => {
                    self.tidings.unknown(now, arrival, header.spi, control);
                    return Err(DropReason::NoSa);
                }
            },
        };
        let opening = run.opening;
        let opened =
            run.opener.open(packet).and_then(|opened| self.told(now, opening, arrival, opened, control));
        let admitted = match opened {
            Ok(admitted) => admitted,
            Err(rejected) => {
                self.rejected(now, opening, arrival, rejected, control);
                return Err(rejected.reason);
            }
        };
        outer::merge(arrival.traffic_class, admitted.datagram)?;
        self.clamp(now, tables, admitted.datagram, &admitted.inner);
        Ok((opening.esp.front_len(), admitted.inner))
    }

    /// What an opened packet tells, before its datagram is looked at.
    fn told<'p>(
        &mut self,
        now: Time,
        opening: &Opening,
        arrival: &Arrival,
        opened: Opened<'p>,
        control: &mut impl Control,
    ) -> Result<tidegate_esp::Admitted<'p>, Rejected> {
        let freshness = opened.freshness();
        if opened.passed_soft_limit() {
            self.tidings.soft_limit(opening.child, control);
        }
        let admitted = opened.admit()?;
        self.tidings.authentic(now, opening, arrival, freshness, control);
        Ok(admitted)
    }

    /// A packet with a fault may tell as much as one without.
    fn rejected(
        &mut self,
        now: Time,
        opening: &Opening,
        arrival: &Arrival,
        rejected: Rejected,
        control: &mut impl Control,
    ) {
        if let Some(freshness) = rejected.authentic {
            self.tidings.authentic(now, opening, arrival, freshness, control);
        }
        if rejected.reason == DropReason::Expired {
            self.tidings.hard_limit(now, opening.child, control);
        }
    }

    /// Lowers the segment size that a SYN announces to what fits on the way back. A SYN is rare enough to be
    /// looked for in the tables.
    fn clamp(&self, now: Time, tables: &Tables, datagram: &mut [u8], inner: &Inner) {
        if inner.flow.protocol != PROTOCOL_TCP || !is_syn(datagram, inner) {
            return;
        }
        let Decision::Protect(id) = tables.decide(&inner.flow.reversed()) else { return };
        let Some(carrier) = tables.outbound(id) else { return };
        let mtu = self.mtus.mtu(carrier.path.remote.ip(), now);
        let inner_mtu = carrier.sa.esp.inner_mtu(&carrier.path, mtu);
        if clamp(datagram, inner, inner_mtu, TransportChecksum::Complete).is_some() {
            self.counters.clamped();
        }
    }
}

fn is_syn(datagram: &[u8], inner: &Inner) -> bool {
    datagram.get(inner.network_length..).and_then(|tcp| tcp.get(13)).is_some_and(|flags| flags & 0x02 != 0)
}

/// One packet as it came takes one part; a super-packet its header and the payload of each.
fn write_parts(joined: &Joined<'_>, inward: &mut impl Inward) -> io::Result<()> {
    let mut slices = joined.slices();
    if joined.header.is_empty()
        && slices.len() == 1
        && let Some(whole) = slices.next()
    {
        return inward.deliver(&joined.virtio, &[IoSlice::new(whole)]);
    }
    let mut parts = [IoSlice::new(&[]); PARTS_MAX];
    let count = slices.len() + 1;
    let all = std::iter::once(joined.header).chain(slices);
    parts.iter_mut().zip(all).for_each(|(part, bytes)| *part = IoSlice::new(bytes));
    inward.deliver(&joined.virtio, parts.get(..count).unwrap_or(&[]))
}
