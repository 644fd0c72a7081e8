//! Certificates and revocation lists.

use super::super::Hall;
use super::super::command::{Reply, failure, success};
use super::super::event_name::EventName;
use crate::vici::control::Control;
use crate::vici::credentials::{CredentialFault, StoredCertificate, StoredList};
use crate::vici::message::{Element, Message};
use std::collections::BTreeSet;
use std::sync::Arc;
use tidegate_ike::crypto::pem;
use tidegate_ike::identity::Identity;

/// Kinds of certificates that clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Any,
    X509,
    List,
    PublicKey,
    /// One that we have no use for.
    Other(&'static str),
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    None,
    Authority,
    /// Something that we have no use for.
    Other(&'static str),
}

/// Takes a certificate, or a revocation list.
pub(in super::super) fn load<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    match read(hall, arguments) {
        Ok(()) => success(),
        Err(answer) => answer,
    }
}

fn read<C: Control>(hall: &Hall<C>, arguments: &Message) -> Result<(), Message> {
    let name = arguments.text("type").ok_or_else(|| failure("certificate type missing"))?;
    let (kind, flag) =
        Kind::to_load(name).ok_or_else(|| failure(format_args!("invalid certificate type '{name}'")))?;
    let flag = match arguments.text("flag").filter(|_| flag == Flag::None) {
        Some(text) => {
            Flag::from_text(text).ok_or_else(|| failure(format_args!("invalid certificate flag '{text}'")))?
        }
        None => flag,
    };
    let data = match arguments.get("data") {
        Some(Element::Value(data)) if !data.is_empty() => data,
        _ => return Err(failure("certificate data missing")),
    };
    let unparsed = |fault: CredentialFault| match fault {
        CredentialFault::NotAuthority | CredentialFault::TooMany { .. } => failure(fault),
        _ => failure(format_args!("parsing {} certificate failed: {fault}", kind.text())),
    };
    match (kind, flag) {
        (Kind::List, _) => {
            let list = StoredList::read(data).map_err(unparsed)?;
            hall.credentials().change_clients(|shelf| shelf.add_list(list)).map_err(unparsed)
        }
        (Kind::PublicKey, _) => {
            pem_or_der_key(data).ok_or_else(|| failure("parsing PUBKEY certificate failed"))
        }
        (Kind::Other(name), _) => Err(failure(format_args!("certificates of type {name} are not supported"))),
        (_, Flag::Other(name)) => {
            Err(failure(format_args!("certificates with the flag {name} are not supported")))
        }
        (Kind::Any | Kind::X509, flag) => {
            let read = StoredCertificate::read(data);
            let read =
                if flag == Flag::Authority { read.and_then(StoredCertificate::authority) } else { read };
            let certificate = read.map_err(unparsed)?;
            tracing::debug!(target: "tidegate::vici", "certificate {}", certificate.outline().subject);
            hall.credentials().change_clients(|shelf| shelf.add_certificate(certificate)).map_err(unparsed)
        }
    }
}

/// A public key proves something only where a connection names it, which brings it along.
fn pem_or_der_key(data: &[u8]) -> Option<()> {
    let der = match std::str::from_utf8(data) {
        Ok(text) => pem::public_key(text).ok()?,
        Err(_) => data.to_vec(),
    };
    crate::vici::credentials::KeyId::of(&der).map(drop)
}

/// Streams certificates and revocation lists, from wherever they came.
pub(in super::super) async fn list<C: Control>(
    hall: &Hall<C>,
    arguments: &Message,
    reply: &Reply,
) -> Message {
    if reply.wants(EventName::ListCert) {
        let fetched = hall.control.revocation_lists().await;
        // What cannot be read is no list.
        let fetched: Vec<_> =
            fetched.iter().filter_map(|list| StoredList::read(list).ok()).map(Arc::new).collect();
        for message in listed(hall, arguments, &fetched) {
            reply.stream(EventName::ListCert, message).await;
        }
    }
    Message::new()
}

