//! Which SAs a client means. All that it says has to fit.

use super::Hall;
use super::command::failure;
use crate::engine::Selection;
use crate::status::{ChildSaStatus, ConnectionStatus, IkeSaStatus};
use crate::vici::control::Control;
use crate::vici::message::Message;
use std::sync::Arc;

/// What a client says of the SAs that it means.
#[derive(Clone, Copy, Default)]
pub(super) struct Filter<'a> {
    pub(super) connection: Option<&'a str>,
    ike_sa: Option<u64>,
    child: Option<&'a str>,
    child_sa: Option<u64>,
    reqid: Option<u32>,
}

impl<'a> Filter<'a> {
    pub(super) fn read(arguments: &'a Message) -> Result<Self, Message> {
        Ok(Self {
            connection: arguments.text("ike"),
            ike_sa: number(arguments, ["ike-id", "ike_id"])?,
            child: arguments.text("child"),
            child_sa: number(arguments, ["child-id", "child_id"])?,
            reqid: number(arguments, ["reqid", "reqid"])?,
        })
    }

    /// Whether the client has said anything at all.
    pub(super) fn is_empty(&self) -> bool {
        self.connection.is_none() && self.ike_sa.is_none() && !self.is_about_children()
    }

    /// Whether an IKE SA is the one that is meant, or has the child that is.
    pub(super) fn admits(&self, connection: &ConnectionStatus, sa: &IkeSaStatus) -> bool {
        self.connection.is_none_or(|name| name == connection.name) && self.ike_sa.is_none_or(|id| id == sa.id)
    }

    /// Whether a child of such an IKE SA is meant.
    pub(super) fn admits_child(&self, child: &ChildSaStatus) -> bool {
        self.child.is_none_or(|name| name == child.name)
            && self.child_sa.is_none_or(|id| id == child.id)
            && self.reqid.is_none_or(|reqid| reqid == child.reqid)
    }

    /// What it comes to: a selection that goes on to mean what it says, where there is one for it, or the SAs
    /// that fit just now.
    pub(super) async fn selections<C: Control>(&self, hall: &Hall<C>) -> Result<Vec<Selection>, C::Error> {
        let connection = self.connection.map(Arc::<str>::from);
        let one = match (connection, self.ike_sa, self.child, self.child_sa, self.reqid) {
            (Some(connection), None, None, None, None) => Selection::Connection(connection),
            (connection, None, Some(child), None, None) => {
                Selection::Child { connection, child: child.into() }
            }
            (None, Some(id), None, None, None) => Selection::IkeSa(id),
            (None, None, None, Some(id), None) => Selection::ChildNumber(id),
            (None, None, None, None, Some(reqid)) => Selection::Reqid(reqid),
            _ => return Ok(self.fitting(&hall.control.status().await?)),
        };
        Ok(vec![one])
    }

    /// The connection that this is about, if it is about one.
    pub(super) async fn connection<C: Control>(&self, hall: &Hall<C>) -> Option<Arc<str>> {
        if let Some(connection) = self.connection {
            return Some(connection.into());
        }
        let status = hall.control.status().await.ok()?;
        let has_child = |connection: &&ConnectionStatus| match self.child {
            Some(name) => connection.children.iter().any(|child| child.name == name),
            None => connection.sas.iter().any(|sa| self.fits(connection, sa)),
        };
        status.iter().find(has_child).map(|connection| connection.name.as_str().into())
    }

    fn is_about_children(&self) -> bool {
        self.child.is_some() || self.child_sa.is_some() || self.reqid.is_some()
    }

    fn fits(&self, connection: &ConnectionStatus, sa: &IkeSaStatus) -> bool {
        let admits_child = |child| self.admits_child(child);
        self.admits(connection, sa) && (!self.is_about_children() || sa.children.iter().any(admits_child))
    }

    fn fitting(&self, status: &[ConnectionStatus]) -> Vec<Selection> {
        let all = status.iter().flat_map(|connection| connection.sas.iter().map(move |sa| (connection, sa)));
        let sas = all.filter(|(connection, sa)| self.fits(connection, sa)).map(|(_, sa)| sa);
        if !self.is_about_children() {
            return sas.map(|sa| Selection::IkeSa(sa.id)).collect();
        }
        let children = sas.flat_map(|sa| &sa.children).filter(|child| self.admits_child(child));
        children.map(|child| Selection::ChildNumber(child.id)).collect()
    }
}

fn number<T: std::str::FromStr>(arguments: &Message, names: [&str; 2]) -> Result<Option<T>, Message> {
    let Some((name, text)) = names.into_iter().find_map(|name| Some((name, arguments.text(name)?))) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| failure(format_args!("{name} is no number: {text:?}")))
}
