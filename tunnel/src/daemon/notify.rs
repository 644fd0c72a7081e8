//! Telling systemd how we are: datagrams to the socket that it names.

use rustix::time::{ClockId, clock_gettime};
use std::env;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Tells whoever started us, if anybody wants to know.
pub(super) struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    pub(super) fn from_environment() -> Self {
        Self::new(env::var_os("NOTIFY_SOCKET").as_deref(), watchdog())
    }

    fn new(socket: Option<&OsStr>, watchdog: Option<Duration>) -> Self {
        Self { to: socket.and_then(open), watchdog }
    }

    /// Everything is set up.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// A reload has begun; it ends with [`Self::ready`].
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    pub(super) fn alive(&self) {
        if self.watchdog.is_some() {
            self.tell("WATCHDOG=1");
        }
    }

    /// Twice as often as anybody looks, and now and then if nobody does.
    pub(super) fn heartbeat(&self) -> Interval {
        let mut beat = interval(self.watchdog.map_or(NOW_AND_THEN, |watchdog| watchdog / 2));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat
    }

    fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.to
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            tracing::debug!("systemd cannot be told: {error}");
        }
    }
}

const NOW_AND_THEN: Duration = Duration::from_secs(3600);

/// A path, or behind an `@` a name without one.
fn open(name: &OsStr) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(name),
    };
    Some((UnixDatagram::unbound().ok()?, address.ok()?))
}

/// How often systemd wants a sign of life, if it wants one of us.
fn watchdog() -> Option<Duration> {
    let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
    let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let micros = number("WATCHDOG_USEC").filter(|micros| ours && *micros >= 1000);
    micros.map(Duration::from_micros)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn told(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn systemd_hears_how_we_are() {
        let name = format!("tidegate-notify-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let notifier = Notifier::new(Some(OsStr::new(&format!("@{name}"))), Some(Duration::from_secs(10)));
        notifier.ready();
        assert_eq!(told(&socket), "READY=1");
        notifier.reloading();
        let reloading = told(&socket);
        let micros: u64 = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!(micros > 0);
        notifier.alive();
        assert_eq!(told(&socket), "WATCHDOG=1");
        notifier.stopping();
        assert_eq!(told(&socket), "STOPPING=1");
    }

    #[test]
    fn without_systemd_nobody_is_told() {
        let notifier = Notifier::new(None, None);
        notifier.ready();
        notifier.alive();
    }

    #[test]
    fn a_socket_can_be_a_path() {
        let path = env::temp_dir().join(format!("tidegate-notify-{}.sock", std::process::id()));
        let socket = UnixDatagram::bind(&path).unwrap();
        Notifier::new(Some(path.as_os_str()), None).stopping();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(told(&socket), "STOPPING=1");
    }
}
