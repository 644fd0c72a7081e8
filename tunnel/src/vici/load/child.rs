//! A child of a connection.

use super::fault::{LoadFault, ValueFault};
use super::lifetimes::{self, EndsFirst, Written};
use super::options::Options;
use super::values;
use crate::connection::{After, Child, ChildMode, HostAccess, Start};
use std::num::NonZeroU32;
use std::sync::Arc;
use tidegate_esp::outer::{OuterDontFragment, OuterDscp, OuterEcn};
use tidegate_esp::{Marking, TfcPadding, TrafficSelector};
use tidegate_ike::ChildConfig;
use tidegate_ike::connection::{ChildLifetimes, ChildStart};
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::proposal::EspProposal;

pub(super) fn read(section: &mut Options<'_>) -> Result<Child, LoadFault> {
    let any = TrafficSelector::any_v4();
    let mut config = ChildConfig::new(section.name(), any, any);
    config.local = selectors(section, "local_ts")?;
    config.remote = selectors(section, "remote_ts")?;
    let proposals = |text: &str| EspProposal::parse_list(text).map_err(ValueFault::Proposal);
    let proposals = section.list("esp_proposals", proposals)?;
    if !proposals.is_empty() {
        config.proposals = proposals.into_iter().flatten().collect();
    }
    config.lifetimes = lifetimes(section)?;
    config.marking = marking(section)?;
    packets(section, &mut config)?;
    let mut child = Child::new(config);
    child.mode = mode(section)?;
    actions(section, &mut child)?;
    child.inactivity = section.parse("inactivity", values::time)?.filter(|time| !time.is_zero());
    child.updown = section.text("updown")?.map(Arc::from);
    if section.flag("hostaccess")? == Some(true) {
        child.host_access = HostAccess::Wanted;
    }
    let reqid = section.parse("reqid", |text| values::number(text, u32::MAX))?;
    child.reqid = reqid.and_then(NonZeroU32::new);
    refuse(section)?;
    Ok(child)
}

/// What is left out is the address of that end.
fn selectors(section: &mut Options<'_>, key: &'static str) -> Result<Vec<ConfiguredSelector>, LoadFault> {
    let mut selectors = section.list(key, values::selector)?;
    if selectors.is_empty() {
        selectors.extend(values::selector("dynamic"));
    }
    Ok(selectors)
}

fn lifetimes(section: &mut Options<'_>) -> Result<ChildLifetimes, LoadFault> {
    let seconds = |text: &str| values::time(text).map(|time| time.as_secs());
    let time = Written {
        rekey: section.parse("rekey_time", seconds)?,
        life: section.parse("life_time", seconds)?,
        random: section.parse("rand_time", seconds)?,
    };
    let packets = Written {
        rekey: section.parse("rekey_packets", values::count)?,
        life: section.parse("life_packets", values::count)?,
        random: section.parse("rand_packets", values::count)?,
    };
    let bytes = Written {
        rekey: section.parse("rekey_bytes", values::size)?,
        life: section.parse("life_bytes", values::size)?,
        random: section.parse("rand_bytes", values::size)?,
    };
    lifetimes::child(time, packets, bytes).map_err(|EndsFirst| {
        let early = |it: &Written| it.life.is_some_and(|life| life < it.rekey.unwrap_or(u64::MAX));
        let (key, fault) = match (early(&packets), early(&bytes)) {
            _ if early(&time) => ("life_time", ValueFault::Below("rekey_time")),
            (true, _) => ("life_packets", ValueFault::Below("rekey_packets")),
            _ => ("life_bytes", ValueFault::Below("rekey_bytes")),
        };
        let value = section.text(key).ok().flatten().unwrap_or_default();
        section.invalid(key, value.as_bytes(), fault)
    })
}

/// Left to itself the engine sets DF and cuts what would not fit, which serves all that charon's default does.
fn marking(section: &mut Options<'_>) -> Result<Marking, LoadFault> {
    let mut marking = Marking::default();
    match section.flag("copy_df")? {
        Some(true) => marking.dont_fragment = OuterDontFragment::Copy,
        Some(false) => marking.dont_fragment = OuterDontFragment::Clear,
        None => {}
    }
    if section.flag("copy_ecn")? == Some(false) {
        marking.ecn = OuterEcn::Clear;
    }
    let words = &["out", "no", "in", "yes"];
    let copies = [Some(OuterDscp::Copy), Some(OuterDscp::Fixed(0)), None, None];
    match section.choice("copy_dscp", words, &copies)? {
        Some(Some(dscp)) => marking.dscp = dscp,
        Some(None) => {
            let value = section.text("copy_dscp")?.unwrap_or_default();
            let reason = "what is inside is never changed on its way in (RFC 4301): write out or no";
            return Err(section.unsupported("copy_dscp", value, reason));
        }
        None => {}
    }
    Ok(marking)
}

