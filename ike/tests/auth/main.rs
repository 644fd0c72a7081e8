//! Identities, certificates and AUTH payloads.

mod certificates;
mod constraints;
mod identity;
mod known;
mod methods;
mod revocation;
mod support;
mod wanted;
