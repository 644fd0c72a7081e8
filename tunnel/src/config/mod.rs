//! `tidegate.toml`: what the daemon is to do.
//!
//! - [`Configuration::load`] reads the file and everything that it names. It gives all of it or nothing:
//!   each [`Mistake`] says where it is, what it is, and what to do about it.
//! - [`Configuration::changes_since`] compares two of them, so that a reload touches only what differs.
//!   A file that holds something else than before counts for the connections that use it.
//!
//! `tidegate.example.toml` shows every key with its default.

mod connection;
mod difference;
mod files;
mod mistake;
mod named;
mod node;
mod peers;
mod pool;
mod reader;
mod schema;
mod values;

pub use difference::Update;
pub use files::Fingerprint;
pub(crate) use files::{BUILD, contents, shared_secret};
pub use mistake::{Fault, FileFault, Mistake, Mistakes, Place};
pub use named::NamedConnection;
pub use node::{DeviceKind, DeviceSettings, LogFormat, LogSettings, NodeSettings, Offload, RouteTable};
pub use schema::{SECTIONS, Schema};
pub use values::ValueFault;

use crate::mesh::{Mesh, Named};
use reader::{Context, Section};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tidegate_ike::pool::Pool;
use toml::de::DeTable;

/// A configuration that was found to make sense, with all that it names.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// What concerns this node alone.
    pub node: NodeSettings,
    /// This node, its peers and its communities.
    pub mesh: Mesh,
    /// The connections of the mesh and those written out, in ascending order of their names.
    pub connections: Vec<NamedConnection>,
    /// Addresses to give away.
    pub pools: Vec<Pool>,
    /// Every file and folder that it was read from.
    pub files: BTreeSet<PathBuf>,
}

impl Configuration {
    /// Reads a file and everything that it names.
    pub fn load(path: &Path) -> Result<Self, Mistakes> {
        let text = read(path).map_err(|fault| Mistakes {
            all: vec![Mistake::in_file(path, Fault::Unreadable(fault))],
            files: BTreeSet::from([path.to_owned()]),
        })?;
        Self::from_text(&text, path)
    }

    /// The same of a text that stands in `path`, from where the files that it names are looked for.
    pub fn from_text(text: &str, path: &Path) -> Result<Self, Mistakes> {
        let mut context = Context::new(text, path);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            context.complain(&span, Fault::Syntax(error.message().to_owned()));
        }
        // What does not parse has holes, and mistakes that follow from them would only distract.
        let read = errors.is_empty().then(|| {
            let section = Section::new(&mut context, table.get_ref(), 0..0, &schema::TOP);
            file(&mut context, &section)
        });
        match read.flatten() {
            Some(mut configuration) if !context.has_mistakes() => {
                configuration.files = std::mem::take(&mut context.files).into_paths();
                configuration.files.insert(path.to_owned());
                Ok(configuration)
            }
            _ => Err(context.mistakes()),
        }
    }
}

fn read(path: &Path) -> Result<String, FileFault> {
    let file = std::fs::File::open(path).map_err(|error| FileFault::Io(error.kind()))?;
    String::from_utf8(contents(&file)?).map_err(|_| FileFault::NotText)
}

/// Reads on after a mistake, so that all of them are told at once; the result is no good then.
fn file(context: &mut Context<'_>, top: &Section<'_>) -> Option<Configuration> {
    let Some(section) = top.section(context, "node", &schema::NODE) else {
        if !top.has("node") {
            top.missing(context, "node", "it says who this node is");
        }
        return None;
    };
    let node = node::read(context, &section);
    let pools = pool::read(context, top);
    let mut peers = peers::read(context, top);
    let written = connection::read(context, top, node.as_ref(), &pools);
    let node = node?;
    let mesh = peers.mesh(&node, &section);
    let mut connections = peers.connections(context, &node, &mesh);
    connection::add(context, &mut connections, written);
    connections.sort_by(|one, other| one.name().cmp(other.name()));
    let pools = pools.into_iter().map(|pool| pool.value).collect();
    Some(Configuration { node: node.settings, mesh, connections, pools, files: BTreeSet::new() })
}
