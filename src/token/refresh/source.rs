//! Where keys come from: a file, an `https` URL, or the discovery document that names one.
//!
//! Bounded in time and bytes. No redirect is followed, nothing but `https` is asked, and a configured root is the only
//! one trusted: an address here is as good as the keys that come from it.

use std::error::Error as _;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use reqwest::Certificate;
use reqwest::Client;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::redirect::Policy;
use serde_json::Value as Json;
use thiserror::Error;

use crate::token::IssuerConfig;
use crate::token::KeySet;
use crate::token::KeySetError;
use crate::token::KeySource;
use crate::token::json;
use crate::token::json::JsonError;
use crate::token::json::Limits;

/// How long and how much a fetch may be.
#[derive(Debug, Clone, Copy)]
pub(in crate::token) struct FetchLimits {
    /// For everything one load takes, discovery included.
    pub(in crate::token) time: Duration,
    /// For each document.
    pub(in crate::token) bytes: usize,
}

impl Default for FetchLimits {
    fn default() -> Self {
        // Ten seconds are ample for two small documents. Large key sets with certificates have some 50 kB.
        Self { time: Duration::from_secs(10), bytes: 512 * 1024 }
    }
}

/// Why no keys came.
#[derive(Debug, Error)]
pub(super) enum LoadError {
    /// It took longer than [`FetchLimits::time`].
    #[error("the fetch took longer than {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// More than [`FetchLimits::bytes`].
    #[error("the document has more than {0} bytes")]
    TooLarge(usize),
    /// The file cannot be read, or is none.
    #[error("`{path}` cannot be read: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// No PEM certificate in the `ca_file`.
    #[error("the `ca_file` holds no PEM certificates")]
    CaFile,
    /// No absolute `https` URL.
    #[error("{0} is no https URL")]
    NotHttps(&'static str),
    /// No answer, or none that could be read to its end.
    #[error("the request failed: {0}")]
    Request(String),
    /// An answer other than 200, redirects included.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The discovery document is no JSON object, or has no `jwks_uri`.
    #[error("the discovery document {0}")]
    Discovery(JsonError),
    /// The discovery document has no such member, or it is no text.
    #[error("the discovery document has no `{0}`")]
    DiscoveryMember(&'static str),
    /// The discovery document is another issuer's (OIDC Discovery §4.3).
    #[error("the discovery document is of another issuer")]
    DiscoveryIssuer,
    /// What came is no JWKS.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

/// A discovery document is a flat object with some lists of words.
const DISCOVERY_LIMITS: Limits = Limits { depth: 8, values: 4096 };
/// A certificate error says what is needed in less.
const MAX_ERROR_CHARACTERS: usize = 200;

/// Loads an issuer's keys.
pub(super) async fn load(issuer: &IssuerConfig, limits: FetchLimits) -> Result<KeySet, LoadError> {
    let document = tokio::time::timeout(limits.time, document(issuer, limits.bytes));
    let document = document.await.map_err(|_elapsed| LoadError::TimedOut(limits.time))??;
    Ok(KeySet::parse(&document, &issuer.algorithms)?)
}

/// Loads what of an issuer's keys is in files: the keys themselves, or the roots that a fetch would trust.
pub(super) async fn load_files(issuer: &IssuerConfig, limits: FetchLimits) -> Result<Option<KeySet>, LoadError> {
    match &issuer.keys {
        KeySource::File(_) => load(issuer, limits).await.map(Some),
        KeySource::Url { ca_file, .. } | KeySource::Discovery { ca_file } => {
            client(ca_file.as_deref(), limits.bytes).await.map(|_client| None)
        }
    }
}

async fn document(issuer: &IssuerConfig, max_bytes: usize) -> Result<Vec<u8>, LoadError> {
    match &issuer.keys {
        KeySource::File(path) => read(path, max_bytes).await,
        KeySource::Url { url, ca_file } => {
            let url = https("`url`", url)?;
            get(&client(ca_file.as_deref(), max_bytes).await?, url, max_bytes).await
        }
        KeySource::Discovery { ca_file } => {
            let client = client(ca_file.as_deref(), max_bytes).await?;
            let url = discovery_url(&issuer.issuer)?;
            let discovered = get(&client, url, max_bytes).await?;
            get(&client, jwks_uri(&discovered, &issuer.issuer)?, max_bytes).await
        }
    }
}

/// OIDC Discovery §4: a slash at the issuer's end is dropped before the path is added.
fn discovery_url(issuer: &str) -> Result<Url, LoadError> {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    https("the issuer", &format!("{base}/.well-known/openid-configuration"))
}

fn jwks_uri(document: &[u8], issuer: &str) -> Result<Url, LoadError> {
    let members = json::read_object(document, DISCOVERY_LIMITS).map_err(LoadError::Discovery)?;
    let text = |name| members.get(name).and_then(Json::as_str).ok_or(LoadError::DiscoveryMember(name));
    if text("issuer")? != issuer {
        return Err(LoadError::DiscoveryIssuer);
    }
    https("`jwks_uri`", text("jwks_uri")?)
}

fn https(what: &'static str, text: &str) -> Result<Url, LoadError> {
    Url::parse(text).ok().filter(|url| url.scheme() == "https").ok_or(LoadError::NotHttps(what))
}

/// Made anew for each load: loads are rare, and a renewed `ca_file` is noticed.
async fn client(ca_file: Option<&Path>, max_bytes: usize) -> Result<Client, LoadError> {
    // Where the keys come from is the configuration's to say, not a server's by a redirect, not the environment's.
    let mut builder = Client::builder().https_only(true).redirect(Policy::none()).no_proxy().user_agent("countersign");
    if let Some(path) = ca_file {
        let roots =
            Certificate::from_pem_bundle(&read(path, max_bytes).await?).map_err(|_unreadable| LoadError::CaFile)?;
        if roots.is_empty() {
            return Err(LoadError::CaFile);
        }
        builder = builder.tls_certs_only(roots);
    }
    builder.build().map_err(request_failed)
}

async fn get(client: &Client, url: Url, max_bytes: usize) -> Result<Vec<u8>, LoadError> {
    let mut response = client.get(url).send().await.map_err(request_failed)?;
    if response.status() != StatusCode::OK {
        return Err(LoadError::Status(response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(request_failed)? {
        if body.len().saturating_add(chunk.len()) > max_bytes {
            return Err(LoadError::TooLarge(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The whole chain of causes without the URL, which may hold a secret.
fn request_failed(error: reqwest::Error) -> LoadError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    LoadError::Request(text.chars().take(MAX_ERROR_CHARACTERS).collect())
}

/// Reads a file aside, since a file system may hang.
async fn read(path: &Path, max_bytes: usize) -> Result<Vec<u8>, LoadError> {
    let owned = path.to_owned();
    let result = tokio::task::spawn_blocking(move || read_bounded(&owned, max_bytes)).await;
    let bytes = result.map_err(io::Error::other).flatten().map_err(|source| unreadable(path, source))?;
    if bytes.len() > max_bytes { Err(LoadError::TooLarge(max_bytes)) } else { Ok(bytes) }
}

/// At most one byte more than allowed.
fn read_bounded(path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    // Nothing is read from a pipe or a device, which may have no end.
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no regular file"));
    }
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(path: &Path, source: io::Error) -> LoadError {
    LoadError::File { path: path.display().to_string(), source }
}
