//! Netlink messages: written attribute by attribute, and read without trust in their lengths.

/// Asks for an answer.
pub(crate) const REQUEST: u16 = 0x001;
/// Asks for a confirmation.
pub(crate) const ACK: u16 = 0x004;
/// Asks for everything of a kind.
pub(crate) const DUMP: u16 = 0x300;
/// Takes the place of what is there.
pub(crate) const REPLACE: u16 = 0x100;
/// Fails when it is there already.
pub(crate) const EXCLUSIVE: u16 = 0x200;
/// Makes what is not there.
pub(crate) const CREATE: u16 = 0x400;
/// Puts it behind what is there; for lists of rules.
pub(crate) const APPEND: u16 = 0x800;

pub(super) const ERROR: u16 = 2;
pub(super) const DONE: u16 = 3;

const HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
const NESTED: u16 = 0x8000;
const KIND: u16 = 0x3fff;

/// A message on its way to the kernel.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// `body` is the fixed part behind the header; its length is a multiple of four.
    pub(crate) fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | REQUEST).to_ne_bytes());
        bytes.extend_from_slice(body);
        Self { bytes }
    }

    pub(crate) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        // A value is an address, a name or a number of ours: far below what the length field can tell.
        let length = (ATTRIBUTE_HEADER + value.len()) as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    pub(crate) fn with_u32(self, kind: u16, value: u32) -> Self {
        self.with(kind, &value.to_ne_bytes())
    }

    /// In the byte order of the network, as the packet filter wants its numbers.
    pub(crate) fn with_be32(self, kind: u16, value: u32) -> Self {
        self.with(kind, &value.to_be_bytes())
    }

    /// With the zero at its end.
    pub(crate) fn with_name(self, kind: u16, name: &str) -> Self {
        let mut value = name.as_bytes().to_vec();
        value.push(0);
        self.with(kind, &value)
    }

    /// An attribute made of those that `fill` adds.
    pub(crate) fn with_nested(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        let mut filled = fill(self);
        let length = (filled.bytes.len() - start) as u16;
        filled.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        filled
    }

    /// Ready to be sent.
    pub(super) fn into_bytes(mut self, sequence: u32) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

/// A message from the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(super) sequence: u32,
    pub(crate) body: &'a [u8],
}

impl<'a> Message<'a> {
    /// A message that was put aside.
    pub(crate) fn new(kind: u16, body: &'a [u8]) -> Self {
        Self { kind, sequence: 0, body }
    }

    /// What follows a fixed part of this length.
    pub(crate) fn attributes(&self, fixed: usize) -> Attributes<'a> {
        Attributes(self.body.get(fixed..).unwrap_or_default())
    }

    /// A byte of the fixed part.
    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.body.get(at).copied().unwrap_or_default()
    }

    /// A number of the fixed part.
    pub(crate) fn number(&self, at: usize) -> u32 {
        self.body.get(at..).and_then(native_u32).unwrap_or_default()
    }
}

/// The messages of a datagram.
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let length = native_u32(self.0)? as usize;
        let whole = self.0.get(..length)?;
        let body = whole.get(HEADER..)?;
        let kind = u16::from_ne_bytes(whole.get(4..6)?.try_into().ok()?);
        let sequence = native_u32(whole.get(8..)?)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, sequence, body })
    }
}

/// Attributes, each with its kind.
#[derive(Clone)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Attributes<'a> {
    /// The first of a kind.
    pub(crate) fn find(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut each = self.clone();
        Iterator::find(&mut each, |(kind, _)| *kind == wanted).map(|(_, value)| value)
    }

    pub(crate) fn number(&self, wanted: u16) -> Option<u32> {
        self.find(wanted).and_then(native_u32)
    }

    pub(crate) fn name(&self, wanted: u16) -> Option<String> {
        let value = self.find(wanted)?;
        let value = value.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = u16::from_ne_bytes(self.0.get(0..2)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(self.0.get(2..4)?.try_into().ok()?) & KIND;
        let value = self.0.get(ATTRIBUTE_HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// A number at the start of these bytes.
pub(crate) fn native_u32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let request = Request::new(7, ACK, &[1, 2, 3, 4])
            .with_u32(1, 99)
            .with_nested(2, |inner| inner.with_name(3, "abc").with(4, &[5]));
        let bytes = request.into_bytes(42);
        let message = Messages(&bytes).next().unwrap();
        assert_eq!((message.kind, message.sequence, message.byte(1)), (7, 42, 2));
        let attributes = message.attributes(4);
        assert_eq!(attributes.number(1), Some(99));
        let inner = Attributes(attributes.find(2).unwrap());
        assert_eq!(inner.name(3).as_deref(), Some("abc"));
        assert_eq!(inner.find(4), Some(&[5][..]));
        assert_eq!(inner.find(9), None);
    }

    #[test]
    fn lengths_that_lie_end_the_reading() {
        let bytes = Request::new(7, 0, &[0; 4]).with_u32(1, 99).into_bytes(1);
        for end in 0..bytes.len() {
            assert_eq!(Messages(&bytes[..end]).count(), 0);
        }
        assert_eq!(Attributes(&[0xff, 0xff, 1, 0, 0, 0]).count(), 0);
        assert_eq!(Attributes(&[2, 0, 1, 0]).count(), 0);
        assert_eq!(Messages(&[3, 0, 0, 0]).count(), 0);
    }
}
