//! The input document: OPA-Envoy's, key for key, and beside it what Countersign has proven.
//!
//! There is one description of it, this `Serialize`. The policy stage serialises it into the engine's values, the
//! decision log and `eval --show-input` into JSON, so that the three cannot differ.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::Serializer;
use serde::ser::SerializeMap;
use serde::ser::SerializeSeq;

use super::Address;
use super::Attributes;
use super::Body;
use super::Caller;
use super::Delegation;
use super::Facts;
use super::Http;
use super::HttpView;
use super::Peer;
use super::RawHeader;
use super::Request;
use super::User;

/// Which keys the document has beyond OPA-Envoy's own (DECISIONS 2 in docs/adr/0004-two-modes.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Every key, always; null where there is nothing.
    Strict,
    /// OPA-Envoy's keys; `caller` and `user` only where their verifier is configured.
    OpaEnvoy {
        /// A source of caller identity is configured.
        caller: bool,
        /// An issuer is configured.
        user: bool,
    },
}

impl Shape {
    const fn has_caller(self) -> bool {
        matches!(self, Self::Strict | Self::OpaEnvoy { caller: true, .. })
    }

    const fn has_user(self) -> bool {
        matches!(self, Self::Strict | Self::OpaEnvoy { user: true, .. })
    }
}

impl Serialize for Facts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { attributes, request, caller, user, shape } = *self;
        let mut map = serializer.serialize_map(None)?;
        if !attributes.absent {
            map.serialize_entry("attributes", attributes)?;
        }
        map.serialize_entry("version", &Version)?;
        map.serialize_entry("parsed_path", &request.parsed_path)?;
        map.serialize_entry("parsed_query", &Pairs(&request.parsed_query))?;
        match &request.body {
            Body::Skipped => {}
            Body::Absent => body_entries(&mut map, &(), false)?,
            Body::Truncated => body_entries(&mut map, &(), true)?,
            Body::Parsed(body) => body_entries(&mut map, body, false)?,
        }
        let principal = attributes.source.as_ref().map_or("", |source| source.principal.as_str());
        if !principal.is_empty() {
            map.serialize_entry("source_principal", principal)?;
        }
        if shape.has_caller() {
            map.serialize_entry("caller", &caller.map(CallerView))?;
        }
        if shape.has_user() {
            map.serialize_entry("user", &user.map(UserView))?;
            map.serialize_entry("delegation", &user.and_then(|user| user.delegation.as_ref()).map(DelegationView))?;
        }
        if shape == Shape::Strict {
            let view = request.http.as_ref().zip(attributes.http());
            map.serialize_entry(
                "http",
                &view.map(|(view, http)| RequestHttp { view, http, query: &request.parsed_query }),
            )?;
            map.serialize_entry("mcp", &())?;
            map.serialize_entry("a2a", &())?;
        }
        map.end()
    }
}

fn body_entries<M: SerializeMap, T: Serialize>(map: &mut M, body: &T, truncated: bool) -> Result<(), M::Error> {
    map.serialize_entry("parsed_body", body)?;
    map.serialize_entry("truncated_body", &truncated)
}

/// The plugin's `version`: the encoding is a name only, kept because policies compare it.
struct Version;

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("ext_authz", "v3")?;
        map.serialize_entry("encoding", "protojson")?;
        map.end()
    }
}

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
        let mut map = serializer.serialize_map(None)?;
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
        let mut map = serializer.serialize_map(None)?;
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
        let mut map = serializer.serialize_map(None)?;
        entry_if_set(&mut map, "address", self.address)?;
        entry_if_some(&mut map, "portValue", self.port.as_ref())?;
        map.end()
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
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
        let mut map = serializer.serialize_map(None)?;
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
        let mut map = serializer.serialize_map(None)?;
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
        let mut map = serializer.serialize_map(None)?;
        if !self.0.is_empty() {
            map.serialize_entry("headers", self.0)?;
        }
        map.end()
    }
}

impl Serialize for RawHeader {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        entry_if_set(&mut map, "key", &self.key)?;
        entry_if_set(&mut map, "value", &self.value)?;
        if !self.raw_value.is_empty() {
            map.serialize_entry("rawValue", &STANDARD.encode(&self.raw_value))?;
        }
        map.end()
    }
}

struct CallerView<'a>(&'a Caller);

