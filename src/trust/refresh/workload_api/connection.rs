//! The connection to the agent's socket.
//!
//! The `spiffe` crate would connect by itself, but without pings: a frozen agent would never be noticed.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use hyper_util::rt::TokioIo;
use spiffe::WorkloadApiClient;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tonic::transport::Endpoint;
use tonic::transport::Uri;
use tower_service::Service;

use super::fault::Fault;
use crate::trust::refresh::AgentTuning;

/// What HTTP/2 wants to be told; nobody looks it up.
const AUTHORITY: &str = "http://localhost";

/// Connects to the agent at `address`.
pub(super) async fn open(address: &str, tuning: AgentTuning) -> Result<WorkloadApiClient, Fault> {
    let path = socket_path(address).ok_or_else(|| Fault::Address(address.to_owned()))?;
    let endpoint =
        Endpoint::from_static(AUTHORITY).http2_keep_alive_interval(tuning.ping).keep_alive_timeout(tuning.pong);
    let connecting = endpoint.connect_with_connector(Socket(path.clone()));
    let channel = timeout(tuning.answer, connecting).await.map_err(|_elapsed| Fault::Silent(tuning.answer))?;
    let endpoint = spiffe::transport::Endpoint::Unix(path);
    Ok(WorkloadApiClient::new_with_channel(endpoint, channel.map_err(Fault::Connect)?))
}

/// The absolute path in `unix:///path` or `unix:/path` (Workload Endpoint §4).
fn socket_path(address: &str) -> Option<PathBuf> {
    let rest = address.strip_prefix("unix:")?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// Connects to one socket, whatever it is asked for.
struct Socket(PathBuf);

impl Service<Uri> for Socket {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _authority: Uri) -> Self::Future {
        let path = self.0.clone();
        Box::pin(async move { UnixStream::connect(path).await.map(TokioIo::new) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_unix_sockets_absolute_path() {
        for good in ["unix:///run/spire/agent.sock", "unix:/run/spire/agent.sock"] {
            assert_eq!(socket_path(good), Some(PathBuf::from("/run/spire/agent.sock")), "{good}");
        }
        for bad in ["", "/run/agent.sock", "unix:agent.sock", "unix://agent.sock", "tcp://127.0.0.1:8081"] {
            assert_eq!(socket_path(bad), None, "{bad}");
        }
    }
}
