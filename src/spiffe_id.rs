//! SPIFFE IDs, exactly by the SPIFFE-ID specification §2.

#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::fmt;

use thiserror::Error;

/// A workload's SPIFFE ID: a trust domain and a path (X509-SVID §5.2: a leaf's ID has one). Compared by its exact bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SpiffeId {
    text: String,
    /// Where the path begins in `text`.
    path_at: usize,
}

/// Why a text is no SPIFFE ID of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SpiffeIdError {
    /// Not `spiffe://`, in lower case: the specification lets schemes vary in case, go-spiffe and this do not.
    #[error("does not begin with `spiffe://`")]
    Scheme,
    /// The trust domain is empty.
    #[error("has no trust domain")]
    TrustDomainEmpty,
    /// The trust domain has more than 255 bytes.
    #[error("has a trust domain of more than 255 bytes")]
    TrustDomainLength,
    /// The trust domain has a character other than `a-z 0-9 . - _`.
    #[error("has a trust domain with a character other than a-z, 0-9, dot, dash and underscore")]
    TrustDomainCharacter,
    /// There is no path: a trust domain, not a workload.
    #[error("names a trust domain, not a workload: it has no path")]
    PathMissing,
    /// An empty segment, or a slash at the end.
    #[error("has an empty path segment")]
    SegmentEmpty,
    /// A `.` or `..` segment.
    #[error("has a dot segment")]
    SegmentDots,
    /// A path character other than `a-z A-Z 0-9 . - _`.
    #[error("has a path with a character other than letters, digits, dot, dash and underscore")]
    PathCharacter,
    /// More than 2048 bytes.
    #[error("has more than 2048 bytes")]
    Length,
}

/// SPIFFE-ID §2.3: implementations support URIs up to 2048 bytes and generate none longer.
const MAX_ID_BYTES: usize = 2048;
/// SPIFFE-ID §2.3: a trust domain has at most 255 bytes.
const MAX_TRUST_DOMAIN_BYTES: usize = 255;
const SCHEME: &str = "spiffe://";

impl SpiffeId {
    /// Reads a workload's SPIFFE ID.
    ///
    /// # Errors
    /// [`SpiffeIdError`], naming the first rule broken.
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
        if text.len() > MAX_ID_BYTES {
            return Err(SpiffeIdError::Length);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
        let (domain, path) = match rest.split_once('/') {
            Some((domain, path)) => (domain, Some(path)),
            None => (rest, None),
        };
        check_trust_domain(domain)?;
        check_path(path.ok_or(SpiffeIdError::PathMissing)?)?;
        let path_at = SCHEME.len().saturating_add(domain.len());
        Ok(Self { text: text.to_owned(), path_at })
    }

    /// The whole ID.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trust domain. Compare it whole: never as a prefix.
    pub fn trust_domain(&self) -> &str {
        self.text.get(SCHEME.len()..self.path_at).unwrap_or_default()
    }

    /// The path with its leading slash.
    pub fn path(&self) -> &str {
        self.text.get(self.path_at..).unwrap_or_default()
    }

    /// The path's segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.path().split('/').skip(1)
    }

    /// Namespace and service account, where the path has Kubernetes' customary form `/ns/NAMESPACE/sa/ACCOUNT`.
    pub fn kubernetes(&self) -> Option<(&str, &str)> {
        let mut segments = self.segments();
        let found = match (segments.next(), segments.next(), segments.next(), segments.next()) {
            (Some("ns"), Some(namespace), Some("sa"), Some(account)) => (namespace, account),
            _ => return None,
        };
        segments.next().is_none().then_some(found)
    }
}

/// A trust domain's name. Compared by its exact bytes, never as a prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// Reads a name, alone or as the trust domain's own SPIFFE ID (`spiffe://prod.example`).
    ///
    /// # Errors
    /// [`SpiffeIdError`], naming the first rule broken.
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
        let name = text.strip_prefix(SCHEME).unwrap_or(text);
        check_trust_domain(name).map(|()| Self(name.to_owned()))
    }

    /// The name, without a scheme.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for TrustDomain {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom a list names: one workload, or all of a trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peers {
    /// The workload with this ID.
    Workload(SpiffeId),
    /// Every workload of the trust domain.
    Domain(TrustDomain),
}

impl Peers {
    /// Reads a SPIFFE ID: with a path it names a workload, without one a trust domain.
    ///
    /// # Errors
    /// [`SpiffeIdError`], naming the first rule broken.
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
        let name = text.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
        if name.contains('/') {
            SpiffeId::parse(text).map(Self::Workload)
        } else {
            TrustDomain::parse(name).map(Self::Domain)
        }
    }

    /// Whether this names `id`.
    pub fn include(&self, id: &SpiffeId) -> bool {
        match self {
            Self::Workload(wanted) => wanted == id,
            Self::Domain(domain) => domain.as_str() == id.trust_domain(),
        }
    }
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload(id) => write!(f, "{id}"),
            Self::Domain(domain) => write!(f, "{SCHEME}{domain}"),
        }
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn check_trust_domain(domain: &str) -> Result<(), SpiffeIdError> {
    if domain.is_empty() {
        return Err(SpiffeIdError::TrustDomainEmpty);
    }
    if domain.len() > MAX_TRUST_DOMAIN_BYTES {
        return Err(SpiffeIdError::TrustDomainLength);
    }
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    if domain.bytes().all(allowed) { Ok(()) } else { Err(SpiffeIdError::TrustDomainCharacter) }
}

fn check_path(path: &str) -> Result<(), SpiffeIdError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    for segment in path.split('/') {
        match segment {
            "" => return Err(SpiffeIdError::SegmentEmpty),
            "." | ".." => return Err(SpiffeIdError::SegmentDots),
            _ if !segment.bytes().all(allowed) => return Err(SpiffeIdError::PathCharacter),
            _ => {}
        }
    }
    Ok(())
}
