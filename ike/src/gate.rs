//! Who gets in: IKE_SA_INIT requests before they cost us anything (RFC 7296 §2.6).
//!
//! Up to a threshold of half-open SAs everybody is let in. Past it, a peer must first show with a cookie
//! that it can be reached at its address; only then do limits per address count against it, because
//! before that anybody could fill them in its name. A peer without a valid cookie costs no state and no
//! key exchange.

use crate::Config;
use crate::crypto::{PrfId, Provider, Random, Secret};
use crate::time::Time;
use crate::wire::IkeSpi;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// A cookie of the secret before the current one is still good.
const SECRET_LIFE: Duration = Duration::from_secs(30);

/// The gate of an endpoint.
pub(crate) struct Gate {
    secrets: [Secret; 2],
    version: u32,
    since: Option<Time>,
    half_open: usize,
    by_source: BTreeMap<IpAddr, usize>,
    stateless: Bucket,
}

/// What an IKE_SA_INIT request is judged by.
pub(crate) struct Knock<'a> {
    pub(crate) source: IpAddr,
    pub(crate) initiator_spi: IkeSpi,
    pub(crate) nonce: &'a [u8],
    pub(crate) cookie: Option<&'a [u8]>,
}

/// What becomes of an IKE_SA_INIT request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgment {
    /// It is taken; whether its sender has shown that it can be reached there.
    Admit {
        /// It has.
        proven: bool,
    },
    /// It is answered with this cookie.
    Challenge(Vec<u8>),
    /// It shows a cookie that is not ours, or too old; it gets a new one.
    BadCookie(Vec<u8>),
    /// There are too many already.
    Full,
}

/// Lets so many through a second, and a few at once.
struct Bucket {
    tokens: u32,
    filled: Time,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            secrets: [Secret::default(), Secret::default()],
            version: 0,
            since: None,
            half_open: 0,
            by_source: BTreeMap::new(),
            stateless: Bucket { tokens: Bucket::MOST, filled: Time::ZERO },
        }
    }
}

impl Gate {
    /// Judges a request by its source, its nonce and the cookie it brings.
    pub(crate) fn judge(
        &mut self,
        now: Time,
        config: &Config,
        provider: &'static Provider,
        random: &mut dyn Random,
        knock: &Knock<'_>,
    ) -> Judgment {
        let from_here = self.by_source.get(&network(knock.source)).copied().unwrap_or(0);
        let crowded = self.half_open >= config.cookie_threshold || from_here >= config.half_open_per_source;
        if !crowded && knock.cookie.is_none() {
            return Judgment::Admit { proven: false };
        }
        self.refresh_secrets(now, random);
        let valid = knock.cookie.map(|cookie| self.is_ours(provider, knock, cookie));
        match valid {
            None => Judgment::Challenge(self.bake(provider, knock, 0)),
            Some(false) if crowded => Judgment::BadCookie(self.bake(provider, knock, 0)),
            // It was asked for one before we restarted, or while there was a crowd; now there is none.
            Some(false) => Judgment::Admit { proven: false },
            Some(true) if self.half_open >= config.half_open_limit => Judgment::Full,
            Some(true) if from_here >= config.half_open_per_source => Judgment::Full,
            Some(true) => Judgment::Admit { proven: true },
        }
    }

    /// One more half-open SA. It counts for its source only if that is not perhaps a forgery, by which
    /// anybody could use up what another is allowed.
    pub(crate) fn entered(&mut self, source: IpAddr, proven: bool) {
        self.half_open += 1;
        if proven {
            *self.by_source.entry(network(source)).or_default() += 1;
        }
    }

    /// One less.
    pub(crate) fn left(&mut self, source: IpAddr, proven: bool) {
        self.half_open = self.half_open.saturating_sub(1);
        if !proven {
            return;
        }
        let source = network(source);
        if let Some(count) = self.by_source.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
    }

    /// How many are half-open.
    pub(crate) fn half_open(&self) -> usize {
        self.half_open
    }

    /// Whether another message may be answered that belongs to no IKE SA (RFC 7296 §2.21.4).
    pub(crate) fn may_answer_stateless(&mut self, now: Time) -> bool {
        self.stateless.take(now)
    }

    fn refresh_secrets(&mut self, now: Time, random: &mut dyn Random) {
        let fresh = self.since.is_some_and(|since| now.since(since) < SECRET_LIFE);
        if fresh {
            return;
        }
        // After a long pause both are too old.
        let rounds = if self.since.is_none_or(|since| now.since(since) >= 2 * SECRET_LIFE) { 2 } else { 1 };
        for _ in 0..rounds {
            let mut secret = Secret::new(vec![0; 32]);
            random.fill(&mut secret);
            self.secrets.swap(0, 1);
            self.secrets[0] = secret;
            self.version = self.version.wrapping_add(1);
        }
        self.since = Some(now);
    }

    /// Version of the secret, then a MAC over what the peer must send again.
    fn bake(&self, provider: &'static Provider, knock: &Knock<'_>, age: usize) -> Vec<u8> {
        let (Some(prf), Some(secret)) = (provider.prf(PrfId::HmacSha256), self.secrets.get(age)) else {
            return Vec::new();
        };
        let version = self.version.wrapping_sub(u32::try_from(age).unwrap_or(0)).to_be_bytes();
        let source = match knock.source {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        let spi = knock.initiator_spi.0.to_be_bytes();
        let mac = prf.key(secret).compute(&[knock.nonce, &source, &spi]);
        [&version, mac.as_slice()].concat()
    }

    fn is_ours(&self, provider: &'static Provider, knock: &Knock<'_>, cookie: &[u8]) -> bool {
        (0..self.secrets.len()).any(|age| self.bake(provider, knock, age).ct_eq(cookie).into())
    }
}

impl Bucket {
    const MOST: u32 = 50;
    const EACH: Duration = Duration::from_millis(20);

    fn take(&mut self, now: Time) -> bool {
        let new = now.since(self.filled).as_nanos() / Self::EACH.as_nanos();
        if new > 0 {
            self.tokens = u32::try_from(new).unwrap_or(u32::MAX).saturating_add(self.tokens).min(Self::MOST);
            self.filled = now;
        }
        let any = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        any
    }
}

/// What limits count by: an IPv4 address, or an IPv6 network, in which a host has its pick of addresses.
fn network(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
    }
}
