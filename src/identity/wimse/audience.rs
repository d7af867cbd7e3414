//! What a proof's `aud` may be: the target URI of the request (draft-ietf-wimse-wpt §2), as far as it can be known here.
//!
//! A client writes `Host` as it likes, and proxies rewrite it, so scheme, host and port are the configuration's. The path
//! is the request's own, as the proxy reports it.

use std::net::Ipv6Addr;

use thiserror::Error;

/// Scheme, host and port of services behind the proxy, and a path that theirs begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    /// `scheme://host[:port]`, compared byte by byte.
    origin: String,
    /// Without a slash at its end; empty for all paths.
    prefix: String,
}

/// Why a text is no audience; goes on after the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AudienceError {
    /// Another scheme, or one in another case.
    #[error("does not begin with `https://` or `http://`")]
    Scheme,
    /// A target has neither here.
    #[error("has a query or a fragment")]
    Query,
    /// `user@host`.
    #[error("has user information")]
    UserInformation,
    /// Hosts are compared as they are written, and URIs are normalised to lower case (RFC 3986 §6.2.2.1).
    #[error("has a host in upper case")]
    UpperCase,
    /// No host, or what is none.
    #[error("has no host")]
    Host,
    /// A colon and no number up to 65535.
    #[error("has no port behind the colon")]
    Port,
    /// A dot segment, an empty segment, an escaped dot or slash, or a backslash.
    #[error("has a path that could be written in another way")]
    Path,
    /// A character that stands in no URI before its query.
    #[error("has characters that no address has")]
    Character,
}

impl Audience {
    /// Reads `http[s]://host[:port][/path]`.
    ///
    /// # Errors
    /// [`AudienceError`].
    pub fn parse(text: &str) -> Result<Self, AudienceError> {
        let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or(AudienceError::Scheme)?;
        if rest.contains(['?', '#']) {
            return Err(AudienceError::Query);
        }
        let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or((rest, ""));
        check_authority(authority)?;
        if !path.bytes().all(is_path_byte) {
            return Err(AudienceError::Character);
        }
        if !is_plain(path) || path.contains("//") {
            return Err(AudienceError::Path);
        }
        let origin = text.strip_suffix(path).unwrap_or(text);
        Ok(Self { origin: origin.to_owned(), prefix: path.strip_suffix('/').unwrap_or(path).to_owned() })
    }

    /// Whether `named` is this audience's URI of a request with the path `path`, as sent and without its query.
    pub(super) fn is_target(&self, named: &str, path: &str) -> bool {
        let Some(rest) = named.strip_prefix(&self.origin) else { return false };
        // RFC 9110 §4.2.3: no path is the path `/`.
        let named_path = if rest.is_empty() { "/" } else { rest };
        named_path == path && path.starts_with('/') && path.bytes().all(is_path_byte) && self.is_above(path)
    }

    /// Whether `path` is the prefix, or below it. What servers may read as another path is below nothing.
    fn is_above(&self, path: &str) -> bool {
        match path.strip_prefix(&self.prefix) {
            Some(_) if self.prefix.is_empty() => true,
            Some(rest) => (rest.is_empty() || rest.starts_with('/')) && is_plain(path),
            None => false,
        }
    }
}

const SCHEMES: [&str; 2] = ["https://", "http://"];

/// What may stand in a path (RFC 3986 §3.3), and what clients and servers commonly put there.
const fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'^')
}

