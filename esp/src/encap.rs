//! What shares one UDP port with ESP (RFC 3948): IKE behind a marker, and keepalives.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// Stands in front of IKE where ESP would have its SPI, which is never zero (RFC 3948 §2.2).
pub const NON_ESP_MARKER: [u8; 4] = [0; 4];

/// The whole payload of a keepalive (RFC 3948 §2.3).
pub const KEEPALIVE: [u8; 1] = [0xff];

/// A UDP payload by what it carries.
#[derive(Debug, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// Holds a NAT mapping open and says nothing.
    Keepalive,
    /// An IKE message, the marker taken off.
    Ike(&'a mut [u8]),
    /// An ESP packet, or what is too short for one.
    Esp(&'a mut [u8]),
}

/// Sorts the payload of a datagram that came to the port for encapsulated ESP.
#[inline]
pub fn sort(payload: &mut [u8]) -> Datagram<'_> {
    if *payload == KEEPALIVE {
        return Datagram::Keepalive;
    }
    if !payload.starts_with(&NON_ESP_MARKER) {
        return Datagram::Esp(payload);
    }
    Datagram::Ike(payload.get_mut(NON_ESP_MARKER.len()..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_of_ones_is_a_keepalive() {
        assert_eq!(sort(&mut [0xff]), Datagram::Keepalive);
        assert_eq!(sort(&mut [0xff, 0xff]), Datagram::Esp(&mut [0xff, 0xff]));
        assert_eq!(sort(&mut [0xfe]), Datagram::Esp(&mut [0xfe]));
    }

    #[test]
    fn four_zero_bytes_announce_ike() {
        assert_eq!(sort(&mut [0, 0, 0, 0, 9, 8]), Datagram::Ike(&mut [9, 8]));
        assert_eq!(sort(&mut [0, 0, 0, 0]), Datagram::Ike(&mut []));
    }

    #[test]
    fn everything_else_is_for_esp_to_judge() {
        assert_eq!(sort(&mut []), Datagram::Esp(&mut []));
        assert_eq!(sort(&mut [0, 0, 0]), Datagram::Esp(&mut [0, 0, 0]));
        assert_eq!(sort(&mut [0, 0, 1, 0, 0]), Datagram::Esp(&mut [0, 0, 1, 0, 0]));
    }
}
