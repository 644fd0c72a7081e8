//! What has happened, as C sees it.

use crate::address::tidegate_address;
use crate::code::{tidegate_code, tidegate_culprit};
use crate::error::{Failure, guard, tidegate_error};
use crate::handle::{borrow, free};
use crate::sized::{self, growing};
use crate::text::tidegate_text;
use std::net::{IpAddr, SocketAddr};
use tidegate_esp::{SelectorPair, TrafficSelector};
use tidegate_ike::{Path, Verdict};
use tunnel::event::{ChildFacts, IkeFacts};
use tunnel::log::{Level, Narrator};

/// What kind of event it is. There may be new ones in later versions: leave out what is not known.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum tidegate_event_kind {
    /// Something that has no number yet; `name` and `message` say what.
    Other = 0,
    /// A request is done, or has failed: `number` is its number, `code`, `culprit` and `message` say how it
    /// went, `count` to how many SAs it was done.
    Done = 1,
    /// All children of `connection` that should be up are up. `remote` is where the peer is.
    Up = 2,
    /// A `connection` of which children were up has none any more.
    Down = 3,
    /// An attempt at `connection` has failed and is made again in `count` milliseconds.
    Retry = 4,
    /// The engine has stopped; nothing comes after this.
    Stopped = 5,
    /// The queue was full, and `count` events were not kept.
    Missed = 6,
    /// We begin to set an IKE SA up, or ask for `child` on one that stands. `remote` is where the peer is, `number`
    /// the number of the IKE SA.
    Attempt = 7,
    /// An IKE SA of `connection` stands. `peer` is who the peer has proved to be.
    IkeEstablished = 10,
    /// An attempt at an IKE SA has failed.
    IkeFailed = 11,
    /// An IKE SA has new keys.
    IkeRekeyed = 12,
    /// An IKE SA is gone, and its children with it.
    IkeClosed = 13,
    /// Nothing is left of an IKE SA at the peer either.
    IkeGone = 14,
    /// A peer that nobody knows was turned away.
    Refused = 15,
    /// The peer is at another address.
    PeerMoved = 16,
    /// The peer gave us addresses, DNS servers or subnets, which `message` lists.
    Configured = 17,
    /// Something of an IKE SA that an operator should know, and that ends nothing.
    Warning = 18,
    /// The child SA `spi` of `child` stands, and carries what both selectors say.
    ChildEstablished = 20,
    /// The child SA `former_spi` has new keys, as `spi`.
    ChildRekeyed = 21,
    /// A child has failed.
    ChildFailed = 22,
    /// The child SA `spi` of `child` is gone.
    ChildClosed = 23,
    /// A child was refused, as another peer's carries its traffic already.
    PrefixTaken = 24,
    /// A child has come up. Those that take its place with new keys are no news.
    ChildUp = 25,
    /// A child that was told of as up is gone, and none with new keys took its place.
    ChildDown = 26,
    /// An IKE SA has come up, with the number `number`. Those that take its place with new keys are no news.
    IkeUp = 27,
    /// An IKE SA that was told of as up is gone, and none with new keys took its place. Its children have been
    /// told of before.
    IkeDown = 28,
    /// Our own addresses have changed.
    AddressesChanged = 30,
    /// Something that an operator should look at; everything goes on.
    Trouble = 31,
    /// Of an engine without threads: packets from `local_selectors` to `remote_selectors` belong to it from now
    /// on, and must go nowhere else. `number` names the capture.
    Capture = 40,
    /// The capture `number` is over.
    Release = 41,
    /// Packets of the capture `number` are to be no longer than `count` bytes.
    LimitMtu = 42,
    /// A peer has given us the address `local`: packets to it come out of the tunnel, and it may send.
    AddressAdded = 43,
    /// The address `local` is ours no longer.
    AddressRemoved = 44,
}

/// How much an event matters.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum tidegate_level {
    /// Somebody should look at it.
    Warning = 1,
    /// Worth knowing.
    Info = 2,
    /// For those who look for something.
    Debug = 3,
}

