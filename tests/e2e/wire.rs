//! Bytes that no Envoy sends. Each is answered with a denial: to a proxy told to open on failure, an error is an allow.

use bytes::Bytes;
use envoy_types::ext_authz::v3::pb::CheckResponse;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::TcpStream;

use super::harness::Setup;
use super::peers::certs::agent_id;

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// A field of a protobuf message that holds bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut length = Vec::new();
    prost::encode_length_delimiter(content.len(), &mut length).unwrap();
    [&[number << 3 | 2], length.as_slice(), content].concat()
}

/// The path down to `attributes.request.http`.
fn http(content: &[u8]) -> Vec<u8> {
    field(1, &field(4, &field(2, content)))
}

/// A message within itself, as deep as asked.
fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |inner, _| field(1, &inner))
}

/// One gRPC message, framed with this flag.
fn frame(flag: u8, message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag], &length[..], message].concat().into()
}

/// Asks, and gives back the gRPC status and the answer.
async fn ask(address: &str, body: Bytes) -> (String, Option<CheckResponse>) {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::post(format!("http://countersign{CHECK}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(body))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status =
        |headers: &hyper::HeaderMap| headers.get("grpc-status").map(|value| value.to_str().unwrap().to_owned());
    let early = status(response.headers());
    let collected = response.into_body().collect().await.unwrap();
    let late = collected.trailers().and_then(status);
    connection.abort();
    let body = collected.to_bytes();
    let answer = body.get(5..).map(|message| CheckResponse::decode(message).unwrap());
    (early.or(late).unwrap(), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn j4_bytes_that_are_no_request_are_denied() {
    let stack = Setup::default().start().await;
    for (what, reason, body) in [
        ("an empty request", "caller_missing", frame(0, b"")),
        ("noise", "request_undecodable", frame(0, b"\xff\xff\xff\xff\xff")),
        ("a cut message", "request_undecodable", frame(0, &[field(1, b"abc"), vec![0x0a, 0x7f]].concat())),
        ("attributes of the wrong type", "request_undecodable", frame(0, &[0x08, 0x01])),
        ("a method that is no UTF-8", "request_undecodable", frame(0, &http(&field(2, b"\xff\xfe")))),
        (
            "no HTTP part",
            "request_incomplete",
            frame(0, &field(1, &field(1, &field(4, agent_id("planner").as_bytes())))),
        ),
        ("an empty HTTP part", "caller_missing", frame(0, &http(b""))),
        ("a message within itself", "request_undecodable", frame(0, &nested(2_000))),
    ] {
        let (status, answer) = ask(stack.server().checks(), body).await;
        assert_eq!(status, "0", "{what}: a gRPC error would honour failure_mode_allow");
        let answer = answer.unwrap_or_else(|| panic!("{what}: no answer"));
        assert_ne!(answer.status.unwrap_or_default().code, 0, "{what}");
        let record = stack.decision().await;
        assert_eq!(record.reason(), reason, "{what}");
    }
}
