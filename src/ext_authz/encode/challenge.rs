//! `WWW-Authenticate` of a refusal (RFC 6750 §3, RFC 9470 §3, RFC 9728 §5.1).
//!
//! The error says no more than its code: which check failed stands in the log, where an attacker cannot learn from it.

use std::fmt::Write as _;

use crate::decision::Demand;
use crate::decision::Quotable;
use crate::decision::Reason;
use crate::decision::StepUp;
use crate::route::Words;

/// The challenge that goes with a refusal, where the client can do something about it with another token.
pub(super) fn challenge(reason: Reason, demand: Option<&Demand>, words: &Words<'_>) -> Option<String> {
    let error = match demand {
        Some(Demand::Scope(_)) => "insufficient_scope",
        Some(Demand::StepUp(_)) => "insufficient_user_authentication",
        None => error_of(reason)?,
    };
    let mut challenge = format!("Bearer realm=\"{}\"", words.realm);
    let mut say = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _writing_to_memory = write!(challenge, ", {name}=\"{value}\"");
        }
    };
    say("error", Some(error).filter(|error| !error.is_empty()));
    let demanded = match demand {
        Some(Demand::Scope(scope)) => Some(scope),
        Some(Demand::StepUp(StepUp { acr_values, max_age, scope })) => {
            say("acr_values", acr_values.as_ref().map(Quotable::as_str));
            say("max_age", max_age.map(|seconds| seconds.to_string()).as_deref());
            scope.as_ref()
        }
        None => None,
    };
    say("scope", demanded.or(words.scope).map(Quotable::as_str));
    say("resource_metadata", words.resource_metadata.map(Quotable::as_str));
    Some(challenge)
}

/// The error code of a refusal for want of a good token, if the reason is one; empty for a challenge without a code.
const fn error_of(reason: Reason) -> Option<&'static str> {
    match reason {
        // §3.1: no error code where there was no authentication information, or of an unsupported method.
        Reason::TokenMissing | Reason::TokenScheme => Some(""),
        Reason::TokenRepeated => Some("invalid_request"),
        // What the policy demands stands in its demand.
        Reason::PolicyStepUp => None,
        _ if reason.http_status() == UNAUTHORIZED => Some("invalid_token"),
        _ => None,
    }
}

const UNAUTHORIZED: u16 = 401;

#[cfg(test)]
mod tests {
    use super::*;

    const REALM: Words<'_> = Words { realm: "countersign", scope: None, resource_metadata: None };

    fn quotable(text: &str) -> Quotable {
        Quotable::words(text).unwrap()
    }

    #[test]
    fn every_reason_has_its_challenge_or_none() {
        for &reason in Reason::ALL {
            let expected = match reason {
                Reason::TokenMissing | Reason::TokenScheme => Some("Bearer realm=\"countersign\""),
                Reason::TokenRepeated => Some("Bearer realm=\"countersign\", error=\"invalid_request\""),
                Reason::PolicyStepUp => None,
                _ if reason.http_status() == 401 => Some("Bearer realm=\"countersign\", error=\"invalid_token\""),
                _ => None,
            };
            assert_eq!(challenge(reason, None, &REALM).as_deref(), expected, "{reason}");
        }
    }

    #[test]
    fn k10_a_challenge_does_not_tell_a_bad_signature_from_an_unknown_key() {
        let (scope, metadata) = (quotable("a b"), quotable("https://a/m"));
        for words in [REALM, Words { realm: "r", scope: Some(&scope), resource_metadata: Some(&metadata) }] {
            let said = |reason| challenge(reason, None, &words);
            assert_eq!(said(Reason::TokenSignatureInvalid), said(Reason::TokenKeyUnknown));
        }
    }

    #[test]
    fn configured_words_stand_in_every_challenge() {
        let (scope, metadata) = (quotable("orders:read"), quotable("https://a/m"));
        let words = Words { realm: "orders of a", scope: Some(&scope), resource_metadata: Some(&metadata) };
        let rest = "scope=\"orders:read\", resource_metadata=\"https://a/m\"";
        for (reason, expected) in [
            (Reason::TokenMissing, format!("Bearer realm=\"orders of a\", {rest}")),
            (Reason::TokenExpired, format!("Bearer realm=\"orders of a\", error=\"invalid_token\", {rest}")),
            (Reason::TokenRepeated, format!("Bearer realm=\"orders of a\", error=\"invalid_request\", {rest}")),
        ] {
            assert_eq!(challenge(reason, None, &words), Some(expected), "{reason}");
        }
        assert_eq!(challenge(Reason::PolicyDenied, None, &words), None);
        assert_eq!(challenge(Reason::CallerMissing, None, &words), None);
    }

    #[test]
    fn a_policys_demand_is_told_to_the_byte() {
        let (scope, metadata) = (quotable("a"), quotable("https://a/m"));
        let words = Words { realm: "r", scope: Some(&scope), resource_metadata: Some(&metadata) };
        let step_up = |acr_values: Option<&str>, max_age, scope: Option<&str>| {
            Demand::StepUp(StepUp { acr_values: acr_values.map(quotable), max_age, scope: scope.map(quotable) })
        };
        for (demand, words, expected) in [
            (
                Demand::Scope(quotable("b c")),
                REALM,
                r#"Bearer realm="countersign", error="insufficient_scope", scope="b c""#,
            ),
            (
                Demand::Scope(quotable("b c")),
                words,
                r#"Bearer realm="r", error="insufficient_scope", scope="b c", resource_metadata="https://a/m""#,
            ),
            (
                step_up(Some("urn:x phr"), Some(300), Some("b")),
                words,
                r#"Bearer realm="r", error="insufficient_user_authentication", acr_values="urn:x phr", max_age="300", scope="b", resource_metadata="https://a/m""#,
            ),
            (
                step_up(None, Some(0), None),
                words,
                r#"Bearer realm="r", error="insufficient_user_authentication", max_age="0", scope="a", resource_metadata="https://a/m""#,
            ),
            (
                step_up(Some("phr"), None, None),
                REALM,
                r#"Bearer realm="countersign", error="insufficient_user_authentication", acr_values="phr""#,
            ),
        ] {
            let reason = match demand {
                Demand::Scope(_) => Reason::PolicyInsufficientScope,
                Demand::StepUp(_) => Reason::PolicyStepUp,
            };
            assert_eq!(challenge(reason, Some(&demand), &words).as_deref(), Some(expected));
        }
    }
}
