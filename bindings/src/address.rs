//! IP addresses with ports.

use crate::error::{Failure, guard, tidegate_error};
use crate::handle::put;
use crate::text::{tidegate_buffer, tidegate_text};
use crate::tidegate_code;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// An IP address and a port.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_address {
    /// 4 or 6; 0 where there is none.
    pub family: u8,
    /// Always 0.
    pub reserved: u8,
    /// In the order of this machine, not of the network.
    pub port: u16,
    /// Which link, of a link-local IPv6 address.
    pub scope: u32,
    /// In the order of the network; of IPv4 the first four count.
    pub octets: [u8; 16],
}

/// Reads "192.0.2.1", "192.0.2.1:500", "fd00::1" or "[fd00::1]:500". Without a port, that is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_address_parse(
    text: tidegate_text,
    address: *mut tidegate_address,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = || {
        // SAFETY: the caller passes a text that is there during this call.
        let text = unsafe { text.name("the address") }?;
        let parsed = text.parse::<SocketAddr>().or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, 0)));
        let parsed = parsed.map_err(|_| Failure::argument(format_args!("{text:?} is no IP address")))?;
        // SAFETY: null, or the caller's room for an address.
        unsafe { put(address, parsed.into(), "the place for the address") }
    };
    // SAFETY: null, or the caller's room for a pointer.
    unsafe { guard(error, act) }
}

/// Writes an address, with its port where it has one. The text is the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_address_format(
    address: tidegate_address,
    text: *mut tidegate_buffer,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = || {
        let address = address.socket("the address")?;
        let written = if address.port() == 0 { address.ip().to_string() } else { address.to_string() };
        // SAFETY: null, or the caller's room for a buffer.
        unsafe { put(text, tidegate_buffer::new(written), "the place for the text") }
    };
    // SAFETY: null, or the caller's room for a pointer.
    unsafe { guard(error, act) }
}

impl tidegate_address {
    pub(crate) const NONE: Self = Self { family: 0, reserved: 0, port: 0, scope: 0, octets: [0; 16] };

    pub(crate) fn socket(&self, what: &str) -> Result<SocketAddr, Failure> {
        let [a, b, c, d, ..] = self.octets;
        match self.family {
            4 => Ok(SocketAddr::new(IpAddr::from([a, b, c, d]), self.port)),
            6 => Ok(SocketAddrV6::new(self.octets.into(), self.port, 0, self.scope).into()),
            family => Err(Failure::argument(format_args!("{what} is of family {family}: there are 4 and 6"))),
        }
    }

    pub(crate) fn ip(&self, what: &str) -> Result<IpAddr, Failure> {
        self.socket(what).map(|socket| socket.ip())
    }
}

impl From<IpAddr> for tidegate_address {
    fn from(ip: IpAddr) -> Self {
        SocketAddr::new(ip, 0).into()
    }
}

impl From<SocketAddr> for tidegate_address {
    fn from(address: SocketAddr) -> Self {
        let none = Self { port: address.port(), ..Self::NONE };
        match address {
            SocketAddr::V4(v4) => {
                let mut octets = [0; 16];
                octets[..4].copy_from_slice(&v4.ip().octets());
                Self { family: 4, octets, ..none }
            }
            SocketAddr::V6(v6) => Self { family: 6, octets: v6.ip().octets(), scope: v6.scope_id(), ..none },
        }
    }
}
