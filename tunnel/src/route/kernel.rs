//! What of the kernel's routing is ours: rules, routes, the device and its addresses.

use super::error::{RouteError, Step};
use super::flow::Narrow;
use super::netlink::{
    ACK, Attributes, CREATE, Conversation, DUMP, EXCLUSIVE, Message, REPLACE, Refusal, Request,
};
use super::plan::Way;
use super::prefix::{Family, Prefix, from_octets, octets};
use rustix::io::Errno;
use std::net::IpAddr;

/// How rules and routes of ours can be told from others'.
pub(crate) const OWNER: u8 = 210;

/// The metric of routes into the device, and of those that are left when it is gone.
const INTO_DEVICE: u32 = 64;
const LAST_RESORT: u32 = u32::MAX - 1;

const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const DELETE_ROUTE: u16 = 25;
const GET_ROUTE: u16 = 26;
const NEW_RULE: u16 = 32;
const DELETE_RULE: u16 = 33;
const GET_RULE: u16 = 34;

/// Lengths of the fixed parts.
const LINK: usize = 16;
const ADDRESS: usize = 8;
const ROUTE: usize = 12;
const RULE: usize = 12;

/// What a rule does that has a table looked up.
const TO_TABLE: u8 = 1;

/// The number of strongSwan's table, and the priority of its rule.
const CHARON_TABLE: u32 = 220;
/// How that rule is written.
pub(crate) const CHARON_RULE: &str = "220: from all lookup 220";

/// Whether something was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    Now,
    Before,
}

/// The kernel's routing.
pub(crate) struct Kernel {
    netlink: Conversation,
}

/// A rule of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    pub(crate) family: Family,
    pub(crate) priority: u32,
    pub(crate) origin: Origin,
    pub(crate) from: Option<Prefix>,
    pub(crate) narrow: Narrow,
    pub(crate) mark: Option<u32>,
    pub(crate) then: Then,
}

/// Whose packets a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    Any,
    ThisHost,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Then {
    Table(u32),
    GoTo(u32),
    Nothing,
}

/// A route of ours, as it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) remote: Prefix,
    pub(crate) to: To,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Device { index: u32, way: Way },
    Nowhere,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// Somebody has switched it on.
    pub(crate) up: bool,
    /// It is on and has a carrier.
    pub(crate) running: bool,
    pub(crate) mtu: usize,
}

/// An address of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostAddress {
    pub(crate) index: u32,
    pub(crate) address: IpAddr,
}

impl Kernel {
    pub(crate) fn open() -> Result<Self, RouteError> {
        let netlink =
            Conversation::open(netlink_sys::protocols::NETLINK_ROUTE).map_err(RouteError::Socket)?;
        Ok(Self { netlink })
    }

    // ---- rules

    /// Adds a rule if it is not there.
    pub(crate) fn add_rule(&self, rule: &Rule) -> Result<(), RouteError> {
        let answer = self.netlink.order(rule_request(NEW_RULE, CREATE | EXCLUSIVE, rule));
        unless(answer, Errno::EXIST).map_err(refused(Step::AddRule(rule.to_string())))
    }

    /// Takes a rule away if it is there.
    pub(crate) fn remove_rule(&self, rule: &Rule) -> Result<(), RouteError> {
        let answer = self.netlink.order(rule_request(DELETE_RULE, 0, rule));
        unless(answer, Errno::NOENT).map_err(refused(Step::RemoveRule(rule.to_string())))
    }

    /// All rules of ours.
    pub(crate) fn rules(&self) -> Result<Vec<Rule>, RouteError> {
        let mut rules = Vec::new();
        let request = Request::new(GET_RULE, DUMP, &[0; RULE]);
        let take = |message: Message<'_>| rules.extend(parse_rule(&message));
        self.netlink.ask(request, take).map_err(refused(Step::ReadRules))?;
        Ok(rules)
    }

