//! The system calls that no library wraps: many datagrams at once, with control messages.

#![allow(unsafe_code)]

use super::cmsg::{Control, Name};
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// How many datagrams one call receives at most.
const RECEIVED: usize = 32;
/// How many datagrams or pieces one call sends. Enough to make little of what a call costs, and few enough for
/// what is laid out on the stack for them to take one page, or two.
const SENT: usize = 16;

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

/// What goes in one call.
pub(super) struct Pieces<'a> {
    /// Of these the first `count` are written.
    places: [MaybeUninit<Out<'a>>; SENT],
    count: usize,
}

impl<'a> Pieces<'a> {
    pub(super) const fn new() -> Self {
        Self { places: [const { MaybeUninit::uninit() }; SENT], count: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.count >= SENT
    }

    /// Takes one more, where there is room.
    pub(super) fn push(&mut self, out: Out<'a>) {
        if let Some(place) = self.places.get_mut(self.count) {
            place.write(out);
            self.count += 1;
        }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [Out<'a>] {
        let written = self.places.get_mut(..self.count).unwrap_or_default();
        // SAFETY: `push` alone counts, and it writes a place before it does.
        unsafe { written.assume_init_mut() }
    }
}

/// The longest header that a raw socket leaves in front: IPv4's without options.
pub(super) const HEADER_MAX: usize = 20;

/// What a call needs for one datagram besides room for its bytes. One is laid out for each datagram that may
/// come, and no more: memory that is not touched need not be in any cache.
struct Place {
    name: Name,
    control: Control,
    header: [u8; HEADER_MAX],
    parts: [libc::iovec; 2],
}

impl Place {
    fn new(header_len: usize, buffer: &mut [u8]) -> Self {
        let header = libc::iovec { iov_base: ptr::null_mut(), iov_len: header_len.min(HEADER_MAX) };
        let body = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        Self { name: Name::EMPTY, control: Control::EMPTY, header: [0; HEADER_MAX], parts: [header, body] }
    }

    /// Points to this place, which must not move from here on.
    fn message(&mut self) -> libc::mmsghdr {
        self.parts[0].iov_base = self.header.as_mut_ptr().cast();
        let mut message = EMPTY_MESSAGE;
        message.msg_hdr.msg_name = self.name.as_mut_ptr();
        message.msg_hdr.msg_namelen = Name::capacity();
        message.msg_hdr.msg_iov = self.parts.as_mut_ptr();
        message.msg_hdr.msg_iovlen = 2;
        message.msg_hdr.msg_control = self.control.as_mut_ptr();
        message.msg_hdr.msg_controllen = Control::capacity() as _;
        message
    }
}

/// Receives up to [`RECEIVED`] datagrams without waiting, each into a buffer of its own; the first `header_len`
/// bytes of each go elsewhere. Says how many buffers were used.
pub(super) fn receive<'b>(
    socket: BorrowedFd<'_>,
    header_len: usize,
    buffers: impl Iterator<Item = &'b mut [u8]>,
    mut got: impl FnMut(&Got<'_>),
) -> io::Result<usize> {
    let mut places = [const { MaybeUninit::<Place>::uninit() }; RECEIVED];
    let mut messages = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; RECEIVED];
    let mut count = 0;
    for ((place, message), buffer) in places.iter_mut().zip(&mut messages).zip(buffers) {
        message.write(place.write(Place::new(header_len, buffer)).message());
        count += 1;
    }
    // SAFETY: the first `count` messages are written. They point to as many places, which live on this stack
    // until the end, each apart from the others and of the lengths that are told; their parts point to
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
    for (index, (place, message)) in places.iter().zip(&messages).take(received).enumerate() {
        // SAFETY: no more are received than there were messages, and as many of both are written.
        let (place, message) = unsafe { (place.assume_init_ref(), message.assume_init_ref()) };
        let length = message.msg_len as usize;
        let header_len = header_len.min(length);
        got(&Got {
            index,
            length: length - header_len,
            header: place.header.get(..header_len).unwrap_or_default(),
            is_truncated: message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            from: &place.name,
            control: &place.control,
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
    let mut message = EMPTY_MESSAGE.msg_hdr;
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

/// Sends up to [`SENT`] datagrams or pieces without waiting and says how many of them went; an error is about
/// the first.
pub(super) fn send(socket: BorrowedFd<'_>, datagrams: &mut [Out<'_>]) -> io::Result<usize> {
    let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; SENT];
    let mut messages = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; SENT];
    let mut count = 0;
    for ((datagram, part), message) in datagrams.iter_mut().zip(&mut parts).zip(&mut messages) {
        let base = datagram.bytes.as_ptr().cast_mut().cast();
        let part = part.write(libc::iovec { iov_base: base, iov_len: datagram.bytes.len() });
        let message = &mut message.write(EMPTY_MESSAGE).msg_hdr;
        message.msg_name = datagram.to.as_mut_ptr();
        message.msg_namelen = datagram.to_length;
        message.msg_iov = part;
        message.msg_iovlen = 1;
        message.msg_control = datagram.control.as_mut_ptr();
        message.msg_controllen = datagram.control_length as _;
        count += 1;
    }
    // SAFETY: the first `count` messages are written. They point to what is in `datagrams`, which is borrowed
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

/// How many datagrams there was no room for in a socket; none where the kernel does not say.
pub(super) fn missed(socket: BorrowedFd<'_>) -> u64 {
    /// Numbers about a socket's memory, of which the last is of what it has dropped.
    const NUMBERS: usize = 9;
    let mut numbers = [0_u32; NUMBERS];
    let mut length = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: no more is written to `numbers`, which live on this stack, than the length that is told.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let [.., dropped] = numbers;
    if result == 0 { dropped.into() } else { 0 }
}

// SAFETY: zeros are a valid `mmsghdr`: numbers, and pointers that may be null.
const EMPTY_MESSAGE: libc::mmsghdr = unsafe { zeroed() };
const EMPTY_PART: libc::iovec = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
