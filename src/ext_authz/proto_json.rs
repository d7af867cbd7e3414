//! Protobuf JSON of `CheckRequest` and `CheckResponse`, for people and tests; never on the check path.

use std::sync::LazyLock;

use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use prost::Message as _;
use prost_reflect::DescriptorPool;
use prost_reflect::DynamicMessage;
use prost_reflect::MessageDescriptor;
use prost_reflect::SerializeOptions;
use serde_json::Value as Json;
use thiserror::Error;

/// A `google.protobuf.FileDescriptorSet` of `envoy.service.auth.v3` and all it imports, made by
/// `make gen`; the reflection service answers from it too.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("../../proto/envoy.binpb");

const CHECK_REQUEST: &str = "envoy.service.auth.v3.CheckRequest";
const CHECK_RESPONSE: &str = "envoy.service.auth.v3.CheckResponse";

/// Why a message cannot be read or written as protobuf JSON.
#[derive(Debug, Error)]
pub enum ProtoJsonError {
    /// The text is no JSON.
    #[error("is no JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// The JSON has a field or a value that the message has not.
    #[error("is no `{message}` as protobuf JSON: {source}")]
    Message {
        /// Full name of the message.
        message: &'static str,
        /// Which field, and why.
        source: serde_json::Error,
    },
    /// The bytes are not the message.
    #[error("is no `{message}` in protobuf: {source}")]
    Wire {
        /// Full name of the message.
        message: &'static str,
        /// Where the bytes are wrong.
        source: prost::DecodeError,
    },
    /// The built-in descriptors lack the message: a defect of the build.
    #[error("`{0}` is not among the built-in descriptors")]
    Descriptor(&'static str),
}

/// The bytes of a `CheckRequest` from its protobuf JSON.
///
/// # Errors
/// [`ProtoJsonError`], naming the field where one is at fault.
pub fn check_request_to_wire(json: &str) -> Result<Vec<u8>, ProtoJsonError> {
    let json = serde_json::from_str(json).map_err(ProtoJsonError::Json)?;
    check_request_value_to_wire(json)
}

/// The bytes of each `CheckRequest` in a text: one document, or one after the other.
///
/// # Errors
/// [`ProtoJsonError`] of the first that is at fault.
pub fn check_requests_to_wire(text: &str) -> Result<Vec<Vec<u8>>, ProtoJsonError> {
    serde_json::Deserializer::from_str(text)
        .into_iter()
        .map(|json| check_request_value_to_wire(json.map_err(ProtoJsonError::Json)?))
        .collect()
}

/// The bytes of a `CheckRequest` from its protobuf JSON as a value.
///
/// # Errors
/// [`ProtoJsonError`], naming the field where one is at fault.
pub fn check_request_value_to_wire(json: Json) -> Result<Vec<u8>, ProtoJsonError> {
    let message = DynamicMessage::deserialize(descriptor(CHECK_REQUEST)?, plain_numbers(json))
        .map_err(|source| ProtoJsonError::Message { message: CHECK_REQUEST, source })?;
    Ok(message.encode_to_vec())
}

/// A `CheckRequest`'s bytes as protobuf JSON.
///
/// # Errors
/// [`ProtoJsonError`] where the bytes are no `CheckRequest`.
pub fn check_request_to_json(wire: &[u8]) -> Result<Json, ProtoJsonError> {
    wire_to_json(CHECK_REQUEST, wire)
}

/// A `CheckResponse` as protobuf JSON.
///
/// # Errors
/// [`ProtoJsonError`] where the message cannot be shown: never, for one that `encode` made.
pub fn check_response_to_json(response: &CheckResponse) -> Result<Json, ProtoJsonError> {
    wire_to_json(CHECK_RESPONSE, &response.encode_to_vec())
}

fn wire_to_json(name: &'static str, wire: &[u8]) -> Result<Json, ProtoJsonError> {
    let message = DynamicMessage::decode(descriptor(name)?, wire)
        .map_err(|source| ProtoJsonError::Wire { message: name, source })?;
    message
        .serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new())
        .map_err(|source| ProtoJsonError::Message { message: name, source })
}

fn descriptor(name: &'static str) -> Result<MessageDescriptor, ProtoJsonError> {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap_or_default());
    POOL.get_message_by_name(name).ok_or(ProtoJsonError::Descriptor(name))
}

/// Numbers kept as text (`1e3`, `2.50`) are handed out by `serde_json` as a map of its own kind, which a message's fields
/// do not know: the value they stand for is put in their place.
fn plain_numbers(json: Json) -> Json {
    match json {
        Json::Number(number) if !number.is_i64() && !number.is_u64() => number.as_f64().map_or(Json::Null, Json::from),
        Json::Array(items) => items.into_iter().map(plain_numbers).collect(),
        Json::Object(fields) => fields.into_iter().map(|(name, field)| (name, plain_numbers(field))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests;
