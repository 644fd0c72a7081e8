//! Tidegate for C and everything that calls C.
//!
//! What a function does and what it wants of its arguments stands above it, from where cbindgen carries it into
//! `include/tidegate.h`; README.md is about threads and ownership. All names are those of the header.
//!
//! - `manager` is an engine with threads of its own, `engine` one without any: time, randomness, datagrams and
//!   packets come from the caller.
//! - `options` is what both are made of, `config` reads texts for them, `credentials` and `signer` hold what is in
//!   no file.
//! - `device` hands packets over by calls, `queue` what waits for the caller; `event`, `status` and `counters`
//!   are what can be seen.
//! - `error`, `text`, `sized`, `address` and `handle` are how all of them talk to C. Every call goes through
//!   [`error::guard`], which nothing passes but a code.

#![allow(non_camel_case_types, reason = "types have one name, that of the header")]
#![allow(
    clippy::missing_safety_doc,
    reason = "what holds for all pointers stands once, at the top of the header"
)]

mod address;
mod callback;
mod code;
mod config;
mod counters;
mod credentials;
mod device;
mod engine;
mod error;
mod event;
mod handle;
mod manager;
mod options;
mod queue;
mod signer;
mod sized;
mod status;
mod target;
mod text;

pub use address::*;
pub use code::*;
pub use counters::*;
pub use credentials::*;
pub use device::*;
pub use engine::*;
pub use error::*;
pub use event::*;
pub use manager::*;
pub use options::*;
pub use signer::*;
pub use status::*;
pub use target::*;
pub use text::*;

use std::ffi::c_char;

/// Version of the interface that this header describes: major in the upper 16 bits, minor in the lower ones. A
/// program works with every library of its major version whose minor version is not below its own.
pub const TIDEGATE_ABI_VERSION: u32 = 1 << 16;

/// The version of the interface that the library has, to be compared with TIDEGATE_ABI_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_abi_version() -> u32 {
    TIDEGATE_ABI_VERSION
}

/// The version of Tidegate, such as "0.1.0". It is there for as long as the library is.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
