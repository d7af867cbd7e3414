//! What a route asks for: the configured defaults, and the route's own words in its `context_extensions`.
//!
//! The extensions come from the proxy's configuration, not from a client. A word that is not understood is a denial all
//! the same: a misspelt `countersign.token` must not leave a route with less than its author meant.

mod challenge;
mod resource;

pub use challenge::Challenge;
pub use challenge::REALM;
pub use challenge::Words;
pub use resource::MAX_DOCUMENT_BYTES;
pub use resource::Metadata;
pub use resource::ProtectedResource;
pub use resource::ResourceFault;
pub use resource::Resources;
pub use resource::WELL_KNOWN;

use thiserror::Error;

use crate::decision::Denial;
use crate::decision::Reason;
use crate::decision::Scheme;
use crate::facts::Attributes;

/// Whether a route needs something that can be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// Without it the request is denied.
    Required,
    /// Without it the policy sees null; present and bad is denied all the same.
    Optional,
}

/// What becomes of a user's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenMode {
    /// Without a token the request is denied.
    Required,
    /// Without a token the policy sees null; a bad one is denied all the same.
    Optional,
    /// Tokens are not looked at, and the policy sees null.
    Off,
}

/// Whether a token must be bound to a key. One that is bound must prove it whatever is asked here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Possession {
    /// It may be a bearer token.
    #[default]
    Optional,
    /// To a key or to a certificate.
    Required,
    /// To a key, by DPoP (RFC 9449).
    Dpop,
    /// To the certificate of mutual TLS (RFC 8705 §3).
    Certificate,
}

/// What becomes of a transaction token (`Txn-Token`, draft-ietf-oauth-transaction-tokens) that comes with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxnToken {
    /// It is taken away: outside of a trust domain anybody can send one.
    Remove,
    /// It goes on: the caller is one of those that may send it, which is the policy's to see to.
    Pass,
}

/// What holds for every route that does not say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// Whether the calling workload must be proven.
    pub caller: Requirement,
    /// What becomes of the user's token.
    pub token: TokenMode,
    /// What becomes of a transaction token.
    pub txn_token: TxnToken,
    /// The rule asked, as `envoy/authz/allow`.
    pub path: String,
    /// How the headers begin that only Countersign may set, in lower case.
    pub owned_header_prefix: String,
    /// Whether a denial's body tells the client the reason.
    pub reason_in_body: bool,
    /// Whether a denial's body is a problem of RFC 9457.
    pub problem_details: bool,
    /// What challenges say beside their error.
    pub challenge: Challenge,
}

/// What holds for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route<'a> {
    /// Whether the calling workload must be proven.
    pub caller: Requirement,
    /// What becomes of the user's token.
    pub token: TokenMode,
    /// Whether the token must be bound, beside what its issuer asks.
    pub proof: Possession,
    /// The issuers whose tokens are taken, with one space between two; `None`: all that are configured.
    pub issuers: Option<&'a str>,
    /// What becomes of a transaction token.
    pub txn_token: TxnToken,
    /// The rule asked.
    pub path: &'a str,
}

/// Why a text is no entry point of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathFault {
    /// More than [`MAX_PATH_BYTES`].
    #[error("is longer than 256 bytes")]
    TooLong,
    /// Nothing between its slashes.
    #[error("names no rule")]
    Empty,
    /// A control character.
    #[error("has a control character")]
    Character,
}

/// The longest entry point. Real ones have some tens of bytes; the bound keeps them fit for a log line.
pub const MAX_PATH_BYTES: usize = 256;
/// How much of an unknown word is shown in the log.
const SHOWN_CHARS: usize = 64;
/// Extensions that begin like this are ours, however they go on: `countersign_token` is a mistake, not somebody else's.
const OURS: &str = "countersign";

impl Requirement {
    /// Every value with its name in configurations.
    pub const NAMES: &'static [(&'static str, Self)] = &[("required", Self::Required), ("optional", Self::Optional)];
}

impl TokenMode {
    /// Every value with its name in configurations.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("required", Self::Required), ("optional", Self::Optional), ("off", Self::Off)];
}

impl TxnToken {
    /// Every value with its name in configurations.
    pub const NAMES: &'static [(&'static str, Self)] = &[("remove", Self::Remove), ("pass", Self::Pass)];
}

impl Possession {
    /// The scheme that a token that is bound like this comes by, where there is one for it alone (RFC 9449 §7.1).
    pub const fn scheme(self) -> Scheme {
        match self {
            Self::Dpop => Scheme::Dpop,
            Self::Optional | Self::Required | Self::Certificate => Scheme::Bearer,
        }
    }

    /// Every value with its name in configurations.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("optional", Self::Optional),
        ("required", Self::Required),
        ("dpop", Self::Dpop),
        ("certificate", Self::Certificate),
    ];
}

