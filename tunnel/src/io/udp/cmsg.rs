//! Control messages and socket addresses as the kernel lays them out, read and written as bytes: nothing
//! here needs `unsafe`, and nothing trusts a length.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for all that one message may carry: addresses (IPv6's are the longer ones), traffic class, a choice
/// of fragmenting, the length of segments or, from the error queue, an error with the address of who reports it.
const CONTROL_LENGTH: usize = 128;
/// `struct cmsghdr`: a length as wide as a pointer, a level, and a type.
const HEADER: usize = size_of::<usize>() + 8;
/// `struct sockaddr_in6`, the longest that we meet.
const NAME_LENGTH: usize = 28;
const NAME_V4_LENGTH: usize = 16;

/// The control messages of one datagram.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control {
    bytes: [u8; CONTROL_LENGTH],
}

/// The address of one datagram's other end, as `struct sockaddr_in` or `sockaddr_in6`.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Name {
    bytes: [u8; NAME_LENGTH],
}

/// One control message as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// To which address a datagram came, and on which interface.
    Destination { address: IpAddr, interface: u32 },
    /// With which traffic class.
    TrafficClass(u8),
    /// Several came in one piece, each but the last of that length.
    Segment(usize),
    /// From the error queue.
    Error(ExtendedError),
    /// Something that nobody asked for.
    Other { level: i32, kind: i32, value: &'a [u8] },
}

/// `struct sock_extended_err`, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExtendedError {
    pub(super) errno: i32,
    /// What goes with it; for EMSGSIZE the MTU.
    pub(super) info: u32,
}

impl Control {
    pub(super) const EMPTY: Self = Self { bytes: [0; CONTROL_LENGTH] };

    pub(super) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.bytes.as_mut_ptr().cast()
    }

    pub(super) const fn capacity() -> usize {
        CONTROL_LENGTH
    }

    /// Lays a message behind `used` bytes of others and returns how many are used then.
    fn push(&mut self, used: usize, level: i32, kind: i32, value: &[u8]) -> usize {
        let length = HEADER + value.len();
        let end = used + align(length);
        let room = self.bytes.get_mut(used..end).expect("room for all messages of one datagram");
        let (header, body) = room.split_at_mut(HEADER);
        let (long, short) = header.split_at_mut(size_of::<usize>());
        long.copy_from_slice(&length.to_ne_bytes());
        short[..4].copy_from_slice(&level.to_ne_bytes());
        short[4..].copy_from_slice(&kind.to_ne_bytes());
        body[..value.len()].copy_from_slice(value);
        end
    }

    /// The source address of what is sent; the interface counts only where an address is not unique without.
    pub(super) fn push_source(&mut self, used: usize, source: SocketAddr) -> usize {
        match source {
            // in_pktinfo: interface, source, destination.
            SocketAddr::V4(source) => {
                let mut value = [0; 12];
                value[4..8].copy_from_slice(&source.ip().octets());
                self.push(used, libc::IPPROTO_IP, libc::IP_PKTINFO, &value)
            }
            // in6_pktinfo: source, interface.
            SocketAddr::V6(source) => {
                let mut value = [0; 20];
                value[..16].copy_from_slice(&source.ip().octets());
                value[16..].copy_from_slice(&source.scope_id().to_ne_bytes());
                self.push(used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &value)
            }
        }
    }

    /// The traffic class of what is sent to an address of that family.
    pub(super) fn push_traffic_class(&mut self, used: usize, family: Family, class: u8) -> usize {
        let value = i32::from(class).to_ne_bytes();
        match family {
            Family::V4 => self.push(used, libc::IPPROTO_IP, libc::IP_TOS, &value),
            Family::V6 => self.push(used, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &value),
        }
    }

    /// What is sent may be cut up on its way out; IPv6 alone can say so for one datagram.
    pub(super) fn push_may_fragment_v6(&mut self, used: usize) -> usize {
        self.push(used, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, &0_i32.to_ne_bytes())
    }

    /// What is sent is to be cut into datagrams of that length.
    pub(super) fn push_segment(&mut self, used: usize, length: u16) -> usize {
        self.push(used, libc::SOL_UDP, libc::UDP_SEGMENT, &length.to_ne_bytes())
    }

    /// What the kernel wrote, of which it says that it is `length` bytes.
    pub(super) fn messages(&self, length: usize) -> impl Iterator<Item = Message<'_>> {
        let mut rest = self.bytes.get(..length).unwrap_or_default();
        std::iter::from_fn(move || {
            let (length, behind) = rest.split_first_chunk()?;
            let (level, behind) = behind.split_first_chunk()?;
            let (kind, _) = behind.split_first_chunk()?;
            let length = usize::from_ne_bytes(*length);
            let value = rest.get(HEADER..length)?;
            rest = rest.get(align(length)..).unwrap_or_default();
            Some(Message::read(i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind), value))
        })
    }
}