fn packets(section: &mut Options<'_>, config: &mut ChildConfig) -> Result<(), LoadFault> {
    let window = section.parse("replay_window", |text| values::number(text, WIDEST_WINDOW))?;
    match window.map(|window| u16::try_from(window).unwrap_or(u16::MAX)) {
        Some(0) => {
            let reason = "packets are always checked for replays";
            return Err(section.unsupported("replay_window", "0", reason));
        }
        Some(window) => config.replay_window = window,
        None => {}
    }
    let padding = |text: &str| match text {
        "mtu" => Ok(None),
        text => values::number(text, u16::MAX.into()).map(|length| u16::try_from(length).ok()),
    };
    config.tfc = match section.parse("tfc_padding", padding)? {
        None | Some(Some(0)) => TfcPadding::None,
        Some(Some(length)) => TfcPadding::To(length),
        Some(None) => {
            let reason = "write how long packets are to be, such as 1300";
            return Err(section.unsupported("tfc_padding", "mtu", reason));
        }
    };
    Ok(())
}

fn mode(section: &mut Options<'_>) -> Result<ChildMode, LoadFault> {
    let words = &["tunnel", "pass", "drop", "transport", "transport_proxy", "beet"];
    let modes = [Some(ChildMode::Tunnel), Some(ChildMode::Pass), Some(ChildMode::Drop), None, None, None];
    match section.choice("mode", words, &modes)? {
        Some(Some(mode)) => Ok(mode),
        None => Ok(ChildMode::Tunnel),
        Some(None) => {
            let value = section.text("mode")?.unwrap_or_default();
            Err(section.unsupported("mode", value, "there is tunnel mode alone, beside pass and drop"))
        }
    }
}

/// What brings it up, and back. With a trap traffic does both, whatever else is said.
fn actions(section: &mut Options<'_>, child: &mut Child) -> Result<(), LoadFault> {
    use After::{Clear, OnTraffic, Restart};
    let words = &["none", "clear", "trap", "route", "start", "restart", "trap|start", "start|trap"];
    let meanings = [
        (Start::Wait, Clear),
        (Start::Wait, Clear),
        (Start::Trap, OnTraffic),
        (Start::Trap, OnTraffic),
        (Start::AtOnce, Clear),
        (Start::AtOnce, Clear),
        (Start::AtOnce, OnTraffic),
        (Start::AtOnce, OnTraffic),
    ];
    let (start, least) = section.choice("start_action", words, &meanings)?.unwrap_or_default();
    child.start = start;
    child.config.start = if start == Start::AtOnce { ChildStart::WithIke } else { ChildStart::OnDemand };
    let words = &["clear", "none", "trap", "route", "start", "restart", "trap|start", "start|trap"];
    let meanings = [Clear, Clear, OnTraffic, OnTraffic, Restart, Restart, Restart, Restart];
    let or_least = |after: Option<After>| match after.unwrap_or_default() {
        Clear => least,
        after => after,
    };
    child.on_close = or_least(section.choice("close_action", words, &meanings)?);
    child.on_death = or_least(section.choice("dpd_action", words, &meanings)?);
    Ok(())
}

/// What we do not do, unless it is said not to be done.
fn refuse(section: &mut Options<'_>) -> Result<(), LoadFault> {
    section.refuse_list("ah_proposals", "AH is not supported: use esp_proposals")?;
    let no = &["no", "false", "disabled", "0"];
    section.refuse("ipcomp", no, "packets are not compressed")?;
    section.refuse("sha256_96", no, "HMAC-SHA-256 is truncated to 128 bits (RFC 4868)")?;
    section.refuse("policies", &["yes", "true", "enabled", "1"], "a child protects what it carries")?;
    section.ignore("policies_fwd_out", no, "it is about the kernel's IPsec, which is not used")?;
    section.refuse("hw_offload", &["no", "auto"], "no hardware is used")?;
    section.refuse("priority", &["0"], "of several children the most specific has its way")?;
    section.refuse("interface", &[], "what a child carries is told by addresses alone")?;
    section.refuse("label", &[], "there are no security labels here")?;
    section.ignore("label_mode", &["system", "simple"], "there is no label")?;
    for key in ["mark_in", "mark_out", "set_mark_in", "set_mark_out"] {
        section.refuse(key, &["0", "0/0", "0/0x00000000", "0x0", "0x0/0x0"], "there are no marks here")?;
    }
    section.refuse("mark_in_sa", no, "there are no marks here")?;
    for key in ["if_id_in", "if_id_out"] {
        section.refuse(key, &["0", "0x0"], "there are no XFRM interfaces here")?;
    }
    Ok(())
}

const WIDEST_WINDOW: u32 = 8192;
