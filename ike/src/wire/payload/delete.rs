//! Delete payload (RFC 7296 §3.11).

use super::ProtocolId;
use crate::wire::reader::{Fault, Reader};
use crate::wire::writer::saturating_u16;
use tidegate_esp::Spi;

/// Delete payload (RFC 7296 §3.11).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delete {
    /// The IKE SA that carries the message.
    Ike,
    /// ESP SAs, by the SPIs that the sender receives on; values that can name no SA are left out.
    Esp(Vec<Spi>),
    /// Another protocol, with its number.
    Other(u8),
}

impl Delete {
    pub(in crate::wire) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(body);
        let protocol = ProtocolId::from(reader.u8()?);
        let size = usize::from(reader.u8()?);
        let count = usize::from(reader.u16()?);
        let spis = reader.rest();
        check_spi_size(protocol, size)?;
        if size.checked_mul(count) != Some(spis.len()) {
            return Err(Fault::Count { said: count, found: spis.len().checked_div(size).unwrap_or(0) });
        }
        match protocol {
            ProtocolId::Ike if count != 0 => Err(Fault::Count { said: count, found: 0 }),
            ProtocolId::Ike => Ok(Self::Ike),
            ProtocolId::Esp => Ok(Self::Esp(spis.as_chunks().0.iter().filter_map(spi).collect())),
            other => Ok(Self::Other(other.number())),
        }
    }

    pub(in crate::wire) fn write(&self, body: &mut Vec<u8>) {
        match self {
            Self::Ike => body.extend([ProtocolId::Ike.number(), 0, 0, 0]),
            Self::Esp(spis) => {
                body.extend([ProtocolId::Esp.number(), 4]);
                body.extend(saturating_u16(spis.len()).to_be_bytes());
                spis.iter().for_each(|spi| body.extend(spi.to_be_bytes()));
            }
            Self::Other(protocol) => {
                let size = if *protocol == ProtocolId::Ah.number() { 4 } else { 0 };
                body.extend([*protocol, size, 0, 0]);
            }
        }
    }
}

fn check_spi_size(protocol: ProtocolId, size: usize) -> Result<(), Fault> {
    let right = match protocol {
        ProtocolId::Ike => size == 0,
        ProtocolId::Ah | ProtocolId::Esp => size == 4,
        ProtocolId::None | ProtocolId::Other(_) => true,
    };
    if right { Ok(()) } else { Err(Fault::SpiSize { protocol, size }) }
}

fn spi(bytes: &[u8; 4]) -> Option<Spi> {
    Spi::new(u32::from_be_bytes(*bytes))
}
