//! A service to protect: it answers with the request as it arrived, so that what a proxy did to it can be seen.

use std::fmt;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::Json as JsonResponse;
use axum::response::Response;
use axum::serve::Listener;
use serde_json::Value as Json;
use serde_json::json;

/// The largest body that is read and sent back. The tests send some that proxies call large.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Serves on a bound TCP or Unix socket, as long as the runtime stands.
pub(crate) fn start<L>(listener: L)
where
    L: Listener,
    L::Addr: fmt::Debug,
{
    let router = Router::new().fallback(echo);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the upstream stopped");
        }
    });
}

/// `{"method", "target", "headers": [[name, value]], "body"}`, everything as text.
async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await.unwrap_or_else(|_| Bytes::new());
    let request = json!({
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "headers": pairs(&parts.headers),
        "body": String::from_utf8_lossy(&body),
    });
    ([("x-upstream", "echo")], JsonResponse(request)).into_response()
}

fn pairs(headers: &HeaderMap) -> Json {
    headers.iter().map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])).collect()
}
