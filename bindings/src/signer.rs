//! Keys that sign by a call, and never come here: in an HSM, a TPM, an agent.

use crate::callback;
use crate::error::Failure;
use crate::sized::growing;
use crate::text::{array, tidegate_bytes};
use std::ffi::c_void;
use tidegate_ike::auth::KeyKind;
use tidegate_ike::crypto::{
    Random, SignatureEncoding, SignatureError, SignatureScheme, SigningKey, reencode,
};

/// How a signature is made: key, hash and padding.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum tidegate_scheme {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256 = 1,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384 = 2,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512 = 3,
    /// RSASSA-PSS with SHA-256 throughout and a salt of the same length.
    RsaPssSha256 = 4,
    /// RSASSA-PSS with SHA-384 throughout and a salt of the same length.
    RsaPssSha384 = 5,
    /// RSASSA-PSS with SHA-512 throughout and a salt of the same length.
    RsaPssSha512 = 6,
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256 = 7,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384Sha384 = 8,
    /// ECDSA on P-521 with SHA-512.
    EcdsaP521Sha512 = 9,
    /// Ed25519.
    Ed25519 = 10,
}

/// How an ECDSA signature is written. Others have but one form.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum tidegate_signature_form {
    /// r and s one behind the other, each as wide as the group's order, as PKCS #11 has it.
    Fixed = 0,
    /// A SEQUENCE of both in DER, as OpenSSL has it.
    Der = 1,
}

/// Signs `message`, which is not hashed yet, by a TIDEGATE_SCHEME. Writes the signature to `signature`, where
/// there is room for `*length` bytes, and its length to `*length`. 0 if that was done, anything else if not.
///
/// It runs on a thread of the library and may take its time; several may run at once. It must not end by a C++
/// exception or longjmp.
pub type tidegate_sign_function = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        scheme: u32,
        message: tidegate_bytes,
        signature: *mut u8,
        length: *mut usize,
    ) -> i32,
>;

/// Says that nothing of `context` is needed any more.
pub type tidegate_release_function = Option<unsafe extern "C" fn(context: *mut c_void)>;

/// A key that signs by a call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_signer {
    /// sizeof(struct tidegate_signer)
    pub size: usize,
    /// Its public half as SubjectPublicKeyInfo in DER.
    pub public_key: tidegate_bytes,
    /// What it can sign by, the best first: TIDEGATE_SCHEME numbers. NULL for what such a key can as a rule.
    pub schemes: *const u32,
    /// How many these are.
    pub scheme_count: usize,
    /// What it makes if it is an ECDSA key: TIDEGATE_SIGNATURE_FORM.
    pub form: u32,
    /// Always 0.
    pub reserved: u32,
    /// Handed to both functions. They may be called on any thread.
    pub context: *mut c_void,
    /// Signs.
    pub sign: tidegate_sign_function,
    /// Called once when the key is needed no more; may be NULL.
    pub release: tidegate_release_function,
}

growing!(tidegate_signer);

/// The longest signature there is: RSA keys of 16384 bits, in bytes.
const LONGEST: usize = 2048;

type Sign = unsafe extern "C" fn(*mut c_void, u32, tidegate_bytes, *mut u8, *mut usize) -> i32;

/// Such a key as the engine sees it.
pub(crate) struct Callback {
    public_key: Vec<u8>,
    schemes: Vec<SignatureScheme>,
    form: SignatureEncoding,
    context: *mut c_void,
    sign: Sign,
    release: tidegate_release_function,
}

// SAFETY: whoever made it promises that both functions may be called with its context on any thread, `sign` on
// several at once; all else in it is plain data that never changes.
unsafe impl Send for Callback {}
// SAFETY: as above.
unsafe impl Sync for Callback {}

