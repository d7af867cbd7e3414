//! The keys of what a client is told: challenges, and the metadata of protected resources.

use crate::config::checks::answers as rules;
use crate::config::format::boolean;
use crate::config::format::choice;
use crate::config::format::list;
use crate::config::format::network::https_url;
use crate::config::format::network::issuer;
use crate::config::format::some;
use crate::config::format::text;
use crate::config::limits;
use crate::config::walk::Section;
use crate::config::words;
use crate::decision::Quotable;
use crate::jose::Algorithm;
use crate::route::Challenge;
use crate::route::Metadata;
use crate::route::ProtectedResource;

/// What challenges say beside their error.
pub(crate) fn challenge(section: &mut Section<'_>) -> Challenge {
    let metadata = https_url().checked(rules::word);
    Challenge {
        realm: Quotable::text(&section.get("realm", text("realm").checked(rules::realm), "countersign")).ok(),
        scope: section
            .optional("scope", text("scopes with spaces between them").checked(rules::scope), "none")
            .and_then(|scope| Quotable::words(&scope).ok()),
        resource_metadata: section
            .optional("resource_metadata", metadata, "the protected resource's own")
            .and_then(|url| Quotable::word(&url).ok()),
    }
}

/// One protected resource; `None` where it cannot be read.
pub(crate) fn resource(section: &mut Section<'_>) -> Option<ProtectedResource> {
    let few = limits::RESOURCE_ITEMS;
    let methods = some(choice(words::BEARER_METHODS, "header").checked(rules::bearer_method)).at_most(few);
    let algorithms = list(words::algorithm()).at_most(few);
    let metadata = Metadata {
        resource: section.required("resource", https_url().checked(rules::resource)),
        authorization_servers: section.required("authorization_servers", some(issuer()).at_most(few)),
        jwks_uri: section.optional("jwks_uri", https_url(), "none"),
        scopes_supported: section.get("scopes_supported", list(text("scope").checked(rules::word)).at_most(few), "[]"),
        bearer_methods_supported: section
            .get("bearer_methods_supported", methods, "[header]")
            .into_iter()
            .map(str::to_owned)
            .collect(),
        resource_name: section.optional("resource_name", text("name"), "none"),
        resource_documentation: section.optional("resource_documentation", https_url(), "none"),
        resource_policy_uri: section.optional("resource_policy_uri", https_url(), "none"),
        resource_tos_uri: section.optional("resource_tos_uri", https_url(), "none"),
        tls_client_certificate_bound_access_tokens: section.get(
            "tls_client_certificate_bound_access_tokens",
            boolean(),
            "false",
        ),
        authorization_details_types_supported: section.get(
            "authorization_details_types_supported",
            list(text("type")).at_most(few),
            "[]",
        ),
        dpop_signing_alg_values_supported: section
            .get("dpop_signing_alg_values_supported", algorithms, "[]")
            .into_iter()
            .map(|algorithm| Algorithm::name(algorithm).to_owned())
            .collect(),
        dpop_bound_access_tokens_required: section.get("dpop_bound_access_tokens_required", boolean(), "false"),
        signed_metadata: section.optional("signed_metadata", text("JWT").checked(rules::jwt), "none"),
    };
    rules::document(section, ProtectedResource::new(metadata))
}
