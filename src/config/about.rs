//! What each key is for: one entry for each key of the format, which a test holds.

/// Keys and what they are for, in Markdown.
pub(crate) const ABOUT: &[(&str, &str)] = &[
    (
        "compatibility",
        "`strict` is Countersign's own mode. `opa-envoy` gives the answers of OPA's Envoy plugin: other defaults, no owned headers, no keys in the input document beyond the plugin's.",
    ),
    ("listeners", "Where Envoy's checks are answered, and within which limits."),
    ("listeners.checks", "Addresses of the ext_authz service."),
    (
        "listeners.insecure_plaintext_beyond_loopback",
        "Must be `true` where an address of `checks` can be reached from other machines without `tls`: checks are not encrypted, and who can reach the service can ask it.",
    ),
    (
        "listeners.tls",
        "Checks over mutual TLS, with the own certificate (`spiffe`), on every address of `checks` but Unix sockets.",
    ),
    ("listeners.tls.enabled", "Ask every client for its X509-SVID, and take checks from no other."),
    (
        "listeners.tls.allowed_proxies",
        "Who may ask: workloads by their SPIFFE ID, or all of a trust domain. Needed with `enabled`; taken up at the next start.",
    ),
    ("listeners.reflection", "Serve gRPC reflection, as load generators need it."),
    ("listeners.workers", "Threads that answer checks. Each has its own copy of the policy and its data."),
    (
        "listeners.max_message_bytes",
        "The longest check received, in bytes. It must exceed the largest `max_request_bytes` of the proxies plus 64 KiB for headers: what is longer is denied unread.",
    ),
    ("listeners.max_connections", "Connections open at once."),
    ("listeners.max_concurrent_streams", "Checks in progress at once in one connection."),
    ("listeners.max_connection_age", "A connection is closed in good order at this age, so that load spreads anew."),
    (
        "listeners.drain_delay",
        "After SIGTERM, how long the service says that it is not serving, and goes on answering, before it stops accepting. Longer than the proxies' health interval.",
    ),
    ("admin", "Where the administration side listens."),
    ("admin.probes", "`/livez`, `/readyz` and `/metrics`; fit to be reached from other machines."),
    ("admin.private", "`/config`, `/identity` and everything else: on loopback, or with `tls` and `allowed_clients`."),
    ("admin.tls", "Both ports over TLS, with the own certificate (`spiffe`)."),
    ("admin.tls.enabled", "Serve TLS. Clients of `probes` are not asked who they are, those of `private` are."),
    (
        "admin.tls.allowed_clients",
        "Who may use `private` over TLS: workloads by their SPIFFE ID, or all of a trust domain. Where it is empty, nobody; so it is needed where other machines can reach it.",
    ),
    (
        "admin.insecure_plaintext_beyond_loopback",
        "Must be `true` where `private` can be reached from other machines without `tls`: who can reach it reads the configuration. `probes` may always be reached.",
    ),
    (
        "spiffe",
        "Own identity, and whom to believe about workloads. Without it no certificate chain, JWT-SVID or workload token is proven here. [spiffe.md](spiffe.md) says how it is used.",
    ),
    (
        "spiffe.workload_api",
        "The socket of SPIRE's agent, or of another Workload API: it gives the own certificate, and the bundles of the own and the federated trust domains. Never taken from `SPIFFE_ENDPOINT_SOCKET` by itself: write `${SPIFFE_ENDPOINT_SOCKET}`.",
    ),
    ("spiffe.svid_id", "Which SVID is the own certificate, where the Workload API gives several."),
    ("spiffe.svid", "The own certificate from files, read again when they change. It goes before the Workload API's."),
    ("spiffe.svid.certificate", "The certificate, and behind it its intermediates, in PEM."),
    ("spiffe.svid.key", "Its key, in PEM: PKCS#8, PKCS#1 or SEC1."),
    (
        "spiffe.bundles",
        "Trust domains whose bundle comes from files or an endpoint; each once. They go before the Workload API's.",
    ),
    ("spiffe.bundles[].trust_domain", "The trust domain's name."),
    (
        "spiffe.bundles[].files",
        "Its bundle, or parts that make it up: X.509 authorities in PEM, SPIFFE bundles in JSON, or the map of JWT bundles that spiffe-helper writes. Read again when they change; with `endpoint`, what to begin with.",
    ),
    ("spiffe.bundles[].endpoint", "The address of its SPIFFE bundle endpoint, where newer bundles are fetched."),
    (
        "spiffe.bundles[].profile",
        "How the endpoint's server is believed: `https_web` by a certificate of the web, `https_spiffe` by its X509-SVID.",
    ),
    ("spiffe.bundles[].endpoint_id", "With `https_spiffe`: the SPIFFE ID that the server must have."),
    (
        "spiffe.bundles[].ca_file",
        "With `https_web`: authorities, in PEM, that the server must be certified by, and no others.",
    ),
    (
        "spiffe.bundles[].refuse_rollback",
        "What becomes of a bundle whose `spiffe_sequence` is lower than the highest held: `true` refuses it; `false` takes it, with a warning and a count.",
    ),
    ("spiffe.bundles[].optional", "Become ready without this bundle."),
    (
        "caller",
        "Which evidence of the calling workload is looked at. Evidence that is there must agree; evidence that is off is ignored.",
    ),
    ("caller.principal", "The SPIFFE ID that the proxy took from the peer's certificate, `source.principal`."),
    (
        "caller.certificate",
        "The peer's certificate itself, `source.certificate`; the proxy sends it with `include_peer_certificate: true`.",
    ),
    (
        "caller.xfcc",
        "How the proxy treats `x-forwarded-client-cert`: `off` ignores the header, `sanitize_set` takes its one element, `append_forward` takes its last element if principal or certificate agree with it. Name the proxy's own mode here: with another, clients can forge the header.",
    ),
    ("caller.xfcc_by", "With `append_forward`: the SPIFFE ID that the last element's `By` must have."),
    (
        "caller.verify_peer_certificate",
        "Prove here that the certificate that the proxy forwards, with the chain in `x-forwarded-client-cert`, comes from an authority of its own trust domain. Who calls by mutual TLS then needs a certificate. Needs `certificate`.",
    ),
    ("caller.jwt_svid", "JWT-SVIDs as evidence, for callers that have no mutual TLS with the proxy."),
    (
        "caller.jwt_svid.header",
        "The header with the JWT-SVID, and nothing before it. It is removed on allow, which Envoy's `decoder_header_mutation_rules` must permit.",
    ),
    (
        "caller.jwt_svid.audiences",
        "A JWT-SVID must name at least one of these in `aud`. Without any, the header is not looked at.",
    ),
    (
        "caller.wimse",
        "`Workload-Identity-Token` with `Workload-Proof-Token` as evidence, as the WIMSE drafts have them.",
    ),
    (
        "caller.wimse.audiences",
        "Where the services behind the proxy are: scheme, host, port and, where they share one, the beginning of the path. `aud` of a proof must be one of these with the request's path. Without any, the headers are not looked at.",
    ),
    ("issuers", "Whose tokens are believed. A list; each issuer once."),
    ("issuers[].issuer", "What `iss` must be, byte for byte."),
    (
        "issuers[].introspection",
        "How the issuer is asked about tokens (RFC 7662). [tokens.md](tokens.md#introspection) says more.",
    ),
    ("issuers[].introspection.url", "The introspection endpoint."),
    ("issuers[].introspection.client_id", "As which client to ask."),
    (
        "issuers[].introspection.client_secret_file",
        "A file that holds the client's secret and nothing else; newlines at its end are no part of it. Read again each minute, and a second after a failed question.",
    ),
    ("issuers[].introspection.ca_file", "Authorities, in PEM, that the endpoint must be certified by, and no others."),
    (
        "issuers[].introspection.cache",
        "How long an answer holds: how long a token that was withdrawn may still be taken. `0s` asks at every check.",
    ),
    (
        "issuers[].introspection.tokens",
        "About which tokens to ask: `opaque`, those that are no JWT; `all`, JWTs too, once they have verified. An issuer without `keys` is always asked about all.",
    ),
    (
        "issuers[].keys",
        "Where the issuer's keys are: exactly one of `file`, `url`, `discovery` and `oauth_metadata`. Left out where `introspection` answers for every token.",
    ),
    ("issuers[].keys.file", "A JWKS file, read again at every reload and refresh."),
    ("issuers[].keys.url", "The address of a JWKS."),
    ("issuers[].keys.discovery", "Whether `jwks_uri` is taken from the issuer's `/.well-known/openid-configuration`."),
    (
        "issuers[].keys.oauth_metadata",
        "Whether `jwks_uri` is taken from the authorization server's metadata (RFC 8414), at `/.well-known/oauth-authorization-server` before the issuer's path.",
    ),
    ("issuers[].keys.ca_file", "Authorities, in PEM, that the keys' server must be certified by, and no others."),
    (
        "issuers[].algorithms",
        "Signature algorithms that the issuer's tokens may use. Required where the issuer has `keys`, refused where it has none.",
    ),
    ("issuers[].audiences", "A token must name at least one of these in `aud`."),
    (
        "issuers[].required_claims",
        "Claims that a token must have: with the value given, or with any value where that is `null`.",
    ),
    (
        "issuers[].claims",
        "Where the issuer's tokens have what no standard names alike. Of each list the first pointer at which something stands counts; what stands there and has another type refuses the token. [tokens.md](tokens.md#roles-groups-tenant) says more.",
    ),
    ("issuers[].claims.roles", "Pointers to `input.user.roles`: a list of strings, or one string, which is one role."),
    ("issuers[].claims.groups", "Pointers to `input.user.groups`, likewise."),
    ("issuers[].claims.tenant", "Pointers to `input.user.tenant`: a string."),
    ("issuers[].token_types", "What a token's `typ` must be one of."),
    ("issuers[].leeway", "How far the issuer's clock may differ, in whole seconds."),
    ("issuers[].refresh_interval", "How often keys are fetched."),
    ("issuers[].refresh_cooldown", "The least time between two fetches, however many tokens with unknown keys arrive."),
    (
        "issuers[].max_stale",
        "How long keys serve while they cannot be fetched again; after that, tokens are denied with 503.",
    ),
    ("issuers[].optional", "Become ready without this issuer's keys."),
    (
        "issuers[].workload_subjects",
        "Whether `sub` may be a SPIFFE ID: a workload in the user's place. `false` denies such tokens, JWT-SVIDs among them.",
    ),
    (
        "revocations",
        "Files that list tokens (`jti`), subjects and clients of an issuer that are believed no longer. Read again when they change; [tokens.md](tokens.md#revocations) has their format.",
    ),
    (
        "issuers[].proof_of_possession",
        "Whether the issuer's tokens must be bound to a key: `required` by DPoP or to a certificate, `dpop` or `certificate` by that one. A token that is bound (`cnf`) must prove it whatever is said here. A route asks for more with `countersign.proof`, never for less. [proof-of-possession.md](proof-of-possession.md) says more.",
    ),
    (
        "issuers[].actor",
        "Who may act by the issuer's tokens. `any`: what `act` says is the policy's. `caller`: there must be a caller, and the outermost `act` must name it by its SPIFFE ID; without `act`, `may_act` must name it, or be absent too.",
    ),
    ("dpop", "DPoP (RFC 9449): tokens under the scheme `DPoP`, with a proof of the key that they are bound to."),
    (
        "dpop.targets",
        "Where the services behind the proxy are: scheme, host, port and, where they share one, the beginning of the path. `htu` of a proof must be one of these with the request's path. Without any, the scheme is refused.",
    ),
    (
        "dpop.max_age",
        "How long after its `iat` a proof is good, in whole seconds. Each is remembered as long, and refused when it comes again.",
    ),
    (
        "dpop.nonce",
        "Whether a proof must hold a nonce of the last one to two `max_age`, which the answer to one without it gives.",
    ),
    (
        "dpop.nonce_secret_file",
        "A file with at least 32 secret bytes, from which the key of nonces is made: replicas that have the same take one another's nonces. Read again when it changes. Without it, the key is each process's own, and a client is challenged by each replica that it meets.",
    ),
    ("policy", "Where the policy is and how it runs."),
    ("policy.paths", "Files and folders of `.rego`, `.json`, `.yaml` and `.yml`."),
    ("policy.path", "The rule that decides; a route names another with `countersign.path`."),
    ("policy.rego_version", "The version of Rego that modules are written in."),
    (
        "policy.builtin_errors",
        "What an error in a builtin function means: `deny` denies the request, `undefined` goes on as OPA does.",
    ),
    ("policy.time_limit", "The longest that one evaluation may take; the request is denied after it."),
    ("policy.parse_body", "Parse bodies into `parsed_body`, where the proxy sends them."),
    (
        "routes",
        "What holds for routes that do not say otherwise. A route says it in its `context_extensions`, in the words [above](#what-a-route-may-say), some of which have no default here.",
    ),
    (
        "routes.caller",
        "`required`: a request without a proven caller is denied. `optional`: the policy sees `null`; evidence that is bad is denied all the same.",
    ),
    (
        "routes.token",
        "`required`: a request without a token is denied. `optional`: the policy sees `null`; a bad token is denied all the same. `off`: tokens are not looked at.",
    ),
    (
        "routes.txn_token",
        "`remove`: a `Txn-Token` that comes with a request is removed on allow, unless the policy sets one. `pass`: it goes on, for routes whose callers may send one. Several are denied (`token_repeated`), in `opa-envoy` mode only with `remove`. A proxy that hands over no other headers than it is told to (`allowed_headers`) must hand over this one, in both spellings, `txn_token` too. With `remove` each allow removes it, so Envoy's `decoder_header_mutation_rules` must permit it, like the headers of `owned_header_prefix`.",
    ),
    (
        "routes.owned_header_prefix",
        "Headers that begin like this are Countersign's own: set or removed on every allow, and out of the policy's reach.",
    ),
    ("routes.reason_in_body", "Tell the client the reason of a denial in its body."),
    (
        "routes.problem_details",
        "Write denials' bodies as `application/problem+json` (RFC 9457), with `type`, `title`, `status` and `decision_id`, and `reason` where `reason_in_body` is on. A policy's own body goes before it.",
    ),
    (
        "routes.challenge",
        "What `WWW-Authenticate` says beside its error. [challenges.md](challenges.md) shows every challenge.",
    ),
    ("routes.challenge.realm", "`realm`: what the tokens are good for, in words."),
    ("routes.challenge.scope", "`scope`: what a token needs, where the policy does not name another."),
    (
        "routes.challenge.resource_metadata",
        "`resource_metadata`: where a client reads how to get a token (RFC 9728), in place of the address that follows from `protected_resources`.",
    ),
    (
        "protected_resources",
        "Resources whose metadata (RFC 9728) is answered from here, to everybody who asks for `/.well-known/oauth-protected-resource` and the resource's path at the resource's host, and the CORS preflight for it. The documents are public.",
    ),
    ("protected_resources[].resource", "The resource: the address by which clients call it, character for character."),
    (
        "protected_resources[].authorization_servers",
        "Issuers where clients get tokens for it; each should stand below `issuers`.",
    ),
    ("protected_resources[].jwks_uri", "The address of the resource's own keys, if it signs or decrypts anything."),
    ("protected_resources[].scopes_supported", "Scopes that requests to it may need."),
    (
        "protected_resources[].bearer_methods_supported",
        "How tokens may be sent: the `Authorization` header is the one place that is looked at.",
    ),
    ("protected_resources[].resource_name", "Its name, for people."),
    ("protected_resources[].resource_documentation", "The address of a page for developers."),
    ("protected_resources[].resource_policy_uri", "The address of a page on how its data may be used."),
    ("protected_resources[].resource_tos_uri", "The address of its terms of service."),
    (
        "protected_resources[].tls_client_certificate_bound_access_tokens",
        "Tell clients that tokens can be bound to their certificate (RFC 8705).",
    ),
    (
        "protected_resources[].authorization_details_types_supported",
        "Values of `type` in `authorization_details` (RFC 9396) that it knows.",
    ),
    ("protected_resources[].dpop_signing_alg_values_supported", "Algorithms that DPoP proofs may use (RFC 9449)."),
    ("protected_resources[].dpop_bound_access_tokens_required", "Tell clients that tokens must be bound by DPoP."),
    (
        "protected_resources[].signed_metadata",
        "The same metadata as a JWT that somebody has signed. It is handed out as it stands, and not verified.",
    ),
    ("decision_log", "The record of each decision, one JSON object a line on standard output."),
    ("decision_log.enabled", "Write records."),
    ("decision_log.include_input", "Write the input document too, masked."),
    ("decision_log.mask", "What is masked beyond credentials, which always are."),
    (
        "decision_log.queue",
        "Records that wait for the writer. No request waits for its record: what comes beyond them is dropped and counted, or refused with `required`.",
    ),
    (
        "decision_log.required",
        "Refuse a check whose record would be lost, because the queue is full or the last write failed (`server_log_unavailable`).",
    ),
    ("telemetry", "What the program says of itself, on standard error."),
    ("telemetry.log_level", "The least that is said."),
];

/// What a key is for; empty for one that has no entry.
pub(crate) fn about(path: &str) -> &'static str {
    ABOUT.iter().find(|(known, _)| *known == path).map_or("", |(_, sentence)| sentence)
}
