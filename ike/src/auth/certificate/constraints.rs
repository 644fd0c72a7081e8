//! Name constraints (RFC 5280 §4.2.1.10, §6.1.4): what CAs may name, and what they may not.

use super::{Certificate, CertificateCheck, CertificateVerdict, NameForm, encoded};
use crate::identity::DistinguishedName;
use std::net::IpAddr;
use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;

/// Comparisons of a name with a constraint, for one path: both come in numbers, and multiply.
const MAX_COMPARISONS: usize = 50_000;

/// Every name of the path lies within the constraints of every issuer above it.
pub(super) fn check(path: &[&Certificate]) -> Result<(), CertificateVerdict> {
    let mut comparisons_left = MAX_COMPARISONS;
    for (at, issuer) in path.iter().enumerate().skip(1) {
        let Some(constraints) = &issuer.extensions.name_constraints else { continue };
        for (depth, certificate) in path.iter().enumerate().take(at) {
            // RFC 5280 §6.1.3: a self-issued CA goes free, so that its key can be changed.
            if depth > 0 && certificate.is_self_issued() {
                continue;
            }
            let checked = check_names(constraints, certificate, &mut comparisons_left);
            checked.map_err(|check| CertificateVerdict::on(certificate, check))?;
        }
    }
    Ok(())
}

fn check_names(
    constraints: &NameConstraints,
    certificate: &Certificate,
    comparisons_left: &mut usize,
) -> Result<(), CertificateCheck> {
    let permitted = constraints.permitted_subtrees.as_deref().unwrap_or_default();
    let excluded = constraints.excluded_subtrees.as_deref().unwrap_or_default();
    for name in names(certificate)? {
        let cost = permitted.len().saturating_add(excluded.len());
        *comparisons_left = comparisons_left.checked_sub(cost).ok_or(CertificateCheck::TooManyNames)?;
        let mut constrained = false;
        let mut within = false;
        for subtree in permitted.iter().filter(|subtree| form(&subtree.base) == name.form()) {
            constrained = true;
            within |= name.is_within(subtree)?;
        }
        if constrained && !within {
            return Err(CertificateCheck::NameNotPermitted { form: name.form(), name: name.text() });
        }
        for subtree in excluded.iter().filter(|subtree| form(&subtree.base) == name.form()) {
            if name.is_within(subtree)? {
                return Err(CertificateCheck::NameExcluded { form: name.form(), name: name.text() });
            }
        }
    }
    Ok(())
}

/// A name of a certificate.
enum Name {
    Dns(String),
    Email(String),
    Address(Vec<u8>),
    Directory(DistinguishedName),
    Other(NameForm),
}

/// All names that constraints can be about: the subject, email addresses in it, and the alternative names.
fn names(certificate: &Certificate) -> Result<Vec<Name>, CertificateCheck> {
    let subject = &certificate.subject;
    let mut names: Vec<Name> = subject.emails().into_iter().map(Name::Email).collect();
    if !subject.is_empty() {
        names.push(Name::Directory(subject.clone()));
    }
    for name in &certificate.extensions.alternative_names {
        names.push(match name {
            GeneralName::DnsName(name) => Name::Dns(name.to_string()),
            GeneralName::Rfc822Name(address) => Name::Email(address.to_string()),
            GeneralName::IpAddress(address) => Name::Address(address.as_bytes().to_vec()),
            GeneralName::DirectoryName(directory) => Name::Directory(super::name(directory)?),
            other => Name::Other(form(other)),
        });
    }
    Ok(names)
}

fn form(name: &GeneralName) -> NameForm {
    match name {
        GeneralName::DnsName(_) => NameForm::Dns,
        GeneralName::Rfc822Name(_) => NameForm::Email,
        GeneralName::IpAddress(_) => NameForm::Address,
        GeneralName::DirectoryName(_) => NameForm::Directory,
        GeneralName::UniformResourceIdentifier(_) => NameForm::Uri,
        GeneralName::OtherName(_) | GeneralName::EdiPartyName(_) | GeneralName::RegisteredId(_) => {
            NameForm::Other
        }
    }
}

