//! Files of `swanctl` for both ends of a tunnel: the same text, in which only who is here and who is there differs.

use crate::support::Lab;
use crate::support::certificates::{Authority, Credentials, Key};
use crate::support::pair::{Initiator, Pair};
use crate::support::process::run;
use crate::support::swanctl::Swanctl;
use crate::support::tidegate::Tidegate;
use crate::support::tidegate::config::Config;
use crate::support::tool::Tool;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Both daemons, each with its `swanctl`.
pub(super) struct Office {
    pub(super) tidegate: Tidegate,
    pub(super) ours: Tool,
    pub(super) theirs: Tool,
}

/// A shared secret, and a pool of each side's own.
const COMMON: &str = r#"
secrets {
    ike-any { secret = "0123456789 a long and random enough secret" }
}
pools {
    pool-HERE { addrs = 10.7HERE_NUMBER.0.0/24
                dns = 10.7HERE_NUMBER.0.1 }
}
"#;

impl Office {
    /// Starts ours, empties theirs, and has both load a file with these connections and what else belongs there.
    pub(super) fn open(lab: &Lab, pair: &Pair, connections: &str) -> Self {
        pair.charon.load(&Swanctl::default());
        let tidegate = Tidegate::start(lab, &pair.us.node, &Config::new("us"));
        let ours = Tool::new(&lab.fresh("swanctl-us"), tidegate.socket());
        let theirs = Tool::new(&lab.fresh("swanctl-them"), pair.charon.socket());
        let text = format!("connections {{\n{connections}\n}}\n{COMMON}");
        ours.configure(&filled(&text, &sides(pair)));
        let [us, them] = sides(pair);
        theirs.configure(&filled(&text, &[them, us]));
        Self { tidegate, ours, theirs }
    }

    /// Loads what was written for both.
    #[track_caller]
    pub(super) fn load(&self) {
        self.ours.run("--load-all --clear");
        self.theirs.run("--load-all --clear");
    }

    /// The tool of the side that begins.
    pub(super) fn of(&self, initiator: Initiator) -> &Tool {
        match initiator {
            Initiator::We => &self.ours,
            Initiator::They => &self.theirs,
        }
    }

    /// Puts certificates, keys of every form, and a list into the folders of both.
    pub(super) fn equip(&self, lab: &Lab) {
        let authority = Authority::new(lab.folder(), "authority", Key::Ecdsa(256));
        let list = lab.folder().join("authority.crl");
        fs::write(&list, authority.list(&[])).expect("a file");
        let kinds =
            [("us", &self.ours, Key::Rsa(2048), "rsa"), ("them", &self.theirs, Key::Ecdsa(256), "ecdsa")];
        for (name, tool, kind, folder) in kinds {
            let credentials = authority.issue(&format!("C=CN, O=Office, CN={name}"), kind);
            let certificate = lab.folder().join(format!("{name}.crt"));
            fs::copy(&credentials.chain, &certificate).expect("a copy");
            tool.give(&certificate, "x509");
            let ca = lab.folder().join("ca.crt");
            fs::copy(&authority.certificate, &ca).expect("a copy");
            tool.give(&ca, "x509ca");
            tool.give(&list, "x509crl");
            tool.give(&credentials.key, folder);
            tool.give(&credentials.key, "private");
            tool.give(&in_pkcs8(lab, name, &credentials), "pkcs8");
        }
    }
}

fn in_pkcs8(lab: &Lab, name: &str, credentials: &Credentials) -> PathBuf {
    let path = lab.folder().join(format!("{name}.p8"));
    let mut command = Command::new("openssl");
    command.args(["pkcs8", "-topk8", "-nocrypt", "-in"]).arg(&credentials.key).arg("-out").arg(&path);
    run(&mut command);
    path
}

struct Side {
    name: &'static str,
    number: u8,
    address: String,
    pods: String,
    pods_v6: String,
}

fn sides(pair: &Pair) -> [Side; 2] {
    let side = |name, number, address: &dyn ToString, site: &crate::support::network::Site| Side {
        name,
        number,
        address: address.to_string(),
        pods: site.subnet_v4.to_string(),
        pods_v6: site.subnet_v6.to_string(),
    };
    [side("us", 1, &pair.our_uplink.v4, &pair.us), side("them", 2, &pair.their_uplink.v4, &pair.them)]
}

/// The text as the first of them has it.
fn filled(text: &str, [here, there]: &[Side; 2]) -> String {
    let mut text = text.to_owned();
    // Those that begin as others do come before them.
    for (word, side) in [("THERE", there), ("HERE", here)] {
        text = text
            .replace(&format!("{word}_ADDRESS"), &side.address)
            .replace(&format!("{word}_NUMBER"), &side.number.to_string())
            .replace(&format!("{word}_PODS_V6"), &side.pods_v6)
            .replace(&format!("{word}_PODS"), &side.pods)
            .replace(word, side.name);
    }
    text
}
