//! IKEv2 on the wire: bytes become typed messages here, and nowhere else.
//!
//! From the outside in: a datagram has a [`Header`] and payloads; the payloads of a protected message lie in
//! an envelope, SK or SKF ([`Sealed`], [`Reassembly`]), that its keys open elsewhere; what comes out is a
//! chain ([`Payloads`]) that one table turns into the typed message of its exchange and direction. The way
//! back is `emit`, [`split`] and [`Envelope`].

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod error;
mod fragment;
mod header;
mod message;
mod payload;
mod protected;
mod reader;
mod table;
mod writer;

pub use error::{FragmentError, MessageError, WireError};
pub use fragment::{Fragment, Novelty, Progress, Reassembly, split};
pub use header::{ExchangeType, Header, IkeSpi, MessageId};
pub use message::{
    AuthAccepted, AuthRequest, AuthResponse, ChildAccepted, ChildOffer, ChildOutcome, ChildRequest,
    ChildResponse, Claimed, CreateChildRequest, CreateChildResponse, FurtherAccepted, FurtherRequest,
    FurtherResponse, Informational, RekeyIkeMessage, SaInitAccepted, SaInitRequest, SaInitResponse,
};
pub use payload::{
    AdditionalAddresses, AuthPayload, CertificatePayload, Configuration, ConfigurationAttribute,
    ConfigurationKind, Delete, IdPayload, KeyExchange, NatDetection, Notify, NotifyType, PayloadType,
    Payloads, Proposal, ProtocolId, RawPayload, Selectors, Transform,
};
pub use protected::{Envelope, Part, Sealed, SealingSizes, unpad};
pub use reader::Fault;
pub use writer::PayloadChain;
