//! The input document: OPA-Envoy's, key for key, and beside it what Countersign has proven.
//!
//! There is one description of it, this `Serialize`. The policy stage serialises it into the engine's values, the
//! decision log and `eval --show-input` into JSON, so that the three cannot differ. The policy stage leaves out entries
//! that no policy reads: what an entry costs is spent when its value is serialised, not before.
//!
//! The lengths announced here are what a map has at most: they make room, and nothing depends on them.

mod http;
mod verified;
mod wire;

use serde::Serialize;
use serde::Serializer;
use serde::ser::SerializeMap;
use serde::ser::SerializeSeq;

use self::http::RequestHttp;
use self::verified::CallerView;
use self::verified::DelegationView;
pub use self::verified::UserView;
use super::Body;
use super::Facts;

/// Which keys the document has beyond OPA-Envoy's own (docs/adr/0004-two-modes.md).
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
        let mut map = serializer.serialize_map(Some(13))?;
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
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0.iter().filter(|(_, value)| !value.is_empty()) {
            map.serialize_entry(name, value)?;
        }
        map.end()
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
        let items = (self.0)();
        let mut seq = serializer.serialize_seq(items.size_hint().1)?;
        for item in items {
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

#[cfg(test)]
mod tests;
