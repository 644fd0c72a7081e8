//! Revocation lists by HTTP, for chains that hold otherwise.
//!
//! 1. A job that checks a peer who has proven itself says which lists it lacks and where they may be had
//!    ([`Job::wanted_lists`](tidegate_ike::Job::wanted_lists)).
//! 2. [`Fetcher::gather`] looks for each in memory (`cache`), on disk (`shelf`), and asks servers (`http`, `uri`).
//! 3. What is found is taken only if the issuer has signed it and it speaks for the certificate; it is kept until
//!    it says itself that there is a newer one.
//! 4. The job runs with what there is. Whether that is enough is for the connection to say: with strict checks it
//!    fails without a list, otherwise it does not.
//!
//! Nobody waits for long: a server may be out of reach, or be reached only through the tunnel that waits for it.
//! Who waits gives up after [`PATIENCE`], what was begun goes on for a little and serves the next attempt, and a
//! server that has failed is left alone for a minute. Requests take the host's ordinary way: where that leads into
//! a tunnel which is not there yet, they fail.

mod cache;
pub mod http;
mod shelf;
mod uri;

pub use uri::Uri;

use cache::{Cache, Place};
use shelf::Shelf;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tidegate_ike::WallTime;
use tidegate_ike::auth::{RevocationList, RevocationListError, WantedList};
use tidegate_ike::crypto::pem;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// How long a peer may be kept waiting for lists.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// Requests at a time.
const AT_ONCE: usize = 4;
/// Lists that are looked for at a time; whoever comes later does without.
const MOST_WAITING: usize = 256;

/// Gets revocation lists.
#[derive(Clone)]
pub struct Fetcher(Arc<Inner>);

struct Inner {
    cache: Cache,
    shelf: Option<Shelf>,
    requests: Semaphore,
    waiting: Arc<Semaphore>,
}

/// Why there is no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// No address of anything that can be fetched.
    Uri(String),
    /// A scheme other than `http`.
    Scheme(String),
    /// The network or the system.
    Io(io::ErrorKind),
    /// It took too long.
    Slow,
    /// The answer is no HTTP that we understand.
    NoHttp,
    /// The answer ends in the middle.
    Cut,
    /// The server has something else to say.
    Status(u16),
    /// An encoding that nobody has asked for.
    Encoding(String),
    /// The answers lead on and on.
    Redirects,
    /// It is longer than any list.
    TooLong,
    /// What came is of no use.
    List(RevocationListError),
}

impl Fetcher {
    /// With a folder, what was fetched is kept there for the next run.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner {
            cache: Cache::default(),
            shelf: folder.map(Shelf::new),
            requests: Semaphore::new(AT_ONCE),
            waiting: Arc::new(Semaphore::new(MOST_WAITING)),
        }))
    }

    /// What can be had of these lists in a short time, signed by whom they should be; some may be out of date.
    /// Has to be called within a tokio runtime.
    pub async fn gather(&self, wanted: Vec<WantedList>, now: WallTime) -> Vec<Arc<RevocationList>> {
        let end = Instant::now() + PATIENCE;
        let searches: Vec<JoinHandle<_>> =
            wanted.into_iter().filter_map(|wanted| self.search(wanted, now)).collect();
        let mut found = Vec::new();
        for search in searches {
            // One that takes longer goes on by itself.
            if let Ok(Ok(lists)) = timeout_at(end, search).await {
                found.extend(lists);
            }
        }
        found
    }

    /// All lists that are kept, in memory and on disk, each once and as it came: in DER, or in PEM. Those on
    /// disk may be of an earlier run, and are checked when they are asked.
    pub async fn kept(&self) -> Vec<Vec<u8>> {
        let mut all: BTreeSet<Vec<u8>> = self.0.cache.files().iter().map(|file| file.to_vec()).collect();
        if let Some(shelf) = &self.0.shelf {
            all.extend(shelf.files().await);
        }
        all.into_iter().collect()
    }

    /// Forgets all lists, in memory and on disk. Servers are asked anew, though they were not long ago.
    pub async fn forget(&self) {
        self.0.cache.clear();
        if let Some(shelf) = &self.0.shelf {
            shelf.clear().await;
        }
    }

    fn search(&self, wanted: WantedList, now: WallTime) -> Option<JoinHandle<Vec<Arc<RevocationList>>>> {
        let inner = Arc::clone(&self.0);
        let place = Arc::clone(&inner.waiting).try_acquire_owned().ok()?;
        Some(tokio::spawn(async move {
            let lists = inner.find(&Arc::new(wanted), now).await;
            drop(place);
            lists
        }))
    }
}

