//! The header is what the sources say, and compilers take it.

use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn header() -> PathBuf {
    folder().join("include/tidegate.h")
}

#[test]
fn the_header_is_what_the_sources_say() {
    let config = cbindgen::Config::from_file(folder().join("cbindgen.toml")).expect("a configuration");
    let sources = cbindgen::Builder::new().with_config(config);
    let sources = files(&folder().join("src")).into_iter().fold(sources, cbindgen::Builder::with_src);
    let mut made = Vec::new();
    sources.generate().expect("a header").write(&mut made);
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        std::fs::write(header(), &made).expect("it is ours");
    }
    let checked_in = std::fs::read(header()).unwrap_or_default();
    let stale = "include/tidegate.h is stale: TIDEGATE_BLESS=1 cargo test -p tidegate-ffi --test header";
    assert!(made == checked_in, "{stale}");
}

/// All sources in a fixed order, so that the header is the same everywhere.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut all: Vec<_> = entries.collect();
    all.sort();
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    all.into_iter().flat_map(below).collect()
}

#[test]
fn compilers_of_c_and_cxx_take_the_header_without_a_warning() {
    for (compiler, language, standards) in
        [("gcc", "c", &["c99", "c11", "c17"][..]), ("g++", "c++", &["c++11", "c++17", "c++20"][..])]
    {
        for standard in standards {
            let mut command = Command::new(compiler);
            command.args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-x", language]);
            // Included twice, as happens; the rest is empty.
            command
                .arg(format!("-std={standard}"))
                .arg("-include")
                .arg(header())
                .arg("-include")
                .arg(header());
            let output =
                command.arg("/dev/null").output().unwrap_or_else(|error| panic!("{compiler}: {error}"));
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{compiler} -std={standard}: {said}");
        }
    }
}
