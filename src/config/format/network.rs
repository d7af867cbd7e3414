//! Addresses: to listen at, of issuers, of agents.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

use http::Uri;
use serde_json::json;

use crate::config::format::Fault;
use crate::config::format::Scalar;
use crate::config::format::or_variable;
use crate::config::format::text;
use crate::listener::Address;

/// How the address of a Unix socket begins.
const UNIX: &str = "unix://";

/// An IP address and a port.
pub(crate) fn socket() -> Scalar<SocketAddr> {
    Scalar {
        name: "IP address and port".to_owned(),
        schema: or_variable(&json!({"type": "string", "pattern": r"^(\[[0-9a-fA-F:.]+\]|[0-9.]+):[0-9]+$"})),
        placeholder: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        parse: Box::new(|text, _| parse_socket(text)),
    }
}

/// An IP address and a port, or a Unix socket.
pub(crate) fn address() -> Scalar<Address> {
    let Scalar { schema, placeholder, .. } = socket();
    Scalar {
        name: "IP address and port, or `unix:///PATH`".to_owned(),
        schema: json!({"anyOf": [schema, {"type": "string", "pattern": "^unix:///."}]}),
        placeholder: Address::Tcp(placeholder),
        parse: Box::new(|text, _| match text.strip_prefix(UNIX) {
            Some(path) => parse_unix(path, SOCKET_HINT).map(Address::Unix),
            None => parse_socket(text).map(Address::Tcp),
        }),
    }
}

/// The socket of a Workload API (SPIFFE Workload Endpoint §4), in its form with three slashes.
pub(crate) fn workload_api() -> Scalar<String> {
    Scalar {
        name: "`unix:///PATH`".to_owned(),
        schema: or_variable(&json!({"type": "string", "pattern": "^unix:(//)?/[^?#%]+$"})),
        placeholder: String::new(),
        parse: Box::new(|text, _| parse_workload_api(text)),
    }
}

/// Prints an address as it would be written.
pub(crate) fn print(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => format!("{UNIX}{}", path.display()),
    }
}

/// An address to fetch keys from.
pub(crate) fn https_url() -> Scalar<String> {
    text("HTTPS address").checked(check_https)
}

/// An issuer's name: an HTTPS address without query and fragment (`OpenID` Connect Discovery §3, RFC 8414 §2).
pub(crate) fn issuer() -> Scalar<String> {
    https_url().checked(|text| {
        if text.contains('?') { Err(Fault::new("has a query", "write it as the tokens' `iss` has it")) } else { Ok(()) }
    })
}

fn parse_socket(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        let hint = match text.rsplit_once(':') {
            Some(("", _)) => "write `127.0.0.1:` before the port, or `0.0.0.0:` for every address",
            Some(("localhost", _)) => "write `127.0.0.1` for localhost: names are not looked up",
            _ => "write it like `127.0.0.1:9191` or `[::1]:9191`: names are not looked up",
        };
        Fault::new("is no IP address and port", hint)
    })
}

const SOCKET_HINT: &str = "write three slashes: `unix:///run/countersign/checks.sock`";

fn parse_unix(path: &str, hint: &str) -> Result<PathBuf, Fault> {
    let path = Path::new(path);
    if path.is_absolute() && path.file_name().is_some() {
        return Ok(path.to_owned());
    }
    Err(Fault::new("names no absolute path", hint))
}

/// A URI with a scheme and an absolute path and nothing else: two slashes before the path say that there is no host.
fn parse_workload_api(text: &str) -> Result<String, Fault> {
    let hint = "write it like `unix:///run/spire/agent.sock`";
    if text.starts_with("tcp:") {
        let message = "is no Unix socket, and by TCP an agent cannot tell who asks";
        return Err(Fault::new(message, "mount the agent's socket, and write it like `unix:///run/spire/agent.sock`"));
    }
    let path = text.strip_prefix(UNIX).or_else(|| text.strip_prefix("unix:"));
    let path = path.ok_or_else(|| Fault::new("is no address of a Unix socket", hint))?;
    if path.contains(['?', '#', '%']) {
        return Err(Fault::new("has a query, a fragment or an escape", hint));
    }
    parse_unix(path, hint).map(|_| format!("{UNIX}{path}"))
}

