//! Certificates: an authority, what it issues, and what is in a file.

use super::failure::Failure;
use clap::{Args, Subcommand};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tidegate::io::clock::Clock;
use tidegate::pki::{
    AlternativeName, Authority, Existing, KeyChoice, Node, PkiError, Validity, describe, write_certificate,
    write_key,
};
use tidegate_ike::crypto::pem;
use tidegate_ike::identity::DistinguishedName;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes an authority: a certificate of its own, and the key that issues others
    Ca(Ca),
    /// Issues a certificate to a node, with a new key
    Issue(Issue),
    /// Shows what is in certificates
    Show(Show),
}

#[derive(Args)]
struct Ca {
    /// Its name, such as "O=example, CN=Example CA"
    #[arg(long, value_name = "DN")]
    subject: DistinguishedName,
    #[command(flatten)]
    files: Files,
    /// How many days it is good for
    #[arg(long, value_name = "DAYS", default_value_t = 3650)]
    days: u32,
}

#[derive(Args)]
struct Issue {
    /// The node's name, such as "O=example, CN=edge-1"
    #[arg(long, value_name = "DN")]
    subject: DistinguishedName,
    /// Another name: a host name, an address or an email address; may be given more than once
    #[arg(long, value_name = "NAME")]
    san: Vec<AlternativeName>,
    /// The authority's certificate
    #[arg(long, value_name = "FILE", default_value = "ca.pem")]
    ca: PathBuf,
    /// The authority's key
    #[arg(long, value_name = "FILE", default_value = "ca.key")]
    ca_key: PathBuf,
    #[command(flatten)]
    files: Files,
    /// How many days it is good for
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    days: u32,
}

#[derive(Args)]
struct Files {
    /// Writes NAME.pem and NAME.key
    #[arg(long, value_name = "NAME")]
    out: PathBuf,
    /// p256, p384, ed25519, rsa2048, rsa3072 or rsa4096
    #[arg(long, value_name = "KIND", default_value_t)]
    key: KeyChoice,
    /// Writes over files that are there already
    #[arg(long)]
    force: bool,
}

#[derive(Args)]
struct Show {
    /// Files of certificates
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Ca(ca) => create(ca),
        Command::Issue(wish) => issue(wish),
        Command::Show(files) => show(files),
    }
}

fn create(ca: &Ca) -> Result<(), Failure> {
    let files = &ca.files;
    files.check()?;
    let validity = Validity::days(Clock.now().wall, ca.days);
    let (authority, key) = Authority::create(ca.subject.clone(), files.key, validity)?;
    files.write(&authority.pem(), &key.pem())
}

fn issue(wish: &Issue) -> Result<(), Failure> {
    let files = &wish.files;
    files.check()?;
    let named = |path: &Path, error| Failure::File { path: path.to_owned(), error };
    let authority = match Authority::load(&read(&wish.ca)?, &read(&wish.ca_key)?) {
        Err(error @ (PkiError::Key(_) | PkiError::BadKey(_))) => return Err(named(&wish.ca_key, error)),
        Err(error) => return Err(named(&wish.ca, error)),
        Ok(authority) => authority,
    };
    let validity = Validity::days(Clock.now().wall, wish.days);
    let node = Node { subject: wish.subject.clone(), names: wish.san.clone(), validity };
    let issued = authority.issue(&node, files.key)?;
    files.write(&issued.pem(), &issued.key.pem())
}

fn show(show: &Show) -> Result<(), Failure> {
    let now = Clock.now().wall;
    let mut between = "";
    for path in &show.files {
        let described = describe(&read(path)?);
        let described = described.map_err(|error| Failure::File { path: path.clone(), error })?;
        for description in described {
            writeln!(io::stdout().lock(), "{between}{}", description.display(now))?;
            between = "\n";
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Failure> {
    let unread = |error| Failure::Unreadable { path: path.to_owned(), error };
    let bytes = fs::read(path).map_err(unread)?;
    String::from_utf8(bytes).map_err(|_| Failure::File {
        path: path.to_owned(),
        error: PkiError::Certificate(pem::PemError::Missing),
    })
}

impl Files {
    fn certificate(&self) -> PathBuf {
        with_suffix(&self.out, ".pem")
    }

    fn private(&self) -> PathBuf {
        with_suffix(&self.out, ".key")
    }

    fn existing(&self) -> Existing {
        if self.force { Existing::Replace } else { Existing::Keep }
    }

    /// Both files or none: one that is in the way is found before the other is written.
    fn check(&self) -> Result<(), Failure> {
        let in_the_way = [self.certificate(), self.private()].into_iter().find(|path| path.exists());
        match in_the_way {
            Some(path) if !self.force => Err(PkiError::Exists(path).into()),
            _ => Ok(()),
        }
    }

    fn write(&self, certificate: &str, key: &str) -> Result<(), Failure> {
        write_key(&self.private(), key, self.existing())?;
        write_certificate(&self.certificate(), certificate, self.existing())?;
        writeln!(
            io::stdout().lock(),
            "{} and {} (keep this one secret)",
            self.certificate().display(),
            self.private().display()
        )?;
        Ok(())
    }
}

/// A name may have dots of its own.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
