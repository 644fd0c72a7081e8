//! Notify payload (RFC 7296 §3.10), and the sorting of a message's notifications into the fields they mean.

use super::{NotifyType, PayloadType, ProtocolId};
use crate::wire::MessageError;
use crate::wire::reader::{Fault, Reader};
use crate::wire::writer::{ChainWriter, saturating_u8};

/// Notify payload. Status types of 16384 and above inform, those below are errors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notify {
    /// Protocol that `spi` belongs to; [`ProtocolId::None`] when there is no SPI.
    pub protocol: ProtocolId,
    /// SPI it concerns; empty when none.
    pub spi: Vec<u8>,
    /// Notify message type; names are in [`NotifyType`].
    pub kind: NotifyType,
    /// Notification data.
    pub data: Vec<u8>,
}

impl Notify {
    /// A notification that says no more than its type.
    pub const fn new(kind: NotifyType) -> Self {
        Self::with_data(kind, Vec::new())
    }

    /// A notification with data, that concerns no SA in particular.
    pub const fn with_data(kind: NotifyType, data: Vec<u8>) -> Self {
        Self { protocol: ProtocolId::None, spi: Vec::new(), kind, data }
    }

    /// Whether one of these is of this type.
    pub fn is_among(kind: NotifyType, notifies: &[Self]) -> bool {
        notifies.iter().any(|notify| notify.kind == kind)
    }

    /// INVALID_KE_PAYLOAD with the group that is wanted (RFC 7296 §1.3).
    pub fn invalid_ke(group: u16) -> Self {
        Self::with_data(NotifyType::INVALID_KE_PAYLOAD, group.to_be_bytes().to_vec())
    }

    pub(in crate::wire) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(body);
        let protocol = ProtocolId::from(reader.u8()?);
        let spi_size = usize::from(reader.u8()?);
        let kind = NotifyType(reader.u16()?);
        let spi = reader.take(spi_size)?.to_vec();
        check_spi(protocol, spi_size)?;
        // RFC 7296 §3.10: without an SPI the protocol has no meaning.
        let protocol = if spi.is_empty() { ProtocolId::None } else { protocol };
        Ok(Self { protocol, spi, kind, data: reader.rest().to_vec() })
    }

    pub(in crate::wire) fn write(&self, chain: &mut ChainWriter) {
        let spi = self.spi.get(..usize::from(u8::MAX)).unwrap_or(&self.spi);
        let protocol = if spi.is_empty() { ProtocolId::None } else { self.protocol };
        chain.payload(PayloadType::NOTIFY, |body| {
            body.extend([protocol.number(), saturating_u8(spi.len())]);
            body.extend(self.kind.0.to_be_bytes());
            body.extend(spi);
            body.extend(&self.data);
        });
    }

    /// A known notification whose inside is wrong.
    pub(in crate::wire) const fn faulty(&self, fault: Fault) -> MessageError {
        MessageError::Notify { kind: self.kind, fault }
    }
}

/// The notifications of a message; a handler's fields are taken out, the others remain.
#[derive(Default)]
pub(in crate::wire) struct Notifies(Vec<Notify>);

impl Notifies {
    pub(in crate::wire) const fn new(notifies: Vec<Notify>) -> Self {
        Self(notifies)
    }

    pub(in crate::wire) fn take_matching(&mut self, wanted: impl Fn(&Notify) -> bool) -> Vec<Notify> {
        self.0.extract_if(.., |notify| wanted(notify)).collect()
    }

    pub(in crate::wire) fn take_all(&mut self, kind: NotifyType) -> Vec<Notify> {
        self.take_matching(|notify| notify.kind == kind)
    }

    /// A notification that is there or not; said twice it says no more.
    pub(in crate::wire) fn take_flag(&mut self, kind: NotifyType) -> bool {
        !self.take_all(kind).is_empty()
    }

    /// A notification that comes once if at all, as what `parse` makes of it.
    pub(in crate::wire) fn take<T>(
        &mut self,
        kind: NotifyType,
        parse: impl FnOnce(&Notify) -> Result<T, Fault>,
    ) -> Result<Option<T>, MessageError> {
        match self.take_all(kind).as_slice() {
            [] => Ok(None),
            [notify] => parse(notify).map(Some).map_err(|fault| notify.faulty(fault)),
            _ => Err(MessageError::RepeatedNotify(kind)),
        }
    }

    /// The first error of a kind that is `wanted`.
    pub(in crate::wire) fn take_error(&mut self, wanted: impl Fn(NotifyType) -> bool) -> Option<Notify> {
        let at = self.0.iter().position(|notify| notify.kind.is_error() && wanted(notify.kind))?;
        Some(self.0.remove(at))
    }

    pub(in crate::wire) fn rest(self) -> Vec<Notify> {
        self.0
    }
}

impl ChainWriter {
    /// A notification that says no more than its type, if `shown`.
    pub(in crate::wire) fn flag(&mut self, kind: NotifyType, shown: bool) {
        if shown {
            Notify::new(kind).write(self);
        }
    }

    /// A notification with data, if there is any.
    pub(in crate::wire) fn notify(&mut self, kind: NotifyType, data: Option<impl Into<Vec<u8>>>) {
        if let Some(data) = data {
            Notify::with_data(kind, data.into()).write(self);
        }
    }

    pub(in crate::wire) fn notifies(&mut self, notifies: &[Notify]) {
        notifies.iter().for_each(|notify| notify.write(self));
    }
}

/// RFC 7296 §3.10: about the IKE SA there is no SPI, about a child it has the four bytes of ESP and AH.
fn check_spi(protocol: ProtocolId, size: usize) -> Result<(), Fault> {
    let right = match protocol {
        ProtocolId::Ike => size == 0,
        ProtocolId::Ah | ProtocolId::Esp => matches!(size, 0 | 4),
        ProtocolId::None | ProtocolId::Other(_) => true,
    };
    if right { Ok(()) } else { Err(Fault::SpiSize { protocol, size }) }
}