fn check_https(text: &str) -> Result<(), Fault> {
    if text.starts_with("http://") {
        return Err(Fault::new(
            "is not encrypted",
            "write `https://`: keys and names from plain HTTP cannot be believed",
        ));
    }
    let no_address = || Fault::new("is no HTTPS address", "write it like `https://idp.example/path`");
    let uri: Uri = text.parse().map_err(|_| no_address())?;
    let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or_else(no_address)?;
    if uri.scheme_str() != Some("https") {
        return Err(no_address());
    }
    if authority.as_str().contains('@') {
        return Err(Fault::new("has user information", "remove what stands before `@`"));
    }
    if text.contains('#') {
        return Err(Fault::new("has a fragment", "remove `#` and what follows"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_numbers() {
        assert_eq!(parse_socket("[::1]:9191").ok(), Some("[::1]:9191".parse().unwrap()));
        for (text, hint) in [
            (":9191", "`0.0.0.0:` for every"),
            ("localhost:9191", "`127.0.0.1` for localhost"),
            ("9191", "write it like"),
            ("127.0.0.1", "write it like"),
            ("127.0.0.1:99999", "write it like"),
            ("::1:9191:", "write it like"),
            ("http://127.0.0.1:9191", "write it like"),
        ] {
            assert!(parse_socket(text).unwrap_err().hint.contains(hint), "{text}");
        }
    }

    #[test]
    fn unix_sockets_have_absolute_paths() {
        assert_eq!(parse_unix("/run/a.sock", SOCKET_HINT).ok(), Some(PathBuf::from("/run/a.sock")));
        for text in ["", "/", "run/a.sock", "a"] {
            assert!(parse_unix(text, SOCKET_HINT).is_err(), "{text}");
        }
    }

    #[test]
    fn a_workload_api_is_a_unix_socket_in_either_spelling() {
        for text in ["unix:///run/spire/agent.sock", "unix:/run/spire/agent.sock"] {
            assert_eq!(parse_workload_api(text).ok().as_deref(), Some("unix:///run/spire/agent.sock"), "{text}");
        }
        for (text, message) in [
            ("tcp://127.0.0.1:8000", "is no Unix socket, and by TCP"),
            ("tcp:127.0.0.1:8000", "is no Unix socket, and by TCP"),
            ("", "is no address of a Unix socket"),
            ("/run/spire/agent.sock", "is no address of a Unix socket"),
            ("UNIX:///run/spire/agent.sock", "is no address of a Unix socket"),
            ("unix:", "names no absolute path"),
            ("unix:///", "names no absolute path"),
            ("unix:agent.sock", "names no absolute path"),
            ("unix://run/agent.sock", "names no absolute path"),
            ("unix:///run/agent.sock?a", "has a query, a fragment or an escape"),
            ("unix:///run/agent.sock#a", "has a query, a fragment or an escape"),
            ("unix:///run/agent%20.sock", "has a query, a fragment or an escape"),
        ] {
            let fault = parse_workload_api(text).unwrap_err();
            assert!(fault.message.starts_with(message), "{text}: {}", fault.message);
            assert!(fault.hint.contains("unix:///run/spire/agent.sock"), "{text}");
        }
    }

    #[test]
    fn issuers_are_https_addresses() {
        for good in ["https://idp.example", "https://idp.example:8443/realms/a/", "https://[2001:db8::1]/x"] {
            assert!(check_https(good).is_ok(), "{good}");
        }
        for (bad, message) in [
            ("http://idp.example", "is not encrypted"),
            ("idp.example", "is no HTTPS address"),
            ("/path", "is no HTTPS address"),
            ("https://", "is no HTTPS address"),
            ("https:///path", "is no HTTPS address"),
            ("https:idp.example", "is no HTTPS address"),
            ("ftp://idp.example", "is no HTTPS address"),
            ("https://idp example", "is no HTTPS address"),
            ("https://user:secret@idp.example", "has user information"),
            ("https://idp.example#a", "has a fragment"),
        ] {
            assert_eq!(check_https(bad).unwrap_err().message, message, "{bad}");
        }
    }
}
