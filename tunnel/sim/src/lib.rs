//! Virtual clock and seeded network for the tests: it knows bytes only.
