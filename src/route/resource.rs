//! Protected resources: what a client may know before it has a token, so that it can get one (RFC 9728).

use std::net::Ipv6Addr;
use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;

use crate::decision::Document;
use crate::decision::Quotable;

/// What a protected resource says of itself: the members of RFC 9728 §2, sent as they stand here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// The resource: an `https` URL without query and fragment.
    pub resource: String,
    /// Issuers of the authorization servers whose tokens are taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization_servers: Vec<String>,
    /// The resource's own keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Scopes that requests may need.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
    /// How a token may be sent: `header`, the one way in which it is read here.
    pub bearer_methods_supported: Vec<String>,
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// A page for developers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_documentation: Option<String>,
    /// A page on how the data may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_policy_uri: Option<String>,
    /// A page with the terms of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_tos_uri: Option<String>,
    /// Whether tokens are bound to the client's certificate (RFC 8705).
    #[serde(skip_serializing_if = "is_false")]
    pub tls_client_certificate_bound_access_tokens: bool,
    /// Types of `authorization_details` (RFC 9396).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization_details_types_supported: Vec<String>,
    /// Algorithms of `DPoP` proofs (RFC 9449).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dpop_signing_alg_values_supported: Vec<String>,
    /// Whether tokens are always bound to a `DPoP` key.
    #[serde(skip_serializing_if = "is_false")]
    pub dpop_bound_access_tokens_required: bool,
    /// The same as a JWT that somebody has signed (§2.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_metadata: Option<String>,
}

/// A protected resource, its document made once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedResource {
    metadata: Metadata,
    /// Lower case, without port, as a request's host is read.
    host: String,
    /// The resource's path without a slash at its end.
    base: String,
    /// Where its document is asked for.
    document_path: String,
    address: Quotable,
    document: Document,
}

/// Every protected resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources(Vec<ProtectedResource>);

/// Why nothing can be served for a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ResourceFault {
    /// It is no `https` URL of a host and a path.
    #[error("is no HTTPS address without query and fragment")]
    Address,
    /// The document is longer than [`MAX_DOCUMENT_BYTES`].
    #[error("makes a document of more than 16384 bytes")]
    TooLong,
}

/// Where documents are, before the resource's own path (RFC 9728 §3).
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
/// The longest document: the proxy holds it for every request for it, and clients read it before they trust anybody.
pub const MAX_DOCUMENT_BYTES: usize = 16 << 10;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl ProtectedResource {
    /// A resource and its document.
    ///
    /// # Errors
    /// [`ResourceFault`].
    pub fn new(metadata: Metadata) -> Result<Self, ResourceFault> {
        let (authority, path) = split(&metadata.resource).ok_or(ResourceFault::Address)?;
        let host = host_of(authority).ok_or(ResourceFault::Address)?;
        // §3.1: a slash that ends the host is taken away before the path is put behind the well-known one.
        let document_path = format!("{WELL_KNOWN}{}", if path == "/" { "" } else { path });
        let address = Quotable::word(&format!("https://{authority}{document_path}"));
        let address = address.map_err(|_fault| ResourceFault::Address)?;
        let base = path.strip_suffix('/').unwrap_or(path).to_owned();
        let json = serde_json::to_string(&metadata).unwrap_or_default();
        if json.len() > MAX_DOCUMENT_BYTES {
            return Err(ResourceFault::TooLong);
        }
        Ok(Self { host, base, document_path, address, document: Document::Json(Arc::from(json)), metadata })
    }

    /// What it says of itself.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Where its document is, for a challenge.
    pub const fn address(&self) -> &Quotable {
        &self.address
    }

    /// Whether two resources' documents would be asked for by the same request.
    pub fn meets(&self, other: &Self) -> bool {
        self.host == other.host && self.document_path == other.document_path
    }

    /// Whether a path is the resource's, or below it.
    fn has(&self, path: &str) -> bool {
        path.strip_prefix(self.base.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Resources {
    /// All of them.
    pub const fn new(resources: Vec<ProtectedResource>) -> Self {
        Self(resources)
    }

    /// Each, in the order of the configuration.
    pub fn all(&self) -> &[ProtectedResource] {
        &self.0
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The document that is at this path of this host. The path is compared byte for byte: what is written in another way
    /// is a request like any other.
    pub fn document(&self, host: &str, path: &str) -> Option<&Document> {
        let found = self.0.iter().find(|resource| resource.host == host && resource.document_path == path);
        found.map(|resource| &resource.document)
    }

    /// The resource that a path of a host belongs to: the one with the longest path of those that it is below. A client
    /// must not use the metadata of another than it has asked (RFC 9728 §3.3).
    pub fn resource(&self, host: &str, path: &str) -> Option<&ProtectedResource> {
        let own = self.0.iter().filter(|resource| resource.host == host && resource.has(path));
        own.max_by_key(|resource| resource.base.len())
    }
}

/// Authority and path of an `https` URL; the path is empty where there is none.
fn split(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://")?;
    if rest.contains(['?', '#', '@', ' ']) {
        return None;
    }
    rest.split_at_checked(rest.find('/').unwrap_or(rest.len()))
}

/// The host of an authority as `input` reads that of a request: lower case, without port.
fn host_of(authority: &str) -> Option<String> {
    let (host, port) = if let Some((address, port)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'))
    {
        (format!("[{}]", address.parse::<Ipv6Addr>().ok()?), port)
    } else {
        let (name, port) = authority.split_at_checked(authority.find(':').unwrap_or(authority.len()))?;
        (name.to_ascii_lowercase(), port)
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let named = host.starts_with('[') || (!host.split('.').any(str::is_empty) && host.bytes().all(is_name));
    let ported = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    (named && ported).then_some(host)
}

#[cfg(test)]
mod tests;
