//! The yardstick of `side-by-side`: what a tunnel costs that does nothing but carry packets.
//!
//! ```sh
//! bare-loop DEVICE LOCAL:PORT REMOTE:PORT [--aead]
//! ```
//!
//! One thread reads super-packets of a TUN device, cuts them, and sends the segments in one call each
//! ([`outbound`]); the other receives what the kernel has gathered of one flow, joins it, and writes it to the
//! device ([`inbound`]). With `--aead`, AES-128-GCM is in between, with a key that everybody knows. There is no
//! policy, no window, no second peer, no IPv6. It is written plainly on purpose: checksums are summed up word
//! by word, and a segment is put together in a buffer of its own, as most would do it.

#![allow(clippy::print_stderr, reason = "it is a program for a terminal")]

mod inbound;
mod outbound;
mod packet;

use nix::sys::socket::{setsockopt, sockopt};
use ring::aead::{AES_128_GCM, LessSafeKey, UnboundKey};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use tidegate::io::Device;
use tidegate::io::offload_tun::OffloadTun;

const USAGE: &str = "usage: bare-loop DEVICE LOCAL:PORT REMOTE:PORT [--aead]";
/// The longest packet that a device or a socket gives.
const PACKET_MAX: usize = 1 << 16;
/// Socket buffers, so that a burst finds room while the thread is elsewhere.
const SOCKET_BUFFER: usize = 8 << 20;
/// The MTU of the device, until somebody sets another.
const MTU: usize = 1400;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bare-loop: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let (device, local, remote, cipher) = match arguments {
        [device, local, remote] => (device, local, remote, false),
        [device, local, remote, cipher] if cipher == "--aead" => (device, local, remote, true),
        _ => return Err(USAGE.into()),
    };
    let address = |text: &String| text.parse::<SocketAddr>().map_err(|error| format!("{text}: {error}"));
    let socket = Arc::new(socket(address(local)?, address(remote)?).map_err(|error| error.to_string())?);
    let device = OffloadTun::create(device, MTU).map_err(|error| error.to_string())?;
    let device = Arc::new(waiting(device).map_err(|error| error.to_string())?);
    let (their_device, their_socket) = (Arc::clone(&device), Arc::clone(&socket));
    std::thread::spawn(move || inbound::carry(&*their_device, &their_socket, key(cipher).as_ref()));
    outbound::carry(&*device, &socket, key(cipher).as_ref()).map_err(|error| error.to_string())
}

fn socket(local: SocketAddr, remote: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(local)?;
    socket.connect(remote)?;
    setsockopt(&socket, sockopt::UdpGroSegment, &true)?;
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER)?;
    setsockopt(&socket, sockopt::SndBufForce, &SOCKET_BUFFER)?;
    Ok(socket)
}

/// A read waits until there is something.
fn waiting(device: OffloadTun) -> io::Result<OffloadTun> {
    let flags = fcntl_getfl(device.as_fd())?;
    fcntl_setfl(device.as_fd(), flags.difference(OFlags::NONBLOCK))?;
    Ok(device)
}

fn key(cipher: bool) -> Option<LessSafeKey> {
    let key = cipher.then(|| UnboundKey::new(&AES_128_GCM, &[7; 16]).ok()).flatten()?;
    Some(LessSafeKey::new(key))
}
