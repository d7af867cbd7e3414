//! Headers and query parameters on their way out. What HTTP does not allow never leaves; in strict mode neither does
//! what would change the message's framing, the proxy's routing, or a header that only Countersign may set.

use regorus::Value;

use super::fields;
use super::fields::Unfit;
use crate::decision::HeaderField;
use crate::decision::Reason;
use crate::decision::header::check_name;
use crate::policy::Compatibility;
use crate::policy::OutputRules;

/// Where a header goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// With the request, to the service behind the proxy.
    Upstream,
    /// With the response, to the client.
    Downstream,
}

/// Headers that say where a message ends or belong to one connection (RFC 9110 §7.6.1, RFC 9112 §6): a policy that
/// sets or removes one makes the proxy and its peer disagree.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Request headers by which proxies and frameworks route, or believe where a request came from (CVE-2023-27487,
/// CVE-2024-45806). Removing one is harmless.
const ROUTING: &[&str] = &[
    "forwarded",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];
const ROUTING_PREFIXES: &[&str] = &["x-envoy-", "x-forwarded-"];

/// Headers to set, from an object or a list of objects.
pub(super) fn fields(
    field: &str,
    value: Option<&Value>,
    direction: Direction,
    rules: &OutputRules,
) -> Result<Vec<HeaderField>, Unfit> {
    let objects = match value {
        Some(list @ (Value::Array(_) | Value::Set(_))) => fields::elements(list),
        other => other.into_iter().collect(),
    };
    let mut headers = Vec::new();
    for object in objects {
        fields::ensure_few(field, headers.len())?;
        for (name, value) in fields::pairs(field, Some(object))? {
            if rules.compatibility == Compatibility::Strict {
                check_settable(field, name, value, direction, rules)?;
            }
            headers.push(HeaderField::new(name, value).map_err(|fault| named(field, name, fault))?);
        }
    }
    Ok(headers)
}

/// Names of request headers to remove.
pub(super) fn removed(field: &str, value: Option<&Value>, rules: &OutputRules) -> Result<Vec<String>, Unfit> {
    let names = fields::texts(field, value)?;
    for name in &names {
        check_name(name).map_err(|fault| named(field, name, fault))?;
        if rules.compatibility == Compatibility::Strict {
            check_common(field, name, rules)?;
        }
    }
    Ok(names)
}

/// Query parameters to set. Envoy writes them into the path as they are, so that they have to be fit for one.
pub(super) fn query_pairs(
    field: &str,
    value: Option<&Value>,
    rules: &OutputRules,
) -> Result<Vec<(String, String)>, Unfit> {
    let pairs = fields::pairs(field, value)?;
    let is_fit = match rules.compatibility {
        Compatibility::Strict => is_query_byte,
        Compatibility::OpaEnvoy => is_path_byte,
    };
    for (name, value) in &pairs {
        let whole =
            rules.compatibility == Compatibility::OpaEnvoy || (escapes_are_whole(name) && escapes_are_whole(value));
        if !whole || !name.bytes().chain(value.bytes()).all(is_fit) {
            return Err(named(field, name, "has a character that needs escaping; see `urlquery.encode`"));
        }
    }
    Ok(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// What may stand in a request line at all.
const fn is_path_byte(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~')
}

/// What may stand in a parameter without ending it: RFC 3986 §3.4 without `&`, `=` and the older `;`; no `+`, which
/// means a space; no `#`.
const fn is_query_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'%' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'\''..=b'*' | b',' | b'/' | b':' | b'@' | b'?'
        )
}

/// Each `%` begins an escape (RFC 3986 §2.1): a lone one is read differently by each that comes after.
fn escapes_are_whole(text: &str) -> bool {
    let whole = |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    text.split('%').skip(1).all(whole)
}

fn check_settable(
    field: &str,
    name: &str,
    value: &str,
    direction: Direction,
    rules: &OutputRules,
) -> Result<(), Unfit> {
    if !value.is_ascii() {
        // RFC 9110 §5.5 leaves such bytes to each reader's guess.
        return Err(named(field, name, "has a value beyond ASCII; see `urlquery.encode`"));
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(named(field, name, "is not written in lower case"));
    }
    check_common(field, name, rules)?;
    let name = &folded(name);
    let routes = ROUTING.contains(&name.as_str()) || ROUTING_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if direction == Direction::Upstream && routes {
        return Err(named(field, name, "is a header that others route by"));
    }
    Ok(())
}

/// What a policy may neither set nor remove.
fn check_common(field: &str, name: &str, rules: &OutputRules) -> Result<(), Unfit> {
    let folded_name = folded(name);
    if !rules.owned_prefix.is_empty() && folded_name.starts_with(&folded(&rules.owned_prefix)) {
        let unfit = named(field, name, "is a header that only Countersign may set");
        return Err(Unfit { reason: Reason::PolicyOwnedHeader, ..unfit });
    }
    if FRAMING.contains(&folded_name.as_str()) {
        return Err(named(field, name, "is a header that frames the message"));
    }
    Ok(())
}

/// A name as servers behind gateways may see it: case is lost, and `_` is `-`.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// The most characters of a name that go to the log: names come from the policy, and may hold anything.
const MAX_NAME_CHARS: usize = 64;

fn named(field: &str, name: &str, fault: impl std::fmt::Display) -> Unfit {
    let name: String = name.escape_debug().take(MAX_NAME_CHARS).collect();
    Unfit { reason: Reason::PolicyResultInvalid, detail: format!("`{field}`: `{name}` {fault}") }
}
