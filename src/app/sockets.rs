//! Every socket of the program.

use std::io;
use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::TcpListener;

use crate::config::Settings;
use crate::listener::Address;
use crate::listener::Listener;

/// Every socket, bound.
pub(super) struct Bound {
    pub(super) checks: Vec<Listener>,
    pub(super) probes: TcpListener,
    pub(super) private: TcpListener,
}

impl Bound {
    pub(super) async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let mut checks = Vec::new();
        for address in &settings.listeners.checks {
            checks.push(Listener::bind(address).await.with_context(|| format!("listeners.checks: {address}"))?);
        }
        let admin = &settings.admin;
        let bound = Self {
            checks,
            probes: bind_tcp(admin.probes).await.context("admin.probes")?,
            private: bind_tcp(admin.private).await.context("admin.private")?,
        };
        bound.announce()?;
        Ok(bound)
    }

    /// Logs the addresses, with the real ports where port 0 was asked for.
    fn announce(&self) -> io::Result<()> {
        let checks: Vec<_> = self.checks.iter().map(Listener::address).collect::<io::Result<_>>()?;
        let checks: Vec<_> = checks.iter().map(Address::to_string).collect();
        let (probes, private) = (self.probes.local_addr()?, self.private.local_addr()?);
        tracing::info!(?checks, %probes, %private, "listening");
        Ok(())
    }
}

async fn bind_tcp(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| address.to_string())
}
