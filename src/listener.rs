//! Sockets: bound first and all together, accepted by one task, handed round-robin to the workers.
//!
//! Envoy opens one HTTP/2 connection per Envoy worker, so the kernel's own spreading (`SO_REUSEPORT`) may put all of
//! them on one thread; a round-robin never does.

mod connection;
mod tls;

pub use connection::Ended;
pub use connection::Limits;
pub use connection::Terms;
pub use connection::serve_connection;
pub use tls::ServerTls;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::net::UnixListener;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::spiffe_id::Peers;

/// Where checks are answered, and within which bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Addresses of the `ext_authz` service.
    pub checks: Vec<Address>,
    /// Mutual TLS on every TCP address of `checks`; `None`: plaintext. A Unix socket is guarded by its file's permissions.
    pub tls: Option<Tls>,
    /// Whether gRPC reflection is served.
    pub reflection: bool,
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// The longest message read, in bytes.
    pub max_message_bytes: u32,
    /// Connections at a time; more wait.
    pub max_connections: usize,
    /// Requests at a time on one connection.
    pub max_concurrent_streams: u32,
    /// After this time a connection is asked to close, so that load spreads over new replicas.
    pub max_connection_age: Duration,
    /// Between "not serving" and the end of accepting; longer than the proxy's health interval.
    pub drain_delay: Duration,
}

/// Mutual TLS with the program's own certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Who may connect.
    pub allowed: Vec<Peers>,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket. A stale one is removed first.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// Unix, with its file.
    Unix(UnixListener, SocketFile),
}

/// The file of a bound Unix socket. Dropped, it is removed, unless another process has put its own in its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

/// An accepted connection, not yet tied to a runtime, and its place under the connection limit.
#[derive(Debug)]
pub struct Socket {
    /// The stream.
    pub stream: Stream,
    /// Given back when the connection ends.
    pub permit: OwnedSemaphorePermit,
}

/// A stream in the standard library's form, so that the worker's own runtime can take it.
#[derive(Debug)]
pub enum Stream {
    /// TCP, with Nagle's algorithm off.
    Tcp(std::net::TcpStream),
    /// Unix.
    Unix(std::os::unix::net::UnixStream),
}

/// How long accepting rests after an error such as "too many open files", which would otherwise spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Listener {
    /// Binds one address.
    ///
    /// # Errors
    /// The operating system's, for the caller to name the address with.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            Address::Unix(path) => {
                remove_stale(path)?;
                let listener = UnixListener::bind(path)?;
                Ok(Self::Unix(listener, SocketFile { path: path.clone(), identity: identity(path)? }))
            }
        }
    }

    /// The address bound: with the real port where port 0 was asked for.
    ///
    /// # Errors
    /// The operating system's.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(_, file) => Ok(Address::Unix(file.path.clone())),
        }
    }

    /// Accepts until dropped. Errors are survived: a connection lost before it was accepted, or no descriptor left,
    /// is no reason to stop serving the others.
    pub async fn accept_into(self, workers: Vec<mpsc::Sender<Socket>>, limit: Arc<Semaphore>) {
        let mut next = workers.iter().cycle();
        loop {
            match self.accept().await {
                Ok(stream) => {
                    // Behind accepting: a listener to which nobody comes must not hold a place that another needs.
                    let Ok(permit) = Arc::clone(&limit).acquire_owned().await else { return };
                    let Some(worker) = next.next() else { return };
                    if worker.send(Socket { stream, permit }).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                stream.into_std().map(Stream::Tcp)
            }
            Self::Unix(listener, _) => listener.accept().await?.0.into_std().map(Stream::Unix),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _already_gone = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// A socket file that a killed process left would make binding fail; one that an instance still serves passes to its
/// successor, as with OPA-Envoy. Anything but a socket is somebody's file and is left alone.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_go_to_the_workers_in_turn() {
        let listener = Listener::bind(&Address::Tcp("127.0.0.1:0".parse().unwrap())).await.unwrap();
        let Address::Tcp(address) = listener.address().unwrap() else { panic!("tcp") };
        let (first, mut at_first) = mpsc::channel(8);
        let (second, mut at_second) = mpsc::channel(8);
        let accepting = tokio::spawn(listener.accept_into(vec![first, second], Arc::new(Semaphore::new(8))));
        let mut open = Vec::new();
        for _ in 0..4 {
            open.push(tokio::net::TcpStream::connect(address).await.unwrap());
        }
        for _ in 0..2 {
            assert!(at_first.recv().await.is_some());
            assert!(at_second.recv().await.is_some());
        }
        accepting.abort();
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checks.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(Listener::bind(&Address::Unix(path.clone())).await.unwrap());
        assert!(!path.exists());
        std::fs::write(&path, "kept").unwrap();
        assert!(Listener::bind(&Address::Unix(path.clone())).await.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
    }

    #[tokio::test]
    async fn an_instance_that_ends_leaves_its_successors_socket() {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::Unix(folder.path().join("checks.sock"));
        let Address::Unix(path) = &address else { panic!("a path") };
        let ending = Listener::bind(&address).await.unwrap();
        let successor = Listener::bind(&address).await.unwrap();
        drop(ending);
        assert!(std::os::unix::net::UnixStream::connect(path).is_ok());
        drop(successor);
        assert!(!path.exists());
    }
}
