//! What clients load: from messages to types, with all that charon's options mean.
//!
//! 1. `options` reads a section key by key. What nobody asked for in the end is an unknown option.
//! 2. `values` reads single values as charon does.
//! 3. `connection` reads a whole connection: `rounds` and `auth` its `local` and `remote` sections,
//!    `child` its children, `places` where its ends are, `lifetimes` what charon makes of times and
//!    volumes that were left out.
//! 4. `pool` reads addresses to give away.
//!
//! What we do not do is refused by name, or taken with a [`Warning`] where charon pays no heed to it either.

mod auth;
mod child;
mod connection;
mod fault;
mod lifetimes;
mod options;
mod places;
mod pool;
mod rounds;
mod values;

pub use connection::{Described, Shown};
pub use fault::{LoadFault, ValueFault, Warning};
pub use pool::DescribedPool;
