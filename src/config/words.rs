//! The words of the format, each with what it stands for.

use tracing::level_filters::LevelFilter;

use crate::config::format::Fault;
use crate::config::format::Scalar;
use crate::config::format::choice;
use crate::jose::Algorithm;
use crate::policy::BuiltinErrors;
use crate::policy::Compatibility;
use crate::policy::RegoVersion;
use crate::token::ActorRule;
use crate::token::AskedTokens;

/// Words and what they stand for.
pub(crate) type Words<T> = &'static [(&'static str, T)];

/// Values of `compatibility`.
pub(crate) const COMPATIBILITY: Words<Compatibility> =
    &[("strict", Compatibility::Strict), ("opa-envoy", Compatibility::OpaEnvoy)];

/// Values of `policy.rego_version`.
pub(crate) const REGO_VERSION: Words<RegoVersion> = &[("v1", RegoVersion::V1), ("v0", RegoVersion::V0)];

/// Values of `policy.builtin_errors`.
pub(crate) const BUILTIN_ERRORS: Words<BuiltinErrors> =
    &[("deny", BuiltinErrors::Deny), ("undefined", BuiltinErrors::Undefined)];

/// Values of `issuers[].actor`.
pub(crate) const ACTOR: Words<ActorRule> = &[("any", ActorRule::Any), ("caller", ActorRule::Caller)];

/// Values of `telemetry.log_level`.
pub(crate) const LOG_LEVEL: Words<LevelFilter> = &[
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// Values of `caller.xfcc`; the mode itself has a field that another key fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Xfcc {
    /// The header is not looked at.
    Off,
    /// The proxy replaces the header.
    SanitizeSet,
    /// The proxy appends to the header.
    AppendForward,
}

/// The words for them.
pub(crate) const XFCC: Words<Xfcc> =
    &[("off", Xfcc::Off), ("sanitize_set", Xfcc::SanitizeSet), ("append_forward", Xfcc::AppendForward)];

/// Values of `spiffe.bundles[].profile`; the profiles themselves have fields that other keys fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// The server has a certificate of the web's, or of `ca_file`.
    HttpsWeb,
    /// The server has an X509-SVID.
    HttpsSpiffe,
}

/// The words for them (SPIFFE Federation §5.2).
pub(crate) const PROFILE: Words<Profile> = &[("https_web", Profile::HttpsWeb), ("https_spiffe", Profile::HttpsSpiffe)];

/// Values of `protected_resources[].bearer_methods_supported`: tokens are read in one way.
pub(crate) const BEARER_METHODS: Words<&str> = &[("header", "header")];

/// A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1): asymmetric, since who verifies must not be able to sign.
pub(crate) fn algorithm() -> Scalar<Algorithm> {
    let mut named: Vec<_> = Algorithm::ALL.iter().map(|algorithm| (algorithm.name(), *algorithm)).collect();
    // RFC 9864's name for the same.
    named.push(("Ed25519", Algorithm::EdDsa));
    choice(&named, Algorithm::Es256).checked(|text| match text {
        "none" => Err(Fault::new("is no signature", ASYMMETRIC)),
        "HS256" | "HS384" | "HS512" => Err(Fault::new("is symmetric: who can verify can sign", ASYMMETRIC)),
        _ => Ok(()),
    })
}

const ASYMMETRIC: &str = "write an asymmetric algorithm, as `ES256`";

/// Values of `issuers[].introspection.tokens`.
pub(crate) const ASKED_TOKENS: Words<AskedTokens> = &[("opaque", AskedTokens::Opaque), ("all", AskedTokens::All)];

/// The word for a value; empty for one that has none.
pub(crate) fn word<T: PartialEq>(words: Words<T>, value: &T) -> &'static str {
    words.iter().find(|(_, known)| known == value).map_or("", |(word, _)| word)
}
