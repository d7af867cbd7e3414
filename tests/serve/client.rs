//! A gRPC client that can say what a well-behaved one cannot.

use bytes::Bytes;
use countersign::ext_authz::proto_json::check_request_to_wire;
use envoy_types::ext_authz::v3::pb::CheckResponse;
use envoy_types::ext_authz::v3::pb::HttpResponse;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use serde_json::Value as Json;
use serde_json::json;
use tokio::runtime::Runtime;

pub(crate) const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// One connection.
pub(crate) struct Wire {
    runtime: Runtime,
    connection: SendRequest<Full<Bytes>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) grpc_status: String,
    pub(crate) message: Vec<u8>,
}

impl Wire {
    /// Connects to `HOST:PORT` or `unix:PATH`.
    pub(crate) fn connect(address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let connection = runtime.block_on(async {
            if let Some(path) = address.strip_prefix("unix:") {
                handshake(tokio::net::UnixStream::connect(path).await.unwrap()).await
            } else {
                handshake(tokio::net::TcpStream::connect(address).await.unwrap()).await
            }
        });
        Self { runtime, connection }
    }

    /// A check, properly framed.
    pub(crate) fn check(&self, message: &[u8]) -> Answer {
        self.call(CHECK, &frame(0, message))
    }

    /// Any bytes to any method.
    pub(crate) fn call(&self, path: &str, body: &[u8]) -> Answer {
        self.call_with(path, &[("content-type", "application/grpc"), ("te", "trailers")], body)
    }

    /// Any bytes to any method, with any headers.
    pub(crate) fn call_with(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = http::Request::post(format!("http://countersign{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        self.runtime.block_on(send(self.connection.clone(), request))
    }

    /// Many checks at once; their answers in the same order.
    pub(crate) fn check_all(&self, messages: &[Vec<u8>]) -> Vec<Answer> {
        let ask = |message: &Vec<u8>| {
            let request = http::Request::post(format!("http://countersign{CHECK}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(Full::new(Bytes::from(frame(0, message))));
            self.runtime.spawn(send(self.connection.clone(), request.unwrap()))
        };
        let asked: Vec<_> = messages.iter().map(ask).collect();
        asked.into_iter().map(|answer| self.runtime.block_on(answer).unwrap()).collect()
    }
}

impl Answer {
    /// Whether the CheckResponse allows; `None` where there is none.
    pub(crate) fn allowed(&self) -> Option<bool> {
        let response = CheckResponse::decode(self.message.as_slice()).ok()?;
        response.status.map(|status| status.code == 0)
    }

    /// Why it is denied, where the body says so.
    pub(crate) fn reason(&self) -> Option<String> {
        match CheckResponse::decode(self.message.as_slice()).ok()?.http_response? {
            HttpResponse::DeniedResponse(denied) => {
                let body: serde_json::Value = serde_json::from_str(&denied.body).ok()?;
                body["reason"].as_str().map(str::to_owned)
            }
            _ => None,
        }
    }

    /// The HTTP status of a denial.
    pub(crate) fn http_status(&self) -> Option<i32> {
        match CheckResponse::decode(self.message.as_slice()).ok()?.http_response? {
            HttpResponse::DeniedResponse(denied) => denied.status.map(|status| status.code),
            _ => None,
        }
    }

    /// A header of a denial.
    pub(crate) fn denied_header(&self, name: &str) -> Option<String> {
        match CheckResponse::decode(self.message.as_slice()).ok()?.http_response? {
            HttpResponse::DeniedResponse(denied) => {
                let headers = denied.headers.into_iter().filter_map(|option| option.header);
                headers.into_iter().find(|header| header.key == name).map(|header| header.value)
            }
            _ => None,
        }
    }
}

/// A check of a GET of `/a`, with these changes.
pub(crate) fn request(changes: &Json) -> Vec<u8> {
    let mut http = json!({"method": "GET", "path": "/a", "host": "h", "scheme": "http"});
    http.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let request = json!({"attributes": {"request": {"http": http}}}).to_string();
    check_request_to_wire(&request).unwrap()
}

/// A gRPC frame.
pub(crate) fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

async fn send(mut connection: SendRequest<Full<Bytes>>, request: http::Request<Full<Bytes>>) -> Answer {
    let (head, body) = connection.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap();
    let status = head.headers.get("grpc-status").or_else(|| body.trailers()?.get("grpc-status"));
    let grpc_status = status.map(|status| status.to_str().unwrap().to_owned()).unwrap_or_default();
    let bytes = body.to_bytes();
    Answer { grpc_status, message: bytes.get(5..).unwrap_or_default().to_vec() }
}

async fn handshake<I>(io: I) -> SendRequest<Full<Bytes>>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
    tokio::spawn(async move {
        let _ignored = connection.await;
    });
    send
}
