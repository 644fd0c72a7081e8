//! The socket: for its owner alone, and never in place of one that somebody else listens on.

use rustix::fs::{AtFlags, FlockOperation, Mode, fchmod, flock, unlinkat};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// A socket that is removed when this is dropped, unless another has come in its place.
pub(super) struct Place {
    path: PathBuf,
    inode: (u64, u64),
}

/// Opens the socket. The folder is made where there is none, for its owner alone.
pub(super) fn open(path: &Path) -> io::Result<(UnixListener, Place)> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let folder = checked(folder)?;
    // Two daemons that start at once would take each other's new socket for a stale one.
    flock(&folder, FlockOperation::LockExclusive)?;
    clear(path)?;

    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // Before it has a name, so that there is no moment in which others may open it.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;

    let place = Place { path: path.to_owned(), inode: inode(path)? };
    Ok((UnixListener::from_std(socket.into())?, place))
}

/// Whoever may write into the folder may put a socket of his own in place of ours.
fn checked(path: &Path) -> io::Result<File> {
    let folder = File::open(path)?;
    let metadata = folder.metadata()?;
    if metadata.is_dir() && metadata.mode() & 0o002 != 0 {
        return Err(refusal(io::ErrorKind::PermissionDenied, path, "everybody may write into this folder"));
    }
    Ok(folder)
}

/// Makes room: a socket that nobody listens on is left over from a process that is gone.
fn clear(path: &Path) -> io::Result<()> {
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(refusal(io::ErrorKind::AlreadyExists, path, "there is something that is no socket"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Ok(unlinkat(rustix::fs::CWD, path, AtFlags::empty())?)
        }
        Err(error) => Err(error),
        Ok(_) => Err(refusal(io::ErrorKind::AddrInUse, path, "another process listens here")),
    }
}

fn refusal(kind: io::ErrorKind, path: &Path, why: &str) -> io::Error {
    io::Error::new(kind, format!("{}: {why}", path.display()))
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = path.symlink_metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

impl Drop for Place {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            // What remains is taken for stale at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

const BACKLOG: i32 = 128;
