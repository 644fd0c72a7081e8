//! What a server may answer to somebody who wants a revocation list: the answer, where it leads, and what is in
//! it.
//!
//! The first byte says in pieces of which size the rest arrives, which must make no difference. Nothing is
//! longer than a list may be, and nothing that an answer leads to can break out of the request for it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate::revocation::http::{Answer, LONGEST, answer};
use tidegate::revocation::{FetchError, Uri};
use tidegate::vici::credentials::StoredList;
use tidegate_ike::auth::RevocationList;
use tokio::io::{AsyncRead, ReadBuf};

fuzz_target!(|input: &[u8]| {
    let Some((&piece, stream)) = input.split_first() else { return };
    let read = receive(stream, usize::from(piece) + 1);
    assert_eq!(read, receive(stream, stream.len().max(1)), "in pieces or in one");
    match read {
        Ok(Answer::File(file)) => {
            assert!(file.len() <= LONGEST);
            list(&file);
        }
        Ok(Answer::Elsewhere(location)) => lead(&location),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    // As it lies on disk, or came from a client.
    list(stream);
    if let Ok(text) = std::str::from_utf8(stream) {
        lead(text);
    }
});

fn receive(stream: &[u8], piece: usize) -> Result<Answer, FetchError> {
    let pieces = Pieces(stream.chunks(piece).collect());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it needs no descriptors");
    runtime.block_on(answer(pieces))
}

/// A stream that gives one piece at a time.
struct Pieces<'a>(VecDeque<&'a [u8]>);

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(piece) = self.0.pop_front() {
            let (now, later) = piece.split_at(piece.len().min(buffer.remaining()));
            buffer.put_slice(now);
            if !later.is_empty() {
                self.0.push_front(later);
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn list(bytes: &[u8]) {
    if let Ok(stored) = StoredList::read(bytes) {
        assert!(StoredList::read(stored.der()).is_ok(), "what was read once can be read again");
        let _ = RevocationList::from_der(stored.der());
    }
    let _ = RevocationList::from_der(bytes);
}

/// From a place that is known to be one.
fn lead(location: &str) {
    let from = Uri::parse("http://crl.example:8080/a/b.crl").expect("an address");
    for uri in [from.follow(location), Uri::parse(location)].into_iter().flatten() {
        for part in [&uri.host, &uri.authority, &uri.path] {
            assert!(part.bytes().all(|byte| byte.is_ascii_graphic()), "{part:?} would break a request");
        }
        assert!(uri.path.starts_with('/') && !uri.host.is_empty() && uri.port != 0);
        assert_eq!(Uri::parse(&format!("http://{}{}", uri.authority, uri.path)), Ok(uri));
    }
}
