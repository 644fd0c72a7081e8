//! Exchanges that cross (RFC 7296 §2.25): one table decides every pair.
//!
//! We have sent a request, and before its answer a request of the peer's arrives. Most pairs have nothing
//! to do with each other; this table has the ones that do.

use tidegate_esp::Spi;

/// The request of ours that is under way. Children go by their inbound SPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ours {
    /// None, or one that cannot be in the way.
    Nothing,
    /// A new child.
    CreateChild,
    /// New keys for a child.
    RekeyChild(Spi),
    /// The end of a child.
    DeleteChild(Spi),
    /// New keys for the IKE SA.
    RekeyIke,
}

/// The peer's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theirs {
    /// A new child.
    CreateChild,
    /// New keys for a child of ours.
    RekeyChild(Spi),
    /// The end of a child of ours.
    DeleteChild(Spi),
    /// New keys for the IKE SA.
    RekeyIke,
    /// The end of the IKE SA.
    DeleteIke,
}

/// What becomes of the peer's request, and of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// It is answered as if ours were not there.
    Answer,
    /// It is answered as usual, and the nonces decide later which of the two successors goes.
    AnswerAndCompare,
    /// It is answered, but without naming the child: both ends are deleting it.
    AnswerWithoutDelete,
    /// It is answered as usual, and ours is forgotten.
    AnswerAndForgetOurs,
    /// It is answered with TEMPORARY_FAILURE; the peer will try again.
    TryLater,
}

/// Decides.
pub(crate) fn decide(ours: Ours, theirs: Theirs) -> Ruling {
    match (ours, theirs) {
        // §2.25.1: both rekey the same child. Both exchanges are carried out; §2.8.1 says which child goes.
        (Ours::RekeyChild(a), Theirs::RekeyChild(b)) if a == b => Ruling::AnswerAndCompare,
        // §2.25.1: we are closing what the peer wants to rekey.
        (Ours::DeleteChild(a), Theirs::RekeyChild(b)) if a == b => Ruling::TryLater,
        // §2.25.1: both close the same child; neither answer holds a Delete (§1.4.1).
        (Ours::DeleteChild(a), Theirs::DeleteChild(b)) if a == b => Ruling::AnswerWithoutDelete,
        // §2.25.1: the peer closes what we are rekeying. It goes; our request will be told so.
        (Ours::RekeyChild(a), Theirs::DeleteChild(b)) if a == b => Ruling::Answer,
        // §2.25.1: the IKE SA cannot be rekeyed while its set of children changes.
        (Ours::CreateChild | Ours::RekeyChild(_) | Ours::DeleteChild(_), Theirs::RekeyIke) => {
            Ruling::TryLater
        }

        // §2.25.2: both rekey the IKE SA. Both exchanges are carried out; §2.8.2 says which SA goes.
        (Ours::RekeyIke, Theirs::RekeyIke) => Ruling::AnswerAndCompare,
        // §2.25.2: the peer closes the IKE SA that we are rekeying.
        (Ours::RekeyIke, Theirs::DeleteIke) => Ruling::AnswerAndForgetOurs,
        // §2.25.2: a child made now could end up on the wrong one of two IKE SAs.
        (Ours::RekeyIke, Theirs::CreateChild | Theirs::RekeyChild(_)) => Ruling::TryLater,
        // §2.25.2: a child that goes is missed by neither of them.
        (Ours::RekeyIke, Theirs::DeleteChild(_)) => Ruling::Answer,

        // The IKE SA goes, and with it all that was under way on it.
        (_, Theirs::DeleteIke) => Ruling::AnswerAndForgetOurs,

        // Nothing of ours, or two different children, which do not concern each other.
        (Ours::Nothing, Theirs::RekeyIke)
        | (
            Ours::Nothing | Ours::CreateChild | Ours::RekeyChild(_) | Ours::DeleteChild(_),
            Theirs::CreateChild | Theirs::RekeyChild(_) | Theirs::DeleteChild(_),
        ) => Ruling::Answer,
    }
}
