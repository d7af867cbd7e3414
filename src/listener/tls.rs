//! The server's side of a TLS connection, within bounds.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// A handshake is two round trips and two signatures; whoever takes longer holds a place that another needs.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// What a connection becomes once both sides are proven.
///
/// # Errors
/// Why it did not: for the log, since the peer is told in an alert what concerns it.
pub async fn handshake<S>(
    config: &Arc<ServerConfig>,
    stream: S,
) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + use<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let accepting = TlsAcceptor::from(Arc::clone(config)).accept(stream);
    timeout(HANDSHAKE, accepting).await.map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))?
}