fn listed<C: Control>(hall: &Hall<C>, arguments: &Message, fetched: &[Arc<StoredList>]) -> Vec<Message> {
    // What nobody knows is nowhere, as with charon.
    let Some(kind) = arguments.text("type").map_or(Some(Kind::Any), Kind::from_text) else {
        return Vec::new();
    };
    let by_flag =
        arguments.text("flag").filter(|text| kind == Kind::X509 && !text.eq_ignore_ascii_case("ANY"));
    let flag = match by_flag.map(Flag::from_text) {
        Some(None) => return Vec::new(),
        Some(flag) => flag,
        None => None,
    };
    let subject = match arguments.text("subject").map(str::parse::<Identity>) {
        Some(Err(_)) => return Vec::new(),
        Some(Ok(subject)) => Some(subject),
        None => None,
    };
    let credentials = hall.credentials();
    let mut messages = Vec::new();
    if matches!(kind, Kind::Any | Kind::X509) {
        let wanted = |it: &&Arc<StoredCertificate>| {
            flag.is_none_or(|flag| flag == Flag::of(it))
                && subject.as_ref().is_none_or(|subject| it.outline().identities.contains(subject))
        };
        messages.extend(credentials.certificates().filter(wanted).map(|it| {
            let has_key = credentials.keys().any(|key| key.public_key() == it.outline().public_key);
            describe(it, has_key)
        }));
    }
    if matches!(kind, Kind::Any | Kind::List) {
        let wanted = |it: &&Arc<StoredList>| match &subject {
            Some(Identity::Dn(subject)) => it.outline().issuer == *subject,
            Some(_) => false,
            None => true,
        };
        let mut seen = BTreeSet::new();
        let all = credentials.lists().chain(fetched).filter(|list| seen.insert(list.print()));
        messages.extend(all.filter(wanted).map(|it| {
            let mut message = Message::new().with("type", "X509_CRL");
            message.push("data".to_owned(), Element::Value(it.der().to_vec()));
            message
        }));
    }
    messages
}

fn describe(certificate: &StoredCertificate, has_key: bool) -> Message {
    let mut message = Message::new().with("type", "X509").with("flag", Flag::of(certificate).text());
    message.put_some("has_privkey", has_key.then_some("yes"));
    message.push("data".to_owned(), Element::Value(certificate.der().to_vec()));
    message
}

/// Forgets what nobody has brought: of all kinds revocation lists alone are fetched.
pub(in super::super) async fn flush<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    let kind = match arguments.text("type") {
        Some(text) => match Kind::from_text(text) {
            Some(kind) => kind,
            None => return failure(format_args!("invalid certificate type '{text}'")),
        },
        None => Kind::Any,
    };
    if matches!(kind, Kind::Any | Kind::List) {
        hall.control.forget_revocation_lists().await;
    }
    success()
}

impl Kind {
    fn from_text(text: &str) -> Option<Self> {
        const ALL: [Kind; 8] = [
            Kind::Any,
            Kind::X509,
            Kind::List,
            Kind::PublicKey,
            Kind::Other("X509_AC"),
            Kind::Other("X509_OCSP_REQUEST"),
            Kind::Other("X509_OCSP_RESPONSE"),
            Kind::Other("OCSP_RESPONSE"),
        ];
        ALL.into_iter().find(|kind| kind.text().eq_ignore_ascii_case(text))
    }

    /// Clients may say kind and flag in one, by the folders that files lie in.
    fn to_load(text: &str) -> Option<(Self, Flag)> {
        Some(match text.to_ascii_lowercase().as_str() {
            "x509ca" => (Self::X509, Flag::Authority),
            "x509aa" => (Self::X509, Flag::Other("AA")),
            "x509ocsp" => (Self::X509, Flag::Other("OCSP")),
            "x509ac" => (Self::Other("X509_AC"), Flag::None),
            "x509crl" => (Self::List, Flag::None),
            _ => (Self::from_text(text)?, Flag::None),
        })
    }

    fn text(self) -> &'static str {
        match self {
            Self::Any => "ANY",
            Self::X509 => "X509",
            Self::List => "X509_CRL",
            Self::PublicKey => "PUBKEY",
            Self::Other(name) => name,
        }
    }
}

impl Flag {
    fn from_text(text: &str) -> Option<Self> {
        let all = [Self::None, Self::Authority, Self::Other("AA"), Self::Other("OCSP")];
        all.into_iter().find(|flag| flag.text().eq_ignore_ascii_case(text))
    }

    fn of(certificate: &StoredCertificate) -> Self {
        if certificate.outline().is_authority { Self::Authority } else { Self::None }
    }

    fn text(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Authority => "CA",
            Self::Other(name) => name,
        }
    }
}
