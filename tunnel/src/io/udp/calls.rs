//! The system calls that no library wraps: many datagrams at once, with control messages.

#![allow(unsafe_code)]

use super::cmsg::{Control, Name};
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// How many datagrams one call carries.
pub(super) const BATCH: usize = 64;

/// One received datagram, while the call's buffers are there.
pub(super) struct Got<'a> {
    /// Which of the buffers it is in.
    pub(super) index: usize,
    /// What of it is in the buffer, the header apart.
    pub(super) length: usize,
    /// What the kernel put in front of it.
    pub(super) header: &'a [u8],
    /// It was longer than its buffer.
    pub(super) is_truncated: bool,
    pub(super) from: &'a Name,
    pub(super) control: &'a Control,
    pub(super) control_length: usize,
}

/// One datagram to send, or several in one piece.
#[derive(Clone, Copy)]
pub(super) struct Out<'a> {
    pub(super) bytes: &'a [u8],
    /// Bytes of each datagram but the last.
    pub(super) segment: usize,
    pub(super) to: Name,
    pub(super) to_length: u32,
    pub(super) control: Control,
    pub(super) control_length: usize,
    /// Without what says how long a segment is, which is the last.
    pub(super) control_length_alone: usize,
}

impl Out<'_> {
    /// How many datagrams it is.
    pub(super) fn datagrams(&self) -> usize {
        if self.segment == 0 { 1 } else { self.bytes.len().div_ceil(self.segment) }
    }
}

/// The longest header that a raw socket leaves in front: IPv4's without options.
pub(super) const HEADER_MAX: usize = 20;

/// Receives up to [`BATCH`] datagrams without waiting, each into a buffer of its own; the first `header_len`
/// bytes of each go elsewhere.
pub(super) fn receive<'b>(
    socket: BorrowedFd<'_>,
    header_len: usize,
    buffers: impl Iterator<Item = &'b mut [u8]>,
    mut got: impl FnMut(&Got<'_>),
) -> io::Result<usize> {
    let mut names = [Name::EMPTY; BATCH];
    let mut controls = [Control::EMPTY; BATCH];
    let mut headers = [[0_u8; HEADER_MAX]; BATCH];
    let mut parts = [[EMPTY_PART; 2]; BATCH];
    let mut messages = [const { MaybeUninit::<libc::mmsghdr>::zeroed() }; BATCH];
    let mut count = 0;
    let each = names.iter_mut().zip(&mut controls).zip(&mut headers).zip(&mut parts).zip(&mut messages);
    for (((((name, control), header), part), message), buffer) in each.zip(buffers) {
        part[0] = libc::iovec { iov_base: header.as_mut_ptr().cast(), iov_len: header_len.min(HEADER_MAX) };
        part[1] = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: zeros are a valid `mmsghdr`: numbers, and pointers that may be null.
        let message = &mut unsafe { message.assume_init_mut() }.msg_hdr;
        message.msg_name = name.as_mut_ptr();
        message.msg_namelen = Name::capacity();
        message.msg_iov = part.as_mut_ptr();
        message.msg_iovlen = 2;
        message.msg_control = control.as_mut_ptr();
        message.msg_controllen = Control::capacity() as _;
        count += 1;
    }
    // SAFETY: the first `count` messages point to names, controls, headers and parts that live on this
    // stack until the end, each apart from the others and of the length that is told; the parts point to
    // buffers that are borrowed for 'b, which outlasts the call.
    let result = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr().cast(),
            count,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    };
    let received = usize::try_from(result).map_err(|_| io::Error::last_os_error())?;
    for (index, message) in messages.iter().take(received).enumerate() {
        // SAFETY: zeroed at first, and written by the kernel since: numbers and our own pointers.
        let message = unsafe { message.assume_init_ref() };
        let length = message.msg_len as usize;
        let header_len = header_len.min(length);
        got(&Got {
            index,
            length: length - header_len,
            header: headers[index].get(..header_len).unwrap_or_default(),
            is_truncated: message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            from: &names[index],
            control: &controls[index],
            control_length: message.msg_hdr.msg_controllen as _,
        });
    }
    Ok(received)
}

/// Takes one message of the error queue: to whom the datagram at fault went, and what was said.
pub(super) fn receive_error(
    socket: BorrowedFd<'_>,
    mut got: impl FnMut(&Name, &Control, usize),
) -> io::Result<()> {
    let mut name = Name::EMPTY;
    let mut control = Control::EMPTY;
    // The datagram itself comes back too, as far as there is room: none is needed.
    let mut part = EMPTY_PART;
    // SAFETY: zeros are a valid `msghdr`: numbers, and pointers that may be null.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_name = name.as_mut_ptr();
    message.msg_namelen = Name::capacity();
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr();
    message.msg_controllen = Control::capacity() as _;
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: name and control live on this stack until the end and are as long as is told; the one part
    // has no length, so that nothing is written to it.
    if unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) } < 0 {
        return Err(io::Error::last_os_error());
    }
    got(&name, &control, message.msg_controllen as _);
    Ok(())
}

/// Sends up to [`BATCH`] datagrams or pieces without waiting and says how many of them went; an error is about
/// the first.
pub(super) fn send(socket: BorrowedFd<'_>, datagrams: &mut [Out<'_>]) -> io::Result<usize> {
    let mut parts = [EMPTY_PART; BATCH];
    let mut messages = [const { MaybeUninit::<libc::mmsghdr>::zeroed() }; BATCH];
    let mut count = 0;
    for ((datagram, part), message) in datagrams.iter_mut().zip(&mut parts).zip(&mut messages) {
        let base = datagram.bytes.as_ptr().cast_mut().cast();
        *part = libc::iovec { iov_base: base, iov_len: datagram.bytes.len() };
        // SAFETY: zeros are a valid `mmsghdr`: numbers, and pointers that may be null.
        let message = &mut unsafe { message.assume_init_mut() }.msg_hdr;
        message.msg_name = datagram.to.as_mut_ptr();
        message.msg_namelen = datagram.to_length;
        message.msg_iov = &raw mut *part;
        message.msg_iovlen = 1;
        message.msg_control = datagram.control.as_mut_ptr();
        message.msg_controllen = datagram.control_length as _;
        count += 1;
    }
    // SAFETY: the first `count` messages point to names, controls and bytes of `datagrams`, which is borrowed
    // until the end, and to parts on this stack, all of the lengths that are told. Sending only reads
    // the bytes, although an iovec cannot say so.
    let result = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr().cast(),
            count,
            (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
        )
    };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Sets an option that is an `int`.
pub(super) fn set_option(socket: BorrowedFd<'_>, level: i32, option: i32, value: i32) -> io::Result<()> {
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the option's value is read from `value`, which lives on this stack and is as long as is told.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const EMPTY_PART: libc::iovec = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
