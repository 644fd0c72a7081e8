//! Questions to the kernel about links and addresses, and what it says: one after the other, waited for.

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::io;

/// What one datagram of a dump may hold: the kernel fills no more than this.
const BUFFER: usize = 1 << 16;

/// Asks for all there is of something.
pub(super) fn dump(question: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
    ask(question, NLM_F_REQUEST | NLM_F_DUMP)
}

/// Has something done.
pub(super) fn order(wish: RouteNetlinkMessage) -> io::Result<()> {
    ask(wish, NLM_F_REQUEST | NLM_F_ACK).map(drop)
}

fn ask(message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut answers = Vec::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = socket.recv(&mut buffer.as_mut_slice(), 0)?;
        if read(buffer.get(..length).unwrap_or_default(), &mut answers)? == Progress::Done {
            return Ok(answers);
        }
    }
}

#[derive(PartialEq, Eq)]
enum Progress {
    More,
    Done,
}

fn read(mut bytes: &[u8], answers: &mut Vec<RouteNetlinkMessage>) -> io::Result<Progress> {
    while !bytes.is_empty() {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let length = (message.header.length as usize).next_multiple_of(4).max(4);
        bytes = bytes.get(length..).unwrap_or_default();
        match message.payload {
            NetlinkPayload::InnerMessage(answer) => answers.push(answer),
            NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
            NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(Progress::Done),
            _ => {}
        }
    }
    Ok(Progress::More)
}