    /// Adds the rule that leads into strongSwan's table, as strongSwan has it, if it is not there.
    pub(crate) fn add_charon_rule(&self, family: Family) -> Result<Added, RouteError> {
        let request = charon_rule_request(NEW_RULE, CREATE | EXCLUSIVE, family);
        match self.netlink.order(request) {
            Ok(()) => Ok(Added::Now),
            // A kernel without the family has none of its rules.
            Err(refusal)
                if [Errno::EXIST, Errno::OPNOTSUPP, Errno::AFNOSUPPORT].iter().any(|it| refusal.is(*it)) =>
            {
                Ok(Added::Before)
            }
            Err(refusal) => Err(refused(Step::AddRule(CHARON_RULE.to_owned()))(refusal)),
        }
    }

    /// Takes it away.
    pub(crate) fn remove_charon_rule(&self, family: Family) -> Result<(), RouteError> {
        let answer = self.netlink.order(charon_rule_request(DELETE_RULE, 0, family));
        unless(answer, Errno::NOENT).map_err(refused(Step::RemoveRule(CHARON_RULE.to_owned())))
    }

    // ---- routes

    /// Leads a prefix into the device, in place of how it was led there before.
    pub(crate) fn lead(&self, table: u32, remote: &Prefix, index: u32, way: &Way) -> Result<(), RouteError> {
        const UNICAST: u8 = 1;
        const SCOPE_LINK: u8 = 253;
        let mut request = route_request(NEW_ROUTE, CREATE | REPLACE, table, remote, UNICAST, SCOPE_LINK)
            .with_u32(6, INTO_DEVICE)
            .with_u32(4, index);
        if let Some(source) = way.source {
            request = request.with(7, &octets(source));
        }
        if let Some(mtu) = way.mtu {
            request = request.with_nested(8, |metrics| metrics.with_u32(2, mtu));
        }
        self.netlink.order(request).map_err(refused(Step::AddRoute((*remote).into())))
    }

    /// No longer leads a prefix into the device.
    pub(crate) fn mislead(&self, table: u32, remote: &Prefix) -> Result<(), RouteError> {
        let request = route_request(DELETE_ROUTE, 0, table, remote, 0, 255).with_u32(6, INTO_DEVICE);
        gone(self.netlink.order(request)).map_err(refused(Step::RemoveRoute((*remote).into())))
    }

    /// Makes a prefix lead nowhere as the last resort.
    pub(crate) fn bar(&self, table: u32, remote: &Prefix) -> Result<(), RouteError> {
        let request = route_request(NEW_ROUTE, CREATE | REPLACE, table, remote, UNREACHABLE, 0)
            .with_u32(6, LAST_RESORT);
        self.netlink.order(request).map_err(refused(Step::AddRoute((*remote).into())))
    }

    /// Takes the last resort away.
    pub(crate) fn unbar(&self, table: u32, remote: &Prefix) -> Result<(), RouteError> {
        let request = route_request(DELETE_ROUTE, 0, table, remote, UNREACHABLE, 0).with_u32(6, LAST_RESORT);
        gone(self.netlink.order(request)).map_err(refused(Step::RemoveRoute((*remote).into())))
    }

