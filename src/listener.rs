//! Where checks are answered, and within which limits.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Where checks are answered, and within which limits.
#[derive(Debug, Clone)]
pub struct Config {
    /// Addresses of the `ext_authz` service.
    pub checks: Vec<Address>,
    /// Whether gRPC reflection is served.
    pub reflection: bool,
    /// Threads that answer checks.
    pub workers: NonZeroUsize,
    /// The longest message received, in bytes.
    pub max_message_bytes: u32,
    /// Connections open at once.
    pub max_connections: usize,
    /// Streams open at once in a connection.
    pub max_concurrent_streams: u32,
    /// How old a connection may become.
    pub max_connection_age: Duration,
    /// How long not-serving is shown before accepting stops.
    pub drain_delay: Duration,
}

/// An address to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// IP address and port.
    Tcp(SocketAddr),
    /// Path of a Unix socket.
    Unix(PathBuf),
}