impl Name {
    fn form(&self) -> NameForm {
        match self {
            Self::Dns(_) => NameForm::Dns,
            Self::Email(_) => NameForm::Email,
            Self::Address(_) => NameForm::Address,
            Self::Directory(_) => NameForm::Directory,
            Self::Other(form) => *form,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Dns(name) | Self::Email(name) => name.clone(),
            Self::Address(octets) => {
                match (<[u8; 4]>::try_from(&**octets), <[u8; 16]>::try_from(&**octets)) {
                    (Ok(v4), _) => IpAddr::from(v4).to_string(),
                    (_, Ok(v6)) => IpAddr::from(v6).to_string(),
                    _ => format!("{octets:02x?}"),
                }
            }
            Self::Directory(name) => name.to_string(),
            Self::Other(_) => String::new(),
        }
    }

    /// The name lies in the subtree, which is of its form. What cannot be understood is refused and not
    /// passed over (RFC 5280 §4.2.1.10).
    fn is_within(&self, subtree: &GeneralSubtree) -> Result<bool, CertificateCheck> {
        let not_understood = CertificateCheck::ConstraintNotUnderstood { form: self.form() };
        if subtree.minimum != 0 || subtree.maximum.is_some() {
            return Err(not_understood);
        }
        match (self, &subtree.base) {
            (Self::Dns(name), GeneralName::DnsName(base)) => Ok(host_is_within(name, base.as_ref())),
            (Self::Email(address), GeneralName::Rfc822Name(base)) => {
                email_is_within(address, base.as_ref()).ok_or(not_understood)
            }
            (Self::Address(address), GeneralName::IpAddress(base)) => {
                address_is_within(address, base.as_bytes()).ok_or(not_understood)
            }
            (Self::Directory(name), GeneralName::DirectoryName(base)) => {
                let base = encoded(base).ok().and_then(|der| DistinguishedName::from_der(&der).ok());
                Ok(name.is_within(&base.ok_or(not_understood)?))
            }
            _ => Err(not_understood),
        }
    }
}

/// `example.org` holds itself and all below it, `.example.org` only what is below, and nothing holds all.
fn host_is_within(name: &str, base: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let base = base.to_ascii_lowercase();
    match name.strip_suffix(base.as_str()) {
        Some("") => !base.starts_with('.'),
        Some(labels) => base.is_empty() || base.starts_with('.') || labels.ends_with('.'),
        None => false,
    }
}

/// `user@host` is one mailbox, `host` all of that host, `.domain` those of all hosts below the domain.
fn email_is_within(address: &str, base: &str) -> Option<bool> {
    let (user, host) = address.rsplit_once('@')?;
    Some(match base.rsplit_once('@') {
        Some((base_user, base_host)) => user == base_user && host.eq_ignore_ascii_case(base_host),
        None if base.starts_with('.') => host_is_within(host, base),
        None => base.is_empty() || host.eq_ignore_ascii_case(base),
    })
}

/// The base is an address and a mask of the same length, which has to be a prefix's.
fn address_is_within(address: &[u8], base: &[u8]) -> Option<bool> {
    if !matches!(address.len(), 4 | 16) || !matches!(base.len(), 8 | 32) {
        return None;
    }
    let (network, mask) = base.split_at_checked(base.len() / 2)?;
    let bits = mask.iter().flat_map(|byte| (0..8).map(move |bit| byte & (0x80 >> bit) != 0));
    if bits.clone().skip_while(|bit| *bit).any(|bit| bit) {
        return None;
    }
    if network.len() != address.len() {
        return Some(false);
    }
    Some(address.iter().zip(network).zip(mask).all(|((a, n), mask)| a & mask == n & mask))
}