    /// Hands all routes of ours to `take`, with their tables.
    pub(crate) fn routes(&self, family: Family, mut take: impl FnMut(u32, Route)) -> Result<(), RouteError> {
        let mut body = [0; ROUTE];
        body[0] = family.number();
        body[5] = OWNER;
        let each = |message: Message<'_>| {
            if let Some((table, route)) = parse_route(&message) {
                take(table, route);
            }
        };
        let answer = self.netlink.ask(Request::new(GET_ROUTE, DUMP, &body), each);
        // A kernel without the family has none of its routes.
        unless(answer, Errno::OPNOTSUPP).map_err(refused(Step::ReadRoutes))
    }

    /// The address that the host would send from to this one if nothing were captured.
    pub(crate) fn natural_source(&self, remote: IpAddr, mark: u32) -> Option<IpAddr> {
        let mut body = [0; ROUTE];
        body[0] = Family::of(remote).number();
        body[1] = Family::of(remote).width();
        let request = Request::new(GET_ROUTE, 0, &body).with(1, &octets(remote)).with_u32(16, mark);
        let mut source = None;
        let take = |message: Message<'_>| source = message.attributes(ROUTE).find(7).and_then(from_octets);
        // No answer is an answer: there is no way to it but ours.
        self.netlink.ask_one(request, take).ok()?;
        source
    }

    // ---- links and addresses

    /// The interface of this name.
    pub(crate) fn link(&self, name: &str) -> Result<Link, RouteError> {
        let mut found = None;
        let request = Request::new(GET_LINK, 0, &[0; LINK]).with_name(3, name);
        let answer = self.netlink.ask_one(request, |message| found = Some(parse_link(&message)));
        match answer {
            Err(refusal) if !refusal.is(Errno::NODEV) => Err(refused(Step::ReadLinks)(refusal)),
            _ => found.ok_or_else(|| RouteError::NoInterface { name: name.to_owned() }),
        }
    }

    /// All interfaces.
    pub(crate) fn links(&self) -> Result<Vec<Link>, RouteError> {
        let mut links = Vec::new();
        let request = Request::new(GET_LINK, DUMP, &[0; LINK]);
        let take = |message: Message<'_>| links.push(parse_link(&message));
        self.netlink.ask(request, take).map_err(refused(Step::ReadLinks))?;
        Ok(links)
    }

    /// Switches the interface on, with this MTU if one is given.
    pub(crate) fn set_up(&self, index: u32, mtu: Option<usize>) -> Result<(), RouteError> {
        let mut body = [0; LINK];
        body[4..8].copy_from_slice(&index.to_ne_bytes());
        body[8..12].copy_from_slice(&UP.to_ne_bytes());
        body[12..16].copy_from_slice(&UP.to_ne_bytes());
        let mut request = Request::new(NEW_LINK, ACK, &body);
        if let Some(mtu) = mtu {
            request = request.with_u32(4, u32::try_from(mtu).unwrap_or(u32::MAX));
        }
        self.netlink.order(request).map_err(refused(Step::SetUpLink))
    }

    /// Gives the interface an address of its own, which brings no route with it.
    pub(crate) fn add_address(&self, index: u32, address: IpAddr) -> Result<(), RouteError> {
        const NO_DUPLICATE_DETECTION: u32 = 0x02;
        const NO_PREFIX_ROUTE: u32 = 0x200;
        let request = address_request(NEW_ADDRESS, CREATE | REPLACE, index, address)
            .with_u32(8, NO_DUPLICATE_DETECTION | NO_PREFIX_ROUTE);
        self.netlink.order(request).map_err(refused(Step::AddAddress(address)))
    }

    /// Takes an address away again.
    pub(crate) fn remove_address(&self, index: u32, address: IpAddr) -> Result<(), RouteError> {
        let answer = self.netlink.order(address_request(DELETE_ADDRESS, 0, index, address));
        unless(answer, Errno::ADDRNOTAVAIL).map_err(refused(Step::RemoveAddress(address)))
    }

    /// Addresses that packets may come from: known to the world, and not about to go.
    pub(crate) fn addresses(&self) -> Result<Vec<HostAddress>, RouteError> {
        let mut addresses = Vec::new();
        let request = Request::new(GET_ADDRESS, DUMP, &[0; ADDRESS]);
        let take = |message: Message<'_>| addresses.extend(parse_address(&message));
        self.netlink.ask(request, take).map_err(refused(Step::ReadAddresses))?;
        Ok(addresses)
    }
}

const UNREACHABLE: u8 = 7;

/// Flags of interfaces.
const UP: u32 = 0x01;
const RUNNING: u32 = 0x40;

