//! Authorities and certificates, of every kind that nodes may have.

use crate::support::process::run;
use crate::support::tidegate;
use ::tidegate::pki;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tidegate_ike::WallTime;

/// The key of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// RSA of so many bits.
    Rsa(u16),
    /// ECDSA on the curve of so many bits.
    Ecdsa(u16),
    /// Ed25519.
    Ed25519,
}

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    /// Now.
    Current,
    /// No more.
    Expired,
}

/// What makes certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    StrongSwan,
    Tidegate,
}

/// An authority with its own folder.
pub(crate) struct Authority {
    maker: Maker,
    folder: PathBuf,
    name: String,
    key: PathBuf,
    /// Its certificate.
    pub(crate) certificate: PathBuf,
}

/// What a node needs to prove who it is.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    /// Its name in the certificate.
    pub(crate) subject: String,
    /// The certificate, and those between it and the authority.
    pub(crate) chain: PathBuf,
    /// The certificates of the chain, each in its own file, the node's first.
    pub(crate) files: Vec<PathBuf>,
    /// The private key.
    pub(crate) key: PathBuf,
}

impl Authority {
    /// An authority that trusts itself.
    pub(crate) fn new(folder: &Path, name: &str, kind: Key) -> Self {
        let key = private_key(folder, name, kind);
        let certificate = folder.join(format!("{name}.crt"));
        let mut command = Command::new("pki");
        command.args([
            "--self",
            "--ca",
            "--lifetime",
            "3650",
            "--outform",
            "pem",
            "--dn",
            &authority_subject(name),
        ]);
        command.arg("--in").arg(&key);
        write(&certificate, &run(&mut command));
        Self { maker: Maker::StrongSwan, folder: folder.to_owned(), name: name.to_owned(), key, certificate }
    }

    /// An authority as `tidegate pki` makes it, and what it issues.
    pub(crate) fn made_by_us(folder: &Path, name: &str) -> Self {
        let stem = folder.join(name);
        run(Command::new(tidegate::BINARY)
            .args(["pki", "ca", "--force", "--subject", &authority_subject(name), "--out"])
            .arg(&stem));
        let (certificate, key) = (stem.with_extension("pem"), stem.with_extension("key"));
        Self { maker: Maker::Tidegate, folder: folder.to_owned(), name: name.to_owned(), key, certificate }
    }

    /// An authority that this one vouches for.
    pub(crate) fn intermediate(&self, name: &str, kind: Key) -> Self {
        let key = private_key(&self.folder, name, kind);
        let certificate = self.folder.join(format!("{name}.crt"));
        let mut command = self.issuing(&key);
        command.args(["--ca", "--lifetime", "1825", "--dn", &authority_subject(name)]);
        write(&certificate, &run(&mut command));
        Self { maker: self.maker, folder: self.folder.clone(), name: name.to_owned(), key, certificate }
    }

    /// Credentials of a node that are valid.
    pub(crate) fn issue(&self, subject: &str, kind: Key) -> Credentials {
        match self.maker {
            Maker::StrongSwan => self.issue_as(subject, kind, Validity::Current),
            Maker::Tidegate => self.issue_by_tidegate(subject, kind),
        }
    }

    fn issue_by_tidegate(&self, subject: &str, kind: Key) -> Credentials {
        let name = subject.rsplit('=').next().unwrap_or(subject);
        let stem = self.folder.join(format!("{}-{name}", self.name));
        let kind = match kind {
            Key::Rsa(bits) => format!("rsa{bits}"),
            Key::Ecdsa(bits) => format!("p{bits}"),
            Key::Ed25519 => "ed25519".to_owned(),
        };
        let mut command = Command::new(tidegate::BINARY);
        command.args(["pki", "issue", "--force", "--subject", subject, "--san", name, "--key", &kind]);
        command.arg("--ca").arg(&self.certificate).arg("--ca-key").arg(&self.key).arg("--out").arg(&stem);
        run(&mut command);
        let (chain, key) = (stem.with_extension("pem"), stem.with_extension("key"));
        Credentials { subject: subject.to_owned(), chain: chain.clone(), files: vec![chain], key }
    }

    /// Credentials of a node.
    pub(crate) fn issue_as(&self, subject: &str, kind: Key, validity: Validity) -> Credentials {
        let name = subject.rsplit('=').next().unwrap_or(subject).to_owned();
        let stem = format!("{}-{name}-{kind:?}-{validity:?}", self.name).replace(['(', ')'], "");
        let key = private_key(&self.folder, &stem, kind);
        let certificate = self.folder.join(format!("{stem}.crt"));
        let mut command = self.issuing(&key);
        command.args(["--dn", subject, "--san", &name, "--flag", "serverAuth", "--flag", "ikeIntermediate"]);
        match validity {
            Validity::Current => command.args(["--lifetime", "730"]),
            Validity::Expired => {
                command.args(["--not-before", "01.01.20 00:00:00", "--not-after", "01.01.21 00:00:00"])
            }
        };
        write(&certificate, &run(&mut command));
        Credentials { subject: subject.to_owned(), chain: certificate.clone(), files: vec![certificate], key }
    }

