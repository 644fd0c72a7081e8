//! Gives the shared library its name for the loader, which changes only when the interface breaks.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // `cargo cbuild` does so itself.
    if std::env::var_os("CARGO_FEATURE_CAPI").is_none() {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libtidegate.so.1");
    }
}
