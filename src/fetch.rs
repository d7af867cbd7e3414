//! Documents from elsewhere that trust rests on: key sets and bundles, from files and `https` addresses, and answers about
//! tokens.
//!
//! Bounded in time and bytes. No redirect is followed, nothing but `https` is asked, and a configured root is the only
//! one trusted: an address here is as good as the keys that come from it.

mod retry;

#[cfg(test)]
pub(crate) mod server;

use std::error::Error;
use std::fs::File;
use std::future::Future;
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use percent_encoding::AsciiSet;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use reqwest::Certificate;
use reqwest::ClientBuilder;
use reqwest::RequestBuilder;
use reqwest::StatusCode;
use reqwest::header;
use reqwest::redirect::Policy;
use rustls::CertificateError;
use rustls::ClientConfig;
use rustls::OtherError;
use thiserror::Error as ThisError;

pub use reqwest::Client;
pub use reqwest::Url;
pub use retry::Backoff;
pub use retry::jittered;

use crate::secret::Secret;

/// How long and how much a fetch may be.
#[derive(Debug, Clone, Copy)]
pub struct FetchLimits {
    /// For everything one load takes, discovery included.
    pub time: Duration,
    /// For each document.
    pub bytes: usize,
}

impl Default for FetchLimits {
    fn default() -> Self {
        // Ten seconds are ample for two small documents. Large key sets with certificates have some 50 kB.
        Self { time: Duration::from_secs(10), bytes: 512 * 1024 }
    }
}

/// Why no document came.
#[derive(Debug, ThisError)]
pub enum FetchError {
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
}

/// A certificate error says what is needed in less.
const MAX_ERROR_CHARACTERS: usize = 200;

impl FetchLimits {
    /// Ends `loading` when its time is over.
    ///
    /// # Errors
    /// Those of `loading`, and [`FetchError::TimedOut`].
    pub async fn within<T, E: From<FetchError>>(self, loading: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        tokio::time::timeout(self.time, loading).await.map_err(|_elapsed| FetchError::TimedOut(self.time))?
    }
}

/// An `https` address. `what` says in an error whose it is.
///
/// # Errors
/// [`FetchError::NotHttps`].
pub fn https(what: &'static str, text: &str) -> Result<Url, FetchError> {
    Url::parse(text).ok().filter(|url| url.scheme() == "https").ok_or(FetchError::NotHttps(what))
}

/// A client that trusts the certificates in `ca_file`, or the system's where there is none. The file
/// is read once: whoever keeps a client does not notice a renewed one.
///
/// # Errors
/// Where the file cannot be read or holds no certificates.
pub async fn web_client(ca_file: Option<&Path>, max_bytes: usize) -> Result<Client, FetchError> {
    let mut builder = builder();
    if let Some(path) = ca_file {
        let roots =
            Certificate::from_pem_bundle(&read(path, max_bytes).await?).map_err(|_unreadable| FetchError::CaFile)?;
        if roots.is_empty() {
            return Err(FetchError::CaFile);
        }
        builder = builder.tls_certs_only(roots);
    }
    builder.build().map_err(request_failed)
}

/// A client that trusts whom `tls` trusts.
///
/// # Errors
/// Where the library refuses the configuration.
pub fn client_with(tls: ClientConfig) -> Result<Client, FetchError> {
    builder().tls_backend_preconfigured(tls).build().map_err(request_failed)
}

fn builder() -> ClientBuilder {
    // Where the keys come from is the configuration's to say, not a server's by a redirect, not the environment's.
    Client::builder().https_only(true).redirect(Policy::none()).no_proxy().user_agent("countersign")
}

/// Fetches one document.
///
/// # Errors
/// Where anything but 200 and at most `max_bytes` comes back.
pub async fn get(client: &Client, url: Url, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
    body(client.get(url), max_bytes).await
}

/// A client's name and secret, for HTTP Basic (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy)]
pub struct Basic<'a> {
    /// The client's name.
    pub client_id: &'a str,
    /// Its secret.
    pub secret: &'a Secret<String>,
}

/// Posts a form as a client, for an answer in JSON.
///
/// # Errors
/// As [`get`].
pub async fn post_form(
    client: &Client,
    url: Url,
    credentials: &Basic<'_>,
    form: &[(&str, &str)],
    max_bytes: usize,
) -> Result<Vec<u8>, FetchError> {
    let fields: Vec<_> = form.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let request = client
        .post(url)
        // Both are encoded before they are joined, so that a colon in either does no harm.
        .basic_auth(encoded(credentials.client_id), Some(encoded(credentials.secret.expose())))
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(fields.join("&"));
    body(request, max_bytes).await
}

/// All but the unreserved characters that every writer leaves alone.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// As a form has it; a space as `%20`, which every reader takes.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

async fn body(request: RequestBuilder, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
    let mut response = request.send().await.map_err(request_failed)?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(request_failed)? {
        if body.len().saturating_add(chunk.len()) > max_bytes {
            return Err(FetchError::TooLarge(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The whole chain of causes without the URL, which may hold a secret.
fn request_failed(error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&refusal(inner).unwrap_or_else(|| inner.to_string()));
        cause = inner.source();
    }
    FetchError::Request(text.chars().take(MAX_ERROR_CHARACTERS).collect())
}

/// Why the server's certificate was refused, in the words of a verifier of ours: the library shows them as Rust values.
fn refusal(mut cause: &(dyn Error + 'static)) -> Option<String> {
    // Connectors wrap the error of TLS more than once, and a wrapper is no effect with a cause.
    while let Some(inner) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        cause = inner;
    }
    match cause.downcast_ref() {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(why)))) => {
            Some(format!("the server's certificate is refused: {why}"))
        }
        _ => None,
    }
}

/// Reads a file aside, since a file system may hang.
///
/// # Errors
/// Where it is no regular file of at most `max_bytes`.
pub async fn read(path: &Path, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
    let owned = path.to_owned();
    let result = tokio::task::spawn_blocking(move || read_bounded(&owned, max_bytes)).await;
    let bytes = result.map_err(io::Error::other).flatten().map_err(|source| unreadable(path, source))?;
    if bytes.len() > max_bytes { Err(FetchError::TooLarge(max_bytes)) } else { Ok(bytes) }
}

/// Reads a file on this thread, which must be one where that disturbs nobody.
///
/// # Errors
/// As [`read`].
pub fn read_now(path: &Path, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
    let bytes = read_bounded(path, max_bytes).map_err(|source| unreadable(path, source))?;
    if bytes.len() > max_bytes { Err(FetchError::TooLarge(max_bytes)) } else { Ok(bytes) }
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

fn unreadable(path: &Path, source: io::Error) -> FetchError {
    FetchError::File { path: path.display().to_string(), source }
}