/// Something that has happened. It never changes, and any thread may read it.
pub struct tidegate_event {
    kind: tidegate_event_kind,
    level: tidegate_level,
    name: &'static str,
    code: tidegate_code,
    culprit: tidegate_culprit,
    number: u64,
    count: u64,
    spi: u32,
    former_spi: u32,
    texts: Texts,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
}

#[derive(Default)]
struct Texts {
    message: String,
    connection: String,
    child: String,
    peer: String,
    local_selectors: String,
    remote_selectors: String,
}

/// What is in an event. Texts are empty, addresses without a family and numbers 0 where there is nothing to say.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_event_info {
    /// sizeof(struct tidegate_event_info), set by the caller.
    pub size: usize,
    /// TIDEGATE_EVENT_KIND
    pub kind: u32,
    /// TIDEGATE_LEVEL
    pub level: u32,
    /// TIDEGATE_CODE: of a request, how it went; of others OK, or FAILED where there is a culprit.
    pub code: i32,
    /// TIDEGATE_CULPRIT
    pub culprit: u32,
    /// Of a request or a capture; of a child that is up or down, the one that it is known by from outside.
    pub number: u64,
    /// How many, or how long.
    pub count: u64,
    /// Inbound SPI of a child SA.
    pub spi: u32,
    /// Inbound SPI of the one before it.
    pub former_spi: u32,
    /// The kind in a word, for logs.
    pub name: tidegate_text,
    /// What has happened, for people.
    pub message: tidegate_text,
    /// The connection that it is about.
    pub connection: tidegate_text,
    /// The child that it is about.
    pub child: tidegate_text,
    /// Identity of the peer.
    pub peer: tidegate_text,
    /// What is carried on our side, with commas between.
    pub local_selectors: tidegate_text,
    /// What is carried on the peer's side, with commas between.
    pub remote_selectors: tidegate_text,
    /// Our address.
    pub local: tidegate_address,
    /// The peer's address.
    pub remote: tidegate_address,
}

growing!(tidegate_event_info);

/// Says what is in an event. The texts live as long as the event. Set `info->size` before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_event_read(
    event: *const tidegate_event,
    info: *mut tidegate_event_info,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = || {
        // SAFETY: null, or an event that the caller owns.
        let event = unsafe { borrow(event, "the event") }?;
        // SAFETY: null, or the caller's room of the size that it says.
        unsafe { sized::write(info, &event.info()) }
    };
    // SAFETY: null, or the caller's room for a pointer.
    unsafe { guard(error, act) }
}

/// Gives an event back. NULL is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_event_free(event: *mut tidegate_event) {
    // SAFETY: null, or the caller's, who gives it away here.
    unsafe { free(event) }
}

impl tidegate_event {
    /// Of something that an engine tells.
    pub(crate) fn new(narrator: &mut Narrator, event: &tunnel::Event) -> Self {
        let line = narrator.describe(event);
        let mut told = Self::plain(tidegate_event_kind::Other, line.kind, line.text);
        told.level = match line.level {
            Level::Warn => tidegate_level::Warning,
            Level::Info => tidegate_level::Info,
            Level::Debug => tidegate_level::Debug,
        };
        if let Some(connection) = line.connection {
            connection.as_ref().clone_into(&mut told.texts.connection);
        }
        match event {
            tunnel::Event::Ike(event) => told.fill_ike(event),
            event => told.fill(event),
        }
        told
    }

    /// A request has come to its end.
    pub(crate) fn done(number: u64, result: Result<usize, Failure>) -> Self {
        let (code, culprit, count, message) = match result {
            Ok(count) => (tidegate_code::Ok, tidegate_culprit::None, count as u64, "done".to_owned()),
            Err(failure) => (failure.code, failure.culprit, 0, failure.message),
        };
        let level = if code == tidegate_code::Ok { tidegate_level::Info } else { tidegate_level::Warning };
        let plain = Self::plain(tidegate_event_kind::Done, "done", message);
        Self { number, count, code, culprit, level, ..plain }
    }

