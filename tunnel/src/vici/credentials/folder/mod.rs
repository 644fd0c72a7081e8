//! The files that charon reads what it proves itself by from, for those who never send keys over a socket.
//!
//! 1. `ipsec.secrets` names private keys and holds shared secrets; `secrets` reads it.
//! 2. `ipsec.d` has certificates of CAs in `cacerts`, ours in `certs`, private keys in `private`, and
//!    revocation lists in `crls`; each file is PEM or DER.
//!
//! A file that cannot be read leaves in place what it said when it last could: whoever writes it may not be
//! done. One that is gone has nothing to say any more.

mod fault;
mod pattern;
mod secrets;

pub use fault::{FolderFault, Problem};
pub use secrets::{Entry, Line, LineFault, Material, lines};

use super::certificate::all_of;
use super::{CredentialFault, SharedSecret, Shelf, StoredCertificate, StoredKey, StoredList};
use crate::config;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_ike::crypto::Secret;
use tidegate_ike::crypto::pem;
use zeroize::Zeroizing;

/// The folder that has `ipsec.secrets` and `ipsec.d`.
pub struct Folder {
    base: PathBuf,
    good: Good,
}

/// What was found in a folder.
#[derive(Debug, Default)]
pub struct Found {
    /// What is of use.
    pub shelf: Shelf,
    /// What is not, or was not read in full.
    pub faults: Vec<FolderFault>,
    /// Every file and folder that was read, or was to be read.
    pub files: BTreeSet<PathBuf>,
}

/// What files said when they could last be read.
#[derive(Default)]
struct Good {
    secrets: BTreeMap<PathBuf, Arc<Vec<Line>>>,
    keys: BTreeMap<PathBuf, StoredKey>,
    certificates: BTreeMap<PathBuf, Vec<StoredCertificate>>,
    lists: BTreeMap<PathBuf, Vec<StoredList>>,
}

/// One reading under way.
struct Reading<'a> {
    base: &'a Path,
    before: &'a mut Good,
    now: Good,
    found: Found,
    included: usize,
}

impl Folder {
    /// The folder of this path, not read yet.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self { base: base.into(), good: Good::default() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.base
    }

    /// Reads all of it.
    pub fn read(&mut self) -> Found {
        let mut reading = Reading {
            base: &self.base,
            before: &mut self.good,
            now: Good::default(),
            found: Found::default(),
            included: 0,
        };
        for path in reading.inside("ipsec.d/cacerts") {
            reading.certificates(&path, Role::Authority);
        }
        for path in reading.inside("ipsec.d/certs") {
            reading.certificates(&path, Role::Own);
        }
        for path in reading.inside("ipsec.d/crls") {
            reading.lists(&path);
        }
        let secrets = reading.base.join("ipsec.secrets");
        reading.secrets(&secrets, 0);
        let Reading { now, found, .. } = reading;
        self.good = now;
        found
    }
}

/// What the certificates of a folder are for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Authority,
    Own,
}

