//! Words to proposals and back.

use super::keywords::{Algorithm, unsupported};
use super::{EspProposal, IkeProposal, authenticates, encrypts};
use crate::crypto::{GroupId, PrfId};
use std::fmt;
use std::str::FromStr;
use tidegate_esp::SequenceNumbers;
use tidegate_esp::crypto::{Cipher, Integrity};

/// Why words make no proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposalError {
    /// There is nothing between two commas, or nothing at all.
    Empty,
    /// A word names no algorithm.
    UnknownWord {
        /// The word.
        word: String,
        /// The proposal it stands in.
        proposal: String,
    },
    /// A word names an algorithm that we do not have.
    Unsupported {
        /// The word.
        word: String,
        /// Why not, and what to write in its place where there is something.
        reason: &'static str,
    },
    /// Every word is known, yet together they protect nothing.
    Impossible {
        /// The proposal.
        proposal: String,
        /// What is wrong with it.
        reason: Impossible,
    },
}

/// What is wrong with a proposal of known words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impossible {
    /// No cipher is named.
    NoEncryption,
    /// No group is named, and an IKE SA always needs one.
    NoGroup,
    /// Neither a PRF is named nor an integrity algorithm it could follow from.
    NoPrf,
    /// This cipher needs an integrity algorithm and none is named.
    NoIntegrity(Cipher),
    /// This cipher does not encrypt, so it cannot carry IKE.
    NotForIke(Cipher),
    /// ESP takes its keys from the IKE SA's PRF and negotiates none.
    PrfInEsp(PrfId),
    /// IKE numbers its messages itself.
    SequenceNumbersInIke,
    /// `default` stands for whole proposals and mixes with no other word.
    DefaultInside,
}

/// The words of one proposal, sorted by kind; each algorithm once.
#[derive(Default)]
struct Words {
    encryption: Vec<Cipher>,
    integrity: Vec<Integrity>,
    prfs: Vec<PrfId>,
    groups: Vec<GroupId>,
    sequence_numbers: Vec<SequenceNumbers>,
}

impl IkeProposal {
    /// Reads a list separated by commas; `default` may be one of its members.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, ProposalError> {
        parse_list(text, Self::default_list)
    }
}

impl EspProposal {
    /// Reads a list separated by commas; `default` may be one of its members.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, ProposalError> {
        parse_list(text, Self::default_list)
    }
}

impl FromStr for IkeProposal {
    type Err = ProposalError;

    /// Where no PRF is named, it follows from the integrity algorithm; that stays true beside AEAD ciphers,
    /// which drop the integrity algorithm itself.
    fn from_str(text: &str) -> Result<Self, ProposalError> {
        let mut words = Words::read(text)?;
        if let Some(cipher) = words.encryption.iter().copied().find(|cipher| !encrypts(*cipher)) {
            return Err(impossible(text, Impossible::NotForIke(cipher)));
        }
        if !words.sequence_numbers.is_empty() {
            return Err(impossible(text, Impossible::SequenceNumbersInIke));
        }
        if words.groups.is_empty() {
            return Err(impossible(text, Impossible::NoGroup));
        }
        if words.prfs.is_empty() {
            words.prfs = words.integrity.iter().copied().map(prf_of).collect();
        }
        if words.prfs.is_empty() {
            return Err(impossible(text, Impossible::NoPrf));
        }
        words.settle_integrity(text)?;
        let Words { encryption, integrity, prfs, groups, .. } = words;
        Ok(Self { encryption, integrity, prfs, groups })
    }
}

impl FromStr for EspProposal {
    type Err = ProposalError;

    /// Without `esn` or `noesn` the sequence numbers have 32 bits.
    fn from_str(text: &str) -> Result<Self, ProposalError> {
        let mut words = Words::read(text)?;
        if let Some(prf) = words.prfs.first() {
            return Err(impossible(text, Impossible::PrfInEsp(*prf)));
        }
        words.settle_integrity(text)?;
        if words.sequence_numbers.is_empty() {
            words.sequence_numbers.push(SequenceNumbers::Short);
        }
        let Words { encryption, integrity, groups, sequence_numbers: extended_sequence, .. } = words;
        Ok(Self { encryption, integrity, groups, extended_sequence })
    }
}

impl Words {
    fn read(text: &str) -> Result<Self, ProposalError> {
        if text.is_empty() {
            return Err(ProposalError::Empty);
        }
        let mut words = Self::default();
        for word in text.split('-') {
            match Algorithm::from_word(word) {
                Some(algorithm) => words.add(algorithm),
                None => return Err(bad_word(word, text)),
            }
        }
        if words.encryption.is_empty() {
            return Err(impossible(text, Impossible::NoEncryption));
        }
        Ok(words)
    }

    fn add(&mut self, algorithm: Algorithm) {
        match algorithm {
            Algorithm::Encryption(cipher) => add_once(&mut self.encryption, cipher),
            Algorithm::Integrity(integrity) => add_once(&mut self.integrity, integrity),
            Algorithm::Prf(prf) => add_once(&mut self.prfs, prf),
            Algorithm::Group(group) => add_once(&mut self.groups, group),
            Algorithm::SequenceNumbers(width) => add_once(&mut self.sequence_numbers, width),
        }
    }

