//! A closed-loop gRPC client: a few connections, some requests in flight on each, as Envoy's workers have them. And its
//! parts, for clients of another kind.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;

pub(crate) const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 16;
pub(crate) const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Sends `count` checks and waits for all answers; each must be gRPC OK.
pub(crate) fn run(address: &str, requests: &[Vec<u8>], count: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let load = Arc::new(Load {
        uri: format!("http://{address}{CHECK}"),
        frames: requests.iter().map(|request| frame(request)).collect(),
        count,
        next: AtomicUsize::new(0),
    });
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            let connection = connect(address).await.unwrap();
            (0..IN_FLIGHT).for_each(|_| drop(tasks.spawn(Arc::clone(&load).run(connection.clone()))));
        }
        tasks.join_all().await;
    });
}

/// What is to be sent, by all tasks together.
struct Load {
    uri: String,
    frames: Vec<Bytes>,
    count: usize,
    next: AtomicUsize,
}

impl Load {
    async fn run(self: Arc<Self>, connection: SendRequest<Full<Bytes>>) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.count {
                return;
            }
            drop(check(connection.clone(), &self.uri, self.frames[number % self.frames.len()].clone()).await);
        }
    }
}

/// Whether a server answers at all.
pub(crate) fn answers(address: &str) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { connect(address).await.is_ok() })
}

/// A connection for any number of checks at a time.
pub(crate) async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error>> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (send, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        let _ignored = connection.await;
    });
    Ok(send)
}

/// One check, which must be gRPC OK: the answer's frame.
pub(crate) async fn check(mut connection: SendRequest<Full<Bytes>>, uri: &str, frame: Bytes) -> Bytes {
    let request = http::Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", "1S")
        .body(Full::new(frame))
        .unwrap();
    let answer = connection.send_request(request).await.unwrap().into_body().collect().await.unwrap();
    let status = answer.trailers().and_then(|trailers| trailers.get("grpc-status")).cloned();
    assert_eq!(status.as_ref().map(http::HeaderValue::as_bytes), Some(b"0".as_slice()), "no gRPC OK");
    answer.to_bytes()
}

/// A message as gRPC frames it.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.extend_from_slice(&[0]);
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    frame.freeze()
}
