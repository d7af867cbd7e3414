//! The gRPC service on one connection: Check, and beside it health and reflection.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use http::Request;
use http::Response;
use hyper::body::Incoming;
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic::server::Grpc;
use tower_service::Service as TowerService;

use super::codec;
use super::codec::CheckCodec;
use super::others::OtherServices;
use super::worker::Worker;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::telemetry::TraceContext;

/// The path of the one method that decides.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// How gRPC carries a deadline.
const TIMEOUT_HEADER: &str = "grpc-timeout";
/// How long a call may last from its headers on: a message that trickles in must not hold its memory for long. Longer
/// than any wait of a check itself.
const MAX_CALL: Duration = Duration::from_secs(30);
/// W3C Trace Context.
const TRACE_HEADER: &str = "traceparent";

type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// One worker's service, shared by its connections.
#[derive(Debug)]
pub struct Service {
    worker: Rc<Worker>,
    others: OtherServices,
    max_message_bytes: usize,
}

impl Service {
    /// The service of one worker.
    pub fn new(worker: Rc<Worker>, others: OtherServices, max_message_bytes: u32) -> Self {
        // A message too long for the machine's addresses is too long anyway.
        let max_message_bytes = usize::try_from(max_message_bytes).unwrap_or(usize::MAX);
        Self { worker, others, max_message_bytes }
    }

    /// Answers one call. No gRPC error leaves Check, whatever the client sent: Envoy's `failure_mode_allow` would
    /// make an allow of it.
    pub async fn call(self: Rc<Self>, request: Request<Incoming>) -> Response<Body> {
        if request.uri().path() != CHECK {
            return self.other(request).await;
        }
        let deadline = request.headers().get(TIMEOUT_HEADER).and_then(|value| parse_timeout(value.to_str().ok()?));
        let trace = request.headers().get(TRACE_HEADER).and_then(|value| TraceContext::parse(value.to_str().ok()?));
        let method = CheckMethod { worker: Rc::clone(&self.worker), deadline, trace };
        let mut grpc = Grpc::new(CheckCodec).apply_max_message_size_config(Some(self.max_message_bytes), None);
        let unread = match timeout(MAX_CALL, grpc.unary(method, request)).await {
            Ok(response) if !codec::is_error(&response) => return response,
            Ok(_error) => Denial::new(Reason::RequestTooLarge, "the message is too long or not plainly framed"),
            Err(_elapsed) => Denial::new(Reason::ServerDeadline, "the message did not arrive in time"),
        };
        codec::ok_response(&self.worker.refuse_unread(unread, trace))
    }

    async fn other(&self, request: Request<Incoming>) -> Response<Body> {
        let mut routes = self.others.routes();
        match TowerService::call(&mut routes, request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

struct CheckMethod {
    worker: Rc<Worker>,
    deadline: Option<Duration>,
    trace: Option<TraceContext>,
}

impl TowerService<tonic::Request<Bytes>> for CheckMethod {
    type Response = tonic::Response<CheckResponse>;
    type Error = Status;
    type Future = LocalFuture<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (worker, deadline, trace) = (Rc::clone(&self.worker), self.deadline, self.trace);
        Box::pin(async move { Ok(tonic::Response::new(worker.answer(request.into_inner(), deadline, trace).await)) })
    }
}

/// Reads `grpc-timeout`: at most eight digits and a unit (gRPC over HTTP/2). What cannot be read is no deadline.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_hours(count),
        "M" => Duration::from_mins(count),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_grpc_timeouts() {
        assert_eq!(parse_timeout("200m"), Some(Duration::from_millis(200)));
        assert_eq!(parse_timeout("1S"), Some(Duration::from_secs(1)));
        assert_eq!(parse_timeout("99999999H"), Some(Duration::from_hours(99_999_999)));
        for bad in ["", "m", "5", "5x", "123456789m", "-1S", "1.5S", "é"] {
            assert_eq!(parse_timeout(bad), None, "{bad}");
        }
    }
}
