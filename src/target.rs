//! The target URI of a request (RFC 9110 §7.1), as far as it can be known here: what a proof of possession must name, a
//! Workload-Proof-Token in `aud` (draft-ietf-wimse-wpt §2), a DPoP proof in `htu` (RFC 9449 §4.2).
//!
//! A client writes `Host` as it likes, and proxies rewrite it, so scheme, host and port are the configuration's. The path
//! is the request's own, as the proxy reports it.

use std::net::Ipv6Addr;

use thiserror::Error;

/// Scheme, host and port of services behind the proxy, and a path that theirs begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `scheme://host[:port]`, compared byte by byte.
    origin: String,
    /// Without a slash at its end; empty for all paths.
    prefix: String,
}

/// Why a text is no target; goes on after the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TargetError {
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

impl Target {
    /// Reads `http[s]://host[:port][/path]`.
    ///
    /// # Errors
    /// [`TargetError`].
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or(TargetError::Scheme)?;
        if rest.contains(['?', '#']) {
            return Err(TargetError::Query);
        }
        let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or((rest, ""));
        check_authority(authority)?;
        if !path.bytes().all(is_path_byte) {
            return Err(TargetError::Character);
        }
        if !is_plain(path) || path.contains("//") {
            return Err(TargetError::Path);
        }
        let origin = text.strip_suffix(path).unwrap_or(text);
        Ok(Self { origin: origin.to_owned(), prefix: path.strip_suffix('/').unwrap_or(path).to_owned() })
    }

    /// Whether `named` is this target's URI of a request with the path `path`, as sent and without its query.
    pub fn is_target(&self, named: &str, path: &str) -> bool {
        let Some(rest) = named.strip_prefix(&self.origin) else { return false };
        // RFC 9110 §4.2.3: no path is the path `/`.
        let named_path = if rest.is_empty() { "/" } else { rest };
        named_path == path && path.starts_with('/') && path.bytes().all(is_path_byte) && self.is_above(path)
    }

    /// Whether `named` means this target's URI of a request with the path `path`, as sent, query and fragment of both left
    /// out, and both brought into normal form (RFC 9449 §4.3, RFC 3986 §6.2.2 and §6.2.3). Dot segments are resolved in
    /// neither: servers differ in what they make of them, so a path with one is nobody's target.
    pub fn means(&self, named: &str, path: &str) -> bool {
        let named = before(named, &['?', '#']);
        let Some((scheme, rest)) = named.split_once("://") else { return false };
        let (authority, named_path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or((rest, ""));
        let Some((own_scheme, own_authority)) = self.origin.split_once("://") else { return false };
        let scheme = scheme.to_ascii_lowercase();
        let is_origin = scheme == own_scheme
            && without_default_port(&scheme, &authority.to_ascii_lowercase())
                == without_default_port(own_scheme, own_authority);
        let own_path = before(path, &['?']);
        let normal = normal_path(own_path);
        is_origin
            && own_path.starts_with('/')
            && normal.is_some()
            && normal == normal_path(named_path)
            && self.is_above(own_path)
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
fn check_authority(text: &str) -> Result<(), TargetError> {
    if text.contains('@') {
        return Err(TargetError::UserInformation);
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(TargetError::UpperCase);
    }
    let (is_host, port) = if let Some((address, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        (is_address(address), rest)
    } else {
        let (name, port) = text.split_at_checked(text.find(':').unwrap_or(text.len())).unwrap_or((text, ""));
        (is_name(name), port)
    };
    match port.strip_prefix(':') {
        _ if !is_host => Err(TargetError::Host),
        None if port.is_empty() => Ok(()),
        Some(digits) if is_port(digits) => Ok(()),
        None | Some(_) => Err(TargetError::Port),
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

fn before<'t>(text: &'t str, ends: &[char]) -> &'t str {
    text.split(ends).next().unwrap_or_default()
}

/// An authority without the port that its scheme implies, or without an empty one (RFC 3986 §6.2.3).
fn without_default_port<'t>(scheme: &str, authority: &'t str) -> &'t str {
    let port = if scheme == "https" { ":443" } else { ":80" };
    authority.strip_suffix(port).or_else(|| authority.strip_suffix(':')).unwrap_or(authority)
}

/// A path with unreserved characters plain and all other escapes in upper case (RFC 3986 §6.2.2); `None` where it has a
/// dot segment, a bad escape, or a character that no path has.
fn normal_path(path: &str) -> Option<String> {
    let mut normal = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            normal.push(Some(byte).filter(|byte| is_path_byte(*byte)).map(char::from)?);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        let escaped = digits.iter().try_fold(0_u8, |high, digit| {
            let low = char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())?;
            high.checked_mul(16)?.checked_add(low)
        })?;
        if escaped.is_ascii_alphanumeric() || matches!(escaped, b'-' | b'.' | b'_' | b'~') {
            normal.push(char::from(escaped));
        } else {
            normal.push('%');
            normal.extend(digits.iter().map(|digit| char::from(digit.to_ascii_uppercase())));
        }
    }
    if normal.is_empty() {
        normal.push('/');
    }
    let is_dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    (!normal.split('/').any(is_dots)).then_some(normal)
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
    fn a_target_has_one_spelling() {
        for text in [
            "https://orders.example",
            "https://orders.example/",
            "http://orders:8080/v1",
            "https://[2001:db8::1]:8443/a/b/",
            "https://10.0.0.1/a%20b",
            "https://a_b-c.d",
        ] {
            assert!(Target::parse(text).is_ok(), "{text}");
        }
        for (text, error) in [
            ("", TargetError::Scheme),
            ("orders.example", TargetError::Scheme),
            ("HTTPS://orders.example", TargetError::Scheme),
            ("spiffe://prod.example/orders", TargetError::Scheme),
            ("://orders.example", TargetError::Scheme),
            ("https://", TargetError::Host),
            ("https:///a", TargetError::Host),
            ("https://:8443", TargetError::Host),
            ("https://orders example", TargetError::Host),
            ("https://orders.éxample", TargetError::Host),
            ("https://[::1", TargetError::Host),
            ("https://[0:0::1]", TargetError::Host),
            ("https://Orders.example", TargetError::UpperCase),
            ("https://user@orders.example", TargetError::UserInformation),
            ("https://orders.example:", TargetError::Port),
            ("https://orders.example:x", TargetError::Port),
            ("https://orders.example:+1", TargetError::Port),
            ("https://orders.example:65536", TargetError::Port),
            ("https://[::1]x", TargetError::Port),
            ("https://orders.example/a/../b", TargetError::Path),
            ("https://orders.example/a/.;b", TargetError::Path),
            ("https://orders.example/a/%2E%2e/b", TargetError::Path),
            ("https://orders.example/a%2fb", TargetError::Path),
            ("https://orders.example/a\\b", TargetError::Path),
            ("https://orders.example//a", TargetError::Path),
            ("https://orders.example/a//", TargetError::Path),
            ("https://orders.example?a=b", TargetError::Query),
            ("https://orders.example/a#b", TargetError::Query),
            ("https://orders.example/a b", TargetError::Character),
            ("https://orders.example/é", TargetError::Character),
        ] {
            assert_eq!(Target::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn c10_a_target_is_origin_and_path_and_nothing_like_it() {
        let whole = Target::parse("https://orders.example").unwrap();
        let part = Target::parse("https://orders.example:8443/v1/").unwrap();
        for (target, named, path, is_target) in [
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
            assert_eq!(target.is_target(named, path), is_target, "{named} {path}");
        }
    }

    #[test]
    fn l17_a_target_means_the_same_in_every_spelling_of_a_uri() {
        let whole = Target::parse("https://orders.example").unwrap();
        let part = Target::parse("http://orders.example:80/v1/").unwrap();
        for (target, named, path, means) in [
            (&whole, "https://orders.example/a", "/a", true),
            (&whole, "https://orders.example/a", "/a?b=c", true),
            (&whole, "https://orders.example/a?x#y", "/a", true),
            (&whole, "HTTPS://Orders.Example:443/a", "/a", true),
            (&whole, "https://orders.example:/a", "/a", true),
            (&whole, "https://orders.example", "/", true),
            (&whole, "https://orders.example?x", "/?y", true),
            (&whole, "https://orders.example/%61%7e%2fb", "/a~%2Fb", true),
            (&whole, "https://orders.example/a~%2Fb", "/%61%7E%2fb", true),
            (&whole, "https://orders.example/%C3%A9", "/%c3%a9", true),
            (&whole, "https://orders.example/a/", "/a", false),
            (&whole, "https://orders.example/A", "/a", false),
            (&whole, "https://orders.example//a", "/a", false),
            (&whole, "https://orders.example/a%2fb", "/a/b", false),
            (&whole, "https://orders.example/b/../a", "/a", false),
            (&whole, "https://orders.example/b/../a", "/b/../a", false),
            (&whole, "https://orders.example/a", "/b/../a", false),
            (&whole, "https://orders.example/%2e/a", "/%2E/a", false),
            (&whole, "https://orders.example/a%", "/a%", false),
            (&whole, "https://orders.example/a%zz", "/a%zz", false),
            (&whole, "https://orders.example/a%+1", "/a%+1", false),
            (&whole, "https://orders.example/é", "/é", false),
            (&whole, "https://orders.example", "", false),
            (&whole, "https://orders.example*", "*", false),
            (&whole, "https://orders.example:80/a", "/a", false),
            (&whole, "https://orders.example.evil/a", "/a", false),
            (&whole, "https://evil@orders.example/a", "/a", false),
            (&whole, "https://orders.example@evil/a", "/a", false),
            (&whole, "http://orders.example/a", "/a", false),
            (&whole, "//orders.example/a", "/a", false),
            (&whole, "/a", "/a", false),
            (&whole, "", "/", false),
            (&part, "http://orders.example/v1/a", "/v1/a", true),
            (&part, "http://orders.example:80/v1", "/v1", true),
            (&part, "http://orders.example/v10", "/v10", false),
            (&part, "http://orders.example/v1/..%2fa", "/v1/..%2fa", false),
            (&part, "http://orders.example/v1/a%2Fb", "/v1/a%2fb", false),
        ] {
            assert_eq!(target.means(named, path), means, "{named} {path}");
        }
    }
}
