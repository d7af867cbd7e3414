//! The bytes of a `CheckRequest` as [`Attributes`]: parsed by prost, then moved rather than copied.
//!
//! A message with parts missing decodes: OPA-Envoy shows such a request to its policy, so whether it may go on is for
//! `input` to say.

mod metadata;

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::service::auth::v3 as auth;
use prost::Message as _;

use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Address;
use crate::facts::Attributes;
use crate::facts::Http;
use crate::facts::Peer;
use crate::facts::RawHeader;
use crate::facts::Request;

/// The most headers looked at, ten times what Envoy accepts unless told otherwise (`max_headers_count`: 100).
pub const MAX_HEADERS: usize = 1_000;

/// The most bytes of header names and values looked at. Envoy accepts 60 KiB unless told otherwise
/// (`max_request_headers_kb`); every stage reads the headers, so their size bounds the work of all.
pub const MAX_HEADER_BYTES: usize = 1 << 20;

/// Reads a `CheckRequest`.
///
/// Nesting is bounded by prost, which refuses more than 100 levels of messages: a `Struct` in the metadata can be about
/// 33 levels deep.
///
/// # Errors
/// [`Reason::RequestUndecodable`] where the bytes are no `CheckRequest` or text in it is no UTF-8,
/// [`Reason::RequestTooLarge`] beyond [`MAX_HEADERS`] or [`MAX_HEADER_BYTES`].
pub fn decode(wire: &[u8]) -> Result<Attributes, Denial> {
    let auth::CheckRequest { attributes } =
        auth::CheckRequest::decode(wire).map_err(|error| Denial::new(Reason::RequestUndecodable, error.to_string()))?;
    let Some(attributes) = attributes else { return Ok(Attributes { absent: true, ..Attributes::default() }) };
    let attributes = attribute_context(attributes);
    attributes.http().map_or(Ok(()), check_headers)?;
    Ok(attributes)
}

fn check_headers(http: &Http) -> Result<(), Denial> {
    let separate = http.header_map.as_deref().unwrap_or_default();
    let count = http.headers.len().saturating_add(separate.len());
    if count > MAX_HEADERS {
        return Err(Denial::new(Reason::RequestTooLarge, format!("{count} headers")));
    }
    let merged_bytes = http.headers.iter().map(|(name, value)| name.len().saturating_add(value.len()));
    let separate_bytes = separate.iter().map(|RawHeader { key, value, raw_value }| {
        key.len().saturating_add(value.len()).saturating_add(raw_value.len())
    });
    let bytes = merged_bytes.chain(separate_bytes).fold(0, usize::saturating_add);
    if bytes > MAX_HEADER_BYTES {
        return Err(Denial::new(Reason::RequestTooLarge, format!("{bytes} bytes of headers")));
    }
    Ok(())
}

fn attribute_context(context: auth::AttributeContext) -> Attributes {
    let auth::AttributeContext {
        source,
        destination,
        request,
        context_extensions,
        metadata_context,
        route_metadata_context,
        tls_session,
    } = context;
    Attributes {
        absent: false,
        source: source.map(peer),
        destination: destination.map(peer),
        request: request.map(|auth::attribute_context::Request { time, http }| Request {
            time: time.map(|time| (time.seconds, time.nanos)),
            http: http.map(http_request),
        }),
        context_extensions: pairs(context_extensions),
        metadata_context: metadata_context.map(metadata::shown),
        route_metadata_context: route_metadata_context.map(metadata::shown),
        tls_session_sni: tls_session.map(|session| session.sni),
    }
}

fn peer(peer: auth::attribute_context::Peer) -> Peer {
    let auth::attribute_context::Peer { address, service, labels, principal, certificate } = peer;
    Peer { address: address.map(self::address), service, labels: pairs(labels), principal, certificate }
}

fn address(address: core::Address) -> Address {
    match address.address {
        Some(core::address::Address::SocketAddress(socket)) if is_plain(&socket) => Address::Socket {
            address: socket.address,
            port: match socket.port_specifier {
                Some(PortSpecifier::PortValue(port)) => Some(port),
                Some(PortSpecifier::NamedPort(_)) | None => None,
            },
        },
        other => Address::Other(metadata::address(other)),
    }
}

/// Whether a socket address is TCP with nothing but an address and a port, as in nearly every request.
fn is_plain(socket: &core::SocketAddress) -> bool {
    let core::SocketAddress {
        protocol,
        address: _,
        resolver_name,
        ipv4_compat,
        network_namespace_filepath,
        port_specifier,
    } = socket;
    *protocol == 0
        && resolver_name.is_empty()
        && !ipv4_compat
        && network_namespace_filepath.is_empty()
        && !matches!(port_specifier, Some(PortSpecifier::NamedPort(_)))
}

fn http_request(request: auth::attribute_context::HttpRequest) -> Http {
    let auth::attribute_context::HttpRequest {
        id,
        method,
        headers,
        header_map,
        path,
        host,
        scheme,
        query,
        fragment,
        size,
        protocol,
        body,
        raw_body,
    } = request;
    Http {
        id,
        method,
        headers: pairs(headers),
        header_map: header_map.map(|map| map.headers.into_iter().map(raw_header).collect()),
        path,
        host,
        scheme,
        query,
        fragment,
        size,
        protocol,
        body,
        raw_body,
    }
}

fn raw_header(header: core::HeaderValue) -> RawHeader {
    let core::HeaderValue { key, value, raw_value } = header;
    RawHeader { key, value, raw_value }
}

/// Sorted, so that one request gives one document, whatever order the hash map has today.
fn pairs(map: HashMap<String, String>) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = map.into_iter().collect();
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests;
