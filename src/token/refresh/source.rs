//! Where keys come from: a file, an `https` URL, or the document of OIDC discovery or RFC 8414 that names one.

use std::path::Path;

use serde_json::Value as Json;
use thiserror::Error;

use crate::fetch;
use crate::fetch::FetchError;
use crate::fetch::FetchLimits;
use crate::fetch::Url;
use crate::jose::KeySet;
use crate::jose::KeySetError;
use crate::jose::json;
use crate::jose::json::JsonError;
use crate::jose::json::Limits;
use crate::token::IssuerConfig;
use crate::token::KeySource;

/// Why no keys came.
#[derive(Debug, Error)]
pub(super) enum LoadError {
    /// No document came.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The discovery document is no JSON object, or has no `jwks_uri`.
    #[error("the discovery document {0}")]
    Discovery(JsonError),
    /// The discovery document has no such member, or it is no text.
    #[error("the discovery document has no `{0}`")]
    DiscoveryMember(&'static str),
    /// The discovery document is another issuer's (OIDC Discovery §4.3, RFC 8414 §3.3).
    #[error("the discovery document is of another issuer")]
    DiscoveryIssuer,
    /// The issuer has none.
    #[error("the issuer has no keys")]
    Nowhere,
    /// What came is no JWKS.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

/// A discovery document is a flat object with some lists of words.
const DISCOVERY_LIMITS: Limits = Limits { depth: 8, values: 4096 };

/// Loads an issuer's keys.
pub(super) async fn load(issuer: &IssuerConfig, limits: FetchLimits) -> Result<KeySet, LoadError> {
    let document = limits.within(document(issuer, limits.bytes)).await?;
    Ok(KeySet::parse(&document, &issuer.algorithms)?)
}

/// Loads what of an issuer's keys is in files: the keys themselves, or the roots that a fetch would trust.
pub(super) async fn load_files(issuer: &IssuerConfig, limits: FetchLimits) -> Result<Option<KeySet>, LoadError> {
    match &issuer.keys {
        KeySource::File(_) => load(issuer, limits).await.map(Some),
        KeySource::Nowhere => Ok(None),
        KeySource::Url { ca_file, .. } | KeySource::Discovery { ca_file } | KeySource::OauthMetadata { ca_file } => {
            let _usable = fetch::web_client(ca_file.as_deref(), limits.bytes).await?;
            Ok(None)
        }
    }
}

async fn document(issuer: &IssuerConfig, max_bytes: usize) -> Result<Vec<u8>, LoadError> {
    let document = match &issuer.keys {
        KeySource::Nowhere => return Err(LoadError::Nowhere),
        KeySource::File(path) => fetch::read(path, max_bytes).await?,
        KeySource::Url { url, ca_file } => {
            let url = fetch::https("`url`", url)?;
            fetch::get(&fetch::web_client(ca_file.as_deref(), max_bytes).await?, url, max_bytes).await?
        }
        KeySource::Discovery { ca_file } => {
            discovered(&issuer.issuer, discovery_url(&issuer.issuer)?, ca_file.as_deref(), max_bytes).await?
        }
        KeySource::OauthMetadata { ca_file } => {
            discovered(&issuer.issuer, metadata_url(&issuer.issuer)?, ca_file.as_deref(), max_bytes).await?
        }
    };
    Ok(document)
}

/// The keys that the issuer's document at `url` names.
async fn discovered(issuer: &str, url: Url, ca_file: Option<&Path>, max_bytes: usize) -> Result<Vec<u8>, LoadError> {
    let client = fetch::web_client(ca_file, max_bytes).await?;
    let document = fetch::get(&client, url, max_bytes).await?;
    Ok(fetch::get(&client, jwks_uri(&document, issuer)?, max_bytes).await?)
}

/// OIDC Discovery §4: a slash at the issuer's end is dropped before the path is added.
fn discovery_url(issuer: &str) -> Result<Url, FetchError> {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    fetch::https("the issuer", &format!("{base}/.well-known/openid-configuration"))
}

/// RFC 8414 §3.1: between host and path, and a slash at the issuer's end is dropped before.
fn metadata_url(issuer: &str) -> Result<Url, FetchError> {
    let mut url = fetch::https("the issuer", issuer)?;
    let path = url.path().strip_suffix('/').unwrap_or(url.path());
    let path = format!("/.well-known/oauth-authorization-server{path}");
    url.set_path(&path);
    Ok(url)
}

/// Both documents have the two members, and both must name their issuer exactly (OIDC Discovery §4.3, RFC 8414 §3.3).
fn jwks_uri(document: &[u8], issuer: &str) -> Result<Url, LoadError> {
    let members = json::read_object(document, DISCOVERY_LIMITS).map_err(LoadError::Discovery)?;
    let text = |name| members.get(name).and_then(Json::as_str).ok_or(LoadError::DiscoveryMember(name));
    if text("issuer")? != issuer {
        return Err(LoadError::DiscoveryIssuer);
    }
    Ok(fetch::https("`jwks_uri`", text("jwks_uri")?)?)
}