    pub(crate) fn stopped() -> Self {
        Self::plain(tidegate_event_kind::Stopped, "stopped", "the engine has stopped".to_owned())
    }

    pub(crate) fn missed(count: u64) -> Self {
        let message = format!("{count} events came too fast and were not kept");
        let level = tidegate_level::Warning;
        Self { count, level, ..Self::plain(tidegate_event_kind::Missed, "missed", message) }
    }

    pub(crate) fn capture(number: u64, selectors: &SelectorPair) -> Self {
        let plain = Self::plain(tidegate_event_kind::Capture, "capture", "traffic is captured".to_owned());
        let mut event = Self { number, ..plain };
        event.carries(selectors);
        event
    }

    pub(crate) fn release(number: u64) -> Self {
        let message = "traffic is captured no longer".to_owned();
        Self { number, ..Self::plain(tidegate_event_kind::Release, "release", message) }
    }

    pub(crate) fn limit_mtu(number: u64, mtu: usize) -> Self {
        let message = format!("packets are to be no longer than {mtu} bytes");
        Self { number, count: mtu as u64, ..Self::plain(tidegate_event_kind::LimitMtu, "limit-mtu", message) }
    }

    pub(crate) fn address_added(address: IpAddr) -> Self {
        let message = format!("the peer gave us {address}");
        let local = Some(SocketAddr::new(address, 0));
        Self { local, ..Self::plain(tidegate_event_kind::AddressAdded, "address-added", message) }
    }

    pub(crate) fn address_removed(address: IpAddr) -> Self {
        let message = format!("{address} is ours no longer");
        let local = Some(SocketAddr::new(address, 0));
        Self { local, ..Self::plain(tidegate_event_kind::AddressRemoved, "address-removed", message) }
    }

    /// Whether it is the end of a request.
    pub(crate) fn ends_request(&self) -> bool {
        self.kind == tidegate_event_kind::Done
    }

    fn plain(kind: tidegate_event_kind, name: &'static str, message: String) -> Self {
        Self {
            kind,
            level: tidegate_level::Info,
            name,
            code: tidegate_code::Ok,
            culprit: tidegate_culprit::None,
            number: 0,
            count: 0,
            spi: 0,
            former_spi: 0,
            texts: Texts { message, ..Texts::default() },
            local: None,
            remote: None,
        }
    }

    fn fill(&mut self, event: &tunnel::Event) {
        use tidegate_event_kind as Kind;
        use tunnel::Event;
        self.kind = match event {
            Event::Up { peer, .. } => {
                self.remote = Some(*peer);
                Kind::Up
            }
            Event::Down { verdict, .. } => {
                self.blame(verdict);
                Kind::Down
            }
            Event::Retry { after_ms, verdict, .. } => {
                self.count = *after_ms;
                self.blame(verdict);
                Kind::Retry
            }
            Event::PrefixTaken { selectors, child, .. } => {
                self.carries(selectors);
                self.spi = child.value();
                Kind::PrefixTaken
            }
            Event::Attempt { child, ike_sa, peer, .. } => {
                self.number = *ike_sa;
                self.texts.child = child.as_deref().unwrap_or_default().to_owned();
                self.remote = Some(*peer);
                Kind::Attempt
            }
            Event::IkeUp(sa) => {
                self.fill_ike_facts(sa);
                Kind::IkeUp
            }
            Event::IkeDown(sa) => {
                self.fill_ike_facts(sa);
                Kind::IkeDown
            }
            Event::ChildUp(child) => {
                self.fill_facts(child);
                Kind::ChildUp
            }
            Event::ChildDown { child, verdict } => {
                self.fill_facts(child);
                self.blame(verdict);
                Kind::ChildDown
            }
            Event::AddressesChanged(_) => Kind::AddressesChanged,
            Event::Trouble { .. } => Kind::Trouble,
            Event::Missed(count) => {
                self.count = *count;
                Kind::Missed
            }
            _ => Kind::Other,
        };
    }

