//! The server's side of a TLS connection, within bounds.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::telemetry::Metrics;
use crate::telemetry::metrics::trust::Handshake;
use crate::trust::tls::PeerError;

/// A handshake is two round trips and two signatures; whoever takes longer holds a place that another needs.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// TLS on a listener's connections.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
    metrics: Arc<Metrics>,
}

impl ServerTls {
    /// Serves by `config`, and counts the handshakes.
    pub fn new(config: Arc<ServerConfig>, metrics: &Arc<Metrics>) -> Self {
        Self { acceptor: config.into(), metrics: Arc::clone(metrics) }
    }

    /// What a connection becomes once both sides are proven.
    ///
    /// # Errors
    /// Why it did not: for the log, since the peer is told in an alert what concerns it.
    pub async fn handshake<S>(&self, stream: S) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + use<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (outcome, result) = match timeout(HANDSHAKE, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => (Handshake::Completed, Ok(stream)),
            Ok(Err(error)) => (Handshake::Failed, Err(explained(error))),
            Err(_elapsed) => (Handshake::TimedOut, Err(io::ErrorKind::TimedOut.into())),
        };
        self.metrics.trust().handshake(outcome);
        result
    }
}

/// In our own words, where the peer's certificate was the reason.
fn explained(error: io::Error) -> io::Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    tls.and_then(PeerError::of).cloned().map_or(error, io::Error::other)
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}
