//! What control knows of the host: our own addresses, and where it can, the kernel's routes.

use super::StartError;
use crate::action::CaptureId;
use crate::event::Event;
use crate::io::addresses::host_addresses;
use crate::io::readable::Readable;
use crate::io::udp::Sockets;
use crate::route::{RouteError, RouteSettings, Routes, Trouble};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::time::Duration;
use tidegate_esp::SelectorPair;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often our own addresses are read where the kernel does not tell of changes.
const ADDRESS_POLL: Duration = Duration::from_secs(5);

/// Addresses that no network has: which of ours leads there is the one that most traffic leaves from.
const ANYWHERE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// The host, with or without routes that are ours to keep.
pub(crate) struct Host {
    routes: Option<Routed>,
    poll: Interval,
    /// Addresses that we listen on and no others; empty for all there are.
    only: Vec<IpAddr>,
}

struct Routed {
    routes: Routes,
    monitor: Readable,
}

/// What the kernel had to tell.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Our addresses may have changed.
    pub(crate) addresses: bool,
    /// Routes and rules that somebody had taken away, and that are back.
    pub(crate) repaired: Vec<String>,
}

impl Host {
    /// Has to be called within a tokio runtime.
    pub(crate) fn open(settings: Option<RouteSettings>, only: Vec<IpAddr>) -> Result<Self, StartError> {
        let routes = settings.map(Routes::open).transpose().map_err(StartError::Routes)?;
        let watch = |routes: Routes| Readable::new(routes.as_fd()).map(|monitor| Routed { routes, monitor });
        let routes = routes.map(watch).transpose().map_err(StartError::Watch)?;
        let mut poll = interval(ADDRESS_POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { routes, poll, only })
    }

    /// Our addresses, the one that most traffic leaves from first.
    pub(crate) fn addresses(&mut self, sockets: &Sockets) -> Vec<IpAddr> {
        if !self.only.is_empty() {
            return self.only.clone();
        }
        let mut all = match &mut self.routes {
            Some(routed) => routed.routes.local_addresses(),
            // A kernel that cannot say is asked again soon.
            None => host_addresses(None).unwrap_or_default(),
        };
        for towards in ANYWHERE {
            let source = sockets.source_towards(towards);
            if let Some(at) = all.iter().position(|address| Some(*address) == source) {
                let first = all.remove(at);
                all.insert(0, first);
            }
        }
        all
    }

    /// Ready when there may be news.
    pub(crate) async fn news(&mut self) -> News {
        let Some(Routed { routes, monitor }) = &mut self.routes else {
            self.poll.tick().await;
            return News { addresses: true, ..News::default() };
        };
        let Ok(mut guard) = monitor.ready().await else {
            return std::future::pending().await;
        };
        let changes = routes.handle_changes();
        guard.clear_ready();
        News { addresses: changes.addresses_changed, repaired: changes.repaired }
    }

    /// Without routes of ours nothing is captured: what the device is given is what there is.
    pub(crate) fn capture(&mut self, capture: CaptureId, selectors: &SelectorPair) -> Option<Event> {
        self.with_routes(|routes| routes.capture(capture, selectors))
    }

    pub(crate) fn limit(&mut self, capture: CaptureId, mtu: usize) -> Option<Event> {
        self.with_routes(|routes| routes.set_mtu(capture, Some(mtu)))
    }

    pub(crate) fn release(&mut self, capture: CaptureId) -> Option<Event> {
        self.with_routes(|routes| routes.release(capture))
    }

    pub(crate) fn add_address(&mut self, address: IpAddr) -> Option<Event> {
        self.with_routes(|routes| routes.add_address(address))
    }

    pub(crate) fn remove_address(&mut self, address: IpAddr) -> Option<Event> {
        self.with_routes(|routes| routes.remove_address(address))
    }

    /// What an earlier run left and nobody has claimed goes.
    pub(crate) fn settle(&mut self) -> Option<Event> {
        self.with_routes(Routes::settled)
    }

    /// How many packets came in clear that should have come protected, where the kernel counts them.
    pub(crate) fn dropped_in_clear(&self) -> Option<u64> {
        self.routes.as_ref()?.routes.dropped_in_clear()
    }

    /// What an operator should know of the routes and was not told yet.
    pub(crate) fn troubles(&mut self) -> Vec<Event> {
        let troubles = self.routes.as_mut().map(|routed| routed.routes.troubles()).unwrap_or_default();
        let tell = |trouble: Trouble| Event::Trouble { area: "routes", message: trouble.to_string() };
        troubles.into_iter().map(tell).collect()
    }

    /// Gives back everything.
    pub(crate) fn close(self) {
        if let Some(routed) = self.routes {
            routed.routes.close();
        }
    }

    /// Does something to the routes; what goes wrong is for the operator to see.
    fn with_routes(&mut self, act: impl FnOnce(&mut Routes) -> Result<(), RouteError>) -> Option<Event> {
        let error = act(&mut self.routes.as_mut()?.routes).err()?;
        Some(Event::Trouble { area: "routes", message: error.to_string() })
    }
}
