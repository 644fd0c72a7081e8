//! Conversations with the kernel over netlink.
//!
//! Messages are written by hand: the packet filter has no library, and one writer serves it and routes alike.

mod message;

pub(crate) use message::{
    ACK, APPEND, Attributes, CREATE, DUMP, EXCLUSIVE, Message, Messages, REPLACE, Request,
};

use message::{DONE, ERROR};
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;
use rustix::net::sockopt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// What the kernel may put into one datagram of an answer.
const ANSWER: usize = 64 * 1024;
/// Room for a whole packet filter in one transaction, and for a storm of changes.
const SOCKET_BUFFER: usize = 32 << 20;

/// Why the kernel did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It said no, sometimes with an explanation.
    Kernel { errno: Errno, hint: Option<String> },
    /// The conversation failed.
    Socket(io::Error),
}

/// A socket on which questions are asked and answers waited for. The kernel answers before the question has
/// been sent, so that nothing here ever blocks.
pub(crate) struct Conversation {
    socket: Socket,
    sequence: AtomicU32,
}

/// A socket on which the kernel tells of changes.
pub(crate) struct Monitor {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Conversation {
    /// With this part of the kernel.
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        // Without it a dump cannot be narrowed, which costs time where the host has many routes.
        let _ = socket.set_netlink_get_strict_chk(true);
        // Beyond the usual limit for the privileged; the usual buffer is enough for all but great numbers.
        let _ = sockopt::set_socket_send_buffer_size_force(&socket, SOCKET_BUFFER);
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER);
        Ok(Self { socket, sequence: AtomicU32::new(1) })
    }

    /// Has one thing done.
    pub(crate) fn order(&self, request: Request) -> Result<(), Refusal> {
        let sequence = self.send(request)?;
        self.answers(sequence, |_| {})
    }

    /// Asks, and hands each message of the answer to `take`.
    pub(crate) fn ask(&self, request: Request, take: impl FnMut(Message<'_>)) -> Result<(), Refusal> {
        let sequence = self.send(request)?;
        self.answers(sequence, take)
    }

    /// Asks for one thing, which comes without a confirmation behind it.
    pub(crate) fn ask_one(&self, request: Request, mut take: impl FnMut(Message<'_>)) -> Result<(), Refusal> {
        let sequence = self.send(request)?;
        let bytes = self.receive()?;
        for message in Messages(&bytes).filter(|message| message.sequence == sequence) {
            match message.kind {
                ERROR => return verdict(&message),
                _ => take(message),
            }
        }
        Ok(())
    }

    /// Has several things done at once or not at all. The messages go in one datagram, framed as their part of
    /// the kernel wants it; it only answers to say no.
    pub(crate) fn order_at_once(&self, requests: Vec<Request>) -> Result<(), Refusal> {
        let mut bytes = Vec::new();
        for request in requests {
            bytes.extend_from_slice(&request.into_bytes(self.next_sequence()));
        }
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), 0).map_err(Refusal::Socket)?;
        let mut result = Ok(());
        while let Ok(bytes) = self.receive() {
            for message in Messages(&bytes).filter(|message| message.kind == ERROR) {
                result = result.and(verdict(&message));
            }
        }
        result
    }

    fn next_sequence(&self) -> u32 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    fn send(&self, request: Request) -> Result<u32, Refusal> {
        let sequence = self.next_sequence();
        let bytes = request.into_bytes(sequence);
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), 0).map_err(Refusal::Socket)?;
        Ok(sequence)
    }

    fn answers(&self, sequence: u32, mut take: impl FnMut(Message<'_>)) -> Result<(), Refusal> {
        loop {
            let bytes = self.receive()?;
            for message in Messages(&bytes).filter(|message| message.sequence == sequence) {
                match message.kind {
                    DONE => return Ok(()),
                    ERROR => return verdict(&message),
                    _ => take(message),
                }
            }
        }
    }

    fn receive(&self) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::with_capacity(ANSWER);
        self.socket.recv(&mut bytes, libc::MSG_DONTWAIT).map_err(Refusal::Socket)?;
        Ok(bytes)
    }
}

impl Monitor {
    /// Hears of these groups of changes.
    pub(crate) fn open(protocol: isize, groups: &[u32]) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER);
        for group in groups {
            socket.add_membership(*group)?;
        }
        Ok(Self { socket, buffer: Vec::with_capacity(ANSWER) })
    }

    /// Hands one datagram of changes to `take`; false when there are none left.
    pub(crate) fn next(&mut self, mut take: impl FnMut(Message<'_>)) -> io::Result<bool> {
        self.buffer.clear();
        match self.socket.recv(&mut self.buffer, libc::MSG_DONTWAIT) {
            Ok(_) => {
                Messages(&self.buffer).for_each(&mut take);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Refusal {
    /// Whether the kernel said no with this number.
    pub(crate) fn is(&self, wanted: Errno) -> bool {
        matches!(self, Self::Kernel { errno, .. } if *errno == wanted)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kernel { errno, hint: Some(hint) } => write!(f, "{errno}: {hint}"),
            Self::Kernel { errno, hint: None } => errno.fmt(f),
            Self::Socket(error) => error.fmt(f),
        }
    }
}

/// What an error message says; number zero is a confirmation.
fn verdict(message: &Message<'_>) -> Result<(), Refusal> {
    const HINT: u16 = 1;
    let number = message.number(0) as i32;
    if number == 0 {
        return Ok(());
    }
    // The number, the header of the request, and then the explanation.
    let hint = message.attributes(4 + 16).name(HINT);
    Err(Refusal::Kernel { errno: Errno::from_raw_os_error(number.wrapping_neg()), hint })
}
