//! What configurations name and is in no file.

use crate::error::{Failure, guard, guarded, tidegate_error};
use crate::handle::{borrow, free};
use crate::signer::{Callback, tidegate_signer};
use crate::text::{tidegate_bytes, tidegate_text};
use crate::{sized, tidegate_code};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tunnel::config::Vault;
use zeroize::Zeroizing;

/// Secrets, certificates and keys by the names that configurations have for them: where one of these names stands
/// in place of a file, no file is opened. Any number of managers and engines may share one; each sees what is
/// added later when it next reads a text. Any thread may use it.
pub struct tidegate_credentials {
    pub(crate) vault: Shared,
}

/// Shared by all that were made with it.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Vault>>);

/// An empty one, to be freed by `tidegate_credentials_free`.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_credentials_new() -> *mut tidegate_credentials {
    let make = || Box::into_raw(Box::new(tidegate_credentials { vault: Shared::default() }));
    guarded(std::ptr::null_mut(), make)
}

/// Holds what a file of this name would: a shared secret (text, hexadecimal behind 0x, base64 behind 0s), or
/// certificates, revocation lists or a private key, in PEM or DER. The content is copied, and the copy is wiped
/// when nobody needs it any more. What had the name before is replaced.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_credentials_add(
    credentials: *const tidegate_credentials,
    name: tidegate_text,
    content: tidegate_bytes,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = || {
        // SAFETY: null, or the caller's.
        let credentials = unsafe { borrow(credentials, "the credentials") }?;
        // SAFETY: the caller passes a text that is there during this call.
        let name = unsafe { name.name("the name") }?;
        // SAFETY: the caller passes bytes that are there during this call.
        let content = unsafe { content.read("the content") }?;
        credentials.vault.lock().hold(name, Zeroizing::new(content.to_vec()));
        Ok(())
    };
    // SAFETY: null, or the caller's room for a pointer.
    unsafe { guard(error, act) }
}

/// Holds a key that signs by a call, in place of a file with a private key. The struct is copied, and so are the
/// public key and the schemes. If this succeeds, `release` is called once, when nobody can want a signature any
/// more; if it fails, it is not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_credentials_add_signer(
    credentials: *const tidegate_credentials,
    name: tidegate_text,
    signer: *const tidegate_signer,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = || {
        // SAFETY: null, or the caller's.
        let credentials = unsafe { borrow(credentials, "the credentials") }?;
        // SAFETY: the caller passes a text that is there during this call.
        let name = unsafe { name.name("the name") }?;
        // SAFETY: null, or a struct of the size that it says.
        let signer = unsafe { sized::read(signer) }?;
        // SAFETY: what the struct points to is there during this call.
        let callback = unsafe { Callback::new(&signer) }?;
        credentials.vault.lock().hold_signer(name, Arc::new(callback));
        Ok(())
    };
    // SAFETY: null, or the caller's room for a pointer.
    unsafe { guard(error, act) }
}

/// Forgets what has this name. Connections that were made with it keep it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_credentials_remove(
    credentials: *const tidegate_credentials,
    name: tidegate_text,
    error: *mut *mut tidegate_error,
) -> tidegate_code {
    let act = || {
        // SAFETY: null, or the caller's.
        let credentials = unsafe { borrow(credentials, "the credentials") }?;
        // SAFETY: the caller passes a text that is there during this call.
        let name = unsafe { name.name("the name") }?;
        match credentials.vault.lock().forget(name) {
            true => Ok(()),
            false => Err(Failure::new(tidegate_code::NotFound, format_args!("there is no {name:?}"))),
        }
    };
    // SAFETY: null, or the caller's room for a pointer.
    unsafe { guard(error, act) }
}

/// Gives them back; managers and engines that were made with them go on. NULL is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_credentials_free(credentials: *mut tidegate_credentials) {
    // SAFETY: null, or the caller's, who gives it away here.
    unsafe { free(credentials) }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Vault> {
        // Each change is whole, whatever became of the one before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
