//! The admin side, over HTTP/1.1: probes and metrics on one port, the rest on another that stays on loopback.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::lifecycle::Readiness;
use crate::telemetry::Metrics;

/// Where the admin side listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// `/livez`, `/readyz`, `/metrics`: may bind all addresses.
    pub probes: SocketAddr,
    /// `/config`: keep it on loopback.
    pub private: SocketAddr,
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
}

/// The content type of `OpenMetrics` text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves probes and metrics until `end` completes.
///
/// # Errors
/// The socket's.
pub async fn serve_probes(
    listener: TcpListener,
    sources: Sources,
    end: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(sources);
    axum::serve(listener, router).with_graceful_shutdown(end).await
}

/// Serves the private side until `end` completes.
///
/// # Errors
/// The socket's.
pub async fn serve_private(
    listener: TcpListener,
    sources: Sources,
    end: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new().route("/config", get(config)).with_state(sources);
    axum::serve(listener, router).with_graceful_shutdown(end).await
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

async fn config(State(sources): State<Sources>) -> impl IntoResponse {
    Json(Value::clone(&sources.config.load()))
}
