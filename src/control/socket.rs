//! The local socket: made so that at no instant somebody can use it who must not.

#![expect(
    clippy::disallowed_methods,
    reason = "the socket is no file with content; `files` has no business with it"
)]

use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

/// Connections the system lets wait.
const BACKLOG: i32 = 32;

/// Why the control socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon answers on it.
    #[error(
        "{}: another hedgerow is running and answers on this socket",
        path.display()
    )]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is not a socket has its name.
    #[error("{}: exists and is not a socket", path.display())]
    NotASocket {
        /// What is there.
        path: PathBuf,
    },
    /// There is no such group.
    #[error("unknown group `{group}` for the control socket")]
    UnknownGroup {
        /// As written in the configuration.
        group: String,
    },
    /// The system refused.
    #[error("{}: {doing}: {source}", path.display())]
    System {
        /// The socket or its folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// The control socket, open; its file goes when this goes.
#[derive(Debug)]
pub struct ControlSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    inode: (u64, u64),
}

impl ControlSocket {
    /// Makes the socket at `path`, usable by this account and by `group`.
    ///
    /// Must run inside a tokio runtime. A socket that a daemon left behind is removed if nobody
    /// answers on it.
    ///
    /// # Errors
    /// [`BindError`], with the path.
    pub fn bind(path: &Path, group: Option<&str>) -> Result<Self, BindError> {
        let gid = group.map(look_up_group).transpose()?;
        make_folder(path)?;
        remove_stale(path)?;
        let socket = open(path, gid)?;
        let metadata =
            std::fs::symlink_metadata(path).map_err(failed(path, "cannot look at it"))?;
        let listener =
            UnixListener::from_std(socket.into()).map_err(failed(path, "cannot listen"))?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            inode: (metadata.dev(), metadata.ino()),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ControlSocket {
    /// Takes the file away, unless another daemon has put its own there meanwhile. After the
    /// privileges were dropped this may fail; the next start then finds it stale.
    fn drop(&mut self) {
        let is_ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.inode);
        if is_ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "control socket stays behind");
        }
    }
}

fn look_up_group(group: &str) -> Result<nix::unistd::Gid, BindError> {
    let found = match group.parse::<u32>() {
        Ok(gid) => Some(nix::unistd::Gid::from_raw(gid)),
        Err(_) => nix::unistd::Group::from_name(group)
            .ok()
            .flatten()
            .map(|entry| entry.gid),
    };
    found.ok_or_else(|| BindError::UnknownGroup {
        group: group.to_owned(),
    })
}

fn make_folder(path: &Path) -> Result<(), BindError> {
    let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) else {
        return Ok(());
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)
        .map_err(failed(folder, "cannot make the folder"))
}

fn remove_stale(path: &Path) -> Result<(), BindError> {
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed(path, "cannot look at it"))?,
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket {
            path: path.to_owned(),
        });
    }
    match knock(path) {
        Ok(()) => Err(BindError::InUse {
            path: path.to_owned(),
        }),
        // Alive, if busy: as many callers as the system lets wait are waiting.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(BindError::InUse {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed(path, "cannot remove the stale socket"))
        }
        Err(error) => Err(failed(path, "cannot find out whether it is in use")(error)),
    }
}

/// Finds out whether somebody answers at `path`, without waiting for a daemon that hangs.
fn knock(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

/// Opens the socket so that the file never grants more than it is meant to, whatever the umask:
/// Linux gives the file the mode of the unbound socket, and until `listen` nobody can connect.
fn open(path: &Path, gid: Option<nix::unistd::Gid>) -> Result<Socket, BindError> {
    let system = |doing| failed(path, doing);
    let socket =
        Socket::new(Domain::UNIX, Type::STREAM, None).map_err(system("cannot make a socket"))?;
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)
        .map_err(io::Error::from)
        .map_err(system("cannot restrict the socket"))?;
    let address = SockAddr::unix(path).map_err(system("cannot be the path of a socket"))?;
    socket.bind(&address).map_err(system("cannot bind"))?;
    if gid.is_some() {
        nix::unistd::chown(path, None, gid)
            .map_err(io::Error::from)
            .map_err(system("cannot give it to the group"))?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))
        .map_err(system("cannot set its mode"))?;
    socket
        .set_nonblocking(true)
        .map_err(system("cannot make it non-blocking"))?;
    socket.listen(BACKLOG).map_err(system("cannot listen"))?;
    Ok(socket)
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> BindError {
    let path = path.to_owned();
    move |source| BindError::System {
        path,
        doing,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_for_owner_and_group_and_goes_with_its_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/hedgerow/control.sock");
        let gid = nix::unistd::getgid().to_string();
        let socket = ControlSocket::bind(&path, Some(&gid)).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o660);
        assert_eq!(mode(path.parent().unwrap()) & !0o755, 0);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_gives_way_and_a_live_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "std leaves the file behind");
        let first = ControlSocket::bind(&path, None).unwrap();
        let error = ControlSocket::bind(&path, None).unwrap_err();
        assert!(matches!(error, BindError::InUse { .. }), "{error}");
        assert!(first.path().exists());
    }

    #[tokio::test]
    async fn a_daemon_that_hangs_is_alive_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let _hanging = ControlSocket::bind(&path, None).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let address = SockAddr::unix(&path).unwrap();
            socket.connect(&address).map(|()| socket)
        } {
            waiting.push(stream);
        }
        let error = ControlSocket::bind(&path, None).unwrap_err();
        assert!(matches!(error, BindError::InUse { .. }), "{error}");
    }

    #[tokio::test]
    async fn nothing_else_is_ever_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        std::fs::write(&path, "a letter").unwrap();
        let error = ControlSocket::bind(&path, None).unwrap_err();
        assert!(matches!(error, BindError::NotASocket { .. }), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"a letter");
        let socket = ControlSocket::bind(&folder.path().join("other.sock"), None).unwrap();
        std::fs::remove_file(socket.path()).unwrap();
        std::fs::write(socket.path(), "of another").unwrap();
        let path = socket.path().to_owned();
        drop(socket);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn what_the_system_refuses_is_said_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a".repeat(200));
        let error = ControlSocket::bind(&path, None).unwrap_err().to_string();
        assert!(error.contains("cannot be the path of a socket"), "{error}");
        let error = ControlSocket::bind(&path, Some("no-such-group")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown group `no-such-group` for the control socket"
        );
    }
}