impl<'a> Message<'a> {
    fn read(level: i32, kind: i32, value: &'a [u8]) -> Self {
        let read = match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => destination_v4(value),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => destination_v6(value),
            // IPv4 tells it as one byte, IPv6 as an int; the low byte of that is what counts.
            (libc::IPPROTO_IP, libc::IP_TOS) => value.first().copied().map(Self::TrafficClass),
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                integer(value).map(|class| Self::TrafficClass(class as u8))
            }
            (libc::SOL_UDP, libc::UDP_GRO) => {
                integer(value).and_then(|length| usize::try_from(length).ok()).map(Self::Segment)
            }
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => error(value),
            _ => None,
        };
        read.unwrap_or(Self::Other { level, kind, value })
    }
}

fn destination_v4(value: &[u8]) -> Option<Message<'static>> {
    let (interface, rest) = value.split_first_chunk()?;
    // The one of ours that an answer is to come from: not the group that a datagram may have been sent to.
    let address: &[u8; 4] = rest.first_chunk()?;
    Some(Message::Destination {
        address: Ipv4Addr::from(*address).into(),
        interface: u32::from_ne_bytes(*interface),
    })
}

fn destination_v6(value: &[u8]) -> Option<Message<'static>> {
    let (address, rest) = value.split_first_chunk::<16>()?;
    let interface = rest.first_chunk()?;
    Some(Message::Destination {
        address: Ipv6Addr::from(*address).into(),
        interface: u32::from_ne_bytes(*interface),
    })
}

fn integer(value: &[u8]) -> Option<i32> {
    value.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes))
}

/// `struct sock_extended_err`: error, four bytes about where from, info, data; then who says so.
fn error(value: &[u8]) -> Option<Message<'static>> {
    let errno = integer(value)?;
    let info = u32::from_ne_bytes(*value.get(8..)?.first_chunk()?);
    Some(Message::Error(ExtendedError { errno, info }))
}

const fn align(length: usize) -> usize {
    length.next_multiple_of(size_of::<usize>())
}

/// Which of the two kinds of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

impl Name {
    pub(super) const EMPTY: Self = Self { bytes: [0; NAME_LENGTH] };

    pub(super) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.bytes.as_mut_ptr().cast()
    }

    pub(super) const fn capacity() -> u32 {
        NAME_LENGTH as u32
    }

    /// Lays an address out and returns its length.
    pub(super) fn set(&mut self, address: SocketAddr) -> u32 {
        self.bytes = [0; NAME_LENGTH];
        self.bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(address) => {
                self.bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
                self.bytes[4..8].copy_from_slice(&address.ip().octets());
                NAME_V4_LENGTH as u32
            }
            SocketAddr::V6(address) => {
                self.bytes[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
                self.bytes[8..24].copy_from_slice(&address.ip().octets());
                self.bytes[24..].copy_from_slice(&address.scope_id().to_ne_bytes());
                NAME_LENGTH as u32
            }
        }
    }

    /// The address, if it is one of IPv4 or IPv6.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        let [f0, f1, p0, p1, rest @ ..] = &self.bytes;
        let port = u16::from_be_bytes([*p0, *p1]);
        match i32::from(u16::from_ne_bytes([*f0, *f1])) {
            libc::AF_INET => {
                let ip: &[u8; 4] = rest.first_chunk()?;
                Some(SocketAddrV4::new((*ip).into(), port).into())
            }
            libc::AF_INET6 => {
                let (ip, scope) = rest.get(4..)?.split_first_chunk::<16>()?;
                let scope = u32::from_ne_bytes(*scope.first_chunk()?);
                Some(SocketAddrV6::new((*ip).into(), port, 0, scope).into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_laid_out() {
        let mut control = Control::EMPTY;
        let used = control.push_source(0, "[2001:db8::7]:4500".parse().unwrap());
        let used = control.push_traffic_class(used, Family::V6, 0xb9);
        let used = control.push_may_fragment_v6(used);
        let messages: Vec<_> = control.messages(used).collect();
        let address = "2001:db8::7".parse().unwrap();
        assert_eq!(messages[0], Message::Destination { address, interface: 0 });
        assert_eq!(messages[1], Message::TrafficClass(0xb9));
        let (level, kind) = (libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG);
        assert_eq!(messages[2], Message::Other { level, kind, value: &[0; 4] });
        assert_eq!(messages.len(), 3);
    }

    #[test]
    fn lengths_that_lie_end_the_reading() {
        let mut control = Control::EMPTY;
        let used = control.push_traffic_class(0, Family::V4, 1);
        for length in [0, 1, HEADER - 1, CONTROL_LENGTH + 1, usize::MAX] {
            control.bytes[..size_of::<usize>()].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(control.messages(used).count(), 0, "length {length}");
        }
    }

    #[test]
    fn addresses_are_read_as_they_were_laid_out() {
        let mut name = Name::EMPTY;
        for text in ["192.0.2.1:4500", "[2001:db8::1]:500", "[fe80::1%3]:500"] {
            let address: SocketAddr = text.parse().unwrap();
            name.set(address);
            assert_eq!(name.address(), Some(address));
        }
        assert_eq!(Name::EMPTY.address(), None);
    }
}
