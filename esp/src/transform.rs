//! How an ESP packet is laid before its suite: what is nonce, what is associated, what is ciphertext.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::SequenceNumbers;
use crate::crypto::{AEAD_ICV_LEN, AEAD_IV_LEN, Cipher, OpeningKey, SealingKey, Suite};
use crate::wire::HEADER_LEN;

/// Of a packet under GMAC, the room in front of the bytes that move up for the high half.
const SPI_LEN: usize = 4;
const HIGH_LEN: usize = 4;
/// Where the SPI is in a header taken as one number.
const SPI_MASK: u64 = 0xffff_ffff_0000_0000;

/// The lengths and rules of a suite in ESP, worked out once for an SA.
#[derive(Clone, Copy)]
pub(crate) struct Transform {
    coverage: Coverage,
    sequence_numbers: SequenceNumbers,
    implicit_iv: bool,
    iv_len: usize,
    icv_len: usize,
}

/// Sealing or opening failed; which of its reasons does not matter to ESP.
pub(crate) struct Failed;

/// What the integrity check covers besides the ciphertext.
#[derive(Clone, Copy)]
enum Coverage {
    /// The header, with the whole sequence number (RFC 4106 §5, RFC 7634 §2.1).
    Associated,
    /// The header as sent, the IV, and the high half behind the ciphertext (RFC 4303 §3.3.2.1).
    Mac,
    /// All of the packet, with the whole sequence number (RFC 4543 §3.3).
    Gmac,
}

impl Transform {
    pub(crate) fn new(suite: Suite, sequence_numbers: SequenceNumbers) -> Self {
        let coverage = match suite.cipher() {
            Cipher::AesGcm16(_) | Cipher::ChaCha20Poly1305 => Coverage::Associated,
            Cipher::AesCbc(_) | Cipher::Null => Coverage::Mac,
            Cipher::AesGmac(_) => Coverage::Gmac,
        };
        Self {
            coverage,
            sequence_numbers,
            implicit_iv: suite.implicit_iv(),
            iv_len: suite.iv_len(),
            icv_len: suite.icv_len(),
        }
    }

    /// Length of what stands in front of the ciphertext.
    pub(crate) fn front_len(&self) -> usize {
        HEADER_LEN.saturating_add(self.iv_len)
    }

    pub(crate) fn iv_len(&self) -> usize {
        self.iv_len
    }

    pub(crate) fn icv_len(&self) -> usize {
        self.icv_len
    }

    /// Seals a packet whose header, IV and plaintext stand in place and whose last bytes are room for the
    /// ICV.
    #[inline]
    pub(crate) fn seal(&self, key: &SealingKey, number: u64, packet: &mut [u8]) -> Result<(), Failed> {
        if let Coverage::Gmac = self.coverage {
            return self.seal_gmac(key, number, packet);
        }
        let (header, rest) = packet.split_first_chunk_mut::<HEADER_LEN>().ok_or(Failed)?;
        let (iv, rest) = rest.split_at_mut_checked(self.iv_len).ok_or(Failed)?;
        let body_len = rest.len().checked_sub(self.icv_len).ok_or(Failed)?;
        let (body, icv) = rest.split_at_mut_checked(body_len).ok_or(Failed)?;
        if let Coverage::Mac = self.coverage {
            return key.seal(iv, header, body, self.tail(number).as_slice(), icv).map_err(|_| Failed);
        }
        let nonce = self.aead_iv(iv, number).ok_or(Failed)?;
        let associated = Associated::new(header, self.sequence_numbers, number);
        key.seal(&nonce, associated.as_slice(), body, &[], icv).map_err(|_| Failed)
    }

