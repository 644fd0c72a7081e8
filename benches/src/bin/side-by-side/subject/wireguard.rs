//! wireguard-go, configured over its own socket, so that nothing else of WireGuard is needed.

use super::bare::lead_into_device;
use super::{DEVICE, PORT, with_own_run};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use tidegate_benches::lab::{End, Lab, Running, patiently};

/// Private and public keys of both ends: the ones that RFC 7748 §6.1 computes with.
const KEYS: [[&str; 2]; 2] = [
    [
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    ],
    [
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    ],
];

pub(super) fn start(lab: &Lab, program: &Path) -> Result<Running, String> {
    let mut running = Running::default();
    for end in End::BOTH {
        let mut command = with_own_run("mkdir /run/wireguard &&", program, &[DEVICE]);
        command.env("WG_PROCESS_FOREGROUND", "1").env("LOG_LEVEL", "error");
        running.add(lab, end, &command)?;
    }
    for end in End::BOTH {
        let process = running.process(end).unwrap_or_default();
        let socket = format!("/proc/{process}/root/run/wireguard/{DEVICE}.sock");
        patiently(|| configure(Path::new(&socket), end))
            .map_err(|error| format!("{error}; {}", lab.last_words(end)))?;
    }
    lead_into_device(lab)?;
    Ok(running)
}

fn configure(socket: &Path, end: End) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", socket.display());
    let [[own, _], [_, other]] = match end {
        End::One => KEYS,
        End::Other => [KEYS[1], KEYS[0]],
    };
    let (outside, inside) = (end.opposite().outside(), end.opposite().inside());
    let request = format!(
        "set=1\nprivate_key={own}\nlisten_port={PORT}\nreplace_peers=true\npublic_key={other}\n\
         endpoint={outside}:{PORT}\nallowed_ip={inside}/32\n\n"
    );
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).map_err(failed)?;
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).map_err(failed)?;
    let answer = String::from_utf8_lossy(&answer[..length]);
    if answer.trim() == "errno=0" { Ok(()) } else { Err(format!("{}: {answer}", socket.display())) }
}