    /// RFC 5282 §8: with AEAD ciphers alone there is no integrity algorithm. Configurations that name one
    /// all the same are common, so it is dropped.
    fn settle_integrity(&mut self, text: &str) -> Result<(), ProposalError> {
        match self.encryption.iter().find(|cipher| !authenticates(**cipher)) {
            None => self.integrity.clear(),
            Some(cipher) if self.integrity.is_empty() => {
                return Err(impossible(text, Impossible::NoIntegrity(*cipher)));
            }
            Some(_) => {}
        }
        Ok(())
    }
}

impl fmt::Display for ProposalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty proposal"),
            Self::UnknownWord { word, proposal } => {
                write!(f, "unknown algorithm {word:?} in proposal {proposal:?}")
            }
            Self::Unsupported { word, reason } => write!(f, "algorithm {word:?} is not supported: {reason}"),
            Self::Impossible { proposal, reason } => {
                write!(f, "proposal {proposal:?} cannot work: {reason}")
            }
        }
    }
}

impl std::error::Error for ProposalError {}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |algorithm: Algorithm| algorithm.word().unwrap_or("this cipher");
        match *self {
            Self::NoEncryption => f.write_str("it names no cipher"),
            Self::NoGroup => f.write_str("it names no key exchange group, and IKE needs one"),
            Self::NoPrf => f.write_str("it names neither a prf nor an integrity algorithm to take it from"),
            Self::NoIntegrity(cipher) => {
                write!(f, "{} needs an integrity algorithm", word(Algorithm::Encryption(cipher)))
            }
            Self::NotForIke(cipher) => {
                write!(f, "{} does not encrypt, so IKE cannot use it", word(Algorithm::Encryption(cipher)))
            }
            Self::PrfInEsp(prf) => write!(f, "{} has no meaning for ESP", word(Algorithm::Prf(prf))),
            Self::SequenceNumbersInIke => f.write_str("esn and noesn have no meaning for IKE"),
            Self::DefaultInside => f.write_str("the word default stands alone between commas"),
        }
    }
}

/// The algorithms of a proposal in the order of their words.
pub(super) fn ike_algorithms(proposal: &IkeProposal) -> impl Iterator<Item = Algorithm> {
    let encryption = proposal.encryption.iter().copied().map(Algorithm::Encryption);
    let integrity = proposal.integrity.iter().copied().map(Algorithm::Integrity);
    let prfs = proposal.prfs.iter().copied().map(Algorithm::Prf);
    let groups = proposal.groups.iter().copied().map(Algorithm::Group);
    encryption.chain(integrity).chain(prfs).chain(groups)
}

/// The algorithms of a proposal in the order of their words; 32-bit sequence numbers alone go unsaid.
pub(super) fn esp_algorithms(proposal: &EspProposal) -> impl Iterator<Item = Algorithm> {
    let widths = match proposal.extended_sequence.as_slice() {
        [SequenceNumbers::Short] => &[],
        widths => widths,
    };
    let encryption = proposal.encryption.iter().copied().map(Algorithm::Encryption);
    let integrity = proposal.integrity.iter().copied().map(Algorithm::Integrity);
    let groups = proposal.groups.iter().copied().map(Algorithm::Group);
    let widths = widths.iter().copied().map(Algorithm::SequenceNumbers);
    encryption.chain(integrity).chain(groups).chain(widths)
}

/// Joins words by hyphens. A value that no word makes (AES-GCM with 192 bits) shows as a question mark.
pub(super) fn write_words(
    f: &mut fmt::Formatter<'_>,
    algorithms: impl Iterator<Item = Algorithm>,
) -> fmt::Result {
    for (at, algorithm) in algorithms.enumerate() {
        if at > 0 {
            f.write_str("-")?;
        }
        f.write_str(algorithm.word().unwrap_or("?"))?;
    }
    Ok(())
}

fn parse_list<P>(text: &str, default: fn() -> Vec<P>) -> Result<Vec<P>, ProposalError>
where
    P: FromStr<Err = ProposalError>,
{
    let mut list = Vec::new();
    for item in text.split(',').map(str::trim) {
        match item {
            "default" => list.extend(default()),
            item => list.push(item.parse()?),
        }
    }
    Ok(list)
}

fn bad_word(word: &str, proposal: &str) -> ProposalError {
    if word == "default" {
        return impossible(proposal, Impossible::DefaultInside);
    }
    match unsupported(word) {
        Some(reason) => ProposalError::Unsupported { word: word.to_owned(), reason },
        None => ProposalError::UnknownWord { word: word.to_owned(), proposal: proposal.to_owned() },
    }
}

fn impossible(proposal: &str, reason: Impossible) -> ProposalError {
    ProposalError::Impossible { proposal: proposal.to_owned(), reason }
}

fn add_once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

const fn prf_of(integrity: Integrity) -> PrfId {
    match integrity {
        Integrity::HmacSha1_96 => PrfId::HmacSha1,
        Integrity::HmacSha256_128 => PrfId::HmacSha256,
        Integrity::HmacSha384_192 => PrfId::HmacSha384,
        Integrity::HmacSha512_256 => PrfId::HmacSha512,
    }
}
