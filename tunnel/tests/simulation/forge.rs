//! Messages that the adversary makes up. It knows what everybody on the wire can see: addresses, SPIs, message
//! ids, and all of IKE_SA_INIT.

use tidegate_ike::wire::{ExchangeType, Header, IkeSpi, MessageId};
use tidegate_sim::SimRandom;

const MARKER: [u8; 4] = [0; 4];
const NOTIFY: u8 = 41;
const DELETE: u8 = 42;
const FRAGMENT: u8 = 53;
const PROTOCOL_IKE: u8 = 1;
const PROTOCOL_ESP: u8 = 3;

/// What answers to an IKE_SA_INIT may say: INVALID_MAJOR_VERSION, INVALID_SYNTAX, NO_PROPOSAL_CHOSEN,
/// INVALID_KE_PAYLOAD, AUTHENTICATION_FAILED, TEMPORARY_FAILURE, COOKIE, REDIRECT.
const ANSWERS: [u16; 8] = [5, 7, 14, 17, 24, 43, 16390, 16407];
const INVALID_SPI: u16 = 11;

/// What a datagram is, as anybody can see.
#[derive(Debug)]
pub enum Seen {
    Ike { header: Header, marked: bool },
    Esp { spi: u32, sequence: u32 },
    Other,
}

impl Seen {
    pub fn of(port: u16, bytes: &[u8]) -> Self {
        let (marked, message) = match bytes.strip_prefix(&MARKER) {
            Some(message) => (true, message),
            None if port == 500 => (false, bytes),
            None => return Self::esp(bytes),
        };
        Header::parse(message).map_or(Self::Other, |(header, _)| Self::Ike { header, marked })
    }

    fn esp(bytes: &[u8]) -> Self {
        let word = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
        match (word(0), word(4)) {
            (Some(spi), Some(sequence)) if bytes.len() > 8 => {
                Self::Esp { spi: u32::from_be_bytes(spi), sequence: u32::from_be_bytes(sequence) }
            }
            _ => Self::Other,
        }
    }
}

/// An answer in clear to a request: a refusal, or a cookie.
pub fn answer(request: &Header, marked: bool, random: &mut SimRandom) -> Vec<u8> {
    let kind = ANSWERS[random.below(ANSWERS.len() as u64) as usize];
    let mut data = vec![0; random.below(40) as usize];
    random.fill(&mut data);
    // Of a group that exists, as a rule.
    if kind == 17 {
        data = [14_u16, 19, 31, 77][random.below(4) as usize].to_be_bytes().to_vec();
    }
    let header = Header { from_initiator: !request.from_initiator, response: true, ..*request };
    message(header, marked, NOTIFY, &notify(kind, 0, &[], &data))
}

/// Says that nobody has an ESP SPI, outside of any IKE SA.
pub fn invalid_spi(spi: u32, random: &mut SimRandom) -> Vec<u8> {
    let header = request(random, ExchangeType::Informational, 0);
    message(header, true, NOTIFY, &notify(INVALID_SPI, 0, &[], &spi.to_be_bytes()))
}

/// Deletes an IKE SA or a child, in clear, under the SPIs and one of the next message ids of an SA.
pub fn delete(of: &Header, marked: bool, random: &mut SimRandom) -> Vec<u8> {
    let id = MessageId(of.message_id.0.wrapping_add(random.below(3) as u32));
    let exchange = ExchangeType::Informational;
    let header = Header { exchange, response: false, message_id: id, ..*of };
    let body = match random.below(2) {
        0 => vec![0, 0, 0, 8, PROTOCOL_IKE, 0, 0, 0],
        _ => {
            let mut body = vec![0, 0, 0, 12, PROTOCOL_ESP, 4, 0, 1];
            body.extend((random.next_u64() as u32).to_be_bytes());
            body
        }
    };
    message(header, marked, DELETE, &body)
}

/// A fragment of a message that will never be whole, in a header that fits.
pub fn fragment(of: &Header, marked: bool, random: &mut SimRandom) -> Vec<u8> {
    let id = MessageId(of.message_id.0.wrapping_add(random.below(4) as u32));
    let length = 40 + random.below(500) as usize;
    let (number, total) = (1 + random.below(300) as u16, 1 + random.below(300) as u16);
    let mut body = vec![0, 0];
    body.extend((length as u16 + 8).to_be_bytes());
    body.extend(number.to_be_bytes());
    body.extend(total.to_be_bytes());
    let mut rest = vec![0; length];
    random.fill(&mut rest);
    body.extend(rest);
    message(Header { message_id: id, ..*of }, marked, FRAGMENT, &body)
}

/// An ESP packet that nobody has sealed, ahead of all that were.
pub fn esp(spi: u32, sequence: u32, random: &mut SimRandom) -> Vec<u8> {
    let mut packet = vec![0; 36 + 4 * random.below(60) as usize];
    random.fill(&mut packet);
    packet[..4].copy_from_slice(&spi.to_be_bytes());
    let ahead = sequence.wrapping_add(random.below(1 << 20) as u32);
    packet[4..8].copy_from_slice(&ahead.to_be_bytes());
    packet
}

/// A copy of an IKE_SA_INIT that begins another IKE SA.
pub fn another_beginning(request: &[u8], marked: bool, random: &mut SimRandom) -> Vec<u8> {
    let mut bytes = request.to_vec();
    let at = if marked { MARKER.len() } else { 0 };
    if let Some(spi) = bytes.get_mut(at..at + 8) {
        spi.copy_from_slice(&(random.next_u64() | 1).to_be_bytes());
    }
    bytes
}

fn request(random: &mut SimRandom, exchange: ExchangeType, id: u32) -> Header {
    Header {
        initiator_spi: IkeSpi(random.next_u64() | 1),
        responder_spi: IkeSpi(0),
        next_payload: 0,
        major_version: 2,
        minor_version: 0,
        exchange,
        from_initiator: true,
        higher_version: false,
        response: false,
        message_id: MessageId(id),
        length: 0,
    }
}

fn notify(kind: u16, protocol: u8, spi: &[u8], data: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0];
    body.extend((8 + spi.len() as u16 + data.len() as u16).to_be_bytes());
    body.extend([protocol, spi.len() as u8]);
    body.extend(kind.to_be_bytes());
    body.extend(spi);
    body.extend(data);
    body
}

fn message(header: Header, marked: bool, first: u8, body: &[u8]) -> Vec<u8> {
    let length = (Header::LEN + body.len()) as u32;
    let mut bytes = if marked { MARKER.to_vec() } else { Vec::new() };
    bytes.extend(Header { next_payload: first, length, ..header }.emit());
    bytes.extend(body);
    bytes
}
