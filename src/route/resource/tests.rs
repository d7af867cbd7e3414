use serde_json::Value as Json;
use serde_json::json;

use super::*;

fn metadata(resource: &str) -> Metadata {
    Metadata {
        resource: resource.to_owned(),
        authorization_servers: vec!["https://idp.example".to_owned()],
        bearer_methods_supported: vec!["header".to_owned()],
        ..Metadata::default()
    }
}

fn made(resource: &str) -> ProtectedResource {
    ProtectedResource::new(metadata(resource)).unwrap_or_else(|fault| panic!("{resource}: {fault}"))
}

/// RFC 9728 §3.1.
#[test]
fn a_document_is_between_the_host_and_the_resources_path() {
    for (resource, address) in [
        ("https://api.example", "https://api.example/.well-known/oauth-protected-resource"),
        ("https://api.example/", "https://api.example/.well-known/oauth-protected-resource"),
        ("https://api.example/mcp", "https://api.example/.well-known/oauth-protected-resource/mcp"),
        ("https://api.example/a/b/", "https://api.example/.well-known/oauth-protected-resource/a/b/"),
        ("https://API.example:8443/mcp", "https://API.example:8443/.well-known/oauth-protected-resource/mcp"),
        ("https://[::1]:8443/mcp", "https://[::1]:8443/.well-known/oauth-protected-resource/mcp"),
    ] {
        assert_eq!(made(resource).address().as_str(), address, "{resource}");
    }
}

#[test]
fn what_is_no_plain_https_address_is_no_resource() {
    for resource in [
        "",
        "http://api.example",
        "https://",
        "https:///mcp",
        "https://api..example/mcp",
        "https://api.example:x/mcp",
        "https://api.example:70000/mcp",
        "https://user@api.example/mcp",
        "https://api.example/mcp?a=b",
        "https://api.example/mcp#a",
        "https://api.example/a b",
        "https://api.example/a\"b",
        "https://api.example/a\\b",
        "https://[::1/mcp",
        "https://[1.2.3.4]/mcp",
        "https://é.example/mcp",
    ] {
        assert_eq!(ProtectedResource::new(metadata(resource)).unwrap_err(), ResourceFault::Address, "{resource}");
    }
    let long = Metadata { resource_name: Some("a".repeat(MAX_DOCUMENT_BYTES)), ..metadata("https://api.example") };
    assert_eq!(ProtectedResource::new(long).unwrap_err(), ResourceFault::TooLong);
}

#[test]
fn a_document_is_found_at_its_host_and_path_alone() {
    let resources = Resources::new(vec![
        made("https://api.example/mcp"),
        made("https://api.example"),
        made("https://Other.example:8443/mcp"),
        made("https://[0:0::1]/mcp"),
    ]);
    for (host, path, resource) in [
        ("api.example", "/.well-known/oauth-protected-resource/mcp", "https://api.example/mcp"),
        ("api.example", "/.well-known/oauth-protected-resource", "https://api.example"),
        ("other.example", "/.well-known/oauth-protected-resource/mcp", "https://Other.example:8443/mcp"),
        ("[::1]", "/.well-known/oauth-protected-resource/mcp", "https://[0:0::1]/mcp"),
    ] {
        let document: Json = serde_json::from_str(resources.document(host, path).unwrap().body()).unwrap();
        assert_eq!(document["resource"], resource, "{host}{path}");
    }
    for (host, path) in [
        ("evil.example", "/.well-known/oauth-protected-resource/mcp"),
        ("other.example", "/.well-known/oauth-protected-resource"),
        ("api.example", "/.well-known/oauth-protected-resource/"),
        ("api.example", "/.well-known/oauth-protected-resource/mcp/"),
        ("api.example", "/.well-known/oauth-protected-resource/mcp/more"),
        ("api.example", "/.well-known/oauth-protected-resource/MCP"),
        ("api.example", "/.well-known//oauth-protected-resource/mcp"),
        ("api.example", "/x/../.well-known/oauth-protected-resource/mcp"),
        ("api.example", "/mcp"),
    ] {
        assert_eq!(resources.document(host, path), None, "{host}{path}");
    }
}

#[test]
fn a_path_belongs_to_the_nearest_resource_above_it() {
    let resources = Resources::new(vec![
        made("https://api.example/mcp"),
        made("https://api.example/mcp/admin/"),
        made("https://b"),
    ]);
    for (host, path, resource) in [
        ("api.example", "/mcp", Some("https://api.example/mcp")),
        ("api.example", "/mcp/x", Some("https://api.example/mcp")),
        ("api.example", "/mcp/administrators", Some("https://api.example/mcp")),
        ("api.example", "/mcp/admin", Some("https://api.example/mcp/admin/")),
        ("api.example", "/mcp/admin/x", Some("https://api.example/mcp/admin/")),
        ("api.example", "/mcpx", None),
        ("api.example", "/", None),
        ("b", "/anything", Some("https://b")),
        ("b", "/", Some("https://b")),
        ("c", "/mcp", None),
    ] {
        let found = resources.resource(host, path).map(|found| found.metadata().resource.as_str());
        assert_eq!(found, resource, "{host}{path}");
    }
}

#[test]
fn a_document_has_the_members_that_are_set() {
    let least: Json = serde_json::from_str(made("https://a").document.body()).unwrap();
    assert_eq!(
        least,
        json!({
            "resource": "https://a",
            "authorization_servers": ["https://idp.example"],
            "bearer_methods_supported": ["header"],
        })
    );
    let text = |text: &str| Some(text.to_owned());
    let all = Metadata {
        jwks_uri: text("https://a/keys"),
        scopes_supported: vec!["a".to_owned()],
        resource_name: text("A"),
        resource_documentation: text("https://a/docs"),
        resource_policy_uri: text("https://a/policy"),
        resource_tos_uri: text("https://a/tos"),
        tls_client_certificate_bound_access_tokens: true,
        authorization_details_types_supported: vec!["payment".to_owned()],
        dpop_signing_alg_values_supported: vec!["ES256".to_owned()],
        dpop_bound_access_tokens_required: true,
        signed_metadata: text("a.b.c"),
        ..metadata("https://a")
    };
    let all: Json = serde_json::from_str(ProtectedResource::new(all).unwrap().document.body()).unwrap();
    assert_eq!(
        all,
        json!({
            "resource": "https://a",
            "authorization_servers": ["https://idp.example"],
            "jwks_uri": "https://a/keys",
            "scopes_supported": ["a"],
            "bearer_methods_supported": ["header"],
            "resource_name": "A",
            "resource_documentation": "https://a/docs",
            "resource_policy_uri": "https://a/policy",
            "resource_tos_uri": "https://a/tos",
            "tls_client_certificate_bound_access_tokens": true,
            "authorization_details_types_supported": ["payment"],
            "dpop_signing_alg_values_supported": ["ES256"],
            "dpop_bound_access_tokens_required": true,
            "signed_metadata": "a.b.c",
        })
    );
}
