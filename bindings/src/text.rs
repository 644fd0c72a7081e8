//! Texts and bytes that cross the border: a pointer and a length.

use crate::error::{Failure, guarded};
use std::ffi::c_char;
use std::ptr;

/// A text in UTF-8 that belongs to somebody else. It may have zeros in it, and need not have one behind it.
/// Nothing is read through the pointer where the length is 0, and it may be NULL then.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_text {
    /// Its first byte.
    pub data: *const c_char,
    /// How many bytes it has.
    pub length: usize,
}

/// Bytes that belong to somebody else. Where the length is 0, the pointer may be NULL.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_bytes {
    /// The first one.
    pub data: *const u8,
    /// How many.
    pub length: usize,
}

/// A text that belongs to the caller, who gives it back by `tidegate_buffer_free` and changes neither pointer nor
/// length before that. There is a zero behind it that the length does not count.
#[repr(C)]
pub struct tidegate_buffer {
    /// Its first byte; NULL where there is nothing to give back.
    pub data: *mut c_char,
    /// How many bytes it has.
    pub length: usize,
}

/// Gives a text back and leaves nothing in its place. Done twice, or with NULL, it does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_buffer_free(buffer: *mut tidegate_buffer) {
    // SAFETY: null, or a place that holds a buffer.
    let Some(buffer) = (unsafe { buffer.as_mut() }) else { return };
    let data = std::mem::replace(&mut buffer.data, ptr::null_mut());
    let length = std::mem::take(&mut buffer.length);
    if !data.is_null() {
        let whole = ptr::slice_from_raw_parts_mut(data.cast::<u8>(), length.saturating_add(1));
        // SAFETY: `tidegate_buffer::new` made it of a box with one byte more than its length, and its owner has
        // changed neither.
        guarded((), || drop(unsafe { Box::from_raw(whole) }));
    }
}

impl tidegate_text {
    pub(crate) const EMPTY: Self = Self { data: ptr::null(), length: 0 };

    /// Valid for as long as what it is made of.
    pub(crate) fn of(text: &str) -> Self {
        Self { data: text.as_ptr().cast(), length: text.len() }
    }

    /// Of a text that ends with a zero, which is not counted.
    pub(crate) fn terminated(text: &str) -> Self {
        Self { data: text.as_ptr().cast(), length: text.len().saturating_sub(1) }
    }

    /// # Safety
    ///
    /// It is what a caller has passed, who keeps it there for `'a`.
    pub(crate) unsafe fn read<'a>(self, what: &str) -> Result<&'a str, Failure> {
        let bytes = tidegate_bytes { data: self.data.cast(), length: self.length };
        // SAFETY: as for this function.
        let bytes = unsafe { bytes.read(what) }?;
        std::str::from_utf8(bytes).map_err(|_| Failure::argument(format_args!("{what} is not UTF-8")))
    }

    /// A text that may not be empty.
    ///
    /// # Safety
    ///
    /// As for [`read`](Self::read).
    pub(crate) unsafe fn name<'a>(self, what: &str) -> Result<&'a str, Failure> {
        // SAFETY: as for this function.
        match unsafe { self.read(what) }? {
            "" => Err(Failure::argument(format_args!("{what} is missing"))),
            text => Ok(text),
        }
    }
}

impl tidegate_bytes {
    /// # Safety
    ///
    /// It is what a caller has passed, who keeps it there for `'a`.
    pub(crate) unsafe fn read<'a>(self, what: &str) -> Result<&'a [u8], Failure> {
        // SAFETY: as for this function.
        unsafe { array(self.data, self.length, what) }
    }
}

/// An array that a caller has passed.
///
/// # Safety
///
/// Unless it is null, `data` has `length` items, and keeps them for `'a`.
pub(crate) unsafe fn array<'a, T>(data: *const T, length: usize, what: &str) -> Result<&'a [T], Failure> {
    if length == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Failure::argument(format_args!("{what} is NULL")));
    }
    if !data.is_aligned() || length > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Failure::argument(format_args!("{what} is not where or as long as anything can be")));
    }
    // SAFETY: the caller vouches for its items, and it is aligned and no longer than memory.
    Ok(unsafe { std::slice::from_raw_parts(data, length) })
}

impl tidegate_buffer {
    pub(crate) fn new(text: String) -> Self {
        let length = text.len();
        let mut bytes = text.into_bytes();
        bytes.push(0);
        let whole = Box::into_raw(bytes.into_boxed_slice());
        Self { data: whole.cast(), length }
    }
}
