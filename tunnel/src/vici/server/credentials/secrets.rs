//! Shared secrets.

use super::super::Hall;
use super::super::command::{failure, success};
use crate::vici::control::Control;
use crate::vici::credentials::{Limits, Owner, SharedSecret};
use crate::vici::message::Message;

/// Takes a shared secret.
pub(in super::super) fn load<C: Control>(hall: &Hall<C>, arguments: &mut Message) -> Message {
    let data = arguments.take_secret("data").filter(|data| !data.is_empty());
    let Some(kind) = arguments.text("type") else { return failure("shared key type missing") };
    if let Some(other) = OTHERS.into_iter().find(|name| name.eq_ignore_ascii_case(kind)) {
        return failure(format_args!("secrets of type {other} are not supported"));
    }
    if !kind.eq_ignore_ascii_case("IKE") {
        return failure(format_args!("invalid shared key type: {kind}"));
    }
    let Some(data) = data else { return failure("shared key data missing") };
    let owners = match owners(arguments) {
        Ok(owners) => owners,
        Err(answer) => return answer,
    };
    let id = arguments.text("id").filter(|id| !id.is_empty()).map(str::to_owned);
    let secret = SharedSecret::new(id, owners, data);
    match hall.credentials().change_clients(|shelf| shelf.add_secret(secret)) {
        Ok(()) => success(),
        Err(fault) => failure(fault),
    }
}

fn owners(arguments: &Message) -> Result<Vec<Owner>, Message> {
    let mut owners = Vec::new();
    for text in arguments.list("owners") {
        if owners.len() >= Limits::OWNERS {
            return Err(failure(format_args!("a secret has no more than {} owners", Limits::OWNERS)));
        }
        owners.push(text.parse().map_err(|error| failure(format_args!("owner {text:?}: {error}")))?);
    }
    Ok(owners)
}

/// Forgets a shared secret. One that was not there is no less gone.
pub(in super::super) fn unload<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    let Some(id) = arguments.text("id") else { return failure("unique identifier missing") };
    match hall.credentials().change_clients(|shelf| Ok(shelf.remove_secret(id))) {
        Ok(_) => success(),
        Err(fault) => failure(fault),
    }
}

/// What the secrets are called that clients have brought, as far as they have names.
pub(in super::super) fn get<C: Control>(hall: &Hall<C>) -> Message {
    let credentials = hall.credentials();
    Message::new().with_list("keys", credentials.clients().secrets().iter().filter_map(|secret| secret.id()))
}

/// Of ways to authenticate that we do not know.
const OTHERS: [&str; 4] = ["EAP", "XAUTH", "NTLM", "PPK"];