    fn fill_ike(&mut self, event: &tidegate_ike::Event) {
        use tidegate_event_kind as Kind;
        use tidegate_ike::Event;
        self.kind = match event {
            Event::IkeEstablished { peer, path, .. } => {
                self.texts.peer = peer.to_string();
                self.at(path);
                Kind::IkeEstablished
            }
            Event::IkeFailed { path, verdict, .. } => {
                self.at(path);
                self.blame(verdict);
                Kind::IkeFailed
            }
            Event::Refused { path, verdict } => {
                self.at(path);
                self.blame(verdict);
                Kind::Refused
            }
            Event::IkeRekeyed { .. } => Kind::IkeRekeyed,
            Event::IkeClosed { verdict, .. } => {
                self.blame(verdict);
                Kind::IkeClosed
            }
            Event::IkeGone { .. } => Kind::IkeGone,
            Event::PeerMoved { path, .. } => {
                self.at(path);
                Kind::PeerMoved
            }
            Event::Configured { .. } => Kind::Configured,
            Event::Warning { verdict, .. } => {
                self.blame(verdict);
                Kind::Warning
            }
            child => self.fill_child(child),
        };
    }

    fn fill_child(&mut self, event: &tidegate_ike::Event) -> tidegate_event_kind {
        use tidegate_event_kind as Kind;
        use tidegate_ike::Event;
        match event {
            Event::ChildEstablished { child, name, selectors, .. } => {
                self.spi = child.value();
                name.as_ref().clone_into(&mut self.texts.child);
                self.carries(selectors);
                Kind::ChildEstablished
            }
            Event::ChildRekeyed { old, new, .. } => {
                (self.former_spi, self.spi) = (old.value(), new.value());
                Kind::ChildRekeyed
            }
            Event::ChildFailed { name, verdict, .. } => {
                self.texts.child = name.as_deref().unwrap_or_default().to_owned();
                self.blame(verdict);
                Kind::ChildFailed
            }
            Event::ChildClosed { child, name, verdict, .. } => {
                self.spi = child.value();
                name.as_ref().clone_into(&mut self.texts.child);
                self.blame(verdict);
                Kind::ChildClosed
            }
            _ => Kind::Other,
        }
    }

    fn fill_ike_facts(&mut self, sa: &IkeFacts) {
        self.number = sa.number;
        self.texts.peer = sa.remote_id.to_string();
        (self.local, self.remote) = (Some(sa.local), Some(sa.remote));
    }

    fn fill_facts(&mut self, child: &ChildFacts) {
        self.number = child.reqid.into();
        self.spi = child.spi_in.value();
        self.texts.child = child.child.to_string();
        self.texts.peer = child.remote_id.to_string();
        self.carries(&child.selectors);
        (self.local, self.remote) = (Some(child.local), Some(child.remote));
    }

    fn blame(&mut self, verdict: &Verdict) {
        self.code = tidegate_code::Failed;
        self.culprit = verdict.culprit.into();
    }

    fn at(&mut self, path: &Path) {
        (self.local, self.remote) = (Some(path.local), Some(path.remote));
    }

    fn carries(&mut self, selectors: &SelectorPair) {
        let list =
            |all: &[TrafficSelector]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        self.texts.local_selectors = list(&selectors.local);
        self.texts.remote_selectors = list(&selectors.remote);
    }

    fn info(&self) -> tidegate_event_info {
        let address = |at: Option<SocketAddr>| at.map_or(tidegate_address::NONE, Into::into);
        let text = |text: &str| tidegate_text::of(text);
        tidegate_event_info {
            size: size_of::<tidegate_event_info>(),
            kind: self.kind as u32,
            level: self.level as u32,
            code: self.code as i32,
            culprit: self.culprit as u32,
            number: self.number,
            count: self.count,
            spi: self.spi,
            former_spi: self.former_spi,
            name: text(self.name),
            message: text(&self.texts.message),
            connection: text(&self.texts.connection),
            child: text(&self.texts.child),
            peer: text(&self.texts.peer),
            local_selectors: text(&self.texts.local_selectors),
            remote_selectors: text(&self.texts.remote_selectors),
            local: address(self.local),
            remote: address(self.remote),
        }
    }
}
