//! The part that the proxy said, as OPA-Envoy shows it: zero scalars and empty collections left out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::Serializer;
use serde::ser::SerializeMap;

use super::Pairs;
use super::Populated;
use super::entry_if_some;
use crate::facts::Address;
use crate::facts::Attributes;
use crate::facts::Http;
use crate::facts::Peer;
use crate::facts::RawHeader;
use crate::facts::Request;

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            absent: _,
            source,
            destination,
            request,
            context_extensions,
            metadata_context,
            route_metadata_context,
            tls_session_sni,
        } = self;
        let mut map = serializer.serialize_map(Some(7))?;
        entry_if_some(&mut map, "source", source.as_ref())?;
        entry_if_some(&mut map, "destination", destination.as_ref())?;
        entry_if_some(&mut map, "request", request.as_ref())?;
        if !context_extensions.is_empty() {
            map.serialize_entry("contextExtensions", &Pairs(context_extensions))?;
        }
        entry_if_some(&mut map, "metadataContext", metadata_context.as_ref())?;
        entry_if_some(&mut map, "routeMetadataContext", route_metadata_context.as_ref())?;
        let sni = tls_session_sni.as_deref().map(|sni| [("sni", sni)]);
        entry_if_some(&mut map, "tlsSession", sni.as_ref().map(|pairs| Populated(pairs)).as_ref())?;
        map.end()
    }
}

impl Serialize for Peer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { address, service, labels, principal, certificate } = self;
        let mut map = serializer.serialize_map(Some(5))?;
        entry_if_some(&mut map, "address", address.as_ref())?;
        entry_if_set(&mut map, "service", service)?;
        if !labels.is_empty() {
            map.serialize_entry("labels", &Pairs(labels))?;
        }
        entry_if_set(&mut map, "principal", principal)?;
        entry_if_set(&mut map, "certificate", certificate)?;
        map.end()
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Other(shape) => shape.serialize(serializer),
            Self::Socket { address, port } => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("socketAddress", &SocketAddress { address, port: *port })?;
                map.end()
            }
        }
    }
}

struct SocketAddress<'a> {
    address: &'a str,
    port: Option<u32>,
}

impl Serialize for SocketAddress<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        entry_if_set(&mut map, "address", self.address)?;
        entry_if_some(&mut map, "portValue", self.port.as_ref())?;
        map.end()
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        entry_if_some(&mut map, "time", self.time.map(|(seconds, nanos)| Timestamp { seconds, nanos }).as_ref())?;
        entry_if_some(&mut map, "http", self.http.as_ref())?;
        map.end()
    }
}

/// The plugin walks the message by reflection, so a time is its two fields, zero parts left out.
struct Timestamp {
    seconds: i64,
    nanos: i32,
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        entry_if_some(&mut map, "seconds", (self.seconds != 0).then_some(&self.seconds))?;
        entry_if_some(&mut map, "nanos", (self.nanos != 0).then_some(&self.nanos))?;
        map.end()
    }
}

impl Serialize for Http {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
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
        } = self;
        let mut map = serializer.serialize_map(Some(13))?;
        entry_if_set(&mut map, "id", id)?;
        entry_if_set(&mut map, "method", method)?;
        if !headers.is_empty() {
            map.serialize_entry("headers", &Pairs(headers))?;
        }
        entry_if_some(&mut map, "headerMap", header_map.as_deref().map(HeaderMap).as_ref())?;
        entry_if_set(&mut map, "path", path)?;
        entry_if_set(&mut map, "host", host)?;
        entry_if_set(&mut map, "scheme", scheme)?;
        entry_if_set(&mut map, "query", query)?;
        entry_if_set(&mut map, "fragment", fragment)?;
        entry_if_some(&mut map, "size", (*size != 0).then_some(size))?;
        entry_if_set(&mut map, "protocol", protocol)?;
        entry_if_set(&mut map, "body", body)?;
        if !raw_body.is_empty() {
            map.serialize_entry("rawBody", &STANDARD.encode(raw_body))?;
        }
        map.end()
    }
}

struct HeaderMap<'a>(&'a [RawHeader]);

impl Serialize for HeaderMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        if !self.0.is_empty() {
            map.serialize_entry("headers", self.0)?;
        }
        map.end()
    }
}

impl Serialize for RawHeader {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        entry_if_set(&mut map, "key", &self.key)?;
        entry_if_set(&mut map, "value", &self.value)?;
        if !self.raw_value.is_empty() {
            map.serialize_entry("rawValue", &STANDARD.encode(&self.raw_value))?;
        }
        map.end()
    }
}

fn entry_if_set<M: SerializeMap>(map: &mut M, key: &'static str, value: &str) -> Result<(), M::Error> {
    if value.is_empty() { Ok(()) } else { map.serialize_entry(key, value) }
}