    /// Opens a packet in place. Its plaintext, padding and trailer included, is what it returns.
    #[inline]
    pub(crate) fn open<'a>(
        &self,
        key: &OpeningKey,
        number: u64,
        packet: &'a mut [u8],
    ) -> Result<&'a mut [u8], Failed> {
        if let Coverage::Gmac = self.coverage {
            return self.open_gmac(key, number, packet);
        }
        let (header, rest) = packet.split_first_chunk_mut::<HEADER_LEN>().ok_or(Failed)?;
        let (iv, body_and_icv) = rest.split_at_mut_checked(self.iv_len).ok_or(Failed)?;
        if let Coverage::Mac = self.coverage {
            return key.open(iv, header, body_and_icv, self.tail(number).as_slice()).map_err(|_| Failed);
        }
        let nonce = self.aead_iv(iv, number).ok_or(Failed)?;
        let associated = Associated::new(header, self.sequence_numbers, number);
        key.open(&nonce, associated.as_slice(), body_and_icv, &[]).map_err(|_| Failed)
    }

    /// What follows the salt in the nonce.
    #[inline]
    fn aead_iv(&self, sent: &[u8], number: u64) -> Option<[u8; AEAD_IV_LEN]> {
        // RFC 8750 §4: what is not sent is the whole sequence number.
        if self.implicit_iv { Some(number.to_be_bytes()) } else { sent.first_chunk().copied() }
    }

    #[inline]
    fn tail(&self, number: u64) -> Tail {
        match self.sequence_numbers {
            SequenceNumbers::Short => Tail::Empty,
            SequenceNumbers::Extended => {
                let [h0, h1, h2, h3, ..] = number.to_be_bytes();
                Tail::High([h0, h1, h2, h3])
            }
        }
    }

    fn seal_gmac(&self, key: &SealingKey, number: u64, packet: &mut [u8]) -> Result<(), Failed> {
        let iv = gmac_iv(packet).ok_or(Failed)?;
        let mut icv = [0; AEAD_ICV_LEN];
        self.with_gmac_input(number, packet, |input| key.seal(&iv, input, &mut [], &[], &mut icv))
            .ok_or(Failed)?
            .map_err(|_| Failed)?;
        *packet.last_chunk_mut().ok_or(Failed)? = icv;
        Ok(())
    }

    fn open_gmac<'a>(
        &self,
        key: &OpeningKey,
        number: u64,
        packet: &'a mut [u8],
    ) -> Result<&'a mut [u8], Failed> {
        let iv = gmac_iv(packet).ok_or(Failed)?;
        let mut icv: [u8; AEAD_ICV_LEN] = *packet.last_chunk().ok_or(Failed)?;
        self.with_gmac_input(number, packet, |input| key.open(&iv, input, &mut icv, &[]).map(|_| ()))
            .ok_or(Failed)?
            .map_err(|_| Failed)?;
        let end = packet.len().checked_sub(AEAD_ICV_LEN).ok_or(Failed)?;
        packet.get_mut(self.front_len()..end).ok_or(Failed)
    }

    /// Calls `then` with everything GMAC authenticates, in one piece, as both providers want it. The high
    /// half of an extended number belongs behind the SPI: the rest moves up for it, over the room of the
    /// ICV, and back. The ICV is lost by this, the packet is as it was.
    fn with_gmac_input<R>(&self, number: u64, packet: &mut [u8], then: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let end = packet.len().checked_sub(AEAD_ICV_LEN)?;
        if end < self.front_len() {
            return None;
        }
        match self.sequence_numbers {
            SequenceNumbers::Short => packet.get(..end).map(then),
            SequenceNumbers::Extended => {
                let moved_end = end.checked_add(HIGH_LEN)?;
                let [h0, h1, h2, h3, ..] = number.to_be_bytes();
                packet.copy_within(SPI_LEN..end, SPI_LEN.checked_add(HIGH_LEN)?);
                packet.get_mut(SPI_LEN..)?.first_chunk_mut().map(|high| *high = [h0, h1, h2, h3])?;
                let result = packet.get(..moved_end).map(then);
                packet.copy_within(SPI_LEN.checked_add(HIGH_LEN)?..moved_end, SPI_LEN);
                result
            }
        }
    }
}

/// What an AEAD authenticates in front of the ciphertext: the header where it stands, or with the high half
/// of the number in its midst.
enum Associated<'a> {
    Header(&'a [u8; HEADER_LEN]),
    Extended([u8; HEADER_LEN + HIGH_LEN]),
}

impl<'a> Associated<'a> {
    #[inline]
    fn new(header: &'a [u8; HEADER_LEN], sequence_numbers: SequenceNumbers, number: u64) -> Self {
        match sequence_numbers {
            SequenceNumbers::Short => Self::Header(header),
            SequenceNumbers::Extended => {
                // In the two words in which it is read, as for the nonce.
                let header = u64::from_be_bytes(*header);
                let front = header & SPI_MASK | number >> 32;
                let mut bytes = [0; HEADER_LEN + HIGH_LEN];
                let (first, second) = bytes.split_at_mut(HEADER_LEN);
                first.copy_from_slice(&front.to_be_bytes());
                second.copy_from_slice(&(header as u32).to_be_bytes());
                Self::Extended(bytes)
            }
        }
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Header(header) => *header,
            Self::Extended(bytes) => bytes,
        }
    }
}

enum Tail {
    Empty,
    High([u8; HIGH_LEN]),
}

impl Tail {
    #[inline]
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::High(bytes) => bytes,
        }
    }
}

fn gmac_iv(packet: &[u8]) -> Option<[u8; AEAD_IV_LEN]> {
    packet.get(HEADER_LEN..)?.first_chunk().copied()
}