fn refused(step: Step) -> impl FnOnce(Refusal) -> RouteError {
    move |refusal| RouteError::Refused { step, why: refusal.to_string() }
}

fn unless(answer: Result<(), Refusal>, harmless: Errno) -> Result<(), Refusal> {
    answer.or_else(|refusal| if refusal.is(harmless) { Ok(()) } else { Err(refusal) })
}

/// A route that is not there has been taken away; nor is one whose table is not there.
fn gone(answer: Result<(), Refusal>) -> Result<(), Refusal> {
    unless(unless(answer, Errno::SRCH), Errno::NOENT)
}

fn rule_request(kind: u16, flags: u16, rule: &Rule) -> Request {
    const GO_TO: u8 = 2;
    const NOTHING: u8 = 3;
    let mut body = [0; RULE];
    body[0] = rule.family.number();
    body[2] = rule.from.map_or(0, |from| from.length);
    body[7] = match rule.then {
        Then::Table(_) => TO_TABLE,
        Then::GoTo(_) => GO_TO,
        Then::Nothing => NOTHING,
    };
    let mut request = Request::new(kind, flags | ACK, &body).with_u32(6, rule.priority).with(21, &[OWNER]);
    request = match rule.then {
        Then::Table(table) => request.with_u32(15, table),
        Then::GoTo(priority) => request.with_u32(4, priority),
        Then::Nothing => request,
    };
    if let Some(from) = rule.from.filter(|from| from.length > 0) {
        request = request.with(2, &octets(from.address));
    }
    if rule.origin == Origin::ThisHost {
        request = request.with_name(3, "lo");
    }
    if let Some(mark) = rule.mark {
        request = request.with_u32(10, mark).with_u32(16, u32::MAX);
    }
    with_narrow(request, &rule.narrow)
}

/// Nobody's in particular: strongSwan does not sign its own.
fn charon_rule_request(kind: u16, flags: u16, family: Family) -> Request {
    let mut body = [0; RULE];
    body[0] = family.number();
    body[7] = TO_TABLE;
    Request::new(kind, flags | ACK, &body).with_u32(6, CHARON_TABLE).with_u32(15, CHARON_TABLE)
}

/// Whether a rule is the one that leads into strongSwan's table.
pub(crate) fn is_charon_rule(message: &Message<'_>) -> bool {
    let attributes = message.attributes(RULE);
    message.byte(7) == TO_TABLE
        && attributes.number(6) == Some(CHARON_TABLE)
        && attributes.number(15) == Some(CHARON_TABLE)
}

fn with_narrow(mut request: Request, narrow: &Narrow) -> Request {
    if narrow.protocol != 0 {
        request = request.with(22, &[narrow.protocol]);
    }
    for (kind, ports) in [(23, narrow.local), (24, narrow.remote)] {
        if let Some((first, last)) = ports {
            request = request.with(kind, &[first.to_ne_bytes(), last.to_ne_bytes()].concat());
        }
    }
    request
}

fn route_request(kind: u16, flags: u16, table: u32, remote: &Prefix, leads: u8, scope: u8) -> Request {
    let body = [remote.family().number(), remote.length, 0, 0, 0, OWNER, scope, leads, 0, 0, 0, 0];
    Request::new(kind, flags | ACK, &body).with_u32(15, table).with(1, &octets(remote.address))
}

fn address_request(kind: u16, flags: u16, index: u32, address: IpAddr) -> Request {
    let mut body = [0; ADDRESS];
    let family = Family::of(address);
    body[0] = family.number();
    body[1] = family.width();
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    Request::new(kind, flags | ACK, &body).with(2, &octets(address)).with(1, &octets(address))
}

