//! `WWW-Authenticate` of a refusal (RFC 6750 §3, RFC 9449 §7.1, RFC 9470 §3,
//! RFC 9728 §5.1).
//!
//! The error says no more than its code: which check failed stands in the log, where an attacker cannot learn from it.

use std::fmt::Write as _;

use crate::decision::Demand;
use crate::decision::Denial;
use crate::decision::Quotable;
use crate::decision::Scheme;
use crate::decision::StepUp;
use crate::jose::Algorithm;
use crate::route::Words;

/// The challenge that goes with a refusal, where the client can do something about it with another token.
pub(super) fn challenge(denial: &Denial, words: &Words<'_>) -> Option<String> {
    let demand = denial.demand.as_deref();
    let error = match demand {
        Some(Demand::Scope(_)) => Some("insufficient_scope"),
        Some(Demand::StepUp(_)) => Some("insufficient_user_authentication"),
        None => denial.challenge()?.error,
    };
    let mut challenge = format!("{} realm=\"{}\"", denial.scheme.name(), words.realm);
    let mut say = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _writing_to_memory = write!(challenge, ", {name}=\"{value}\"");
        }
    };
    say("error", error);
    say("algs", (denial.scheme == Scheme::Dpop).then(algorithms).as_deref());
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

/// The algorithms that a DPoP proof may have (RFC 9449 §7.1).
fn algorithms() -> String {
    Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use crate::decision::Reason;

    use super::*;

    const REALM: Words<'_> = Words { realm: "countersign", scope: None, resource_metadata: None };

    fn told(reason: Reason, demand: Option<Demand>, words: &Words<'_>) -> Option<String> {
        challenge(&Denial { demand: demand.map(Box::new), ..Denial::new(reason, "") }, words)
    }

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
                Reason::TokenDpopMissing | Reason::TokenDpopInvalid | Reason::TokenDpopReplayed => {
                    Some("Bearer realm=\"countersign\", error=\"invalid_dpop_proof\"")
                }
                Reason::TokenDpopNonce => Some("Bearer realm=\"countersign\", error=\"use_dpop_nonce\""),
                _ if reason.http_status() == 401 => Some("Bearer realm=\"countersign\", error=\"invalid_token\""),
                _ => None,
            };
            assert_eq!(told(reason, None, &REALM).as_deref(), expected, "{reason}");
        }
    }

    #[test]
    fn k10_a_challenge_does_not_tell_a_bad_signature_from_an_unknown_key() {
        let (scope, metadata) = (quotable("a b"), quotable("https://a/m"));
        for words in [REALM, Words { realm: "r", scope: Some(&scope), resource_metadata: Some(&metadata) }] {
            let said = |reason| told(reason, None, &words);
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
            assert_eq!(told(reason, None, &words), Some(expected), "{reason}");
        }
        assert_eq!(told(Reason::PolicyDenied, None, &words), None);
        assert_eq!(told(Reason::CallerMissing, None, &words), None);
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
            assert_eq!(told(reason, Some(demand), &words).as_deref(), Some(expected));
        }
    }

    #[test]
    fn l17_a_challenge_is_of_the_scheme_that_was_tried() {
        let algorithms = "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 EdDSA";
        for (reason, error) in [
            (Reason::TokenDpopInvalid, "invalid_dpop_proof"),
            (Reason::TokenDpopNonce, "use_dpop_nonce"),
            (Reason::TokenExpired, "invalid_token"),
        ] {
            let denial = Denial { scheme: Scheme::Dpop, ..Denial::new(reason, "") };
            let expected = format!(r#"DPoP realm="countersign", error="{error}", algs="{algorithms}""#);
            assert_eq!(challenge(&denial, &REALM), Some(expected), "{reason}");
        }
        let denied = Denial { scheme: Scheme::Dpop, ..Denial::new(Reason::PolicyDenied, "") };
        assert_eq!(challenge(&denied, &REALM), None);
    }
}
