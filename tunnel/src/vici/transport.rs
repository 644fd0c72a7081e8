//! Packets on a stream: a length of four bytes, then so many.

use super::packet::MAX_PACKET;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// The next packet; `None` when the other end has closed between two.
///
/// It may be long in coming. But once it has begun, the rest must follow within `patience`. Memory is taken
/// as bytes arrive, not as the length says.
pub(super) async fn read<R>(stream: &mut R, patience: Duration) -> io::Result<Option<Vec<u8>>>
where
    R: AsyncRead + Unpin,
{
    let mut first = [0];
    if stream.read(&mut first).await? == 0 {
        return Ok(None);
    }
    let body = async {
        let mut rest = [0; 3];
        stream.read_exact(&mut rest).await?;
        let ([first], [a, b, c]) = (first, rest);
        let length = u32::from_be_bytes([first, a, b, c]);
        if length as usize > MAX_PACKET {
            return Err(io::Error::new(io::ErrorKind::InvalidData, Oversized(length)));
        }
        let mut body = Vec::new();
        stream.take(length.into()).read_to_end(&mut body).await?;
        if body.len() < length as usize { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(body) }
    };
    timeout(patience, body).await?.map(Some)
}

/// Sends a packet with its length in front, which must be gone within `patience`.
pub(super) async fn write<W>(stream: &mut W, frame: &[u8], patience: Duration) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    timeout(patience, stream.write_all(frame)).await?
}

/// A packet that is longer than one may be.
#[derive(Debug)]
struct Oversized(u32);

impl std::fmt::Display for Oversized {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a packet of {} bytes, and {MAX_PACKET} are allowed", self.0)
    }
}

impl std::error::Error for Oversized {}
