//! Where the ends of a connection are: `local_addrs` and `remote_addrs`.

use super::fault::{LoadFault, ValueFault};
use super::options::Options;
use crate::mesh::{Address, range};
use tidegate_esp::AddressRange;

/// What a list of addresses says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Places {
    /// Addresses that an end may have; none for any.
    pub(super) ranges: Vec<AddressRange>,
    /// DNS names.
    pub(super) names: Vec<String>,
    /// All as it was written.
    pub(super) written: Vec<String>,
}

enum Place {
    Any,
    Range(AddressRange),
    Name(String),
}

impl Places {
    pub(super) fn read(options: &mut Options<'_>, key: &'static str) -> Result<Self, LoadFault> {
        let mut places = Self::default();
        let mut any = false;
        for (text, place) in options.list(key, |text| Ok((text.to_owned(), place(text)?)))? {
            match place {
                Place::Any => any = true,
                Place::Range(range) => places.ranges.push(range),
                Place::Name(name) => places.names.push(name),
            }
            places.written.push(text);
        }
        if places.written.is_empty() {
            places.written.push("%any".to_owned());
        }
        places.settle(any);
        Ok(places)
    }

    /// An end that may be anywhere may still be looked for at certain addresses; a name may stand for any.
    fn settle(&mut self, any: bool) {
        if !self.names.is_empty() {
            let hosts = self.ranges.iter().filter(|range| range.start() == range.end());
            let mut all: Vec<_> = hosts.map(|host| host.start().to_string()).collect();
            all.append(&mut self.names);
            (self.names, self.ranges) = (all, Vec::new());
        } else if any && !self.ranges.is_empty() {
            self.ranges.extend(["0.0.0.0/0", "::/0"].iter().filter_map(|all| range(all).ok()));
        }
    }
}

fn place(text: &str) -> Result<Place, ValueFault> {
    let text = text.trim();
    let range = |text: &str| range(text).map(Place::Range).map_err(|_| ValueFault::Address);
    match text {
        "%any" | "0.0.0.0" | "::" => Ok(Place::Any),
        "%any4" => range("0.0.0.0/0"),
        "%any6" => range("::/0"),
        text => range(text).or_else(|fault| match text.parse() {
            Ok(Address::Name(name)) => Ok(Place::Name(name)),
            _ => Err(fault),
        }),
    }
}
