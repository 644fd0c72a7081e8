//! What is known of each place that lists come from, in bounded memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tidegate_ike::auth::RevocationList;

/// How long a server is left alone, whatever it has answered.
const PAUSE: Duration = Duration::from_secs(60);
/// Places that are remembered.
const MOST_PLACES: usize = 256;
/// What all lists take: each is there as it came, and as it is searched.
const MOST_BYTES: usize = 32 << 20;

/// Places by their addresses.
#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<String, Arc<Place>>>);

/// A place, and what came from there.
pub(super) struct Place {
    /// Whoever asks there holds it.
    pub(super) turn: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
}

struct Known {
    list: Option<Arc<RevocationList>>,
    /// As it came.
    bytes: Arc<[u8]>,
    /// Whether anybody has looked yet.
    looked: bool,
    asked: Option<Instant>,
    used: Instant,
}

impl Cache {
    pub(super) fn place(&self, uri: &str) -> Arc<Place> {
        let mut places = lock(&self.0);
        let place = places.entry(uri.to_owned()).or_insert_with(|| Arc::new(Place::new()));
        lock(&place.known).used = Instant::now();
        Arc::clone(place)
    }

    /// All lists as they came.
    pub(super) fn files(&self) -> Vec<Arc<[u8]>> {
        let places: Vec<_> = lock(&self.0).values().map(Arc::clone).collect();
        places.iter().filter_map(|place| place.file()).collect()
    }

    /// Forgets all lists, and that anybody was asked for one.
    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// Forgets what was not used for longest, until the rest is within bounds.
    pub(super) fn shrink(&self) {
        let mut places = lock(&self.0);
        let mut all: Vec<(Instant, usize, String)> = Vec::with_capacity(places.len());
        for (uri, place) in places.iter() {
            let known = lock(&place.known);
            all.push((known.used, 2 * known.bytes.len(), uri.clone()));
        }
        all.sort_unstable();
        let (mut count, mut bytes) = (all.len(), all.iter().map(|(_, size, _)| size).sum::<usize>());
        for (_, size, uri) in all {
            if count <= MOST_PLACES && bytes <= MOST_BYTES {
                return;
            }
            places.remove(&uri);
            (count, bytes) = (count - 1, bytes - size);
        }
    }
}

impl Place {
    fn new() -> Self {
        let bytes = Arc::default();
        let known = Known { list: None, bytes, looked: false, asked: None, used: Instant::now() };
        Self { turn: tokio::sync::Mutex::default(), known: Mutex::new(known) }
    }

    /// Nobody has looked here since this run began.
    pub(super) fn is_new(&self) -> bool {
        !std::mem::replace(&mut lock(&self.known).looked, true)
    }

    pub(super) fn list(&self) -> Option<Arc<RevocationList>> {
        lock(&self.known).list.clone()
    }

    /// The list as it came.
    fn file(&self) -> Option<Arc<[u8]>> {
        let known = lock(&self.known);
        known.list.as_ref().map(|_| Arc::clone(&known.bytes))
    }

    pub(super) fn put(&self, list: Arc<RevocationList>, bytes: &[u8]) {
        let mut known = lock(&self.known);
        known.list = Some(list);
        known.bytes = bytes.into();
    }

    /// Whether the server was left alone for long enough; if so it is taken to be asked now.
    pub(super) fn may_ask(&self) -> bool {
        let mut known = lock(&self.known);
        let may = known.asked.is_none_or(|asked| asked.elapsed() >= PAUSE);
        if may {
            known.asked = Some(Instant::now());
        }
        may
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_asked_once_and_then_left_alone() {
        let cache = Cache::default();
        assert!(cache.place("a").may_ask());
        assert!(!cache.place("a").may_ask());
        assert!(cache.place("b").may_ask());
    }

    #[test]
    fn of_too_many_places_those_used_last_are_remembered() {
        let cache = Cache::default();
        for number in 0..MOST_PLACES + 10 {
            cache.place(&number.to_string()).may_ask();
        }
        cache.place("0");
        cache.shrink();
        assert_eq!(lock(&cache.0).len(), MOST_PLACES);
        assert!(!cache.place("0").may_ask(), "it was used just now");
        assert!(cache.place("1").may_ask(), "it was forgotten");
    }

    #[test]
    fn lists_together_are_bounded() {
        let cache = Cache::default();
        for number in 0..10 {
            lock(&cache.place(&number.to_string()).known).bytes = vec![0; MOST_BYTES / 8].into();
        }
        cache.shrink();
        assert_eq!(lock(&cache.0).len(), 4);
    }
}