/// RFC 3986 §3.2, in the one spelling that is compared.
fn check_authority(text: &str) -> Result<(), AudienceError> {
    if text.contains('@') {
        return Err(AudienceError::UserInformation);
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(AudienceError::UpperCase);
    }
    let (is_host, port) = if let Some((address, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        (is_address(address), rest)
    } else {
        let (name, port) = text.split_at_checked(text.find(':').unwrap_or(text.len())).unwrap_or((text, ""));
        (is_name(name), port)
    };
    match port.strip_prefix(':') {
        _ if !is_host => Err(AudienceError::Host),
        None if port.is_empty() => Ok(()),
        Some(digits) if is_port(digits) => Ok(()),
        None | Some(_) => Err(AudienceError::Port),
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    !text.is_empty() && text.bytes().all(allowed)
}

fn is_address(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok_and(|address| address.to_string() == text)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Whether a path has nothing that would lead out of it: dot segments, with parameters or without, and escaped dots,
/// slashes and backslashes.
fn is_plain(path: &str) -> bool {
    let is_dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    let lower = path.to_ascii_lowercase();
    let is_escaped = ["%2e", "%2f", "%5c", "\\"].iter().any(|escape| lower.contains(escape));
    !is_escaped && !path.split('/').any(is_dots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_has_one_spelling() {
        for text in [
            "https://orders.example",
            "https://orders.example/",
            "http://orders:8080/v1",
            "https://[2001:db8::1]:8443/a/b/",
            "https://10.0.0.1/a%20b",
            "https://a_b-c.d",
        ] {
            assert!(Audience::parse(text).is_ok(), "{text}");
        }
        for (text, error) in [
            ("", AudienceError::Scheme),
            ("orders.example", AudienceError::Scheme),
            ("HTTPS://orders.example", AudienceError::Scheme),
            ("spiffe://prod.example/orders", AudienceError::Scheme),
            ("://orders.example", AudienceError::Scheme),
            ("https://", AudienceError::Host),
            ("https:///a", AudienceError::Host),
            ("https://:8443", AudienceError::Host),
            ("https://orders example", AudienceError::Host),
            ("https://orders.éxample", AudienceError::Host),
            ("https://[::1", AudienceError::Host),
            ("https://[0:0::1]", AudienceError::Host),
            ("https://Orders.example", AudienceError::UpperCase),
            ("https://user@orders.example", AudienceError::UserInformation),
            ("https://orders.example:", AudienceError::Port),
            ("https://orders.example:x", AudienceError::Port),
            ("https://orders.example:+1", AudienceError::Port),
            ("https://orders.example:65536", AudienceError::Port),
            ("https://[::1]x", AudienceError::Port),
            ("https://orders.example/a/../b", AudienceError::Path),
            ("https://orders.example/a/.;b", AudienceError::Path),
            ("https://orders.example/a/%2E%2e/b", AudienceError::Path),
            ("https://orders.example/a%2fb", AudienceError::Path),
            ("https://orders.example/a\\b", AudienceError::Path),
            ("https://orders.example//a", AudienceError::Path),
            ("https://orders.example/a//", AudienceError::Path),
            ("https://orders.example?a=b", AudienceError::Query),
            ("https://orders.example/a#b", AudienceError::Query),
            ("https://orders.example/a b", AudienceError::Character),
            ("https://orders.example/é", AudienceError::Character),
        ] {
            assert_eq!(Audience::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn c10_a_target_is_origin_and_path_and_nothing_like_it() {
        let whole = Audience::parse("https://orders.example").unwrap();
        let part = Audience::parse("https://orders.example:8443/v1/").unwrap();
        for (audience, named, path, is_target) in [
            (&whole, "https://orders.example/a", "/a", true),
            (&whole, "https://orders.example/", "/", true),
            (&whole, "https://orders.example", "/", true),
            (&whole, "https://orders.example/a//b/../%2e", "/a//b/../%2e", true),
            (&whole, "https://orders.example", "", false),
            (&whole, "https://orders.example*", "*", false),
            (&whole, "https://orders.example/a", "/b", false),
            (&whole, "https://orders.example/a", "/a/", false),
            (&whole, "https://orders.example/A", "/a", false),
            (&whole, "https://orders.example/%61", "/a", false),
            (&whole, "https://orders.example/a?b", "/a", false),
            (&whole, "https://orders.example/a?b", "/a?b", false),
            (&whole, "https://orders.example/a#b", "/a#b", false),
            (&whole, "https://orders.example.evil/a", "/a", false),
            (&whole, "https://orders.example.evil/a", ".evil/a", false),
            (&whole, "https://orders.example:443/a", "/a", false),
            (&whole, "https://Orders.example/a", "/a", false),
            (&whole, "http://orders.example/a", "/a", false),
            (&whole, "https://other.example/a", "/a", false),
            (&whole, "/a", "/a", false),
            (&whole, "", "", false),
            (&part, "https://orders.example:8443/v1", "/v1", true),
            (&part, "https://orders.example:8443/v1/a", "/v1/a", true),
            (&part, "https://orders.example:8443/v1/", "/v1/", true),
            (&part, "https://orders.example:8443/v10", "/v10", false),
            (&part, "https://orders.example:8443/", "/", false),
            (&part, "https://orders.example:8443", "/", false),
            (&part, "https://orders.example/v1/a", "/v1/a", false),
            (&part, "https://orders.example:8443/v1/../a", "/v1/../a", false),
            (&part, "https://orders.example:8443/v1/..;x/a", "/v1/..;x/a", false),
            (&part, "https://orders.example:8443/v1/%2E./a", "/v1/%2E./a", false),
            (&part, "https://orders.example:8443/v1/..%2fa", "/v1/..%2fa", false),
            (&part, "https://orders.example:8443/v1/..\\a", "/v1/..\\a", false),
        ] {
            assert_eq!(audience.is_target(named, path), is_target, "{named} {path}");
        }
    }
}
