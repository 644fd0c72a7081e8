//! What an operator expects a peer's identity to be.

use super::name::{Attribute, Value};
use super::name_text::{Written, parse, trim, write_levels};
use super::text::{is_any, split_prefix};
use super::{Identity, IdentityError, kind};
use der::asn1::ObjectIdentifier;
use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

/// What a peer's identity is held against.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IdentityPattern {
    /// `%any`: every identity.
    Any,
    /// This one.
    Exact(Identity),
    /// `*.example.org`: a host name with at least one label more, in front.
    Subdomain(String),
    /// `*@example.org`: any user there.
    EmailHost(String),
    /// A distinguished name with `*` for the value of some attributes.
    Name(NamePattern),
}

/// A distinguished name of which some values are free: as many levels, in the same order, of the same
/// types.
#[derive(Clone)]
pub struct NamePattern {
    levels: Vec<Vec<Written>>,
}

/// How well a pattern fits an identity; the greater fits better. An exact match is above one by wildcard,
/// fewer wildcards are above more, and any identity comes last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MatchQuality {
    class: Class,
    wildcards: Reverse<usize>,
    literal: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Class {
    Any,
    Wildcard,
    Exact,
}

impl MatchQuality {
    /// Any identity would have done.
    pub const ANY: Self = Self { class: Class::Any, wildcards: Reverse(0), literal: 0 };
    /// The very identity.
    pub const EXACT: Self = Self { class: Class::Exact, wildcards: Reverse(0), literal: 0 };

    fn wildcard(wildcards: usize, literal: usize) -> Self {
        Self { class: Class::Wildcard, wildcards: Reverse(wildcards), literal }
    }
}

impl IdentityPattern {
    /// How well it fits, if it does.
    pub fn matches(&self, identity: &Identity) -> Option<MatchQuality> {
        match (self, identity) {
            (Self::Any, _) => Some(MatchQuality::ANY),
            (Self::Exact(expected), _) => (expected == identity).then_some(MatchQuality::EXACT),
            (Self::Subdomain(domain), Identity::Fqdn(name)) => {
                let label = strip_suffix(name, domain)?.strip_suffix('.')?;
                (!label.is_empty()).then(|| MatchQuality::wildcard(1, domain.len()))
            }
            (Self::EmailHost(host), Identity::Email(address)) => {
                let (_, actual) = address.rsplit_once('@')?;
                actual.eq_ignore_ascii_case(host).then(|| MatchQuality::wildcard(1, host.len()))
            }
            (Self::Name(pattern), Identity::Dn(name)) => {
                let wildcards = pattern.matches(&name.levels())?;
                Some(MatchQuality::wildcard(wildcards, 0))
            }
            _ => None,
        }
    }
}

fn strip_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(suffix.len())?;
    name.get(at..)?.eq_ignore_ascii_case(suffix).then(|| name.get(..at)).flatten()
}

impl NamePattern {
    /// The number of wildcards, if the name fits.
    fn matches(&self, name: &[Vec<Attribute>]) -> Option<usize> {
        if self.levels.len() != name.len() {
            return None;
        }
        let fits = self.levels.iter().zip(name).all(|(pattern, level)| level_matches(pattern, level));
        fits.then(|| self.levels.iter().flatten().filter(|(_, value)| value.is_none()).count())
    }

    /// What equality goes by.
    fn key(&self) -> Vec<Vec<(ObjectIdentifier, Option<Vec<u8>>)>> {
        let key = |(oid, value): &Written| (*oid, value.as_ref().map(Value::canonical));
        let levels = self.levels.iter().map(|level| {
            let mut level: Vec<_> = level.iter().map(key).collect();
            level.sort_unstable();
            level
        });
        levels.collect()
    }
}

/// A level is a set: each attribute of the pattern takes one of the name's, literal ones before free ones.
fn level_matches(pattern: &[Written], level: &[Attribute]) -> bool {
    if pattern.len() != level.len() {
        return false;
    }
    let mut left: Vec<&Attribute> = level.iter().collect();
    let (literal, free): (Vec<_>, Vec<_>) = pattern.iter().partition(|(_, value)| value.is_some());
    literal.into_iter().chain(free).all(|(oid, value)| {
        let canonical = value.as_ref().map(Value::canonical);
        let fits = |it: &&Attribute| {
            it.oid == *oid && canonical.as_ref().is_none_or(|value| *value == it.value.canonical())
        };
        match left.iter().position(fits) {
            Some(at) => {
                left.swap_remove(at);
                true
            }
            None => false,
        }
    })
}

impl From<Identity> for IdentityPattern {
    fn from(identity: Identity) -> Self {
        Self::Exact(identity)
    }
}

impl FromStr for IdentityPattern {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let text = trim(text);
        if is_any(text) {
            return Ok(Self::Any);
        }
        match text.parse::<Identity>() {
            Ok(identity) => Ok(Self::Exact(identity)),
            Err(IdentityError::Wildcard) => wildcard(text),
            Err(other) => Err(other),
        }
    }
}

fn wildcard(text: &str) -> Result<IdentityPattern, IdentityError> {
    let (kind, rest) = match split_prefix(text) {
        Some((kind, rest)) => (kind, rest),
        None if text.contains('=') => (kind::DER_ASN1_DN, text),
        None => match (text.strip_prefix("@@"), text.strip_prefix('@')) {
            (Some(address), _) => (kind::RFC822_ADDR, address),
            (None, Some(name)) => (kind::FQDN, name),
            (None, None) if text.contains('@') => (kind::RFC822_ADDR, text),
            (None, None) => (kind::FQDN, text),
        },
    };
    // What follows the wildcard has to be an identity of its own, which settles what may stand there.
    match (kind, rest.strip_prefix("*."), rest.strip_prefix("*@")) {
        (kind::DER_ASN1_DN, ..) => Ok(IdentityPattern::Name(NamePattern { levels: parse(rest)? })),
        (kind::FQDN, Some(domain), _) => match format!("fqdn:{domain}").parse()? {
            Identity::Fqdn(domain) => Ok(IdentityPattern::Subdomain(domain)),
            _ => Err(IdentityError::Wildcard),
        },
        (kind::RFC822_ADDR, _, Some(host)) => match format!("email:any@{host}").parse()? {
            Identity::Email(_) if !host.contains('@') => Ok(IdentityPattern::EmailHost(host.to_owned())),
            _ => Err(IdentityError::NotAnAddress),
        },
        _ => Err(IdentityError::Wildcard),
    }
}

impl fmt::Display for IdentityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("%any"),
            Self::Exact(identity) => identity.fmt(f),
            Self::Subdomain(domain) => write!(f, "fqdn:*.{domain}"),
            Self::EmailHost(host) => write!(f, "email:*@{host}"),
            Self::Name(pattern) => pattern.fmt(f),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dn:")?;
        write_levels(f, &self.levels)
    }
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamePattern({self})")
    }
}

impl PartialEq for NamePattern {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for NamePattern {}
