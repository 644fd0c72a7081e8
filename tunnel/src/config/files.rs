//! The files that a configuration names: certificates, keys, secrets.

use super::mistake::FileFault;
use super::vault::Vault;
use ring::digest;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_ike::WallTime;
use tidegate_ike::auth::{
    LocalAuth, LocalAuthError, LocalCertificate, RemoteAuth, RemoteCertificates, Revocation, RsaPadding,
    RsaSha1, TrustStore,
};
use tidegate_ike::crypto::pem::{self, PemError};
use tidegate_ike::crypto::{RING, Secret, SigningKey};
use zeroize::Zeroizing;

/// A clock that shows less is wrong: this version was made later. 2026-01-01.
pub(crate) const BUILD: WallTime = WallTime(1_767_225_600);

/// Nothing that belongs here is longer.
const LONGEST: u64 = 1 << 20;

/// What authentication is made of, by content: equal where the files are. It says nothing about secrets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        Self(context.finish().as_ref().try_into().unwrap_or_default())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    /// A digest of a short secret would give it away.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fingerprint").finish_non_exhaustive()
    }
}

/// Something read from files, and what they held.
#[derive(Debug)]
pub(super) struct Loaded<T> {
    pub(super) auth: Arc<T>,
    pub(super) print: Fingerprint,
}

impl<T> Clone for Loaded<T> {
    fn clone(&self) -> Self {
        Self { auth: Arc::clone(&self.auth), print: self.print }
    }
}

/// A key that signs, and what tells it from another.
type Signer = (Arc<dyn SigningKey>, Zeroizing<Vec<u8>>);

/// What went wrong, and with which file.
pub(super) type Failure = (PathBuf, FileFault);

/// Reads files, and remembers which. What a vault holds is taken from there.
#[derive(Default)]
pub(super) struct Files {
    base: PathBuf,
    vault: Vault,
    read: BTreeSet<PathBuf>,
    /// A node's secret is often that of many peers.
    secrets: BTreeMap<PathBuf, Secret>,
}

impl Files {
    pub(super) fn new(base: PathBuf, vault: Vault) -> Self {
        Self { base, vault, read: BTreeSet::new(), secrets: BTreeMap::new() }
    }

