//! What is in a realm of Keycloak: users, and clients by what is special about their tokens.

use serde_json::Value as Json;
use serde_json::json;

use super::super::super::peers::certs::agent_id;
use super::keycloak::PASSWORD;
use super::merged;

/// Clients of every realm. Each is public and gives tokens for the audience `accounts`, but for what its line says.
pub(crate) const AGENT: &str = "agent";
/// The resource itself. Its access tokens are `at+jwt`, and by its name its ID tokens are for the audience `accounts` too.
/// Not public: Keycloak tells what has become of a token to those that the token is for, who prove it by `SECRET`.
pub(crate) const ACCOUNTS: &str = "accounts";
pub(crate) const SECRET: &str = "the secret of clients that have one";
/// Its tokens are for another audience.
pub(crate) const ELSEWHERE: &str = "elsewhere";
/// Its tokens are bound to the certificate that they were asked for with (RFC 8705 §3).
pub(crate) const BOUND: &str = "bound";
/// Its tokens are bound to the client's own key (RFC 9449 §5).
pub(crate) const PROVING: &str = "proving";
/// Its tokens say that the planner may act for the user (RFC 8693 §4.4).
pub(crate) const DELEGATING: &str = "delegating";
/// Its tokens say so of a user, by an ID as Keycloak's own delegation writes it.
pub(crate) const DELEGATING_TO_USERS: &str = "delegating-to-users";
/// Exchanges users' tokens that are for it (RFC 8693). Not public, and known by `SECRET` too.
pub(crate) const EXCHANGING: &str = "exchanging";
/// Its tokens are for the one that exchanges them.
pub(crate) const BEFORE: &str = "before";

/// Where codes are sent to. Nobody listens there.
pub(crate) const REDIRECT_URI: &str = "https://127.0.0.1/callback";

/// As Keycloak names users.
const USER_ID: &str = "4fc6682e-7988-4ebc-aeea-e42951accdef";

/// A realm of this name, as the admin API takes it.
pub(super) fn representation(name: &str) -> Json {
    json!({
        "id": name,
        "realm": name,
        "enabled": true,
        "roles": {"realm": [{"name": "payer"}]},
        "users": [user("alice", &["payer"]), user("bob", &[])],
        "clients": [
            client(AGENT, "accounts", &json!({"pkce.code.challenge.method": "S256"})),
            confidential(client(ACCOUNTS, "accounts", &json!({"access.token.header.type.rfc9068": "true"}))),
            client(ELSEWHERE, "elsewhere", &json!({})),
            client(BOUND, "accounts", &json!({"tls.client.certificate.bound.access.tokens": "true"})),
            client(PROVING, "accounts", &json!({"dpop.bound.access.tokens": "true"})),
            client(BEFORE, EXCHANGING, &json!({})),
            confidential(client(EXCHANGING, "accounts", &json!({"standard.token.exchange.enabled": "true"}))),
            with_may_act(client(DELEGATING, "accounts", &json!({})), &agent_id("planner")),
            with_may_act(client(DELEGATING_TO_USERS, "accounts", &json!({})), USER_ID),
        ],
    })
}

fn user(name: &str, roles: &[&str]) -> Json {
    json!({
        "username": name,
        "enabled": true,
        // Without these a login wants the profile completed first.
        "email": format!("{name}@example.com"),
        "emailVerified": true,
        "firstName": name,
        "lastName": "Example",
        "credentials": [{"type": "password", "value": PASSWORD}],
        "realmRoles": roles,
    })
}

fn client(id: &str, audience: &str, attributes: &Json) -> Json {
    json!({
        "clientId": id,
        "enabled": true,
        "publicClient": true,
        "standardFlowEnabled": true,
        "directAccessGrantsEnabled": true,
        "redirectUris": [REDIRECT_URI],
        "attributes": attributes,
        "protocolMappers": [{
            "name": "audience",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": audience, "access.token.claim": "true", "id.token.claim": "false"},
        }],
    })
}

fn confidential(client: Json) -> Json {
    merged(client, &json!({"publicClient": false, "secret": SECRET}))
}

/// A client whose access tokens say who may act.
fn with_may_act(mut client: Json, subject: &str) -> Json {
    client["protocolMappers"].as_array_mut().unwrap().push(json!({
        "name": "may_act",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-hardcoded-claim-mapper",
        "config": {
            "claim.name": "may_act",
            "claim.value": json!({"sub": subject}).to_string(),
            "jsonType.label": "JSON",
            "access.token.claim": "true",
            "id.token.claim": "false",
        },
    }));
    client
}
