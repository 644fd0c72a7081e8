//! Writing certificates and keys to files.

use super::PkiError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is written.
    Keep,
    /// It gives way.
    Replace,
}

/// Writes a private key, for its owner's eyes alone from the first byte on.
pub fn write_key(path: &Path, pem: &str, existing: Existing) -> Result<(), PkiError> {
    write(path, pem, 0o600, existing)
}

/// Writes a certificate, for all to read.
pub fn write_certificate(path: &Path, pem: &str, existing: Existing) -> Result<(), PkiError> {
    write(path, pem, 0o644, existing)
}

/// A file is made anew in any case: one that was there might be open to others, or be a link to elsewhere.
fn write(path: &Path, pem: &str, mode: u32, existing: Existing) -> Result<(), PkiError> {
    let result = match existing {
        Existing::Keep => create(path, mode).and_then(|file| fill(file, pem)),
        Existing::Replace => replace(path, pem, mode),
    };
    result.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => PkiError::Exists(path.to_owned()),
        _ => PkiError::File { path: path.to_owned(), error },
    })
}

fn create(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

fn fill(mut file: File, pem: &str) -> io::Result<()> {
    file.write_all(pem.as_bytes())?;
    file.sync_all()
}

/// The old one is there until the new one is whole.
fn replace(path: &Path, pem: &str, mode: u32) -> io::Result<()> {
    let mut name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let written =
        create(&beside, mode).and_then(|file| fill(file, pem)).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // It may never have been there.
        let _ = fs::remove_file(&beside);
    }
    written
}
