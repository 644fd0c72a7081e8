//! Private keys.

use super::super::Hall;
use super::super::command::{failure, success};
use crate::vici::control::Control;
use crate::vici::credentials::{CredentialFault, KeyId, StoredKey};
use crate::vici::message::Message;

/// Takes a private key, and says what it is called from now on.
pub(in super::super) fn load<C: Control>(hall: &Hall<C>, arguments: &mut Message) -> Message {
    let data = arguments.take_secret("data").filter(|data| !data.is_empty());
    let Some(kind) = arguments.text("type") else { return failure("key type missing") };
    let Some(wanted) = KINDS.into_iter().find(|name| name.eq_ignore_ascii_case(kind)) else {
        return failure(format_args!("invalid key type: {kind}"));
    };
    let Some(data) = data else { return failure("key data missing") };
    let key = StoredKey::read(&data).and_then(|key| match wanted == "ANY" || wanted == key.kind() {
        true => Ok(key),
        false => Err(CredentialFault::KeyKind { wanted, actual: key.kind() }),
    });
    let key = match key {
        Ok(key) => key,
        Err(fault) => return failure(format_args!("parsing {wanted} private key failed: {fault}")),
    };
    let id = key.id();
    match hall.credentials().change_clients(|shelf| shelf.add_key(key)) {
        Ok(()) => success().with("id", id),
        Err(fault) => failure(fault),
    }
}

/// Forgets a private key.
pub(in super::super) fn unload<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    let Some(id) = arguments.text("id") else { return failure("key id missing") };
    let removed = KeyId::from_text(id)
        .is_some_and(|id| hall.credentials().change_clients(|shelf| Ok(shelf.remove_key(id))) == Ok(true));
    if removed { success() } else { failure("key not found") }
}

/// What the keys are called that clients have brought.
pub(in super::super) fn get<C: Control>(hall: &Hall<C>) -> Message {
    let credentials = hall.credentials();
    Message::new().with_list("keys", credentials.clients().keys().iter().map(|key| key.id()))
}

/// Keys of tokens are beyond us.
pub(in super::super) fn load_token() -> Message {
    failure("private keys on tokens are not supported")
}

/// As clients call them.
const KINDS: [&str; 7] = ["ANY", "RSA", "ECDSA", "DSA", "ED25519", "ED448", "BLISS"];
