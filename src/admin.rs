//! The administration side's addresses.

use std::net::SocketAddr;

/// Where the administration side listens.
#[derive(Debug, Clone)]
pub struct Config {
    /// `/livez`, `/readyz` and `/metrics`.
    pub probes: SocketAddr,
    /// Everything else.
    pub private: SocketAddr,
}