impl Defaults {
    /// What holds for a request: its route's words, and these defaults where it has none.
    ///
    /// # Errors
    /// [`Reason::ServerRouteInvalid`] for an unknown `countersign.` key or value.
    pub fn route<'a>(&'a self, attributes: &'a Attributes) -> Result<Route<'a>, Denial> {
        let proof = Possession::Optional;
        let Self { caller, token, txn_token, .. } = *self;
        let mut route = Route { caller, token, proof, issuers: None, txn_token, path: &self.path };
        for (key, value) in attributes.context_extensions.iter().filter(|(key, _)| is_ours(key)) {
            let bad_value = || invalid(&format!("unknown value of {key}"), value);
            match key.as_str() {
                "countersign.caller" => route.caller = named(Requirement::NAMES, value).ok_or_else(bad_value)?,
                "countersign.token" => route.token = named(TokenMode::NAMES, value).ok_or_else(bad_value)?,
                "countersign.proof" => route.proof = named(Possession::NAMES, value).ok_or_else(bad_value)?,
                "countersign.txn_token" => route.txn_token = named(TxnToken::NAMES, value).ok_or_else(bad_value)?,
                "countersign.issuers" => route.issuers = Some(value),
                "countersign.path" => {
                    check_path(value).map_err(|_fault| bad_value())?;
                    route.path = value;
                }
                _ => return Err(invalid("unknown key", key)),
            }
        }
        Ok(route)
    }
}

/// Checks that a text can be an entry point: names with slashes between them, as OPA-Envoy takes them. Empty names count
/// for nothing, so that a slash at either end does no harm; a name may have any character that a key of `data` may have.
///
/// # Errors
/// [`PathFault`], naming the first rule broken.
pub fn check_path(path: &str) -> Result<(), PathFault> {
    if path.len() > MAX_PATH_BYTES {
        return Err(PathFault::TooLong);
    }
    if path.split('/').all(str::is_empty) {
        return Err(PathFault::Empty);
    }
    if path.chars().any(char::is_control) { Err(PathFault::Character) } else { Ok(()) }
}

fn is_ours(key: &str) -> bool {
    key.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS))
}

fn named<T: Copy>(names: &[(&str, T)], name: &str) -> Option<T> {
    names.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// The refusal of a route that says what is not understood.
pub fn invalid(what: &str, word: &str) -> Denial {
    let shown: String = word.escape_debug().take(SHOWN_CHARS).collect();
    Denial::new(Reason::ServerRouteInvalid, format!("context_extensions: {what}: `{shown}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Defaults {
        Defaults {
            caller: Requirement::Required,
            token: TokenMode::Required,
            txn_token: TxnToken::Remove,
            path: "envoy/authz/allow".to_owned(),
            owned_header_prefix: "x-countersign-".to_owned(),
            reason_in_body: false,
            problem_details: false,
            challenge: Challenge::default(),
        }
    }

    fn extensions(pairs: &[(&str, &str)]) -> Attributes {
        let context_extensions = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Attributes { context_extensions, ..Attributes::default() }
    }

    #[test]
    fn a_silent_route_has_the_defaults() {
        let proof = Possession::Optional;
        let expected = Route {
            caller: Requirement::Required,
            token: TokenMode::Required,
            proof,
            issuers: None,
            txn_token: TxnToken::Remove,
            path: "envoy/authz/allow",
        };
        let foreign = extensions(&[("team", "payments"), ("counter", "1"), ("é", "2")]);
        for attributes in [Attributes::default(), foreign] {
            assert_eq!(defaults().route(&attributes).unwrap(), expected);
        }
    }

    #[test]
    fn a_route_says_otherwise() {
        let attributes = extensions(&[
            ("countersign.caller", "optional"),
            ("countersign.token", "off"),
            ("countersign.proof", "dpop"),
            ("countersign.txn_token", "pass"),
            ("countersign.issuers", "https://idp.example https://sts.example"),
            ("countersign.path", "orders/admin/allow"),
        ]);
        let proof = Possession::Dpop;
        let expected = Route {
            caller: Requirement::Optional,
            token: TokenMode::Off,
            proof,
            issuers: Some("https://idp.example https://sts.example"),
            txn_token: TxnToken::Pass,
            path: "orders/admin/allow",
        };
        assert_eq!(defaults().route(&attributes).unwrap(), expected);
    }

    #[test]
    fn a_route_that_is_not_understood_is_denied() {
        let long = "x/".repeat(MAX_PATH_BYTES);
        let cases = [
            ("countersign.tokens", "off", "unknown key: `countersign.tokens`"),
            ("countersign.", "off", "unknown key"),
            ("countersign", "off", "unknown key"),
            ("countersign_token", "off", "unknown key"),
            ("Countersign.token", "off", "unknown key"),
            ("countersign.token", "of", "unknown value of countersign.token: `of`"),
            ("countersign.token", "Off", "unknown value"),
            ("countersign.token", "", "unknown value"),
            ("countersign.caller", "off", "unknown value of countersign.caller: `off`"),
            ("countersign.proof", "off", "unknown value of countersign.proof: `off`"),
            ("countersign.txn_token", "keep", "unknown value of countersign.txn_token: `keep`"),
            ("countersign.proof", "DPoP", "unknown value of countersign.proof: `DPoP`"),
            ("countersign.path", "", "unknown value of countersign.path"),
            ("countersign.path", "//", "unknown value"),
            ("countersign.path", "envoy/authz/allow\n", "unknown value of countersign.path: `envoy/authz/allow\\n`"),
            ("countersign.path", long.as_str(), "unknown value"),
        ];
        for (key, value, detail) in cases {
            let denial = defaults().route(&extensions(&[(key, value)])).unwrap_err();
            assert_eq!(denial.reason, Reason::ServerRouteInvalid, "{key}: {value}");
            assert!(denial.detail.contains(detail), "{key}: {value}: {}", denial.detail);
            assert!(denial.detail.len() < 160, "{key}: {}", denial.detail);
        }
    }
}
