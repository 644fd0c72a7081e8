//! `tidegate.toml`: what the daemon is to do.
//!
//! - [`Configuration::load`] reads the file and everything that it names. It gives all of it or nothing:
//!   each [`Mistake`] says where it is, what it is, and what to do about it.
//! - [`Configuration::changes_since`] compares two of them, so that a reload touches only what differs.
//!   A file that holds something else than before counts for the connections that use it.
//!
//! - [`Configuration::additions`] reads connections and pools that come later, for whoever embeds the engine.
//! - A [`Vault`] stands for files that there are none of.
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
mod vault;

pub use difference::Update;
pub use files::Fingerprint;
pub(crate) use files::{BUILD, contents, shared_secret};
pub use mistake::{Fault, FileFault, Mistake, Mistakes, Place};
pub use named::NamedConnection;
pub use node::{DeviceKind, DeviceSettings, LogFormat, LogSettings, NodeSettings, Offload, RouteTable};
pub use schema::{SECTIONS, Schema};
pub use values::ValueFault;
pub use vault::Vault;

use crate::mesh::{Mesh, Named};
use node::Node;
use reader::{At, Context, Section};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    /// What connections take from `[node]` where they leave something out.
    common: Arc<Node>,
}

/// What is added to a configuration.
#[derive(Clone, Debug)]
pub struct Additions {
    /// Connections, in the order of the text.
    pub connections: Vec<NamedConnection>,
    /// Addresses to give away.
    pub pools: Vec<Pool>,
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
        Self::with_vault(text, path, &Vault::default())
    }

    /// The same, where some of what it names is in no file.
    pub fn with_vault(text: &str, path: &Path, vault: &Vault) -> Result<Self, Mistakes> {
        let (mut configuration, mut files) = parse(text, path, vault, &schema::TOP, file)?;
        files.insert(path.to_owned());
        configuration.files = files;
        Ok(configuration)
    }

    /// Reads a text of `[[connection]]` and `[[pool]]`. What its connections leave out is as `[node]` here has
    /// it, and they may use the pools that are here.
    pub fn additions(&self, text: &str, path: &Path, vault: &Vault) -> Result<Additions, Mistakes> {
        let read = |context: &mut Context<'_>, top: &Section<'_>| {
            let mut pools = pool::read(context, top);
            let own = pools.len();
            let known =
                self.pools.iter().filter(|known| pools.iter().all(|own| own.value.name != known.name));
            let known: Vec<_> = known.map(|known| At { value: known.clone(), span: 0..0 }).collect();
            pools.extend(known);
            let written = connection::read(context, top, Some(&self.common), &pools);
            let mut connections = Vec::new();
            connection::add(context, &mut connections, written);
            let pools = pools.into_iter().take(own).map(|pool| pool.value).collect();
            Some(Additions { connections, pools })
        };
        parse(text, path, vault, &schema::ADDITIONS, read).map(|(additions, _)| additions)
    }
}

/// Reads a text by its top section; returns what came of it and the files that were read.
fn parse<T>(
    text: &str,
    path: &Path,
    vault: &Vault,
    top: &'static Schema,
    read: impl FnOnce(&mut Context<'_>, &Section<'_>) -> Option<T>,
) -> Result<(T, BTreeSet<PathBuf>), Mistakes> {
    let mut context = Context::new(text, path, vault.clone());
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        context.complain(&span, Fault::Syntax(error.message().to_owned()));
    }
    // What does not parse has holes, and mistakes that follow from them would only distract.
    let read = errors.is_empty().then(|| {
        let section = Section::new(&mut context, table.get_ref(), 0..0, top);
        read(&mut context, &section)
    });
    match read.flatten() {
        Some(read) if !context.has_mistakes() => Ok((read, std::mem::take(&mut context.files).into_paths())),
        _ => Err(context.mistakes()),
    }
}

fn read(path: &Path) -> Result<String, FileFault> {
    let io = |error: std::io::Error| FileFault::Io(error.kind());
    let file = std::fs::File::open(path).map_err(io)?;
    // Whoever writes it has the daemon do what they like.
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
    if mode & 0o002 != 0 {
        return Err(FileFault::Open { mode });
    }
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
    let settings = node.settings.clone();
    let common = Arc::new(node);
    Some(Configuration { node: settings, mesh, connections, pools, files: BTreeSet::new(), common })
}