    /// Every file and folder that was read or was to be read.
    pub(super) fn into_paths(self) -> BTreeSet<PathBuf> {
        self.read
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    /// A certificate with its chain, and its key.
    pub(super) fn certificate(&mut self, certificate: &str, key: &str) -> Result<Loaded<LocalAuth>, Failure> {
        let (certificate, key) = (self.path(certificate), self.path(key));
        let chain_bytes = self.bytes(&certificate)?;
        let chain = of_file(&certificate, ders(&chain_bytes, pem::certificates).map_err(FileFault::Pem))?;
        let (signer, key_bytes) = self.signer(&key)?;
        let local = LocalCertificate::new(&chain, signer, RsaPadding::Pkcs1).map_err(FileFault::Pair);
        // Whatever is wrong with the pair shows first at the key if it is another's.
        let blamed = match &local {
            Err(FileFault::Pair(LocalAuthError::KeyMismatch { .. })) => &key,
            _ => &certificate,
        };
        let local = of_file(blamed, local)?;
        let print = Fingerprint::of(&[b"certificate", &chain_bytes, &key_bytes]);
        Ok(Loaded { auth: Arc::new(LocalAuth::Certificate(local)), print })
    }

    /// A key, and what tells it from another: a file's content, or the public half of one that is elsewhere.
    fn signer(&mut self, path: &Path) -> Result<Signer, Failure> {
        if let Some(signer) = self.vault.signer(self.name_of(path)) {
            let public = Zeroizing::new(signer.public_key().to_vec());
            return Ok((signer, public));
        }
        let bytes = self.secret_bytes(path)?;
        Ok((of_file(path, signing_key(&bytes))?, bytes))
    }

    /// As it was written.
    fn name_of<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.base).unwrap_or(path)
    }

    /// Anchors and revocation lists, from files or folders of files.
    pub(super) fn trust(
        &mut self,
        anchors: &[PathBuf],
        lists: &[PathBuf],
        revocation: Revocation,
    ) -> Result<Loaded<RemoteAuth>, Failure> {
        let mut store = TrustStore::new(BUILD, revocation);
        let mut contents: Vec<Vec<u8>> = vec![vec![revocation as u8]];
        for path in self.expanded(anchors)? {
            let bytes = self.bytes(&path)?;
            for der in of_file(&path, ders(&bytes, pem::certificates).map_err(FileFault::Pem))? {
                let added =
                    store.add_anchor(&der).map_err(|verdict| FileFault::Certificate(Box::new(verdict)));
                of_file(&path, added)?;
            }
            contents.push(bytes);
        }
        contents.push(b"lists".to_vec());
        for path in self.expanded(lists)? {
            let bytes = self.bytes(&path)?;
            for der in of_file(&path, ders(&bytes, pem::revocation_lists).map_err(FileFault::Pem))? {
                of_file(&path, store.add_revocation_list(&der).map_err(FileFault::RevocationList))?;
            }
            contents.push(bytes);
        }
        let (issuers, rsa_sha1) = (Vec::new(), RsaSha1::Refuse);
        let auth = RemoteAuth::Certificates(RemoteCertificates { store: Arc::new(store), issuers, rsa_sha1 });
        let parts: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        Ok(Loaded { auth: Arc::new(auth), print: Fingerprint::of(&parts) })
    }

    /// A shared secret, for both directions.
    pub(super) fn psk(&mut self, name: &str) -> Result<(Loaded<LocalAuth>, Loaded<RemoteAuth>), Failure> {
        let path = self.path(name);
        let secret = match self.secrets.get(&path) {
            Some(secret) => secret.clone(),
            None => {
                let bytes = self.secret_bytes(&path)?;
                let secret = of_file(&path, shared_secret(&bytes))?;
                self.secrets.insert(path, secret.clone());
                secret
            }
        };
        let print = Fingerprint::of(&[b"psk", &secret]);
        let local = Loaded { auth: Arc::new(LocalAuth::Psk(secret.clone())), print };
        Ok((local, Loaded { auth: Arc::new(RemoteAuth::Psk(secret)), print }))
    }

    /// The paths, and for each folder the files in it that look like certificates or revocation lists.
    fn expanded(&mut self, all: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
        let mut paths = Vec::new();
        for path in all {
            if !path.is_dir() {
                paths.push(path.clone());
                continue;
            }
            self.read.insert(path.clone());
            let entries = fs::read_dir(path).map_err(|error| (path.clone(), FileFault::Io(error.kind())))?;
            let mut inside: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            inside.retain(|path| is_certificate_file(path));
            inside.sort();
            paths.extend(inside);
        }
        Ok(paths)
    }

    fn bytes(&mut self, path: &Path) -> Result<Vec<u8>, Failure> {
        if let Some(held) = self.vault.content(self.name_of(path)) {
            return Ok(held.to_vec());
        }
        self.read.insert(path.to_owned());
        of_file(
            path,
            File::open(path).map_err(|error| FileFault::Io(error.kind())).and_then(|file| contents(&file)),
        )
    }

    /// The permissions are those of the file that is read, whatever happens to its name meanwhile.
    fn secret_bytes(&mut self, path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
        if let Some(held) = self.vault.content(self.name_of(path)) {
            return Ok(held.clone());
        }
        self.read.insert(path.to_owned());
        let read = || {
            let io = |error: std::io::Error| FileFault::Io(error.kind());
            let file = File::open(path).map_err(io)?;
            let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
            match mode & 0o077 {
                0 => contents(&file).map(Zeroizing::new),
                _ => Err(FileFault::Loose { mode }),
            }
        };
        of_file(path, read())
    }
}

fn of_file<T>(path: &Path, result: Result<T, FileFault>) -> Result<T, Failure> {
    result.map_err(|fault| (path.to_owned(), fault))
}