impl Serialize for CallerView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Caller { spiffe_id, proof, certificate } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("spiffe_id", spiffe_id.as_str())?;
        map.serialize_entry("trust_domain", spiffe_id.trust_domain())?;
        map.serialize_entry("path", spiffe_id.path())?;
        map.serialize_entry("segments", &Sequence(|| spiffe_id.segments()))?;
        let kubernetes =
            spiffe_id.kubernetes().map(|(namespace, account)| [("namespace", namespace), ("service_account", account)]);
        map.serialize_entry("kubernetes", &kubernetes.as_ref().map(|pairs| Populated(pairs)))?;
        map.serialize_entry("proof", proof.name())?;
        let certificate =
            certificate.as_ref().map(|facts| (hex(&facts.sha256), facts.serial.as_str(), facts.not_after.to_string()));
        let certificate = certificate.as_ref().map(|(sha256, serial, not_after)| {
            [("sha256", sha256.as_str()), ("serial", serial), ("not_after", not_after)]
        });
        map.serialize_entry("certificate", &certificate.as_ref().map(|pairs| Populated(pairs)))?;
        map.end()
    }
}

struct UserView<'a>(&'a User);

impl Serialize for UserView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let User {
            issuer,
            subject,
            audience,
            client_id,
            scopes,
            token_type,
            issued_at,
            expires_at,
            claims,
            delegation: _,
        } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("issuer", issuer)?;
        map.serialize_entry("subject", subject)?;
        map.serialize_entry("audience", audience)?;
        map.serialize_entry("client_id", client_id)?;
        map.serialize_entry("scopes", scopes)?;
        map.serialize_entry("token_type", token_type)?;
        map.serialize_entry("issued_at", issued_at)?;
        map.serialize_entry("expires_at", expires_at)?;
        map.serialize_entry("claims", claims)?;
        map.end()
    }
}

struct DelegationView<'a>(&'a Delegation);

impl Serialize for DelegationView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("actors", &Sequence(|| self.0.actors.iter().map(ActorView)))?;
        map.serialize_entry("depth", &self.0.actors.len())?;
        map.end()
    }
}

struct ActorView<'a>(&'a super::Actor);

impl Serialize for ActorView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("subject", &self.0.subject)?;
        map.serialize_entry("issuer", &self.0.issuer)?;
        map.end()
    }
}

/// `input.http`: the normalised request. Header names are lower case, values always a list.
struct RequestHttp<'a> {
    view: &'a HttpView,
    http: &'a Http,
    query: &'a [(String, Vec<String>)],
}

impl Serialize for RequestHttp<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let HttpView { host, path, path_raw, segments } = self.view;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("method", &self.http.method)?;
        map.serialize_entry("scheme", &self.http.scheme)?;
        map.serialize_entry("host", host)?;
        map.serialize_entry("path", path)?;
        map.serialize_entry("path_raw", path_raw)?;
        map.serialize_entry("segments", segments)?;
        map.serialize_entry("query", &Pairs(self.query))?;
        map.serialize_entry("headers", &HeaderLists(self.http))?;
        map.end()
    }
}

struct HeaderLists<'a>(&'a Http);

impl Serialize for HeaderLists<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Sorted with a stable order of values, so that repeated headers become one list without a hash map.
        let mut fields: Vec<_> = self.0.header_fields().map(|(name, value)| (lower_case(name), value)).collect();
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut map = serializer.serialize_map(None)?;
        for group in fields.chunk_by(|(a, _), (b, _)| a == b) {
            if let Some((name, _)) = group.first() {
                map.serialize_entry(name, &Sequence(|| group.iter().map(|(_, value)| String::from_utf8_lossy(value))))?;
            }
        }
        map.end()
    }
}

fn lower_case(name: &str) -> std::borrow::Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

/// A map from a list of pairs.
struct Pairs<'a, V>(&'a [(String, V)]);

impl<V: Serialize> Serialize for Pairs<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A map from fixed names, empty values left out.
struct Populated<'a>(&'a [(&'a str, &'a str)]);

impl Serialize for Populated<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter(|(_, value)| !value.is_empty()).copied())
    }
}

/// A list from an iterator that can be made again.
struct Sequence<F>(F);

impl<F, I> Serialize for Sequence<F>
where
    F: Fn() -> I,
    I: Iterator,
    I::Item: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for item in (self.0)() {
            seq.serialize_element(&item)?;
        }
        seq.end()
    }
}

fn entry_if_some<M: SerializeMap, T: Serialize + ?Sized>(
    map: &mut M,
    key: &'static str,
    value: Option<&T>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, value))
}

fn entry_if_set<M: SerializeMap>(map: &mut M, key: &'static str, value: &str) -> Result<(), M::Error> {
    if value.is_empty() { Ok(()) } else { map.serialize_entry(key, value) }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
