//! The admin side, over HTTP/1.1: probes and metrics on one port, the rest on another that stays on loopback.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::lifecycle::Readiness;
use crate::listener;
use crate::listener::ServerTls;
use crate::telemetry::Metrics;

/// Connections at a time to each of the two ports. The probes' port is open to other machines, and without a limit they
/// could take every descriptor that checks need.
const MAX_CONNECTIONS: usize = 64;
/// How long a connection may be there, question and answer: a probe gives up after a second, a scrape after ten.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(10);
/// How long accepting rests after an error such as "too many open files", which would otherwise spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the admin side listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `/livez`, `/readyz`, `/metrics`: may bind all addresses.
    pub probes: SocketAddr,
    /// `/config` and `/identity`: keep it on loopback, or prove who asks.
    pub private: SocketAddr,
    /// TLS on both, with the program's own certificate; `None`: plaintext. Clients of the private port prove themselves.
    pub tls: Option<listener::Tls>,
}

/// What the admin side shows.
#[derive(Debug, Clone)]
pub struct Sources {
    /// For `/readyz`.
    pub readiness: Arc<Readiness>,
    /// For `/metrics`.
    pub metrics: Arc<Metrics>,
    /// For `/config`: the configuration in force, without secrets.
    pub config: Arc<ArcSwap<Value>>,
    /// For `/identity`: the own certificate and the trust domains' bundles, without the key.
    pub identity: Arc<ArcSwap<Value>>,
}

/// The content type of `OpenMetrics` text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// TLS, where it is on.
type Tls = Option<ServerTls>;

/// Serves probes and metrics until `end` completes.
pub async fn serve_probes(listener: TcpListener, tls: Tls, sources: Sources, end: impl Future<Output = ()>) {
    let router = Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(sources);
    serve(listener, tls, router, end).await;
}

/// Serves the private side until `end` completes.
pub async fn serve_private(listener: TcpListener, tls: Tls, sources: Sources, end: impl Future<Output = ()>) {
    let router = Router::new().route("/config", get(config)).route("/identity", get(identity)).with_state(sources);
    serve(listener, tls, router, end).await;
}

/// One answer a connection, and only so many connections at a time.
async fn serve(listener: TcpListener, tls: Tls, router: Router, end: impl Future<Output = ()>) {
    let limit = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accepting = async {
        while let Ok(place) = Arc::clone(&limit).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _peer)) => drop(tokio::spawn(answer(stream, tls.clone(), router.clone(), place))),
                Err(error) => {
                    tracing::warn!(%error, "a connection to the admin side could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = end => {}
    }
}

async fn answer(stream: TcpStream, tls: Tls, router: Router, _place: OwnedSemaphorePermit) {
    let answering = async {
        match tls {
            None => answer_once(stream, router).await,
            Some(tls) => match tls.handshake(stream).await {
                Ok(stream) => answer_once(stream, router).await,
                Err(error) => tracing::debug!(%error, "a connection to the admin side was refused"),
            },
        }
    };
    // Whoever was too slow will ask again.
    let _too_slow = timeout(MAX_CONNECTION_AGE, answering).await;
}

async fn answer_once<I: AsyncRead + AsyncWrite + Unpin>(stream: I, router: Router) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    let _gone = connection.await;
}

/// Alive means that this answers: nothing outside the process belongs into a liveness probe.
async fn live() -> &'static str {
    "live\n"
}

async fn ready(State(sources): State<Sources>) -> impl IntoResponse {
    let report = sources.readiness.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report))
}

async fn metrics(State(sources): State<Sources>) -> impl IntoResponse {
    ([(CONTENT_TYPE, OPEN_METRICS)], sources.metrics.encode())
}

async fn identity(State(sources): State<Sources>) -> impl IntoResponse {
    Json(Value::clone(&sources.identity.load()))
}

async fn config(State(sources): State<Sources>) -> impl IntoResponse {
    Json(Value::clone(&sources.config.load()))
}
