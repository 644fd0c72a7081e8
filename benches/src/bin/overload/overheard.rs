//! What the daemons say to each other, as anybody on the way can hear it.

use rustix::net::{AddressFamily, RecvFlags, SocketType, ipproto, sockopt};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tidegate_benches::lab::{End, Lab};
use tidegate_benches::load::join;

/// As many of each as are of any use.
const KEPT: usize = 512;
const IPV4_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const MARKER: usize = 4;
/// What fits into a packet of Ethernet.
const LONGEST: usize = 1472;
/// Where an IKE header says which exchange it is of, and whether it is an answer.
const EXCHANGE: usize = 18;
const FLAGS: usize = 19;
const IKE_HEADER: usize = 28;
const IKE_SA_INIT: u8 = 34;
const RESPONSE: u8 = 0x20;
pub(crate) const IKE_PORT: u16 = 500;
pub(crate) const NAT_PORT: u16 = 4500;

/// UDP payloads that came to the second end from the first.
#[derive(Default)]
pub(crate) struct Overheard {
    /// Without a cookie, to the port of IKE.
    pub(crate) init: Vec<u8>,
    /// Everything of IKE that came, with the port it came to.
    pub(crate) ike: Vec<(u16, Vec<u8>)>,
    /// The newest packets of ESP.
    pub(crate) esp: Vec<Vec<u8>>,
}

/// Somebody who listens.
pub(crate) struct Ear {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Overheard>>,
}

impl Ear {
    /// Listens from now on to what comes to the second end.
    pub(crate) fn open(lab: &Lab) -> Result<Self, String> {
        let socket = join(lab.thread(End::Other, || {
            let socket = rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::UDP))?;
            sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(Duration::from_millis(20)))?;
            io::Result::Ok(socket)
        })?)?;
        let stop = Arc::new(AtomicBool::new(false));
        let hear = Arc::clone(&stop);
        let thread = std::thread::spawn(move || Ok(listen(&socket, &hear)));
        Ok(Self { stop, thread })
    }

    /// What has been heard.
    pub(crate) fn close(self) -> Result<Overheard, String> {
        self.stop.store(true, Ordering::Release);
        let heard = join(self.thread)?;
        if heard.init.is_empty() || heard.ike.len() < 2 || heard.esp.is_empty() {
            return Err("the daemons were not heard to set a tunnel up and to use it".into());
        }
        Ok(heard)
    }
}

fn listen(socket: &OwnedFd, stop: &AtomicBool) -> Overheard {
    let mut heard = Overheard::default();
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::Acquire) {
        if let Ok((length, _)) = rustix::net::recv(socket, &mut buffer[..], RecvFlags::empty()) {
            heard.take(buffer.get(..length).unwrap_or_default());
        }
    }
    heard
}

impl Overheard {
    fn take(&mut self, packet: &[u8]) {
        let source = packet.get(12..16);
        if source != Some(&End::One.outside().octets()) || packet.first() != Some(&0x45) {
            return;
        }
        let Some((udp, payload)) =
            packet.get(IPV4_HEADER..).and_then(|rest| rest.split_at_checked(UDP_HEADER))
        else {
            return;
        };
        match u16::from_be_bytes([udp[2], udp[3]]) {
            IKE_PORT => self.take_ike(IKE_PORT, payload, payload),
            // Several in one piece are no packet that could be sent once more.
            NAT_PORT if payload.len() <= MARKER || payload.len() > LONGEST => {}
            NAT_PORT if payload.starts_with(&[0; MARKER]) => {
                self.take_ike(NAT_PORT, payload, payload.get(MARKER..).unwrap_or_default());
            }
            NAT_PORT => {
                if self.esp.len() >= KEPT {
                    self.esp.remove(0);
                }
                self.esp.push(payload.to_owned());
            }
            _ => {}
        }
    }

    fn take_ike(&mut self, port: u16, payload: &[u8], message: &[u8]) {
        let Some(header) = message.get(..IKE_HEADER).filter(|_| self.ike.len() < KEPT) else { return };
        if header[EXCHANGE] == IKE_SA_INIT && header[FLAGS] & RESPONSE == 0 && port == IKE_PORT {
            payload.clone_into(&mut self.init);
        }
        self.ike.push((port, payload.to_owned()));
    }
}