impl Callback {
    /// # Safety
    ///
    /// What the struct points to is there during this call, and its functions and context for as long as this.
    pub(crate) unsafe fn new(given: &tidegate_signer) -> Result<Self, Failure> {
        // SAFETY: as for this function.
        let public_key = unsafe { given.public_key.read("the public key") }?;
        let kind = KeyKind::of(public_key)
            .map_err(|error| Failure::argument(format_args!("the public key: {error}")))?;
        // SAFETY: as for this function.
        let named = unsafe { array(given.schemes, given.scheme_count, "the schemes") }?;
        let schemes = match named {
            [] => usual(kind).to_vec(),
            named => named.iter().map(|number| scheme(*number)).collect::<Result<_, _>>()?,
        };
        let form = match given.form {
            0 => SignatureEncoding::Fixed,
            1 => SignatureEncoding::Der,
            form => return Err(Failure::argument(format_args!("there is no form {form} of signatures"))),
        };
        let sign = given.sign.ok_or_else(|| Failure::argument("the function that signs is NULL"))?;
        let (context, release) = (given.context, given.release);
        Ok(Self { public_key: public_key.to_vec(), schemes, form, context, sign, release })
    }
}

impl SigningKey for Callback {
    fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    fn schemes(&self) -> &[SignatureScheme] {
        &self.schemes
    }

    fn sign(
        &self,
        scheme: SignatureScheme,
        encoding: SignatureEncoding,
        message: &[u8],
        _: &mut dyn Random,
    ) -> Result<Vec<u8>, SignatureError> {
        let number = number(scheme).ok_or(SignatureError::UnsupportedScheme)?;
        let (mut signature, mut length) = (vec![0; LONGEST], LONGEST);
        let message = tidegate_bytes { data: message.as_ptr(), length: message.len() };
        // SAFETY: the function was given for this, with its context; the room is as long as is said.
        let refused = callback::call(|| unsafe {
            (self.sign)(self.context, number, message, signature.as_mut_ptr(), &raw mut length)
        });
        if refused != 0 || length > LONGEST {
            return Err(SignatureError::Provider);
        }
        signature.truncate(length);
        reencode(scheme, [self.form, encoding], signature).ok_or(SignatureError::Provider)
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: the function was given for this, with its context, and is called this once.
            callback::call(|| unsafe { release(self.context) });
        }
    }
}

const NUMBERS: [(SignatureScheme, tidegate_scheme); 10] = [
    (SignatureScheme::RsaPkcs1Sha256, tidegate_scheme::RsaPkcs1Sha256),
    (SignatureScheme::RsaPkcs1Sha384, tidegate_scheme::RsaPkcs1Sha384),
    (SignatureScheme::RsaPkcs1Sha512, tidegate_scheme::RsaPkcs1Sha512),
    (SignatureScheme::RsaPssSha256, tidegate_scheme::RsaPssSha256),
    (SignatureScheme::RsaPssSha384, tidegate_scheme::RsaPssSha384),
    (SignatureScheme::RsaPssSha512, tidegate_scheme::RsaPssSha512),
    (SignatureScheme::EcdsaP256Sha256, tidegate_scheme::EcdsaP256Sha256),
    (SignatureScheme::EcdsaP384Sha384, tidegate_scheme::EcdsaP384Sha384),
    (SignatureScheme::EcdsaP521Sha512, tidegate_scheme::EcdsaP521Sha512),
    (SignatureScheme::Ed25519, tidegate_scheme::Ed25519),
];

fn number(scheme: SignatureScheme) -> Option<u32> {
    NUMBERS.iter().find(|(known, _)| *known == scheme).map(|(_, number)| *number as u32)
}

fn scheme(number: u32) -> Result<SignatureScheme, Failure> {
    let found = NUMBERS.iter().find(|(_, known)| *known as u32 == number).map(|(scheme, _)| *scheme);
    found.ok_or_else(|| Failure::argument(format_args!("there is no scheme {number}")))
}

fn usual(kind: KeyKind) -> &'static [SignatureScheme] {
    use SignatureScheme::{
        EcdsaP256Sha256, EcdsaP384Sha384, EcdsaP521Sha512, Ed25519, RsaPkcs1Sha256, RsaPkcs1Sha384,
        RsaPkcs1Sha512, RsaPssSha256, RsaPssSha384, RsaPssSha512,
    };
    match kind {
        KeyKind::P256 => &[EcdsaP256Sha256],
        KeyKind::P384 => &[EcdsaP384Sha384],
        KeyKind::P521 => &[EcdsaP521Sha512],
        KeyKind::Ed25519 => &[Ed25519],
        KeyKind::Rsa { .. } => {
            &[RsaPssSha256, RsaPssSha384, RsaPssSha512, RsaPkcs1Sha256, RsaPkcs1Sha384, RsaPkcs1Sha512]
        }
    }
}