    /// Credentials of a node whose certificate says where the authority's revocation list is.
    pub(crate) fn issue_with_list(&self, subject: &str, uri: &str) -> Credentials {
        let name = subject.rsplit('=').next().unwrap_or(subject);
        let stem = format!("{}-{name}-list", self.name);
        let key = private_key(&self.folder, &stem, Key::Ecdsa(256));
        let certificate = self.folder.join(format!("{stem}.crt"));
        let mut command = self.issuing(&key);
        command.args(["--dn", subject, "--san", name, "--lifetime", "730", "--crl", uri]);
        write(&certificate, &run(&mut command));
        Credentials { subject: subject.to_owned(), chain: certificate.clone(), files: vec![certificate], key }
    }

    /// Certificates and keys of many nodes as text, made at once: the keys are on a curve.
    pub(crate) fn issue_many(&self, subjects: &[String]) -> Vec<[String; 2]> {
        let read = |path: &Path| fs::read_to_string(path).expect("just written");
        let authority = pki::Authority::load(&read(&self.certificate), &read(&self.key));
        let authority = authority.expect("an authority with its key");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
        let validity = pki::Validity::days(WallTime(now.as_secs()), 730);
        let issue = |subject: &String| {
            let node = pki::Node { subject: subject.parse().expect("a subject"), names: vec![], validity };
            let issued = authority.issue(&node, pki::KeyChoice::EcdsaP256).expect("a certificate");
            [issued.pem(), issued.key.pem().to_string()]
        };
        subjects.iter().map(issue).collect()
    }

    /// A revocation list with these on it, as text.
    pub(crate) fn list(&self, revoked: &[&Credentials]) -> String {
        let mut command = Command::new("pki");
        command.args(["--signcrl", "--lifetime", "7", "--outform", "pem"]);
        command.arg("--cacert").arg(&self.certificate).arg("--cakey").arg(&self.key);
        for certificate in revoked.iter().flat_map(|credentials| credentials.files.first()) {
            command.arg("--cert").arg(certificate);
        }
        run(&mut command)
    }

    fn issuing(&self, key: &Path) -> Command {
        let mut command = Command::new("pki");
        command.args(["--issue", "--type", "priv", "--outform", "pem"]);
        command.arg("--in").arg(key).arg("--cacert").arg(&self.certificate).arg("--cakey").arg(&self.key);
        command
    }
}

impl Credentials {
    /// Has the node send this authority's certificate with its own.
    pub(crate) fn with_intermediate(mut self, authority: &Authority) -> Self {
        self.files.push(authority.certificate.clone());
        self.chain = self.chain.with_extension("chain.crt");
        let all: String =
            self.files.iter().map(|file| fs::read_to_string(file).expect("just written")).collect();
        write(&self.chain, &all);
        self
    }
}

fn authority_subject(name: &str) -> String {
    format!("C=CN, O=StrongSwan, CN={name}")
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A private key in a file of its own. Long RSA keys take seconds, so all are kept from run to run.
fn private_key(folder: &Path, name: &str, kind: Key) -> PathBuf {
    let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab-keys");
    fs::create_dir_all(&store).expect("a folder for keys");
    let kept = store.join(format!("{name}-{kind:?}.key").replace(['(', ')'], ""));
    if !kept.exists() {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let fresh = store.join(format!("{}-{number}.new", process::id()));
        write(&fresh, &generate(kind));
        fs::rename(&fresh, &kept).expect("a rename within a folder");
    }
    let path = folder.join(format!("{name}.key"));
    fs::copy(&kept, &path).expect("a copy of the key");
    run(Command::new("chmod").arg("600").arg(&path));
    path
}

fn generate(kind: Key) -> String {
    let mut command = Command::new("pki");
    command.args(["--gen", "--outform", "pem"]).stdin(Stdio::null());
    match kind {
        Key::Rsa(bits) => command.args(["--type", "rsa", "--size", &bits.to_string()]),
        Key::Ecdsa(bits) => command.args(["--type", "ecdsa", "--size", &bits.to_string()]),
        Key::Ed25519 => command.args(["--type", "ed25519"]),
    };
    run(&mut command)
}
