//! Authorities: CAs, and where their revocation lists are to be had.

use super::super::Hall;
use super::super::command::{Reply, failure, success};
use super::super::event_name::EventName;
use crate::vici::control::Control;
use crate::vici::credentials::{Authority, CredentialFault, StoredCertificate};
use crate::vici::message::{Element, Message};

/// Takes authorities, all of them or none.
pub(in super::super) fn load<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    let read: Result<Vec<_>, Message> =
        arguments.sections().map(|(name, section)| Ok((name, authority(name, section)?))).collect();
    let authorities = match read {
        Ok(authorities) => authorities,
        Err(answer) => return answer,
    };
    let mut credentials = hall.credentials();
    for (name, authority) in authorities {
        if let Err(fault) = credentials.add_authority(name, authority) {
            return failure(format_args!("{name}: {fault}"));
        }
    }
    success()
}

fn authority(name: &str, section: &Message) -> Result<Authority, Message> {
    let mut certificate = None;
    let mut uris = Vec::new();
    for (key, element) in section.elements() {
        match (key, element) {
            ("cacert", Element::Value(data)) => certificate = Some(data),
            ("crl_uris", Element::List(items)) => uris = list_uris(name, items)?,
            ("cert_uri_base", Element::Value(_)) => tracing::warn!(
                target: "tidegate::vici",
                "authority {name}: cert_uri_base has no effect, as certificates go in full"
            ),
            ("ocsp_uris", Element::List(items)) if items.is_empty() => {}
            ("ocsp_uris", Element::List(_)) => {
                return Err(failure(format_args!("{name}: ocsp_uris is not supported, crl_uris is")));
            }
            ("handle" | "slot" | "module", Element::Value(_)) => {
                return Err(failure(format_args!("{name}: {key}: certificates on tokens are not supported")));
            }
            _ => return Err(failure(format_args!("unknown option: {key}, authority discarded"))),
        }
    }
    let missing = |reason: Option<CredentialFault>| match reason {
        Some(fault) => failure(format_args!("CA certificate missing: {name}: {fault}")),
        None => failure(format_args!("CA certificate missing: {name}")),
    };
    let read = StoredCertificate::read(certificate.ok_or_else(|| missing(None))?);
    let certificate = read.and_then(StoredCertificate::authority).map_err(|fault| missing(Some(fault)))?;
    Ok(Authority::new(certificate, uris))
}

fn list_uris(name: &str, items: &[Vec<u8>]) -> Result<Vec<String>, Message> {
    if items.len() > MAX_URIS {
        return Err(failure(format_args!("{name}: crl_uris has more than {MAX_URIS}")));
    }
    let read = |item: &Vec<u8>| {
        let text = String::from_utf8_lossy(item);
        match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") && !rest.is_empty() => {
                Ok(text.into())
            }
            _ => Err(failure(format_args!("{name}: crl_uris: {text:?} is no http:// address"))),
        }
    };
    items.iter().map(read).collect()
}

/// Forgets an authority.
pub(in super::super) fn unload<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    let Some(name) = arguments.text("name") else { return failure("unload: missing authority name") };
    match hall.credentials().remove_authority(name) {
        true => success(),
        false => failure(format_args!("unload: authority '{name}' not found")),
    }
}

/// The names of all authorities.
pub(in super::super) fn get<C: Control>(hall: &Hall<C>) -> Message {
    let credentials = hall.credentials();
    Message::new().with_list("authorities", credentials.authorities().map(|(name, _)| name))
}

/// Streams authorities.
pub(in super::super) async fn list<C: Control>(
    hall: &Hall<C>,
    arguments: &Message,
    reply: &Reply,
) -> Message {
    if reply.wants(EventName::ListAuthority) {
        let wanted = |name: &str| arguments.text("name").is_none_or(|wanted| wanted == name);
        let messages: Vec<Message> = {
            let credentials = hall.credentials();
            let all = credentials.authorities().filter(|(name, _)| wanted(name));
            all.map(|(name, authority)| describe(name, authority)).collect()
        };
        for message in messages {
            reply.stream(EventName::ListAuthority, message).await;
        }
    }
    Message::new()
}

fn describe(name: &str, authority: &Authority) -> Message {
    let section = Message::new()
        .with("cacert", &authority.certificate().outline().subject)
        .with_list("crl_uris", authority.list_uris())
        .with_list("ocsp_uris", [""; 0]);
    Message::new().with_section(name, section)
}

const MAX_URIS: usize = 16;