impl Inner {
    /// The first place that has a list which is not out of date will do; of the others each may still tell
    /// what was revoked.
    async fn find(&self, wanted: &Arc<WantedList>, now: WallTime) -> Vec<Arc<RevocationList>> {
        let mut found = Vec::new();
        for uri in wanted.uris() {
            let place = self.cache.place(uri);
            let list = self.look(&place, uri, wanted, now).await;
            let fresh = list.as_ref().is_some_and(|list| list.is_fresh(now));
            found.extend(list);
            if fresh {
                break;
            }
        }
        self.cache.shrink();
        found
    }

    /// What is known of a place, asked again where that is reasonable. One at a time asks, and the others
    /// see what came of it.
    async fn look(
        &self,
        place: &Place,
        uri: &str,
        wanted: &Arc<WantedList>,
        now: WallTime,
    ) -> Option<Arc<RevocationList>> {
        let _turn = place.turn.lock().await;
        if place.is_new()
            && let Some(shelf) = &self.shelf
            && let Some((list, bytes)) = shelf.read(uri, wanted).await
        {
            place.put(list, &bytes);
        }
        let known = place.list().filter(|list| wanted.check(list).is_ok());
        if known.as_ref().is_some_and(|list| list.is_fresh(now)) || !place.may_ask() {
            return known;
        }
        match self.fetch(uri, wanted).await {
            Ok((list, bytes)) => {
                place.put(Arc::clone(&list), &bytes);
                if let Some(shelf) = &self.shelf {
                    shelf.keep(uri, bytes).await;
                }
                Some(list)
            }
            Err(error) => {
                let uri = uri.escape_debug();
                tracing::warn!(area = "crl", %uri, issuer = %wanted.signer(), "no revocation list: {error}");
                known
            }
        }
    }

    async fn fetch(
        &self,
        uri: &str,
        wanted: &Arc<WantedList>,
    ) -> Result<(Arc<RevocationList>, Vec<u8>), FetchError> {
        let Ok(_request) = self.requests.acquire().await else { return Err(FetchError::Slow) };
        let bytes = http::get(uri).await?;
        let (list, bytes) = read(bytes, Arc::clone(wanted)).await.map_err(FetchError::List)?;
        tracing::info!(area = "crl", uri, issuer = %wanted.signer(), size = bytes.len(), "revocation list");
        Ok((list, bytes))
    }
}

/// Reads a list that was wanted and sees who has signed it, beside everything else: it may be a long one.
async fn read(
    bytes: Vec<u8>,
    wanted: Arc<WantedList>,
) -> Result<(Arc<RevocationList>, Vec<u8>), RevocationListError> {
    let read = tokio::task::spawn_blocking(move || {
        let list = Arc::new(RevocationList::from_der(&der(&bytes))?);
        wanted.check(&list)?;
        Ok((list, bytes))
    });
    read.await.unwrap_or(Err(RevocationListError::Malformed))
}

/// As it should be, or in PEM, as some have it (RFC 2585 §3).
fn der(bytes: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN"));
    let first = text.and_then(|text| pem::revocation_lists(text).ok()?.into_iter().next());
    first.unwrap_or_else(|| bytes.to_vec())
}

impl FetchError {
    #[allow(clippy::needless_pass_by_value)] // to stand in `map_err`
    fn io(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(text) => write!(f, "{text} is no address to fetch from"),
            Self::Scheme(scheme) => write!(f, "lists are fetched by http, not by {scheme}"),
            Self::Io(error) => error.fmt(f),
            Self::Slow => f.write_str("no answer in time"),
            Self::NoHttp => f.write_str("the answer is no HTTP"),
            Self::Cut => f.write_str("the answer was cut off"),
            Self::Status(status) => write!(f, "the server answers {status}"),
            Self::Encoding(encoding) => write!(f, "encoded as {encoding}"),
            Self::Redirects => f.write_str("answers that lead on and on"),
            Self::TooLong => write!(f, "longer than {} bytes", http::LONGEST),
            Self::List(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FetchError {}
