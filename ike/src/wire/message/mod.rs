//! Messages as the handlers see them: one type for each exchange and direction, every payload in its place.

mod auth;
mod child;
mod create_child;
mod informational;
mod init;
mod round;

pub use auth::{AuthAccepted, AuthRequest, AuthResponse, ChildOutcome};
pub use child::{ChildAccepted, ChildOffer};
pub use create_child::{
    ChildRequest, ChildResponse, CreateChildRequest, CreateChildResponse, RekeyIkeMessage,
};
pub use informational::Informational;
pub use init::{SaInitAccepted, SaInitRequest, SaInitResponse};
pub use round::{Claimed, FurtherAccepted, FurtherRequest, FurtherResponse};
