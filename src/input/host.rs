//! The host that a request is for, in one spelling.

use std::iter;
use std::net::Ipv6Addr;

use thiserror::Error;

use crate::facts::Http;

/// Why there is no telling which host is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum HostError {
    /// `user@host`: which part is the host has been read both ways.
    #[error("the host has user information")]
    UserInformation,
    /// Several hosts joined with a comma.
    #[error("the host has a comma")]
    Several,
    /// A character that no host name has; names beyond ASCII come as their `xn--` form.
    #[error("the host has a character that no host name has")]
    Character,
    /// An empty label, as in `a..b`.
    #[error("the host has an empty label")]
    EmptyLabel,
    /// The port is no number up to 65535.
    #[error("the host has a bad port")]
    Port,
    /// The brackets hold no IPv6 address.
    #[error("the host is no IPv6 address")]
    Address,
    /// `:authority` and `Host` are not the same.
    #[error("the host disagrees with a host header")]
    Disagreement,
}

/// The host, lower case, without port and dot at the end; empty where the request names none.
pub(super) fn normalise(http: &Http) -> Result<String, HostError> {
    let host = http.host.as_bytes();
    let headers = [":authority", "host"].into_iter().flat_map(|name| http.header_values(name));
    let mut named: Option<Authority> = None;
    for text in iter::once(host).chain(headers.filter(|text| *text != host)).filter(|text| !text.is_empty()) {
        let authority = Authority::read(text)?;
        if named.as_ref().is_some_and(|named| *named != authority) {
            return Err(HostError::Disagreement);
        }
        named = Some(authority);
    }
    Ok(named.map(|authority| authority.host).unwrap_or_default())
}

#[derive(Debug, PartialEq, Eq)]
struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// `host [":" port]` of RFC 3986 §3.2, of the hosts that occur in practice.
    fn read(text: &[u8]) -> Result<Self, HostError> {
        if text.contains(&b'@') {
            return Err(HostError::UserInformation);
        }
        if text.contains(&b',') {
            return Err(HostError::Several);
        }
        let text = std::str::from_utf8(text).map_err(|_not_text| HostError::Character)?;
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']').ok_or(HostError::Address)?;
            let address: Ipv6Addr = address.parse().map_err(|_no_address| HostError::Address)?;
            (format!("[{address}]"), port)
        } else {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (host_name(name)?, port)
        };
        Ok(Self { host, port: read_port(port)? })
    }
}

fn host_name(name: &str) -> Result<String, HostError> {
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')) {
        return Err(HostError::Character);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.split('.').any(str::is_empty) {
        return Err(HostError::EmptyLabel);
    }
    Ok(name.to_ascii_lowercase())
}

/// What follows the host: nothing, or a colon and digits. RFC 3986 §3.2.3 allows a colon with none.
fn read_port(text: &str) -> Result<Option<u16>, HostError> {
    let Some(digits) = text.strip_prefix(':') else {
        return if text.is_empty() { Ok(None) } else { Err(HostError::Port) };
    };
    // `parse` alone would take a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostError::Port);
    }
    if digits.is_empty() { Ok(None) } else { digits.parse().map(Some).map_err(|_too_large| HostError::Port) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &str, headers: &[(&str, &str)]) -> Http {
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Http { host: host.to_owned(), headers, ..Http::default() }
    }

    #[test]
    fn e11_a_host_has_one_spelling() {
        for (host, normal) in [
            ("api.example", "api.example"),
            ("API.Example", "api.example"),
            ("api.example:8443", "api.example"),
            ("api.example.", "api.example"),
            ("API.example.:443", "api.example"),
            ("api.example:", "api.example"),
            ("10.1.2.3:80", "10.1.2.3"),
            ("[::1]:80", "[::1]"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("my_service", "my_service"),
            ("", ""),
        ] {
            assert_eq!(normalise(&request(host, &[])).unwrap(), normal, "{host}");
        }
    }

    #[test]
    fn e11_an_ambiguous_host_is_refused() {
        for (host, error) in [
            ("user@api.example", HostError::UserInformation),
            ("api.example@evil.example:443", HostError::UserInformation),
            ("api.example,evil.example", HostError::Several),
            ("api.example:443:80", HostError::Port),
            ("api.example:x", HostError::Port),
            ("api.example:+1", HostError::Port),
            ("api.example:65536", HostError::Port),
            ("api..example", HostError::EmptyLabel),
            (".", HostError::EmptyLabel),
            (":443", HostError::EmptyLabel),
            ("a b", HostError::Character),
            ("a/b", HostError::Character),
            ("a%2eb", HostError::Character),
            ("a\\b", HostError::Character),
            ("ａ.example", HostError::Character),
            ("::1", HostError::EmptyLabel),
            ("[::1", HostError::Address),
            ("[::1]x", HostError::Port),
            ("[1.2.3.4]", HostError::Address),
            ("[fe80::1%25eth0]", HostError::Address),
        ] {
            assert_eq!(normalise(&request(host, &[])), Err(error), "{host}");
        }
    }

    #[test]
    fn e11_authority_and_host_agree() {
        let agreeing = request("api.example", &[(":authority", "API.example"), ("Host", "api.example.")]);
        assert_eq!(normalise(&agreeing).unwrap(), "api.example");
        assert_eq!(normalise(&request("", &[("host", "api.example")])).unwrap(), "api.example");
        for headers in [
            [(":authority", "api.example"), ("host", "evil.example")],
            [(":authority", "evil.example"), ("host", "api.example")],
            [(":authority", "api.example:8443"), ("host", "api.example")],
        ] {
            assert_eq!(normalise(&request("api.example", &headers)), Err(HostError::Disagreement), "{headers:?}");
        }
    }
}
