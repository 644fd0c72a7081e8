//! A loop between TUN and UDP: ours, or another with the same arguments.

use super::{DEVICE, MTU, PORT};
use std::path::Path;
use std::process::Command;
use tidegate_benches::lab::{End, Lab, Running, patiently};

pub(super) fn start(lab: &Lab, program: &Path, options: &[&str]) -> Result<Running, String> {
    let mut running = Running::default();
    for end in End::BOTH {
        let at = |end: End| format!("{}:{PORT}", end.outside());
        let mut command = Command::new(program);
        command.arg(DEVICE).arg(at(end)).arg(at(end.opposite())).args(options);
        running.add(lab, end, &command)?;
    }
    lead_into_device(lab)?;
    Ok(running)
}

/// Brings the device of each end up and sends into it what is for the other.
pub(super) fn lead_into_device(lab: &Lab) -> Result<(), String> {
    for end in End::BOTH {
        patiently(|| lab.ip(end, &format!("link set {DEVICE} mtu {MTU} up")))
            .map_err(|error| format!("{error}; {}", lab.last_words(end)))?;
        let (own, other) = (end.inside(), end.opposite().inside());
        lab.ip(end, &format!("route add {other} dev {DEVICE} src {own}"))?;
    }
    Ok(())
}