impl Reading<'_> {
    /// The files of a folder that is there, by name.
    fn inside(&mut self, folder: &str) -> Vec<PathBuf> {
        let folder = self.base.join(folder);
        self.found.files.insert(folder.clone());
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                self.complain(&folder, Problem::Io(error.kind()));
                return Vec::new();
            }
        };
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| !is_hidden(path) && path.is_file());
        files.sort();
        if files.len() > MOST_FILES {
            self.complain(&folder, Problem::TooManyFiles { limit: MOST_FILES });
            files.truncate(MOST_FILES);
        }
        files
    }

    fn certificates(&mut self, path: &Path, role: Role) {
        let read = self.public(path).and_then(|bytes| {
            let ders = all_of(&bytes, pem::certificates).map_err(CredentialFault::Encoding)?;
            let read = ders.iter().map(|der| StoredCertificate::from_der(der));
            let read = match role {
                Role::Authority => read.map(|it| it.and_then(StoredCertificate::authority)).collect(),
                Role::Own => read.collect::<Result<Vec<_>, _>>(),
            };
            Ok(read?)
        });
        let before = self.before.certificates.remove(path);
        let Some(certificates) = self.or_before(path, read, before) else { return };
        for certificate in &certificates {
            let added = self.found.shelf.add_certificate(certificate.clone());
            self.note(path, added);
        }
        self.now.certificates.insert(path.to_owned(), certificates);
    }

    fn lists(&mut self, path: &Path) {
        let read = self.public(path).and_then(|bytes| {
            let ders = all_of(&bytes, pem::revocation_lists).map_err(CredentialFault::Encoding)?;
            Ok(ders.into_iter().map(StoredList::from_der).collect::<Result<Vec<_>, _>>()?)
        });
        let before = self.before.lists.remove(path);
        let Some(lists) = self.or_before(path, read, before) else { return };
        for list in &lists {
            let added = self.found.shelf.add_list(list.clone());
            self.note(path, added);
        }
        self.now.lists.insert(path.to_owned(), lists);
    }

    fn secrets(&mut self, path: &Path, depth: usize) {
        self.included += 1;
        if depth > DEEPEST || self.included > MOST_INCLUDED {
            return self.complain(path, Problem::TooManyIncludes);
        }
        let read = self.private(path).and_then(|bytes| {
            lines(&bytes).map(Arc::new).map_err(|(line, fault)| Problem::Line { line, fault })
        });
        let before = self.before.secrets.remove(path);
        let Some(lines) = self.or_before(path, read, before) else { return };
        self.now.secrets.insert(path.to_owned(), Arc::clone(&lines));
        for Line { number, entry } in lines.iter() {
            match entry {
                Entry::Include(pattern) => {
                    for included in self.expand(path, *number, pattern) {
                        self.secrets(&included, depth + 1);
                    }
                }
                Entry::Credential { owners, material } => match material {
                    Material::Key { file, passphrase } => {
                        let file = self.base.join("ipsec.d/private").join(file);
                        self.key(&file, passphrase.as_ref());
                    }
                    Material::Secret(secret) => {
                        let secret = SharedSecret::new(None, owners.clone(), secret.clone());
                        let added = self.found.shelf.add_secret(secret);
                        self.note(path, added);
                    }
                    Material::Unsupported(kind) => {
                        self.complain(path, Problem::Unsupported { line: *number, kind });
                    }
                },
            }
        }
    }

    fn key(&mut self, path: &Path, passphrase: Option<&Secret>) {
        let read = self.private(path).and_then(|bytes| {
            Ok(match passphrase {
                Some(passphrase) => StoredKey::read_locked(&bytes, passphrase)?,
                None => StoredKey::read(&bytes)?,
            })
        });
        let before = self.before.keys.remove(path).or_else(|| self.now.keys.get(path).cloned());
        let Some(key) = self.or_before(path, read, before) else { return };
        let added = self.found.shelf.add_key(key.clone());
        self.note(path, added);
        self.now.keys.insert(path.to_owned(), key);
    }

    /// The files that an include means, from the folder of the file that it stands in.
    fn expand(&mut self, path: &Path, line: usize, include: &str) -> Vec<PathBuf> {
        let folder = path.parent().unwrap_or(self.base);
        let meant = folder.join(include);
        let (Some(folder), Some(name)) = (meant.parent(), meant.file_name().and_then(|name| name.to_str()))
        else {
            self.complain(path, Problem::Line { line, fault: LineFault::Include });
            return Vec::new();
        };
        if !pattern::has_wildcard(name) {
            self.found.files.insert(meant.clone());
            // Distributions include files that need not be there.
            return if meant.exists() { vec![meant] } else { Vec::new() };
        }
        self.found.files.insert(folder.to_owned());
        let entries = fs::read_dir(folder).into_iter().flatten();
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        let fits = |path: &PathBuf| {
            path.file_name().and_then(|it| it.to_str()).is_some_and(|it| pattern::fits(name, it))
        };
        files.retain(|path| fits(path) && path.is_file());
        files.sort();
        files
    }

    fn public(&mut self, path: &Path) -> Result<Vec<u8>, Problem> {
        self.found.files.insert(path.to_owned());
        let file = File::open(path).map_err(|error| Problem::Io(error.kind()))?;
        config::contents(&file).map_err(Problem::File)
    }

    /// The permissions are those of the file that is read, whatever happens to its name meanwhile.
    fn private(&mut self, path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
        self.found.files.insert(path.to_owned());
        let io = |error: std::io::Error| Problem::Io(error.kind());
        let file = File::open(path).map_err(io)?;
        let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            // Agents write what they write.
            self.complain(path, Problem::Loose { mode });
        }
        config::contents(&file).map(Zeroizing::new).map_err(Problem::File)
    }

    /// What was read, else what the file said before, unless it is gone.
    fn or_before<T>(&mut self, path: &Path, read: Result<T, Problem>, before: Option<T>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(problem) => {
                let gone = matches!(problem, Problem::Io(std::io::ErrorKind::NotFound));
                let before = before.filter(|_| !gone);
                let problem = match before {
                    Some(_) => Problem::Kept(Box::new(problem)),
                    None => problem,
                };
                self.complain(path, problem);
                before
            }
        }
    }

    fn note(&mut self, path: &Path, added: Result<(), CredentialFault>) {
        if let Err(fault) = added {
            self.complain(path, fault.into());
        }
    }

    fn complain(&mut self, path: &Path, problem: Problem) {
        let fault = FolderFault { path: path.to_owned(), problem };
        if !self.found.faults.contains(&fault) {
            self.found.faults.push(fault);
        }
    }
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_none_or(|name| name.starts_with('.') || name.ends_with('~'))
}

/// Files of one folder.
const MOST_FILES: usize = 4096;
/// As charon has it.
const DEEPEST: usize = 10;
const MOST_INCLUDED: usize = 256;
