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
        "Must be `true` where an address of `checks` can be reached from other machines: checks are not encrypted, and who can reach the service can ask it.",
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
    ("admin.private", "`/config` and everything else; not authenticated, so keep it on loopback."),
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
    ("issuers", "Whose tokens are believed. A list; each issuer once."),
    ("issuers[].issuer", "What `iss` must be, byte for byte."),
    ("issuers[].keys", "Where the issuer's keys are: exactly one of `file`, `url` and `discovery`."),
    ("issuers[].keys.file", "A JWKS file, read again at every reload and refresh."),
    ("issuers[].keys.url", "The address of a JWKS."),
    ("issuers[].keys.discovery", "Whether `jwks_uri` is taken from the issuer's `/.well-known/openid-configuration`."),
    ("issuers[].keys.ca_file", "Authorities, in PEM, that the keys' server must be certified by, and no others."),
    ("issuers[].algorithms", "Signature algorithms that the issuer's tokens may use."),
    ("issuers[].audiences", "A token must name at least one of these in `aud`."),
    (
        "issuers[].required_claims",
        "Claims that a token must have: with the value given, or with any value where that is `null`.",
    ),
    ("issuers[].token_types", "What a token's `typ` must be one of."),
    ("issuers[].leeway", "How far the issuer's clock may differ, in whole seconds."),
    ("issuers[].refresh_interval", "How often keys are fetched."),
    ("issuers[].refresh_cooldown", "The least time between two fetches, however many tokens with unknown keys arrive."),
    (
        "issuers[].max_stale",
        "How long keys serve while they cannot be fetched again; after that, tokens are denied with 503.",
    ),
    ("issuers[].optional", "Become ready without this issuer's keys."),
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
        "What holds for routes that do not say otherwise, with `countersign.caller`, `countersign.token` and `countersign.path` in their `context_extensions`.",
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
        "routes.owned_header_prefix",
        "Headers that begin like this are Countersign's own: set or removed on every allow, and out of the policy's reach.",
    ),
    ("routes.reason_in_body", "Tell the client the reason of a denial in its body."),
    ("decision_log", "The record of each decision, one JSON object a line on standard output."),
    ("decision_log.enabled", "Write records."),
    ("decision_log.include_input", "Write the input document too, masked."),
    ("decision_log.mask", "What is masked beyond credentials, which always are."),
    (
        "decision_log.queue",
        "Records that wait for the writer. What comes beyond them is dropped and counted: no request waits for its record.",
    ),
    ("telemetry", "What the program says of itself, on standard error."),
    ("telemetry.log_level", "The least that is said."),
];

/// What a key is for; empty for one that has no entry.
pub(crate) fn about(path: &str) -> &'static str {
    ABOUT.iter().find(|(known, _)| *known == path).map_or("", |(_, sentence)| sentence)
}