/// A rule, if it is ours.
pub(crate) fn parse_rule(message: &Message<'_>) -> Option<Rule> {
    let attributes = message.attributes(RULE);
    if attributes.find(21) != Some(&[OWNER]) {
        return None;
    }
    let family = Family::from_number(message.byte(0))?;
    let then = match message.byte(7) {
        1 => Then::Table(attributes.number(15)?),
        2 => Then::GoTo(attributes.number(4)?),
        _ => Then::Nothing,
    };
    let from = attributes.find(2).and_then(from_octets).and_then(|from| Prefix::new(from, message.byte(2)));
    let local = attributes.name(3).is_some_and(|name| name == "lo");
    Some(Rule {
        family,
        priority: attributes.number(6).unwrap_or_default(),
        origin: if local { Origin::ThisHost } else { Origin::Any },
        from,
        narrow: parse_narrow(&attributes),
        mark: attributes.number(10),
        then,
    })
}

fn parse_narrow(attributes: &Attributes<'_>) -> Narrow {
    let ports = |kind| {
        let bytes = attributes.find(kind)?;
        let number = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        Some((number(0)?, number(2)?))
    };
    let protocol = attributes.find(22).and_then(|bytes| bytes.first().copied()).unwrap_or_default();
    Narrow { protocol, local: ports(23), remote: ports(24) }
}

/// A route and its table, if it is ours.
pub(crate) fn parse_route(message: &Message<'_>) -> Option<(u32, Route)> {
    let attributes = message.attributes(ROUTE);
    if message.byte(5) != OWNER {
        return None;
    }
    let family = Family::from_number(message.byte(0))?;
    let address = attributes.find(1).and_then(from_octets).unwrap_or(family.unspecified());
    let remote = Prefix::new(address, message.byte(1))?;
    let mtu = attributes.find(8).and_then(|metrics| Attributes(metrics).number(2));
    let way = Way { mtu, source: attributes.find(7).and_then(from_octets) };
    let to = match (message.byte(7), attributes.number(4)) {
        (UNREACHABLE, _) => To::Nowhere,
        (_, Some(index)) => To::Device { index, way },
        (_, None) => return None,
    };
    Some((attributes.number(15)?, Route { remote, to }))
}

/// The interface that a message is about.
pub(crate) fn parse_link(message: &Message<'_>) -> Link {
    let attributes = message.attributes(LINK);
    let mtu = attributes.number(4).unwrap_or_default() as usize;
    let name = attributes.name(3).unwrap_or_default();
    let flags = message.number(8);
    Link { index: message.number(4), name, up: flags & UP != 0, running: flags & RUNNING != 0, mtu }
}

/// The interface that an address is of.
pub(crate) fn address_link(message: &Message<'_>) -> u32 {
    message.number(4)
}

fn parse_address(message: &Message<'_>) -> Option<HostAddress> {
    const UNFIT: u32 = 0x08 | 0x20 | 0x40; // a duplicate, deprecated, or not checked yet
    const UNIVERSE: u8 = 0;
    let attributes = message.attributes(ADDRESS);
    let flags = attributes.number(8).unwrap_or(u32::from(message.byte(2)));
    if message.byte(3) != UNIVERSE || flags & UNFIT != 0 {
        return None;
    }
    let address = attributes.find(2).or(attributes.find(1)).and_then(from_octets)?;
    Some(HostAddress { index: message.number(4), address })
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.priority)?;
        match self.from {
            Some(from) => write!(f, " from {from}")?,
            None => f.write_str(" from all")?,
        }
        if let Some(mark) = self.mark {
            write!(f, " fwmark {mark:#x}")?;
        }
        if self.origin == Origin::ThisHost {
            f.write_str(" iif lo")?;
        }
        if self.narrow.protocol != 0 {
            write!(f, " ipproto {}", self.narrow.protocol)?;
        }
        match self.then {
            Then::Table(table) => write!(f, " lookup {table}"),
            Then::GoTo(priority) => write!(f, " goto {priority}"),
            Then::Nothing => f.write_str(" nop"),
        }
    }
}
