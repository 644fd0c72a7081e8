//! Atomics under one name, so that a test can put a model checker's in their place.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
