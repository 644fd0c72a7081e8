//! Structs that may grow. Each begins with its size as the caller knows it: what is behind that is as if it were
//! zero, and zero always means that nothing is said.

use crate::error::Failure;
use std::mem::MaybeUninit;

/// More than any of them will ever be: a size beyond was never set.
const LARGEST: usize = 4096;

/// A struct of the interface that may grow.
///
/// # Safety
///
/// It is `repr(C)`, begins with a `usize` that is its size, and is valid where all of it is zero and where C has
/// put anything at all into its fields.
pub(crate) unsafe trait Growing: Copy {
    /// Its name in the header.
    const NAME: &'static str;
    /// Size of its first version, below which nobody has it.
    const LEAST: usize;
}

/// What a caller has filled in.
///
/// # Safety
///
/// `from` is null, or has as many bytes as its size says.
pub(crate) unsafe fn read<T: Growing>(from: *const T) -> Result<T, Failure> {
    // SAFETY: as for this function.
    let size = unsafe { size_of_given(from) }?;
    let mut own = MaybeUninit::<T>::zeroed();
    let known = size.min(size_of::<T>());
    // SAFETY: so many bytes are there on both sides, and they are not the same ones.
    unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), own.as_mut_ptr().cast::<u8>(), known) };
    for at in known..size {
        // SAFETY: the caller says that there are `size` bytes.
        if unsafe { from.cast::<u8>().add(at).read() } != 0 {
            let message = format!("{} has something in it that this version does not know", T::NAME);
            return Err(Failure::new(crate::code::tidegate_code::Unsupported, message));
        }
    }
    // SAFETY: `Growing` promises that it is valid whatever stands in it.
    Ok(unsafe { own.assume_init() })
}

/// Fills in what the caller has room for. The size there stays; what this version does not know becomes zero.
///
/// # Safety
///
/// `to` is null, or has as many bytes as its size says.
pub(crate) unsafe fn write<T: Growing>(to: *mut T, value: &T) -> Result<(), Failure> {
    // SAFETY: as for this function.
    let size = unsafe { size_of_given(to) }?;
    let (to, from) = (to.cast::<u8>(), std::ptr::from_ref(value).cast::<u8>());
    let (head, known) = (size_of::<usize>(), size.min(size_of::<T>()));
    // SAFETY: so many bytes are there on both sides, and they are not the same ones.
    unsafe { std::ptr::copy_nonoverlapping(from.add(head), to.add(head), known - head) };
    // SAFETY: the caller says that there are `size` bytes.
    unsafe { to.add(known).write_bytes(0, size - known) };
    Ok(())
}

/// # Safety
///
/// `given` is null, or has as many bytes as its size says.
unsafe fn size_of_given<T: Growing>(given: *const T) -> Result<usize, Failure> {
    if given.is_null() || !given.is_aligned() {
        return Err(Failure::argument(format_args!("there is no {}", T::NAME)));
    }
    // SAFETY: the size stands first, and is always there.
    let size = unsafe { given.cast::<usize>().read() };
    if !(T::LEAST..=LARGEST).contains(&size) {
        return Err(Failure::argument(format_args!("{} has size {size}: set it to sizeof", T::NAME)));
    }
    Ok(size)
}

/// Says that a struct may grow. It is up to who writes it that the struct is as [`Growing`] wants it.
macro_rules! growing {
    ($name:ident) => {
        // SAFETY: see the struct: `repr(C)`, its size first, and numbers, pointers and nullable functions in it.
        unsafe impl crate::sized::Growing for $name {
            const NAME: &'static str = stringify!($name);
            const LEAST: usize = size_of::<$name>();
        }
    };
}
pub(crate) use growing;
