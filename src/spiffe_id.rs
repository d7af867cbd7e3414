//! SPIFFE IDs, exactly by the SPIFFE-ID specification §2.

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A path that makes an ID of the trust domain `td` `bytes` long.
    fn long_path(bytes: usize) -> String {
        format!("/{}", "a".repeat(bytes.saturating_sub("spiffe://td/".len())))
    }

    #[test]
    fn b1_workload_ids_are_read_into_their_parts() {
        let longest_domain = "d".repeat(255);
        let longest_path = long_path(2048);
        for (text, domain, path) in [
            ("spiffe://td/a", "td", "/a"),
            ("spiffe://1.2.3.4/x", "1.2.3.4", "/x"),
            ("spiffe://a_b-c.d/...", "a_b-c.d", "/..."),
            ("spiffe://td/.path", "td", "/.path"),
            ("spiffe://td/..path", "td", "/..path"),
            ("spiffe://td/a/B/c-_.9", "td", "/a/B/c-_.9"),
            ("spiffe://./a", ".", "/a"),
            (&format!("spiffe://{longest_domain}/a"), &longest_domain, "/a"),
            (&format!("spiffe://td{longest_path}"), "td", &longest_path),
        ] {
            let id = SpiffeId::parse(text).unwrap();
            assert_eq!((id.as_str(), id.trust_domain(), id.path()), (text, domain, path));
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn b1_what_breaks_a_rule_is_refused_by_it() {
        for (text, error) in [
            ("", SpiffeIdError::Scheme),
            ("td/a", SpiffeIdError::Scheme),
            ("spiffe:/td/a", SpiffeIdError::Scheme),
            ("http://td/a", SpiffeIdError::Scheme),
            ("SPIFFE://td/a", SpiffeIdError::Scheme),
            (" spiffe://td/a", SpiffeIdError::Scheme),
            ("\u{455}piffe://td/a", SpiffeIdError::Scheme),
            ("spiffe://", SpiffeIdError::TrustDomainEmpty),
            ("spiffe:///a", SpiffeIdError::TrustDomainEmpty),
            ("spiffe://TD/a", SpiffeIdError::TrustDomainCharacter),
            ("spiffe://u@td/a", SpiffeIdError::TrustDomainCharacter),
            ("spiffe://td:80/a", SpiffeIdError::TrustDomainCharacter),
            ("spiffe://[::1]/a", SpiffeIdError::TrustDomainCharacter),
            ("spiffe://td\0", SpiffeIdError::TrustDomainCharacter),
            ("spiffe://tdé", SpiffeIdError::TrustDomainCharacter),
            ("spiffe://t\u{501}/a", SpiffeIdError::TrustDomainCharacter),
            ("spiffe://td?q", SpiffeIdError::TrustDomainCharacter),
            ("spiffe://td#f", SpiffeIdError::TrustDomainCharacter),
            ("spiffe://%74d/a", SpiffeIdError::TrustDomainCharacter),
            // A trust domain is no caller (X509-SVID §5.2).
            ("spiffe://td", SpiffeIdError::PathMissing),
            ("spiffe://td/", SpiffeIdError::SegmentEmpty),
            ("spiffe://td//a", SpiffeIdError::SegmentEmpty),
            ("spiffe://td/a/", SpiffeIdError::SegmentEmpty),
            ("spiffe://td/a//b", SpiffeIdError::SegmentEmpty),
            ("spiffe://td/.", SpiffeIdError::SegmentDots),
            ("spiffe://td/./a", SpiffeIdError::SegmentDots),
            ("spiffe://td/../a", SpiffeIdError::SegmentDots),
            ("spiffe://td/a/..", SpiffeIdError::SegmentDots),
            ("spiffe://td/%61", SpiffeIdError::PathCharacter),
            ("spiffe://td/a b", SpiffeIdError::PathCharacter),
            ("spiffe://td/a?q", SpiffeIdError::PathCharacter),
            ("spiffe://td/a#f", SpiffeIdError::PathCharacter),
            ("spiffe://td/\u{430}", SpiffeIdError::PathCharacter),
            (&format!("spiffe://{}/a", "d".repeat(256)), SpiffeIdError::TrustDomainLength),
            (&format!("spiffe://td{}", long_path(2049)), SpiffeIdError::Length),
        ] {
            assert_eq!(SpiffeId::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn b1_every_byte_in_both_positions() {
        for byte in 0..=u8::MAX {
            let lower = matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
            // A byte above 0x7f is no text by itself: as Latin-1, and as the proxy's replacement would show it.
            let character = char::from(byte);
            let domain = SpiffeId::parse(&format!("spiffe://t{character}d/a"));
            // `/` ends the domain, and `td/a` would become `t` with the path `/d/a`.
            assert_eq!(domain.is_ok(), lower || byte == b'/', "{byte:#x} in the trust domain");
            let path = SpiffeId::parse(&format!("spiffe://td/a{character}b"));
            assert_eq!(path.is_ok(), lower || byte.is_ascii_uppercase() || byte == b'/', "{byte:#x} in the path");
        }
        assert!(SpiffeId::parse("spiffe://td/a\u{fffd}b").is_err());
    }

    #[test]
    fn b1_ids_compare_whole_and_by_their_bytes() {
        let id = |text| SpiffeId::parse(text).unwrap();
        assert_ne!(id("spiffe://td/a").trust_domain(), id("spiffe://td.evil/a").trust_domain());
        assert_ne!(id("spiffe://td/ns/a"), id("spiffe://td/ns/ab"));
        assert_ne!(id("spiffe://td/ns/a"), id("spiffe://td/ns/A"));
        assert_eq!(id("spiffe://td/ns/a"), id("spiffe://td/ns/a"));
    }

    #[test]
    fn kubernetes_names_are_found_in_their_customary_place_alone() {
        let kubernetes = |path: &str| {
            let id = SpiffeId::parse(&format!("spiffe://td{path}")).unwrap();
            id.kubernetes().map(|(namespace, account)| format!("{namespace} {account}"))
        };
        assert_eq!(kubernetes("/ns/orders/sa/api"), Some("orders api".to_owned()));
        for other in ["/ns/orders/sa", "/ns/orders/sa/api/x", "/x/ns/orders/sa/api", "/NS/orders/sa/api", "/a"] {
            assert_eq!(kubernetes(other), None, "{other}");
        }
    }

    /// SPIFFE-ID §2 read a second time, as an automaton: knows nothing of how the parser goes about it.
    fn reference(text: &str) -> bool {
        #[derive(Clone, Copy, PartialEq)]
        enum At {
            Domain,
            SegmentStart,
            OneDot,
            TwoDots,
            Segment,
        }
        let bytes = text.as_bytes();
        if bytes.len() > 2048 || bytes.len() < 9 || &bytes[..9] != b"spiffe://" {
            return false;
        }
        let mut at = At::Domain;
        for (place, byte) in bytes[9..].iter().enumerate() {
            at = match (at, byte) {
                (At::Domain, b'/') if (1..=255).contains(&place) => At::SegmentStart,
                (At::Domain, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_') => At::Domain,
                (At::Segment, b'/') => At::SegmentStart,
                (At::SegmentStart, b'.') => At::OneDot,
                (At::OneDot, b'.') => At::TwoDots,
                (At::Domain, _) | (At::SegmentStart | At::OneDot | At::TwoDots, b'/') => return false,
                (_, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_') => At::Segment,
                _ => return false,
            };
        }
        at == At::Segment
    }

    proptest! {
        #[test]
        fn the_parser_agrees_with_a_reference(text in prop_oneof![
            "spiffe://[a-z0-9._-]{0,6}(/[a-zA-Z0-9._-]{0,4}){0,4}",
            "spiffe://[a-cA./%:@ é_-]{0,12}",
            "spiffe://d{253,257}/a",
            "spiffe://td/[ab]{2034,2038}",
            "(spiffe|SPIFFE|http|)(:|)(//|/|)(td|)(/|)(\\.|a|)(\\.|/|)",
            "\\PC{0,30}",
        ]) {
            let parsed = SpiffeId::parse(&text);
            prop_assert_eq!(parsed.is_ok(), reference(&text));
            if let Ok(id) = parsed {
                prop_assert_eq!(id.as_str(), &text);
                prop_assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text);
                prop_assert_eq!(format!("/{}", id.segments().collect::<Vec<_>>().join("/")), id.path());
            }
        }
    }
}
