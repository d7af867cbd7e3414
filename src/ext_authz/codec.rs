//! gRPC framing with the message left as bytes, so that what is no CheckRequest is denied by us and not refused by
//! the transport: a gRPC error is an allow under Envoy's `failure_mode_allow`.

use bytes::Buf as _;
use bytes::BufMut as _;
use bytes::Bytes;
use bytes::BytesMut;
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use http::HeaderMap;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http_body_util::StreamBody;
use prost::Message as _;
use tonic::Status;
use tonic::body::Body;
use tonic::codec::Codec;
use tonic::codec::DecodeBuf;
use tonic::codec::Decoder;
use tonic::codec::EncodeBuf;
use tonic::codec::Encoder;

/// Bytes in, `CheckResponse` out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CheckCodec;

impl Codec for CheckCodec {
    type Encode = CheckResponse;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for CheckCodec {
    type Item = CheckResponse;
    type Error = Status;

    fn encode(&mut self, item: CheckResponse, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for CheckCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// gRPC over HTTP/2: a message is preceded by a compression flag and its length in four bytes.
const PREFIX_BYTES: usize = 5;
const UNCOMPRESSED: u8 = 0;

/// A whole gRPC OK response around one message, for the one case in which tonic has answered with an error already.
pub(super) fn ok_response(message: &CheckResponse) -> http::Response<Body> {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(length.saturating_add(PREFIX_BYTES));
    frame.put_u8(UNCOMPRESSED);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.extend_from_slice(&message.encode_to_vec());
    let mut trailers = HeaderMap::new();
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
    let frames = [http_body::Frame::data(frame.freeze()), http_body::Frame::trailers(trailers)];
    let body = StreamBody::new(tokio_stream::iter(frames.map(Ok::<_, Status>)));
    let mut response = http::Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// Whether tonic answered with an error of its own: always without a body, with the status in the headers.
pub(super) fn is_error(response: &http::Response<Body>) -> bool {
    response.headers().get(Status::GRPC_STATUS).is_some_and(|status| status.as_bytes() != b"0")
}
