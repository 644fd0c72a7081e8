//! The fixed header in front of every message (RFC 7296 §3.1).

use super::reader::Reader;
use super::{PayloadChain, WireError};

/// An IKE SPI; zero stands for the responder's before it has chosen one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct IkeSpi(pub u64);

/// Number of a request and its response within one direction of an IKE SA.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct MessageId(pub u32);

/// Exchange types; unknown ones survive as numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ExchangeType {
    /// 34
    IkeSaInit,
    /// 35
    IkeAuth,
    /// 36
    CreateChildSa,
    /// 37
    Informational,
    /// Anything else.
    Other(u8),
}

/// The fixed header (RFC 7296 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// SPI chosen by the initiator of the IKE SA.
    pub initiator_spi: IkeSpi,
    /// SPI chosen by the responder of the IKE SA.
    pub responder_spi: IkeSpi,
    /// Type of the first payload.
    pub next_payload: u8,
    /// Major version; ours is 2.
    pub major_version: u8,
    /// Minor version; ours is 0 and any is taken.
    pub minor_version: u8,
    /// Exchange.
    pub exchange: ExchangeType,
    /// The sender is the original initiator of the IKE SA.
    pub from_initiator: bool,
    /// The sender speaks a higher major version too.
    pub higher_version: bool,
    /// It answers a request.
    pub response: bool,
    /// Message id.
    pub message_id: MessageId,
    /// Length of the whole message.
    pub length: u32,
}

impl Header {
    /// Bytes of the header.
    pub const LEN: usize = 28;
    /// The major version that we speak.
    pub const MAJOR_VERSION: u8 = 2;

    /// Splits a datagram into its header and the payloads.
    ///
    /// Any major version is taken: the caller answers one above ours with INVALID_MAJOR_VERSION
    /// (RFC 7296 §2.5), which it can only do knowing the header.
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), WireError> {
        let mut reader = Reader::new(datagram);
        let header = Self::read(&mut reader).map_err(|_| WireError::ShortHeader(datagram.len()))?;
        if u32::try_from(datagram.len()) != Ok(header.length) {
            return Err(WireError::LengthField { said: header.length, datagram: datagram.len() });
        }
        // RFC 7296 §3.1: the initiator's SPI is never zero.
        if header.initiator_spi == IkeSpi::default() {
            return Err(WireError::NoInitiatorSpi);
        }
        Ok((header, reader.rest()))
    }

    /// The header as it stands on the wire.
    pub fn emit(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let version = (self.major_version << 4) | (self.minor_version & 0x0f);
        let fields = self
            .initiator_spi
            .0
            .to_be_bytes()
            .into_iter()
            .chain(self.responder_spi.0.to_be_bytes())
            .chain([self.next_payload, version, self.exchange.number(), self.flags()])
            .chain(self.message_id.0.to_be_bytes())
            .chain(self.length.to_be_bytes());
        bytes.iter_mut().zip(fields).for_each(|(byte, field)| *byte = field);
        bytes
    }

    /// A whole message without protection: this header, its length and first payload filled in, and `chain`.
    pub fn emit_with(mut self, chain: &PayloadChain) -> Result<Vec<u8>, WireError> {
        let length = Self::LEN.saturating_add(chain.bytes.len());
        self.length = u32::from(u16::try_from(length).map_err(|_| WireError::TooLong(length))?);
        self.next_payload = chain.first;
        let mut datagram = Vec::with_capacity(length);
        datagram.extend(self.emit());
        datagram.extend(&chain.bytes);
        Ok(datagram)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, super::Fault> {
        let initiator_spi = IkeSpi(reader.u64()?);
        let responder_spi = IkeSpi(reader.u64()?);
        let next_payload = reader.u8()?;
        let version = reader.u8()?;
        let exchange = ExchangeType::from(reader.u8()?);
        // RFC 7296 §3.1: bits without a meaning are ignored.
        let flags = reader.u8()?;
        Ok(Self {
            initiator_spi,
            responder_spi,
            next_payload,
            major_version: version >> 4,
            minor_version: version & 0x0f,
            exchange,
            from_initiator: flags & flag::INITIATOR != 0,
            higher_version: flags & flag::VERSION != 0,
            response: flags & flag::RESPONSE != 0,
            message_id: MessageId(reader.u32()?),
            length: reader.u32()?,
        })
    }

    fn flags(&self) -> u8 {
        [
            (self.from_initiator, flag::INITIATOR),
            (self.higher_version, flag::VERSION),
            (self.response, flag::RESPONSE),
        ]
        .into_iter()
        .filter(|(set, _)| *set)
        .fold(0, |flags, (_, bit)| flags | bit)
    }
}

impl ExchangeType {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::IkeSaInit => 34,
            Self::IkeAuth => 35,
            Self::CreateChildSa => 36,
            Self::Informational => 37,
            Self::Other(number) => number,
        }
    }
}

impl From<u8> for ExchangeType {
    fn from(number: u8) -> Self {
        match number {
            34 => Self::IkeSaInit,
            35 => Self::IkeAuth,
            36 => Self::CreateChildSa,
            37 => Self::Informational,
            other => Self::Other(other),
        }
    }
}

mod flag {
    pub(super) const INITIATOR: u8 = 0x08;
    pub(super) const VERSION: u8 = 0x10;
    pub(super) const RESPONSE: u8 = 0x20;
}
