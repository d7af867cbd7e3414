//! Every reason there is, each with its status and one sentence. docs/reasons.md is generated from here.

use std::fmt;

macro_rules! reasons {
    ($($variant:ident $name:literal $status:literal $sentence:literal;)*) => {
        /// Why a request was refused: the value of `reason` in the decision log and in the metrics.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $(#[doc = $sentence] $variant,)*
        }

        impl Reason {
            /// All of them, in order of the stages.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Where it stands in [`Self::ALL`].
            #[expect(clippy::as_conversions, reason = "a variant without fields, numbered from zero in order")]
            pub const fn index(self) -> usize {
                self as usize
            }

            /// The machine-readable name: snake case, prefixed by the stage that refused.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The HTTP status that goes with it, unless a policy sets another.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// What it means, in one sentence.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

reasons! {
    RequestUndecodable "request_undecodable" 400 "The bytes are no CheckRequest, or text in one is no UTF-8.";
    RequestTooLarge "request_too_large" 400 "The request has more headers, or is longer, than is looked at.";
    RequestIncomplete "request_incomplete" 400 "The CheckRequest has no attributes, no request or no HTTP part.";
    RequestPathInvalid "request_path_invalid" 400 "The path has a bad escape, a fragment, a control character, or is too long.";
    RequestPathAmbiguous "request_path_ambiguous" 400 "Proxy and upstream may read the path differently: an escaped slash, a backslash, a dot segment with parameters, a double escape.";
    RequestQueryInvalid "request_query_invalid" 400 "The query has a bad escape, a semicolon, or too many parameters.";
    RequestBodyInvalid "request_body_invalid" 400 "The body is not what its content type says, or is nested too deep.";
    RequestHostAmbiguous "request_host_ambiguous" 400 "The host has user information, a comma, or disagrees with the Host header.";
    CallerMissing "caller_missing" 403 "No evidence of the calling workload, and the route requires one.";
    CallerPrincipalInvalid "caller_principal_invalid" 403 "The proxy's principal is no SPIFFE ID of a workload.";
    CallerCertificateMalformed "caller_certificate_malformed" 403 "The forwarded certificate cannot be read.";
    CallerCertificateProfile "caller_certificate_profile" 403 "The forwarded certificate is no X509-SVID leaf: its URI SAN, CA flag, key usage or extended key usage is wrong.";
    CallerCertificateExpired "caller_certificate_expired" 403 "The forwarded certificate's validity has ended.";
    CallerCertificateNotYetValid "caller_certificate_not_yet_valid" 403 "The forwarded certificate's validity has not begun.";
    CallerCertificateMissing "caller_certificate_missing" 403 "Certificates are verified, and the proxy's word of its peer came without one.";
    CallerCertificateUntrusted "caller_certificate_untrusted" 403 "The forwarded certificate does not chain to the bundle of its trust domain.";
    CallerTrustDomainUnknown "caller_trust_domain_unknown" 403 "There is no bundle of the trust domain that the evidence names.";
    CallerTrustUnavailable "caller_trust_unavailable" 503 "The bundle of the trust domain has never been obtained yet.";
    CallerXfccMalformed "caller_xfcc_malformed" 403 "The x-forwarded-client-cert header does not follow its grammar.";
    CallerXfccFormat "caller_xfcc_format" 403 "The x-forwarded-client-cert header is in the JSON form, which is not configured.";
    CallerXfccElements "caller_xfcc_elements" 403 "The x-forwarded-client-cert header has several elements where one is expected.";
    CallerXfccProxy "caller_xfcc_proxy" 403 "The x-forwarded-client-cert element is not from the configured proxy.";
    CallerXfccUri "caller_xfcc_uri" 403 "The x-forwarded-client-cert element has several URIs, or one that is no SPIFFE ID of a workload.";
    CallerXfccUnproven "caller_xfcc_unproven" 403 "The last x-forwarded-client-cert element has no principal or certificate beside it that agrees.";
    CallerJwtSvidMalformed "caller_jwt_svid_malformed" 403 "The JWT-SVID's header is repeated, or holds no compact JWS that is read.";
    CallerJwtSvidType "caller_jwt_svid_type" 403 "The token in the JWT-SVID's header is of another type.";
    CallerJwtSvidAlgorithm "caller_jwt_svid_algorithm" 403 "The JWT-SVID's algorithm is not allowed, or not its key's.";
    CallerJwtSvidKeyUnknown "caller_jwt_svid_key_unknown" 403 "The JWT-SVID names no key, or none that the bundle of its trust domain has for JWT-SVIDs.";
    CallerJwtSvidSignature "caller_jwt_svid_signature" 403 "The JWT-SVID's signature does not verify.";
    CallerJwtSvidExpired "caller_jwt_svid_expired" 403 "The JWT-SVID's life has ended.";
    CallerJwtSvidNotYetValid "caller_jwt_svid_not_yet_valid" 403 "The JWT-SVID is not valid yet, or issued in the future.";
    CallerJwtSvidAudience "caller_jwt_svid_audience" 403 "The JWT-SVID is for another audience.";
    CallerJwtSvidClaims "caller_jwt_svid_claims" 403 "A claim of the JWT-SVID is missing or has the wrong type, or its subject is no SPIFFE ID of a workload.";
    CallerWitMalformed "caller_wit_malformed" 400 "There is not exactly one Workload-Identity-Token, or it is none: its form, type, subject, key or audience is wrong.";
    CallerWitUntrusted "caller_wit_untrusted" 400 "The Workload-Identity-Token is not signed with a key that the bundle of its trust domain has for it.";
    CallerWitExpired "caller_wit_expired" 400 "The Workload-Identity-Token's life has ended, or not begun.";
    CallerWptMissing "caller_wpt_missing" 400 "The Workload-Identity-Token has no Workload-Proof-Token beside it.";
    CallerWptMalformed "caller_wpt_malformed" 400 "There is not exactly one Workload-Proof-Token, or it is none: its form, type or claims are wrong.";
    CallerWptSignature "caller_wpt_signature" 400 "The Workload-Proof-Token is not signed with the key that the Workload-Identity-Token confirms.";
    CallerWptExpired "caller_wpt_expired" 400 "The Workload-Proof-Token's life has ended, not begun, or ends too far ahead.";
    CallerWptAudience "caller_wpt_audience" 400 "The Workload-Proof-Token is for another target.";
    CallerWptUnbound "caller_wpt_unbound" 400 "The Workload-Proof-Token is not bound to the tokens in the request, or names one that is not there.";
    CallerConflict "caller_conflict" 403 "Two pieces of evidence name different workloads.";
    TokenMissing "token_missing" 401 "The route requires a user's token and there is none.";
    TokenRepeated "token_repeated" 400 "There are several Authorization headers, several credentials in one, or several Txn-Token headers.";
    TokenScheme "token_scheme" 401 "The Authorization header's scheme is not Bearer, nor DPoP where `dpop` is configured.";
    TokenMalformed "token_malformed" 401 "The token is no compact JWS with a JSON header and JSON claims.";
    TokenTooLarge "token_too_large" 401 "The token is longer, deeper or wider than is looked at.";
    TokenHeaderForbidden "token_header_forbidden" 401 "The token's header carries a key, a key's address, or a critical extension.";
    TokenType "token_type" 401 "The token's type is not one that this issuer's tokens may have.";
    TokenAlgorithm "token_algorithm" 401 "The token's algorithm is not allowed for this issuer or this key.";
    TokenIssuerUnknown "token_issuer_unknown" 401 "The token's issuer is not configured, or not taken on this route; or nothing says whose opaque token it is.";
    TokenKeyUnknown "token_key_unknown" 401 "The issuer has no such key, or the token names none and several fit.";
    TokenSignatureInvalid "token_signature_invalid" 401 "The signature does not verify.";
    TokenExpired "token_expired" 401 "The token's life has ended.";
    TokenNotYetValid "token_not_yet_valid" 401 "The token is not valid yet, or issued in the future.";
    TokenAudience "token_audience" 401 "The token is for another audience.";
    TokenClaimMissing "token_claim_missing" 401 "A required claim is missing or has another value.";
    TokenClaimInvalid "token_claim_invalid" 401 "A claim has the wrong type or range.";
    TokenConfirmation "token_confirmation" 401 "The token is bound to a key that this request does not prove, or is not bound where it must be.";
    TokenDelegation "token_delegation" 401 "The token's chain of actors is malformed, too deep, or names somebody twice; or its `may_act` is malformed.";
    TokenActor "token_actor" 401 "The token's actor is not the caller, and the issuer's tokens are good for the caller alone.";
    TokenMayAct "token_may_act" 401 "The token names in `may_act` who may act for its user, and the caller is somebody else.";
    TokenDpopMissing "token_dpop_missing" 401 "The scheme is DPoP and there is no proof.";
    TokenDpopInvalid "token_dpop_invalid" 401 "There is not exactly one DPoP proof, or it is none, or not for this token and request, now.";
    TokenDpopReplayed "token_dpop_replayed" 401 "The DPoP proof was used before.";
    TokenDpopNonce "token_dpop_nonce" 401 "The DPoP proof has no nonce that was given out of late.";
    TokenDpopUnavailable "token_dpop_unavailable" 503 "So many DPoP proofs are remembered that one more could not be.";
    TokenRevoked "token_revoked" 401 "The token's `jti`, subject or client is on a revocation list of its issuer.";
    TokenSubjectWorkload "token_subject_workload" 401 "The token's subject is a SPIFFE ID, which this issuer's tokens may not have.";
    TokenInactive "token_inactive" 401 "The issuer was asked about the token, and says that it is not active.";
    TokenIntrospectionUnavailable "token_introspection_unavailable" 503 "The issuer was asked about the token, and gave no answer that is understood.";
    TokenKeysUnavailable "token_keys_unavailable" 503 "The issuer's keys are missing, too old, or could not be fetched in time.";
    PolicyDenied "policy_denied" 403 "The policy says no.";
    PolicyStepUp "policy_step_up" 401 "The policy wants a user who has authenticated in another way, or again (`step_up`).";
    PolicyInsufficientScope "policy_insufficient_scope" 403 "The policy wants a token of another scope (`insufficient_scope`).";
    PolicyUndefined "policy_undefined" 403 "The policy says nothing: the entry point is undefined.";
    PolicyConflict "policy_conflict" 503 "The policy gives two different values for one rule.";
    PolicyResultType "policy_result_type" 503 "The policy's value is neither a boolean nor an object with a boolean `allowed`.";
    PolicyResultInvalid "policy_result_invalid" 503 "A field of the policy's result has the wrong type or a value that HTTP does not allow.";
    PolicyOwnedHeader "policy_owned_header" 503 "The policy sets or removes a header that only Countersign may set.";
    PolicyBuiltinError "policy_builtin_error" 503 "A builtin function failed on this input.";
    PolicyTimeLimit "policy_time_limit" 503 "The policy ran longer than its time limit.";
    PolicyError "policy_error" 503 "The policy could not be evaluated.";
    PolicyPanic "policy_panic" 503 "The policy engine failed; its instance has been replaced.";
    ServerRouteInvalid "server_route_invalid" 503 "The route's `context_extensions` have an unknown `countersign.` key or value.";
    ServerNotReady "server_not_ready" 503 "No policy is loaded yet.";
    ServerDeadline "server_deadline" 503 "The proxy's deadline passed while the token's issuer was waited for.";
    ServerOverloaded "server_overloaded" 503 "Too many requests wait for tokens' issuers already.";
    ServerLogUnavailable "server_log_unavailable" 503 "Records are required, and the decision log has no room for one more, or cannot be written.";
    ServerPanic "server_panic" 503 "A defect stopped the check; it was refused.";
}

/// The reason that stands in the log and the metrics of an allowed request.
pub const ALLOWED: &str = "policy_allowed";
/// The reason that stands in the log and the metrics of a request that was answered with a document: a protected
/// resource's metadata (RFC 9728).
pub const ANSWERED: &str = "answered_resource_metadata";

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_prefixed_by_a_stage() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        let stages = ["request_", "caller_", "token_", "policy_", "server_"];
        assert!(names.iter().all(|name| stages.iter().any(|stage| name.starts_with(stage))));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
    }

    #[test]
    fn an_index_finds_its_reason() {
        assert!(Reason::ALL.iter().enumerate().all(|(index, reason)| reason.index() == index));
    }

    #[test]
    fn statuses_follow_the_stage() {
        for reason in Reason::ALL {
            assert!(matches!(reason.http_status(), 400 | 401 | 403 | 503), "{reason}");
            assert!(reason.sentence().ends_with('.'), "{reason}");
        }
    }
}
