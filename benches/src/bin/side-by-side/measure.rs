//! What is measured, in what unit, and what is to be reached.

use crate::subject::Kind;
use std::collections::BTreeMap;

/// One figure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Measure {
    TcpOneForth,
    TcpOneBack,
    TcpFourForth,
    TcpFourBack,
    UdpLargeLossless,
    UdpLargeOverload,
    UdpSmallLossless,
    UdpSmallOverload,
    PingIdle,
    PingIdleSlow,
    PingBusy,
    PingBusySlow,
    /// What both ends take, in user space and in their system calls: in all runs of TCP, and at a fixed rate,
    /// where batches are small.
    CpuFullSpeed,
    CpuPerGigabit,
    /// What all of the machine takes, the kernel's own work and the load included.
    MachinePerGigabit,
    /// Whether the fixed rate was kept.
    FixedRate,
    MemoryIdle,
    MemoryMost,
}

/// All figures of one subject in one round.
pub(crate) type Figures = BTreeMap<Measure, f64>;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    GigabitsPerSecond,
    PacketsPerSecond,
    Seconds,
    SecondsPerGigabit,
    Bytes,
}

/// Which of two figures is the better one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// What is held against another subject, or against a number.
#[derive(Clone, Copy)]
pub(crate) enum Reach {
    /// The ratio to that subject.
    Of(Kind, f64),
    /// The figure itself.
    Absolute(f64),
}

impl Measure {
    pub(crate) const ALL: [Self; 18] = [
        Self::TcpOneForth,
        Self::TcpOneBack,
        Self::TcpFourForth,
        Self::TcpFourBack,
        Self::UdpLargeLossless,
        Self::UdpLargeOverload,
        Self::UdpSmallLossless,
        Self::UdpSmallOverload,
        Self::PingIdle,
        Self::PingIdleSlow,
        Self::PingBusy,
        Self::PingBusySlow,
        Self::CpuFullSpeed,
        Self::CpuPerGigabit,
        Self::MachinePerGigabit,
        Self::FixedRate,
        Self::MemoryIdle,
        Self::MemoryMost,
    ];

