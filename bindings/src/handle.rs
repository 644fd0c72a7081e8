//! Objects of ours that C holds by a pointer.

use crate::error::Failure;

/// What a handle stands for.
///
/// # Safety
///
/// `handle` is null, or came from [`give`] and was not freed.
pub(crate) unsafe fn borrow<'a, T>(handle: *const T, what: &str) -> Result<&'a T, Failure> {
    // SAFETY: as for this function.
    unsafe { handle.as_ref() }.ok_or_else(|| Failure::argument(format_args!("{what} is NULL")))
}

/// Hands an object over.
///
/// # Safety
///
/// `place` is null, or has room for a pointer.
pub(crate) unsafe fn give<T>(place: *mut *mut T, object: T) -> Result<(), Failure> {
    // SAFETY: as for this function.
    unsafe { put(place, Box::into_raw(Box::new(object)), "the place for the result") }
}

/// Writes a result.
///
/// # Safety
///
/// `place` is null, or has room for it.
pub(crate) unsafe fn put<T>(place: *mut T, value: T, what: &str) -> Result<(), Failure> {
    if place.is_null() {
        return Err(Failure::argument(format_args!("{what} is NULL")));
    }
    // SAFETY: the caller says that there is room; what stood there has no destructor.
    unsafe { place.write(value) };
    Ok(())
}

/// Says that there is no result, before anything can go wrong.
///
/// # Safety
///
/// `place` is null, or has room for a pointer.
pub(crate) unsafe fn clear<T>(place: *mut *mut T) -> Result<(), Failure> {
    // SAFETY: as for this function.
    unsafe { put(place, std::ptr::null_mut(), "the place for the result") }
}

/// Takes an object back.
///
/// # Safety
///
/// `handle` is null, or came from [`give`], was not freed, and is in nobody's hands any more.
pub(crate) unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: as for this function.
        let object = unsafe { Box::from_raw(handle) };
        crate::error::guarded((), || drop(object));
    }
}
