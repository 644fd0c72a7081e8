//! Proposals: what we are configured to accept, how that is offered, and what two sides agree on.
//!
//! 1. [`IkeProposal`] and [`EspProposal`] are read from words (`aes256gcm16-prfsha384-ecp384`).
//! 2. [`ike_offer`] and [`esp_offer`] turn them into what an SA payload carries.
//! 3. [`select_ike`] and [`select_esp`] are the responder's choice, [`confirm_ike`] and [`confirm_esp`] the
//!    initiator's look at the answer.
//! 4. Where nothing fits, [`ProposalMismatch`] says what came closest.

mod keywords;
mod offer;
mod parse;
mod select;
mod verdict;

pub use keywords::TransformKind;
pub(crate) use keywords::{encryption_id, integrity_id};
pub use offer::{esp_offer, ike_offer};
pub use parse::{Impossible, ProposalError};
pub use select::{EspChoice, IkeChoice, confirm_esp, confirm_ike, select_esp, select_ike};
pub use verdict::{Difference, MismatchKind, NearestMiss, ProposalMismatch};

use crate::crypto::{GroupId, PrfId};
use std::fmt;
use tidegate_esp::SequenceNumbers;
use tidegate_esp::crypto::{AesKey, Cipher, Integrity, Suite};

/// Algorithms acceptable for an IKE SA, each list with the best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IkeProposal {
    /// Ciphers. AEAD and other ciphers may stand together: they are offered apart.
    pub encryption: Vec<Cipher>,
    /// Integrity algorithms for those ciphers that are no AEAD.
    pub integrity: Vec<Integrity>,
    /// Pseudo-random functions.
    pub prfs: Vec<PrfId>,
    /// Key exchange groups.
    pub groups: Vec<GroupId>,
}

/// Algorithms acceptable for an ESP SA, each list with the best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EspProposal {
    /// Ciphers. AEAD and other ciphers may stand together: they are offered apart.
    pub encryption: Vec<Cipher>,
    /// Integrity algorithms for those ciphers that are no AEAD.
    pub integrity: Vec<Integrity>,
    /// Key exchange groups; none means no perfect forward secrecy.
    pub groups: Vec<GroupId>,
    /// Widths of the sequence number; never empty when read from words.
    pub extended_sequence: Vec<SequenceNumbers>,
}

impl IkeProposal {
    /// What stands behind the word `default`: AEAD first, then AES-CBC with SHA-2, no SHA-1.
    pub fn default_list() -> Vec<Self> {
        let prfs = vec![PrfId::HmacSha256, PrfId::HmacSha384, PrfId::HmacSha512];
        vec![
            Self {
                encryption: DEFAULT_AEAD.to_vec(),
                integrity: Vec::new(),
                prfs: prfs.clone(),
                groups: DEFAULT_GROUPS.to_vec(),
            },
            Self {
                encryption: DEFAULT_CBC.to_vec(),
                integrity: DEFAULT_INTEGRITY.to_vec(),
                prfs,
                groups: DEFAULT_GROUPS.to_vec(),
            },
        ]
    }
}

impl IkeProposal {
    /// Whether a choice, made before it was known whom with, is within this proposal.
    pub fn allows(&self, choice: &IkeChoice) -> bool {
        let integrity = choice.suite.integrity().is_none_or(|integrity| self.integrity.contains(&integrity));
        self.encryption.contains(&choice.suite.cipher())
            && integrity
            && self.prfs.contains(&choice.prf)
            && self.groups.contains(&choice.group)
    }
}

impl EspProposal {
    /// What stands behind the word `default`: AEAD first, then AES-CBC with SHA-2; no SHA-1, no group of its
    /// own, extended sequence numbers where the peer has them.
    pub fn default_list() -> Vec<Self> {
        let extended_sequence = vec![SequenceNumbers::Extended, SequenceNumbers::Short];
        vec![
            Self {
                encryption: DEFAULT_AEAD.to_vec(),
                integrity: Vec::new(),
                groups: Vec::new(),
                extended_sequence: extended_sequence.clone(),
            },
            Self {
                encryption: DEFAULT_CBC.to_vec(),
                integrity: DEFAULT_INTEGRITY.to_vec(),
                groups: Vec::new(),
                extended_sequence,
            },
        ]
    }
}

impl fmt::Display for IkeProposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        parse::write_words(f, parse::ike_algorithms(self))
    }
}

impl fmt::Display for EspProposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        parse::write_words(f, parse::esp_algorithms(self))
    }
}

/// Whether the cipher authenticates by itself, so that no integrity algorithm goes with it.
fn authenticates(cipher: Cipher) -> bool {
    Suite::aead(cipher).is_some()
}

/// Ciphers that hide what they carry: RFC 4543 and RFC 2410 are for ESP alone.
const fn encrypts(cipher: Cipher) -> bool {
    !matches!(cipher, Cipher::Null | Cipher::AesGmac(_))
}

const DEFAULT_AEAD: &[Cipher] =
    &[Cipher::AesGcm16(AesKey::Bits128), Cipher::AesGcm16(AesKey::Bits256), Cipher::ChaCha20Poly1305];

const DEFAULT_CBC: &[Cipher] =
    &[Cipher::AesCbc(AesKey::Bits128), Cipher::AesCbc(AesKey::Bits192), Cipher::AesCbc(AesKey::Bits256)];

const DEFAULT_INTEGRITY: &[Integrity] =
    &[Integrity::HmacSha256_128, Integrity::HmacSha384_192, Integrity::HmacSha512_256];

const DEFAULT_GROUPS: &[GroupId] = &[
    GroupId::X25519,
    GroupId::Ecp256,
    GroupId::Ecp384,
    GroupId::Ecp521,
    GroupId::Modp3072,
    GroupId::Modp4096,
    GroupId::Modp2048,
];
