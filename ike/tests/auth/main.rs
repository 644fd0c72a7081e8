//! Identities, certificates and AUTH payloads.

mod certificates;
mod constraints;
mod identity;
mod methods;
mod revocation;
mod support;
mod wanted;
