//! The `local` and `remote` sections of a connection.

use super::auth::{Auth, AuthFault, End};
use super::fault::{LoadFault, ValueFault};
use super::options::Options;
use super::values;
use crate::vici::credentials::StoredCertificate;
use crate::vici::sections::{LocalRound, Method, RemoteRound, Revocation};
use std::io::Read;
use std::path::Path;
use tidegate_ike::crypto::pem::{self, PemError};
use tidegate_ike::identity::{Identity, IdentityPattern};

/// The `local` sections in their order, at least one.
pub(super) fn local(connection: &mut Options<'_>) -> Result<Vec<LocalRound>, LoadFault> {
    let none = || LocalRound {
        method: Method::Any,
        identity: None,
        certificates: Vec::new(),
        public_keys: Vec::new(),
    };
    in_order(connection, "local", local_round, none)
}

/// The `remote` sections in their order, at least one.
pub(super) fn remote(connection: &mut Options<'_>) -> Result<Vec<RemoteRound>, LoadFault> {
    let none = || RemoteRound {
        method: Method::Any,
        identity: IdentityPattern::Any,
        certificates: Vec::new(),
        authorities: Vec::new(),
        public_keys: Vec::new(),
        revocation: Revocation::default(),
    };
    in_order(connection, "remote", remote_round, none)
}

/// By `round`, and as they stand where that says nothing.
fn in_order<T>(
    connection: &mut Options<'_>,
    prefix: &'static str,
    read: fn(&mut Options<'_>) -> Result<T, LoadFault>,
    none: fn() -> T,
) -> Result<Vec<T>, LoadFault> {
    let mut rounds = Vec::new();
    for mut section in connection.sections(prefix) {
        let place = section.parse("round", |text| values::number(text, u32::MAX))?.unwrap_or(0);
        rounds.push((place, read(&mut section)?));
        connection.take_warnings(section.finish()?);
    }
    if rounds.len() > MOST_ROUNDS {
        return Err(connection.unsupported(prefix, "", "there are more rounds than anybody needs"));
    }
    rounds.sort_by_key(|(place, _)| *place);
    let mut rounds: Vec<T> = rounds.into_iter().map(|(_, round)| round).collect();
    if rounds.is_empty() {
        rounds.push(none());
    }
    Ok(rounds)
}

fn local_round(section: &mut Options<'_>) -> Result<LocalRound, LoadFault> {
    let (certificates, public_keys) = credentials(section)?;
    let method = method(section, End::Local, &certificates)?;
    let identity = match section.parse("id", values::identity_pattern)? {
        None | Some(IdentityPattern::Any) => None,
        Some(_) => section.parse("id", values::identity)?,
    };
    for key in ["eap_id", "aaa_id", "xauth_id"] {
        section.ignore(key, &[], "only EAP and XAuth have use for it")?;
    }
    Ok(LocalRound { method, identity, certificates, public_keys })
}

fn remote_round(section: &mut Options<'_>) -> Result<RemoteRound, LoadFault> {
    let (certificates, public_keys) = credentials(section)?;
    let method = method(section, End::Remote, &certificates)?;
    let mut authorities = section.blobs("cacerts", certificate)?;
    authorities.extend(files(section, "cacert")?);
    let written = section.parse("id", values::identity_pattern)?;
    let identity = written.unwrap_or_else(|| subject(&certificates));
    let words = [Revocation::Relaxed, Revocation::IfUri, Revocation::Strict];
    let revocation = section.choice("revocation", &["relaxed", "ifuri", "strict"], &words)?;
    section.refuse("ca_id", &[], "which CA has to be among the issuers is said by cacerts")?;
    section.refuse_list("groups", "there are no groups here")?;
    section.refuse_list("cert_policy", "certificates' policies are not looked at")?;
    for key in ["eap_id", "aaa_id", "xauth_id"] {
        section.ignore(key, &[], "only EAP and XAuth have use for it")?;
    }
    let revocation = revocation.unwrap_or_default();
    Ok(RemoteRound { method, identity, certificates, authorities, public_keys, revocation })
}

/// As in charon, whoever is known by a certificate is whom that names.
fn subject(certificates: &[Vec<u8>]) -> IdentityPattern {
    let first = certificates.first().and_then(|der| StoredCertificate::from_der(der).ok());
    first.map_or(IdentityPattern::Any, |it| Identity::Dn(it.outline().subject.clone()).into())
}

fn credentials(section: &mut Options<'_>) -> Result<(Vec<Vec<u8>>, Vec<Vec<u8>>), LoadFault> {
    let mut certificates = section.blobs("certs", certificate)?;
    certificates.extend(files(section, "cert")?);
    Ok((certificates, section.blobs("pubkeys", public_key)?))
}

fn method(section: &mut Options<'_>, end: End, certificates: &[Vec<u8>]) -> Result<Method, LoadFault> {
    let Some(text) = section.text("auth")? else { return Ok(Method::Any) };
    let auth = Auth::read(text).and_then(|auth| auth.check(end, certificates).map(|()| auth.method));
    auth.map_err(|fault| match fault {
        AuthFault::Unknown => section.invalid("auth", text.as_bytes(), ValueFault::Auth),
        AuthFault::Unsupported(reason) => section.unsupported("auth", text, reason),
    })
}

/// Certificates that sections such as `cert1` and `cacert-west` name by file.
fn files(section: &mut Options<'_>, prefix: &'static str) -> Result<Vec<Vec<u8>>, LoadFault> {
    let mut certificates = Vec::new();
    for mut named in section.sections(prefix) {
        for key in ["handle", "slot", "module"] {
            named.refuse(key, &[], "certificates on tokens are not supported: name a file")?;
        }
        let read = |path: &str| read_file(path).and_then(|bytes| certificate(&bytes));
        certificates.push(named.parse("file", read)?.ok_or_else(|| named.missing("file"))?);
        section.take_warnings(named.finish()?);
    }
    Ok(certificates)
}

fn certificate(bytes: &[u8]) -> Result<Vec<u8>, ValueFault> {
    let read = StoredCertificate::read(bytes);
    read.map(|it| it.der().to_vec()).map_err(ValueFault::Certificate)
}

fn public_key(bytes: &[u8]) -> Result<Vec<u8>, ValueFault> {
    const SEQUENCE: u8 = 0x30;
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains("-----BEGIN") => pem::public_key(text).map_err(ValueFault::PublicKey),
        _ if bytes.first() == Some(&SEQUENCE) => Ok(bytes.to_vec()),
        _ => Err(ValueFault::PublicKey(PemError::Missing)),
    }
}

/// A client may name any file, so it must be one that comes to an end.
fn read_file(path: &str) -> Result<Vec<u8>, ValueFault> {
    let fault = |error: std::io::Error| ValueFault::File(error.kind());
    if !Path::new(path).metadata().map_err(fault)?.is_file() {
        return Err(ValueFault::File(std::io::ErrorKind::InvalidInput));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(fault)?.take(LONGEST_FILE).read_to_end(&mut bytes).map_err(fault)?;
    Ok(bytes)
}

const LONGEST_FILE: u64 = 1 << 20;
const MOST_ROUNDS: usize = 8;