/// Room for all of it is there from the start, so that no copy of a secret is left behind by growing.
pub(crate) fn contents(file: &File) -> Result<Vec<u8>, FileFault> {
    let io = |error: std::io::Error| FileFault::Io(error.kind());
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(FileFault::Io(std::io::ErrorKind::InvalidInput));
    }
    if metadata.len() > LONGEST {
        return Err(FileFault::TooLong);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0).saturating_add(1));
    file.take(LONGEST).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

fn is_certificate_file(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|it| ["pem", "crt", "cer", "der", "crl"].contains(&it)) && path.is_file()
}

/// PEM, or one structure in DER.
fn ders(
    bytes: &[u8],
    from_pem: fn(&str) -> Result<Vec<Vec<u8>>, PemError>,
) -> Result<Vec<Vec<u8>>, PemError> {
    const SEQUENCE: u8 = 0x30;
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains("-----BEGIN") => from_pem(text),
        _ if bytes.first() == Some(&SEQUENCE) => Ok(vec![bytes.to_vec()]),
        _ => Err(PemError::Missing),
    }
}

fn signing_key(bytes: &[u8]) -> Result<Arc<dyn SigningKey>, FileFault> {
    let der = match std::str::from_utf8(bytes) {
        Ok(text) => pem::private_key(text).map_err(FileFault::Pem)?,
        Err(_) => Zeroizing::new(bytes.to_vec()),
    };
    (RING.load_key)(&der).map(Arc::from).map_err(FileFault::Key)
}

/// As strongSwan reads secrets: hexadecimal behind `0x`, base64 behind `0s`, else the text itself without
/// the end of its line.
pub(crate) fn shared_secret(bytes: &[u8]) -> Result<Secret, FileFault> {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let secret = match (text.strip_prefix(b"0x"), text.strip_prefix(b"0s")) {
        (Some(digits), _) => hexadecimal(digits).ok_or(FileFault::Secret)?,
        (None, Some(digits)) => base64(digits).ok_or(FileFault::Secret)?,
        (None, None) => Zeroizing::new(text.to_vec()),
    };
    match secret.is_empty() {
        true => Err(FileFault::Secret),
        false => Ok(secret),
    }
}

fn hexadecimal(digits: &[u8]) -> Option<Secret> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut secret = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks(2) {
        let &[high, low] = pair else { return None };
        secret.push(value(high)? << 4 | value(low)?);
    }
    Some(secret)
}

fn base64(digits: &[u8]) -> Option<Secret> {
    let padding = digits.iter().rev().take_while(|digit| **digit == b'=').count();
    let digits = digits.get(..digits.len().checked_sub(padding)?)?;
    if padding > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut secret = Zeroizing::new(Vec::with_capacity(digits.len()));
    for group in digits.chunks(4) {
        let mut bits = 0u32;
        for digit in group {
            bits = bits << 6 | sextet(*digit)?;
        }
        bits <<= 6 * (4 - group.len());
        let [_, octets @ ..] = bits.to_be_bytes();
        secret.extend(octets.iter().take(group.len() - 1));
    }
    Some(secret)
}

fn sextet(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_as_text_hexadecimal_or_base64() {
        let read = |text: &str| shared_secret(text.as_bytes()).map(|secret| secret.to_vec());
        assert_eq!(read("known to both\n"), Ok(b"known to both".to_vec()));
        assert_eq!(read("spaces stay \r\n"), Ok(b"spaces stay ".to_vec()));
        assert_eq!(read("0x00ffAb"), Ok(vec![0, 255, 0xab]));
        assert_eq!(read("0sdGlkZQ=="), Ok(b"tide".to_vec()));
        assert_eq!(read("0sdGlkZWdhdGU"), Ok(b"tidegate".to_vec()));
        for wrong in ["", "\n", "0x", "0xabc", "0xzz", "0sA", "0sd===", "0s????"] {
            assert_eq!(read(wrong), Err(FileFault::Secret), "{wrong:?}");
        }
    }
}