    /// For machines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TcpOneForth => "tcp_1_forth",
            Self::TcpOneBack => "tcp_1_back",
            Self::TcpFourForth => "tcp_4_forth",
            Self::TcpFourBack => "tcp_4_back",
            Self::UdpLargeLossless => "udp_1300_lossless",
            Self::UdpLargeOverload => "udp_1300_overload",
            Self::UdpSmallLossless => "udp_64_lossless",
            Self::UdpSmallOverload => "udp_64_overload",
            Self::PingIdle => "ping_idle_p50",
            Self::PingIdleSlow => "ping_idle_p99",
            Self::PingBusy => "ping_under_tcp_p50",
            Self::PingBusySlow => "ping_under_tcp_p99",
            Self::CpuFullSpeed => "cpu_per_gigabit_at_full_speed",
            Self::CpuPerGigabit => "cpu_per_gigabit",
            Self::MachinePerGigabit => "machine_cpu_per_gigabit",
            Self::FixedRate => "fixed_rate_kept",
            Self::MemoryIdle => "memory_idle",
            Self::MemoryMost => "memory_most",
        }
    }

    /// For people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::TcpOneForth => "TCP, 1 stream, there",
            Self::TcpOneBack => "TCP, 1 stream, back",
            Self::TcpFourForth => "TCP, 4 streams, there",
            Self::TcpFourBack => "TCP, 4 streams, back",
            Self::UdpLargeLossless => "UDP 1300 B, no loss",
            Self::UdpLargeOverload => "UDP 1300 B, overload",
            Self::UdpSmallLossless => "UDP 64 B, no loss",
            Self::UdpSmallOverload => "UDP 64 B, overload",
            Self::PingIdle => "ping, idle, p50",
            Self::PingIdleSlow => "ping, idle, p99",
            Self::PingBusy => "ping, under TCP, p50",
            Self::PingBusySlow => "ping, under TCP, p99",
            Self::CpuFullSpeed => "CPU, TCP at full speed",
            Self::CpuPerGigabit => "CPU, TCP at 1 Gb/s",
            Self::MachinePerGigabit => "machine, TCP at 1 Gb/s",
            Self::FixedRate => "of 1 Gb/s carried",
            Self::MemoryIdle => "memory, idle",
            Self::MemoryMost => "memory, at most",
        }
    }

    pub(crate) fn unit(self) -> Unit {
        match self {
            Self::TcpOneForth
            | Self::TcpOneBack
            | Self::TcpFourForth
            | Self::TcpFourBack
            | Self::FixedRate => Unit::GigabitsPerSecond,
            Self::UdpLargeLossless
            | Self::UdpLargeOverload
            | Self::UdpSmallLossless
            | Self::UdpSmallOverload => Unit::PacketsPerSecond,
            Self::PingIdle | Self::PingIdleSlow | Self::PingBusy | Self::PingBusySlow => Unit::Seconds,
            Self::CpuFullSpeed | Self::CpuPerGigabit | Self::MachinePerGigabit => Unit::SecondsPerGigabit,
            Self::MemoryIdle | Self::MemoryMost => Unit::Bytes,
        }
    }

    pub(crate) fn better(self) -> Better {
        match self.unit() {
            Unit::GigabitsPerSecond | Unit::PacketsPerSecond => Better::More,
            Unit::Seconds | Unit::SecondsPerGigabit | Unit::Bytes => Better::Less,
        }
    }

    /// What Tidegate is to reach.
    pub(crate) fn reaches(self) -> &'static [Reach] {
        use Kind::{BareAead, StrongSwan, WireGuardGo};
        use Reach::{Absolute, Of};
        match self {
            Self::TcpOneForth | Self::TcpOneBack | Self::TcpFourForth | Self::TcpFourBack => {
                &[Of(BareAead, 1.0), Of(WireGuardGo, 2.5), Of(StrongSwan, 12.0)]
            }
            Self::UdpLargeLossless
            | Self::UdpLargeOverload
            | Self::UdpSmallLossless
            | Self::UdpSmallOverload => &[Of(BareAead, 0.9), Of(WireGuardGo, 1.0), Of(StrongSwan, 1.0)],
            Self::PingIdle | Self::PingIdleSlow => &[Of(BareAead, 1.3)],
            Self::PingBusy | Self::PingBusySlow => &[Of(WireGuardGo, 1.0), Of(StrongSwan, 1.0)],
            Self::CpuPerGigabit => &[Of(WireGuardGo, 0.5)],
            Self::CpuFullSpeed | Self::MachinePerGigabit | Self::FixedRate => &[],
            Self::MemoryIdle => &[Absolute((16 << 20) as f64)],
            Self::MemoryMost => &[Absolute((64 << 20) as f64)],
        }
    }

    /// Whether `value` is on the good side of `bound`.
    pub(crate) fn reached(self, value: f64, bound: f64) -> bool {
        match self.better() {
            Better::More => value >= bound,
            Better::Less => value <= bound,
        }
    }
}

impl Unit {
    /// What figures are written in.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GigabitsPerSecond => "Gb/s",
            Self::PacketsPerSecond => "kp/s",
            Self::Seconds => "µs",
            Self::SecondsPerGigabit => "CPU s/Gb",
            Self::Bytes => "MiB",
        }
    }

    /// What they are kept in.
    pub(crate) fn base(self) -> &'static str {
        match self {
            Self::GigabitsPerSecond => "Gb/s",
            Self::PacketsPerSecond => "1/s",
            Self::Seconds => "s",
            Self::SecondsPerGigabit => "s/Gb",
            Self::Bytes => "B",
        }
    }

    /// As people read it.
    pub(crate) fn write(self, value: f64) -> String {
        if !value.is_finite() {
            return "-".into();
        }
        match self {
            Self::GigabitsPerSecond => format!("{value:.2}"),
            Self::PacketsPerSecond => format!("{:.0}", value / 1e3),
            Self::Seconds => format!("{:.0}", value * 1e6),
            Self::SecondsPerGigabit => format!("{value:.3}"),
            Self::Bytes => format!("{:.1}", value / f64::from(1 << 20)),
        }
    }
}
