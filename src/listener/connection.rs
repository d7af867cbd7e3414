//! One HTTP/2 connection, within bounds.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use http::Request;
use http::Response;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use thiserror::Error;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::sleep;
use tokio::time::timeout;
use tonic::body::Body;

use super::ServerTls;
use super::Socket;
use super::Stream;

/// What one connection may do.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests at a time.
    pub max_concurrent_streams: u32,
    /// After this time the connection is asked to close.
    pub max_age: Duration,
}

/// On what terms connections are served.
#[derive(Debug, Clone)]
pub struct Terms {
    /// What each may do.
    pub limits: Limits,
    /// TLS on TCP connections; `None`: plaintext.
    pub tls: Option<ServerTls>,
}

/// Why a connection ended other than in good order.
#[derive(Debug, Error)]
pub enum Ended {
    /// The peer proved to be nobody who may connect, or did not speak TLS.
    #[error("the TLS handshake failed: {0}")]
    Handshake(io::Error),
    /// The socket's and HTTP/2's errors.
    #[error(transparent)]
    Connection(#[from] io::Error),
}

/// HTTP/2 header lists. Envoy's gRPC client sends under a kilobyte of its own, but its tracers copy `tracestate` and
/// `baggage` from the client's request, and what is longer than this is refused by the transport, which Envoy takes for
/// a failure of the authorizer. So it is several times what Envoy takes from a client (60 KiB unless told otherwise).
const MAX_HEADER_LIST_BYTES: u32 = 256 * 1024;
/// Streams reset before they were accepted (CVE-2023-44487): beyond it the connection ends, and with it the checks of
/// others, since the proxy sends all clients' through one. A client that gives up its requests makes the proxy reset
/// their checks, and those that came while the worker was at another arrive here together.
const MAX_PENDING_RESETS: usize = 4096;
/// Resets that the client provokes from us (CVE-2025-8671).
const MAX_LOCAL_RESETS: usize = 256;
/// One stream's window: a CheckRequest with headers and a usual body fits.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// All streams' window of one connection, which bounds what it can make us hold unread.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Dead peers are noticed after interval + timeout.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer that has opened a connection speaks at once: the preface is the first thing it sends. HTTP/2's keep-alive begins
/// only behind it, so that without this a silent peer would keep its place among the connections for ever.
const FIRST_BYTES: Duration = Duration::from_secs(5);
/// The same once the end has begun, which should not wait for the silent.
const FIRST_BYTES_AT_THE_END: Duration = Duration::from_secs(1);
/// What runs when a connection is asked to close may finish, but no stream keeps it open: a health watch never ends, nor
/// does a message that does not come.
const CLOSING: Duration = Duration::from_secs(30);

/// Spawns on the worker's own thread, so that services need not be `Send`.
#[derive(Debug, Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

/// Serves one connection until the peer leaves, its age is reached, or `drain` turns true; then what runs may finish.
///
/// # Errors
/// Those of the handshake, of the socket and of HTTP/2, for the log.
pub async fn serve_connection<H, F>(
    socket: Socket,
    terms: Terms,
    mut drain: watch::Receiver<bool>,
    handle: H,
) -> Result<(), Ended>
where
    H: Fn(Request<Incoming>) -> F + 'static,
    F: Future<Output = Response<Body>> + 'static,
{
    let Socket { stream, permit: _held_until_the_end } = socket;
    let Terms { limits, tls } = terms;
    match stream {
        Stream::Tcp(stream) => {
            let stream = TcpStream::from_std(stream)?;
            heard(stream.readable(), &mut drain).await?;
            match tls {
                None => serve(stream, limits, drain, handle).await?,
                Some(tls) => {
                    let stream = tls.handshake(stream).await.map_err(Ended::Handshake)?;
                    serve(stream, limits, drain, handle).await?;
                }
            }
        }
        Stream::Unix(stream) => {
            let stream = UnixStream::from_std(stream)?;
            heard(stream.readable(), &mut drain).await?;
            serve(stream, limits, drain, handle).await?;
        }
    }
    Ok(())
}

/// Waits until the peer has said something.
async fn heard(first: impl Future<Output = io::Result<()>>, drain: &mut watch::Receiver<bool>) -> io::Result<()> {
    let silence = async {
        tokio::select! {
            _ = drain.wait_for(|draining| *draining) => sleep(FIRST_BYTES_AT_THE_END).await,
            () = sleep(FIRST_BYTES) => {}
        }
    };
    tokio::select! {
        heard = first => heard,
        () = silence => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn serve<I, H, F>(io: I, limits: Limits, mut drain: watch::Receiver<bool>, handle: H) -> io::Result<()>
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    H: Fn(Request<Incoming>) -> F + 'static,
    F: Future<Output = Response<Body>> + 'static,
{
    let service = service_fn(move |request| {
        let response = handle(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    let connection = http2::Builder::new(LocalExecutor)
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_concurrent_streams)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let draining = async {
        // An error means that the drain's owner is gone: the process ends.
        let _closed = drain.wait_for(|draining| *draining).await;
    };
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(io::Error::other),
        () = draining => {}
        () = sleep(limits.max_age) => {}
    }
    connection.as_mut().graceful_shutdown();
    timeout(CLOSING, connection).await?.map_err(io::Error::other)
}
