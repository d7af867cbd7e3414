//! What must hold between the keys of users' tokens.
//!
//! A binding or an actor that nothing could ever prove is an error here, not a denial later.

use crate::config::Settings;
use crate::config::checks::looks_for_callers;
use crate::config::walk::Section;
use crate::jose::Algorithm;
use crate::route::Possession;
use crate::token::ActorRule;
use crate::token::DpopConfig;
use crate::token::KeySource;

/// Proofs are judged only where a target is named, and in whole seconds (RFC 7519 §2).
pub(crate) fn dpop(section: &mut Section<'_>, config: &DpopConfig) {
    if config.max_age.subsec_nanos() != 0 {
        section.refuse(&["max_age"], "is no whole number of seconds", "write it in seconds, as `60s`");
    }
    for key in ["max_age", "nonce", "nonce_secret_file"] {
        if config.targets.is_empty() && section.has(key) {
            section.warn(key, "is only looked at with `targets`", "say where the services are reached, or remove it");
        }
    }
    if !config.targets.is_empty() && !config.nonce && config.nonce_secret_file.is_some() {
        section.warn("nonce_secret_file", "is only looked at with `nonce: true`", "set dpop.nonce: true, or remove it");
    }
}

/// Asking needs an endpoint, and a client that it knows; the other keys are of use only with it.
pub(crate) fn introspection(section: &mut Section<'_>, [url, client_id, secret]: [bool; 3]) {
    for (key, is_there) in [("client_id", client_id), ("client_secret_file", secret)] {
        if url && !is_there {
            let hint = "an introspection endpoint answers only clients that it knows (RFC 7662 §2.1)";
            section.refuse(&[key], "is missing", hint);
        }
    }
    for key in ["client_id", "client_secret_file", "ca_file", "cache", "tokens"] {
        if !url && section.has(key) {
            section.refuse(&[key, "url"], "is of no use without `url`", "add the issuer's introspection endpoint");
        }
    }
}

/// Signatures are verified by the algorithms that are named, where there are keys to verify by.
pub(crate) fn algorithms(section: &mut Section<'_>, keys: &KeySource, named: Option<&[Algorithm]>) {
    let is_keyless = *keys == KeySource::Nowhere;
    if !is_keyless && named.is_none() {
        section.refuse(&["algorithms"], "is missing", "add it: the algorithms that the issuer signs by, as `[ES256]`");
    }
    if is_keyless && named.is_some() {
        let message = "is of no use without `keys`: the issuer is asked about each token";
        section.refuse(&["algorithms"], message, "remove it, or say below `keys` where the issuer's keys are");
    }
}

/// What issuers ask of their tokens can be proven.
pub(crate) fn across_sections(root: &mut Section<'_>, settings: &Settings) {
    whose_opaque_tokens(root, settings);
    for (index, issuer) in settings.token.issuers.iter().enumerate() {
        let proof = format!("issuers[{index}].proof_of_possession");
        if issuer.proof_of_possession == Possession::Dpop && settings.token.dpop.is_none() {
            let message = "is `dpop`, but no DPoP proof is looked at";
            root.refuse(&[&proof, "dpop.targets"], message, "name below dpop.targets where the services are reached");
        }
        if issuer.proof_of_possession == Possession::Certificate && !settings.caller.certificate {
            let message = "is `certificate`, but no certificate is looked at";
            root.refuse(&[&proof, "caller.certificate"], message, "set caller.certificate: true");
        }
        if issuer.actor == ActorRule::Caller && !looks_for_callers(&settings.caller) {
            let message = "is `caller`, but no evidence of a caller is looked at";
            let actor = format!("issuers[{index}].actor");
            root.refuse(&[&actor, "caller.principal"], message, "turn something on below `caller`");
        }
    }
}

/// An opaque token does not say whose it is.
fn whose_opaque_tokens(root: &mut Section<'_>, settings: &Settings) {
    let issuers = settings.token.issuers.iter().enumerate();
    let mut asked = issuers.filter(|(_, issuer)| issuer.introspection.is_some());
    if let (Some((first, _)), Some((second, _))) = (asked.next(), asked.next()) {
        let message = format!("is asked about opaque tokens, as issuers[{first}] is: a route must say whose it takes");
        let hint = "name one of them in the routes' `countersign.issuers`";
        root.warn(&format!("issuers[{second}].introspection"), message, hint);
    }
}
