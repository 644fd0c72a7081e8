//! Failures on their way to C, and the border that no panic crosses.
//!
//! Whoever wants to know more than a code passes a place for an error object. It belongs to them, is never changed,
//! and may be read on any thread: nothing is kept by thread, so programs whose tasks move between threads need not
//! hold on to one.

use crate::code::{tidegate_code, tidegate_culprit};
use crate::text::tidegate_text;
use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a call has failed.
pub struct tidegate_error {
    code: tidegate_code,
    culprit: tidegate_culprit,
    /// With a zero behind it.
    message: String,
}

/// Why a call fails, as it is told inside.
pub(crate) struct Failure {
    pub(crate) code: tidegate_code,
    pub(crate) culprit: tidegate_culprit,
    pub(crate) message: String,
}

/// The code of an error; TIDEGATE_CODE_OK of NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_error_code(error: *const tidegate_error) -> tidegate_code {
    // SAFETY: null, or an error that the caller still owns.
    unsafe { error.as_ref() }.map_or(tidegate_code::Ok, |error| error.code)
}

/// Whose fault it is, where it is about a peer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_error_culprit(error: *const tidegate_error) -> tidegate_culprit {
    // SAFETY: null, or an error that the caller still owns.
    unsafe { error.as_ref() }.map_or(tidegate_culprit::None, |error| error.culprit)
}

/// What to tell people. There is a zero behind it, and it lives as long as the error; empty of NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_error_message(error: *const tidegate_error) -> tidegate_text {
    // SAFETY: null, or an error that the caller still owns.
    match unsafe { error.as_ref() } {
        Some(error) => tidegate_text::terminated(&error.message),
        None => tidegate_text::terminated("\0"),
    }
}

/// Gives an error back. NULL is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_error_free(error: *mut tidegate_error) {
    if !error.is_null() {
        // SAFETY: it came from `guard`, and its owner gives it away here.
        drop(unsafe { Box::from_raw(error) });
    }
}

/// Does what a function of the interface does. Whatever goes wrong becomes a code, and an error object where
/// there is a place for one.
///
/// # Safety
///
/// `error` is null or a place for a pointer.
pub(crate) unsafe fn guard(
    error: *mut *mut tidegate_error,
    act: impl FnOnce() -> Result<(), Failure>,
) -> tidegate_code {
    let result = catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| Err(Failure::bug(&*panic)));
    let (code, object) = match result {
        Ok(()) => (tidegate_code::Ok, std::ptr::null_mut()),
        Err(failure) if error.is_null() => (failure.code, std::ptr::null_mut()),
        Err(failure) => (failure.code, Box::into_raw(Box::new(tidegate_error::from(failure)))),
    };
    if !error.is_null() {
        // SAFETY: the caller says that there is room for a pointer. What stands there may never have been set.
        unsafe { error.write(object) };
    }
    code
}

/// The same for a function that returns something else than a code; `otherwise` if it fails.
pub(crate) fn guarded<T>(otherwise: T, act: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or(otherwise)
}

impl Failure {
    pub(crate) fn new(code: tidegate_code, message: impl Display) -> Self {
        Self { code, culprit: tidegate_culprit::None, message: message.to_string() }
    }

    pub(crate) fn argument(message: impl Display) -> Self {
        Self::new(tidegate_code::Argument, message)
    }

    pub(crate) fn misuse(message: impl Display) -> Self {
        Self::new(tidegate_code::Misuse, message)
    }

    pub(crate) fn system(message: impl Display) -> Self {
        Self::new(tidegate_code::System, message)
    }

    fn bug(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word");
        Self::new(tidegate_code::Bug, format_args!("a mistake in the library: {text}"))
    }
}

impl From<Failure> for tidegate_error {
    fn from(Failure { code, culprit, mut message }: Failure) -> Self {
        // Whoever reads up to the zero reads all of it.
        message.retain(|letter| letter != '\0');
        message.push('\0');
        Self { code, culprit, message }
    }
}

impl From<tidegate_ike::Verdict> for Failure {
    fn from(verdict: tidegate_ike::Verdict) -> Self {
        let culprit = verdict.culprit.into();
        Self { culprit, ..Self::new(tidegate_code::Failed, verdict) }
    }
}

impl From<tidegate_ike::ApiMisuse> for Failure {
    fn from(misuse: tidegate_ike::ApiMisuse) -> Self {
        use tidegate_ike::ApiMisuse;
        let code = match misuse {
            ApiMisuse::NoSuchConnection(_) | ApiMisuse::NoSuchChild(_) | ApiMisuse::NoSuchSa => {
                tidegate_code::NotFound
            }
            _ => tidegate_code::Misuse,
        };
        Self::new(code, misuse)
    }
}

impl From<tunnel::Error> for Failure {
    fn from(error: tunnel::Error) -> Self {
        match error {
            tunnel::Error::Failed(verdict) => verdict.into(),
            tunnel::Error::Misuse(misuse) => misuse.into(),
            tunnel::Error::Stopped => Self::new(tidegate_code::Stopped, error),
            tunnel::Error::Load(_) | tunnel::Error::Mesh(_) => Self::new(tidegate_code::Config, error),
            tunnel::Error::NoIdentity => Self::misuse(error),
        }
    }
}

impl From<tunnel::config::Mistakes> for Failure {
    fn from(mistakes: tunnel::config::Mistakes) -> Self {
        Self::new(tidegate_code::Config, mistakes)
    }
}

impl From<tunnel::engine::LoadError> for Failure {
    fn from(error: tunnel::engine::LoadError) -> Self {
        Self::new(tidegate_code::Config, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_panic_gets_past_the_border() {
        let mut error = std::ptr::null_mut();
        // SAFETY: there is room for a pointer.
        let code = unsafe { guard(&raw mut error, || panic!("on purpose")) };
        assert_eq!(code, tidegate_code::Bug);
        // SAFETY: a code other than Ok comes with an error.
        let text = unsafe { tidegate_error_message(error).read("the message") };
        assert!(text.is_ok_and(|text| text == "a mistake in the library: on purpose"));
        // SAFETY: it is ours, and not used any more.
        unsafe { tidegate_error_free(error) };
        assert_eq!(guarded(7, || panic!("on purpose")), 7);
    }

    #[test]
    fn a_place_that_was_never_set_is_overwritten_where_all_is_well() {
        let mut error = std::ptr::dangling_mut();
        // SAFETY: there is room for a pointer, and what stands there is not looked at.
        assert_eq!(unsafe { guard(&raw mut error, || Ok(())) }, tidegate_code::Ok);
        assert!(error.is_null());
    }
}
