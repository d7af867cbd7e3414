//! What a client is told, in the configuration's own format.

use serde_json::Value as Json;
use serde_json::json;

use super::without_nulls;
use super::without_query;
use crate::decision::Quotable;
use crate::route::Challenge;
use crate::route::Metadata;
use crate::route::ProtectedResource;
use crate::route::REALM;

pub(super) fn challenge(config: &Challenge) -> Json {
    let Challenge { realm, scope, resource_metadata } = config;
    without_nulls(json!({
        "realm": realm.as_ref().map_or(REALM, Quotable::as_str),
        "scope": scope.as_ref().map(Quotable::as_str),
        "resource_metadata": resource_metadata.as_ref().map(|url| without_query(url.as_str())),
    }))
}

/// A document is public; what a variable may have put into an address is not shown all the same.
pub(super) fn resource(resource: &ProtectedResource) -> Json {
    let Metadata {
        resource,
        authorization_servers,
        jwks_uri,
        scopes_supported,
        bearer_methods_supported,
        resource_name,
        resource_documentation,
        resource_policy_uri,
        resource_tos_uri,
        tls_client_certificate_bound_access_tokens,
        authorization_details_types_supported,
        dpop_signing_alg_values_supported,
        dpop_bound_access_tokens_required,
        signed_metadata,
    } = resource.metadata();
    let shown = |url: &Option<String>| url.as_deref().map(without_query);
    without_nulls(json!({
        "resource": resource,
        "authorization_servers": authorization_servers,
        "jwks_uri": shown(jwks_uri),
        "scopes_supported": scopes_supported,
        "bearer_methods_supported": bearer_methods_supported,
        "resource_name": resource_name,
        "resource_documentation": shown(resource_documentation),
        "resource_policy_uri": shown(resource_policy_uri),
        "resource_tos_uri": shown(resource_tos_uri),
        "tls_client_certificate_bound_access_tokens": tls_client_certificate_bound_access_tokens,
        "authorization_details_types_supported": authorization_details_types_supported,
        "dpop_signing_alg_values_supported": dpop_signing_alg_values_supported,
        "dpop_bound_access_tokens_required": dpop_bound_access_tokens_required,
        "signed_metadata": signed_metadata,
    }))
}
