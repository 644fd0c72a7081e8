//! What a request is about.

use crate::error::Failure;
use crate::sized::growing;
use crate::text::tidegate_text;
use std::sync::Arc;
use tidegate_esp::Spi;
use tunnel::engine::{Selection, Target};

/// What an action is about. What is said of these narrows it; a field that is 0 or empty says nothing.
///
/// - `connection` alone: the connection with all its children.
/// - `child`, with or without `connection`: a child, or all of that name.
/// - `ike_sa`: an IKE SA by its number.
/// - `spi`: a child SA by its inbound SPI.
/// - `reqid`: all child SAs of this number.
/// - nothing at all: everything.
///
/// To set up, to install and to uninstall, a connection or child has to be named.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_target {
    /// sizeof(struct tidegate_target)
    pub size: usize,
    /// A connection.
    pub connection: tidegate_text,
    /// A child.
    pub child: tidegate_text,
    /// Number of an IKE SA, as status shows it.
    pub ike_sa: u64,
    /// Inbound SPI of a child SA.
    pub spi: u32,
    /// Number that child SAs are known by from outside, fixed in their configuration or given by the engine.
    pub reqid: u32,
}

growing!(tidegate_target);

/// The same in the words of the engine.
pub(crate) struct Wanted {
    connection: Option<Arc<str>>,
    child: Option<Arc<str>>,
    ike_sa: Option<u64>,
    spi: Option<Spi>,
    reqid: Option<u32>,
}

impl Wanted {
    /// # Safety
    ///
    /// Its texts are there during this call.
    pub(crate) unsafe fn new(target: &tidegate_target) -> Result<Self, Failure> {
        // SAFETY: as for this function.
        let connection = unsafe { target.connection.read("the connection's name") }?;
        // SAFETY: as for this function.
        let child = unsafe { target.child.read("the child's name") }?;
        let named = |name: &str| (!name.is_empty()).then(|| name.into());
        let (ike_sa, spi) = ((target.ike_sa != 0).then_some(target.ike_sa), Spi::new(target.spi));
        if target.spi != 0 && spi.is_none() {
            return Err(Failure::argument(format_args!("there is no SPI {:#x}", target.spi)));
        }
        let reqid = (target.reqid != 0).then_some(target.reqid);
        let wanted = Self { connection: named(connection), child: named(child), ike_sa, spi, reqid };
        let by_name = usize::from(wanted.connection.is_some() || wanted.child.is_some());
        let by_number = [ike_sa.is_some(), spi.is_some(), reqid.is_some()].map(usize::from);
        if by_name + by_number.iter().sum::<usize>() > 1 {
            return Err(Failure::argument("name a connection or child, an IKE SA, an SPI, or a reqid"));
        }
        Ok(wanted)
    }

    pub(crate) fn target(self) -> Result<Target, Failure> {
        match self {
            Self { child: Some(child), connection, .. } => Ok(Target::Child { connection, child }),
            Self { connection: Some(connection), .. } => Ok(Target::Connection(connection)),
            _ => Err(Failure::argument("name the connection or child that is meant")),
        }
    }

    pub(crate) fn selection(self) -> Selection {
        match self {
            Self { child: Some(child), connection, .. } => Selection::Child { connection, child },
            Self { connection: Some(connection), .. } => Selection::Connection(connection),
            Self { ike_sa: Some(number), .. } => Selection::IkeSa(number),
            Self { spi: Some(spi), .. } => Selection::ChildSa(spi),
            Self { reqid: Some(reqid), .. } => Selection::Reqid(reqid),
            _ => Selection::All,
        }
    }
}
