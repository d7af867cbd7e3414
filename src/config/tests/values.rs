//! Each key's bad value: told with its path, its line and what to write instead.

use proptest::prelude::*;

use super::*;
use crate::config::reference;

/// A key of the document with everything, a bad value for it, and what is said of that.
const BAD: &[(&str, &str, &str)] = &[
    ("compatibility", "opa", "`opa` is none of `strict`, `opa-envoy` (did you mean `opa-envoy`?)"),
    ("compatibility", "Strict", "`Strict` is none of `strict`, `opa-envoy` (did you mean `strict`?)"),
    ("compatibility", "[strict]", "takes a single value, not a list (write it behind the colon)"),
    ("listeners.checks", "127.0.0.1:9191", "takes a list, not a single value (begin each item"),
    ("listeners.checks", "[]", "is empty (add at least one item: IP address and port"),
    ("listeners.checks[1]", "['127.0.0.1:1', 'localhost:2']", "`localhost:2` is no IP address and port"),
    ("listeners.checks[0]", "['unix://checks.sock']", "`unix://checks.sock` names no absolute path"),
    ("listeners.insecure_plaintext_beyond_loopback", "yes", "`yes` is no boolean (write `true` or `false`)"),
    ("listeners.tls.enabled", "mutual", "`mutual` is no boolean"),
    (
        "listeners.tls.allowed_proxies[0]",
        "[https://prod.example/envoy]",
        "does not begin with `spiffe://` (write it like",
    ),
    ("listeners.tls.allowed_proxies[1]", "[spiffe://a, spiffe://a/]", "`spiffe://a/` has an empty path segment"),
    ("listeners.tls.allowed_proxies", "spiffe://prod.example/envoy", "takes a list, not a single value"),
    ("listeners.reflection", "", "has no value (write one, or remove the key)"),
    ("listeners.reflection", "~", "has no value (write one, or remove the key)"),
    ("listeners.workers", "0", "`0` is no whole number from 1 to 1024"),
    ("listeners.workers", "1025", "`1025` is no whole number from 1 to 1024"),
    ("listeners.workers", "-1", "`-1` is no whole number"),
    ("listeners.workers", "2.5", "`2.5` is no whole number"),
    ("listeners.workers", "99999999999999999999999", "`99999999999999999999999` is no whole number"),
    ("listeners.max_message_bytes", "16MiB", "`16MiB` is no whole number from 65536 to 1073741824"),
    ("listeners.max_connections", "0", "`0` is no whole number from 1 to 65536"),
    ("listeners.max_concurrent_streams", "2147483648", "is no whole number from 1 to 2147483647"),
    ("listeners.max_connection_age", "30", "`30` is no duration from 10s to 24h (write a whole number and its unit"),
    ("listeners.drain_delay", "11m", "`11m` is no duration from 0s to 10m"),
    ("admin.probes", "8282", "`8282` is no IP address and port"),
    ("admin.private", "unix:///run/admin.sock", "`unix:///run/admin.sock` is no IP address and port"),
    ("admin.tls.enabled", "1", "`1` is no boolean"),
    ("admin.tls.allowed_clients[0]", "[prod.example]", "`prod.example` does not begin with `spiffe://`"),
    ("admin.insecure_plaintext_beyond_loopback", "no", "`no` is no boolean"),
    (
        "spiffe.workload_api",
        "tcp://127.0.0.1:8000",
        "`tcp://127.0.0.1:8000` is no Unix socket, and by TCP an agent cannot",
    ),
    ("spiffe.workload_api", "/run/spire/agent.sock", "is no address of a Unix socket (write it like `unix:///"),
    ("spiffe.workload_api", "unix://run/agent.sock", "names no absolute path"),
    ("spiffe.svid_id", "spiffe://prod.example", "names a trust domain, not a workload"),
    ("spiffe.svid.certificate", "nowhere.pem", "`nowhere.pem` does not exist"),
    ("spiffe.svid.key", "policies", "`policies` is a folder, not a file"),
    ("spiffe.bundles[0].trust_domain", "Partner.example", "has a trust domain with a character other than a-z"),
    ("spiffe.bundles[0].trust_domain", "spiffe://partner.example/a", "has a trust domain with a character other than"),
    ("spiffe.bundles[0].files[1]", "[partner.json, nowhere.pem]", "`nowhere.pem` does not exist"),
    ("spiffe.bundles[0].files", "partner.json", "takes a list, not a single value"),
    ("spiffe.bundles[0].endpoint", "http://partner.example/bundle", "`http://partner.example/bundle` is not encrypted"),
    ("spiffe.bundles[0].endpoint", "partner.example", "is no HTTPS address"),
    (
        "spiffe.bundles[0].profile",
        "https",
        "`https` is none of `https_web`, `https_spiffe` (did you mean `https_web`?)",
    ),
    ("spiffe.bundles[0].endpoint_id", "spiffe://partner.example", "names a trust domain, not a workload"),
    ("spiffe.bundles[1].ca_file", "nowhere.pem", "`nowhere.pem` does not exist"),
    ("spiffe.bundles[0].refuse_rollback", "always", "`always` is no boolean"),
    ("spiffe.bundles[1].optional", "maybe", "`maybe` is no boolean"),
    ("caller.principal", "True", "`True` is no boolean"),
    ("caller.certificate", "1", "`1` is no boolean"),
    (
        "caller.xfcc",
        "append-forward",
        "is none of `off`, `sanitize_set`, `append_forward` (did you mean `append_forward`?)",
    ),
    ("caller.xfcc_by", "spiffe://prod.example", "names a trust domain, not a workload: it has no path (write it like"),
    ("caller.verify_peer_certificate", "chain", "`chain` is no boolean"),
    ("caller.jwt_svid.header", "X-Svid", "`X-Svid` has upper case or underscores (write it like `x-spiffe-jwt-svid`)"),
    ("caller.jwt_svid.header", "x_svid", "`x_svid` has upper case or underscores"),
    ("caller.jwt_svid.header", "x svid", "`x svid` is no HTTP header name"),
    ("caller.jwt_svid.header", "\":path\"", "`:path` is a header that the proxy routes by"),
    ("caller.jwt_svid.header", "host", "`host` is a header that the proxy routes by"),
    ("caller.jwt_svid.header", "authorization", "`authorization` is a header that something else is read from"),
    ("caller.jwt_svid.header", "cookie", "`cookie` is a header that something else is read from"),
    ("caller.jwt_svid.header", "x-forwarded-client-cert", "is a header that something else is read from"),
    ("caller.jwt_svid.header", "workload-identity-token", "is a header that something else is read from"),
    ("caller.jwt_svid.header", "workload-proof-token", "is a header that something else is read from"),
    (
        "caller.jwt_svid.header",
        "x2345678901234567890123456789012345678901234567890123456789012345",
        "is longer than 64 bytes",
    ),
    ("caller.jwt_svid.audiences", "orders", "takes a list, not a single value"),
    ("caller.jwt_svid.audiences[0]", "['']", "audiences[0]: is empty"),
    ("caller.wimse.audiences[0]", "[orders.example]", "`orders.example` does not begin with `https://` or `http://`"),
    ("caller.wimse.audiences[0]", "['spiffe://prod.example/orders']", "does not begin with `https://` or `http://`"),
    ("caller.wimse.audiences[1]", "['https://a', 'https://a?b=c']", "`https://a?b=c` has a query or a fragment"),
    ("caller.wimse.audiences[0]", "['https://a#b']", "`https://a#b` has a query or a fragment"),
    ("caller.wimse.audiences[0]", "['https://user@orders.example']", "has user information"),
    ("caller.wimse.audiences[0]", "['https://Orders.example']", "has a host in upper case"),
    ("caller.wimse.audiences[0]", "['https:///orders']", "has no host"),
    (
        "caller.wimse.audiences[0]",
        "['https://orders.example/a/../b']",
        "has a path that could be written in another way",
    ),
    ("issuers[0].issuer", "http://idp.example", "`http://idp.example` is not encrypted (write `https://`"),
    ("issuers[0].issuer", "https://idp.example?a=b", "has a query"),
    ("issuers[0].issuer", "\"\"", "issuer: is no HTTPS address"),
    ("issuers[0].keys.file", "nowhere.json", "`nowhere.json` does not exist"),
    ("issuers[0].keys.file", "policies", "`policies` is a folder, not a file"),
    ("issuers[0].keys.file", "''", "file: is empty (relative paths start at"),
    ("issuers[1].keys.url", "http://other.example/keys", "is not encrypted"),
    ("issuers[1].keys.ca_file", "nowhere.pem", "`nowhere.pem` does not exist"),
    ("issuers[2].keys.discovery", "on", "`on` is no boolean"),
    ("issuers[2].keys.oauth_metadata", "rfc8414", "`rfc8414` is no boolean"),
    ("issuers[1].introspection.url", "http://idp.example/introspect", "is not encrypted (write `https://`"),
    ("issuers[1].introspection.client_id", "''", "client_id: is empty"),
    ("issuers[1].introspection.client_secret_file", "nowhere", "`nowhere` does not exist"),
    ("issuers[1].introspection.ca_file", "policies", "`policies` is a folder, not a file"),
    ("issuers[1].introspection.cache", "16m", "`16m` is no duration from 0s to 15m"),
    ("issuers[1].introspection.tokens", "jwt", "`jwt` is none of `opaque`, `all`"),
    ("issuers[0].algorithms[0]", "[HS256]", "`HS256` is symmetric: who can verify can sign (write an asymmetric"),
    ("issuers[0].algorithms[0]", "[HS512]", "`HS512` is symmetric"),
    ("issuers[0].algorithms[1]", "[ES256, none]", "`none` is no signature (write an asymmetric"),
    ("issuers[0].algorithms[0]", "[es256]", "`es256` is none of"),
    ("issuers[0].algorithms", "[]", "is empty (add at least one item"),
    ("issuers[0].audiences", "{a: b}", "takes a list, not a map"),
    ("issuers[0].audiences[0]", "['']", "audiences[0]: is empty"),
    ("issuers[0].audiences[0]", "[[a]]", "takes a single value, not a list"),
    ("issuers[0].required_claims", "[tenant]", "takes a map, not a list (write `claim: value`"),
    ("issuers[0].required_claims.tenant", "{tenant: ['${MISSING}']}", "`${MISSING}` needs the variable `MISSING`"),
    ("issuers[0].claims.roles[0]", "[roles]", "`roles` does not begin with a slash (write it like `/roles`"),
    ("issuers[0].claims.roles[1]", "[/roles, /a~b]", "`/a~b` has a `~` that is neither `~0` nor `~1`"),
    ("issuers[0].claims.groups[0]", "['']", "groups[0]: does not begin with a slash"),
    ("issuers[0].claims.groups", "[/a, /b, /c, /d, /e, /f, /g, /h, /i]", "has 9 items (at most 8 are taken)"),
    ("issuers[0].claims.tenant", "/tid", "takes a list, not a single value"),
    ("revocations[0]", "[nowhere.json]", "`nowhere.json` does not exist"),
    ("revocations[0]", "[policies]", "`policies` is a folder, not a file"),
    ("revocations", "revoked.json", "takes a list, not a single value"),
    ("issuers[0].token_types", "[]", "is empty"),
    ("issuers[0].leeway", "6m", "`6m` is no duration from 0s to 5m"),
    ("issuers[0].leeway", "1500ms", "is no whole number of seconds (write it in seconds"),
    ("issuers[0].refresh_interval", "5s", "`5s` is no duration from 10s to 24h"),
    ("issuers[0].refresh_cooldown", "10ms", "`10ms` is no duration from 1s to 1h"),
    ("issuers[0].max_stale", "8d", "`8d` is no duration from 1m to 168h"),
    ("issuers[0].max_stale", "5m", "is shorter than refresh_interval, 22m"),
    ("issuers[0].optional", "maybe", "`maybe` is no boolean"),
    ("issuers[0].workload_subjects", "spiffe", "`spiffe` is no boolean"),
    ("issuers[0].proof_of_possession", "always", "`always` is none of `optional`, `required`, `dpop`, `certificate`"),
    ("issuers[0].actor", "callers", "`callers` is none of `any`, `caller` (did you mean `caller`?)"),
    ("dpop.targets[0]", "[orders.example]", "`orders.example` does not begin with `https://` or `http://`"),
    ("dpop.max_age", "6m", "`6m` is no duration from 1s to 5m"),
    ("dpop.nonce", "on", "`on` is no boolean"),
    ("dpop.nonce_secret_file", "nowhere", "`nowhere` does not exist"),
    ("dpop.nonce_secret_file", "policies", "`policies` is a folder, not a file"),
    ("policy.paths", "policies", "takes a list, not a single value"),
    ("policy.paths[0]", "[nowhere]", "`nowhere` does not exist"),
    ("policy.path", "//", "`//` names no rule (write it like"),
    ("policy.path", "\"envoy\\tallow\"", "has a control character"),
    ("policy.rego_version", "1", "`1` is none of `v1`, `v0`"),
    ("policy.builtin_errors", "ignore", "`ignore` is none of `deny`, `undefined`"),
    ("policy.time_limit", "0ms", "`0ms` is no duration from 1ms to 10s"),
    ("policy.parse_body", "no", "`no` is no boolean"),
    ("routes.caller", "off", "`off` is none of `required`, `optional`"),
    ("routes.token", "none", "`none` is none of `required`, `optional`, `off`"),
    ("routes.txn_token", "strip", "`strip` is none of `remove`, `pass`"),
    ("routes.owned_header_prefix", "X-Acme-", "`X-Acme-` has upper case or underscores"),
    ("routes.owned_header_prefix", "x_acme-", "`x_acme-` has upper case or underscores"),
    ("routes.owned_header_prefix", "x acme-", "`x acme-` is no HTTP header name"),
    ("routes.owned_header_prefix", "x-acme", "`x-acme` does not end in a dash"),
    ("routes.owned_header_prefix", "\":path-\"", "`:path-` is a header that the proxy routes by"),
    ("routes.reason_in_body", "'true '", "`true ` is no boolean"),
    ("routes.problem_details", "rfc9457", "`rfc9457` is no boolean"),
    ("routes.challenge.realm", "'a\"b'", "has a character other than visible ASCII without quotes and backslashes"),
    ("routes.challenge.realm", "\"a\\r\\nx: 1\"", "has a character other than visible ASCII"),
    ("routes.challenge.realm", "''", "is empty"),
    ("routes.challenge.scope", "a  b", "has spaces that separate nothing (write it like `orders:read orders:write`)"),
    ("routes.challenge.scope", "'a\\b'", "has a character other than visible ASCII"),
    ("routes.challenge.resource_metadata", "http://api.example/m", "is not encrypted"),
    ("routes.challenge.resource_metadata", "'https://api.example/\"m'", "has a character other than visible ASCII"),
    ("protected_resources[0].resource", "http://api.example", "`http://api.example` is not encrypted"),
    (
        "protected_resources[0].resource",
        "'https://api.example/mcp?a=b'",
        "is no HTTPS address without query and fragment",
    ),
    (
        "protected_resources[0].resource",
        "'https://api.example/mcp#a'",
        "is no HTTPS address without query and fragment",
    ),
    ("protected_resources[0].resource", "https://api..example", "is no HTTPS address without query and fragment"),
    ("protected_resources[0].resource", "api.example", "is no HTTPS address (write it like"),
    ("protected_resources[0].authorization_servers", "[]", "is empty"),
    ("protected_resources[0].authorization_servers[0]", "['http://idp.example']", "is not encrypted"),
    ("protected_resources[0].jwks_uri", "keys", "is no HTTPS address"),
    ("protected_resources[0].scopes_supported[1]", "[a, 'b c']", "`b c` has spaces that separate nothing"),
    ("protected_resources[0].bearer_methods_supported[0]", "[query]", "`query` is a way in which tokens are not read"),
    ("protected_resources[0].bearer_methods_supported[0]", "[dpop]", "`dpop` is none of `header`"),
    ("protected_resources[0].resource_name", "''", "is empty"),
    ("protected_resources[0].resource_documentation", "docs", "is no HTTPS address"),
    ("protected_resources[0].resource_policy_uri", "http://a", "is not encrypted"),
    ("protected_resources[0].resource_tos_uri", "terms", "is no HTTPS address"),
    ("protected_resources[0].tls_client_certificate_bound_access_tokens", "mtls", "`mtls` is no boolean"),
    ("protected_resources[0].authorization_details_types_supported", "payment", "takes a list, not a single value"),
    ("protected_resources[0].dpop_signing_alg_values_supported[0]", "[HS256]", "`HS256` is symmetric"),
    ("protected_resources[0].dpop_bound_access_tokens_required", "always", "`always` is no boolean"),
    ("protected_resources[0].signed_metadata", "e30.e30", "is no signed JWT"),
    ("protected_resources[0].signed_metadata", "e30.e3=.a", "is no signed JWT"),
    ("decision_log.enabled", "\"on\\n\"", "`on\\n` is no boolean"),
    ("decision_log.include_input", "0", "`0` is no boolean"),
    ("decision_log.mask[0]", "[input/x]", "`input/x` is no JSON pointer"),
    ("decision_log.mask[1]", "[/input/x, /input/a~2]", "`/input/a~2` has a `~` that is not `~0` or `~1`"),
    ("decision_log.required", "always", "`always` is no boolean"),
    ("decision_log.queue", "0", "`0` is no whole number from 1 to 1048576"),
    (
        "telemetry.log_level",
        "warning",
        "`warning` is none of `error`, `warn`, `info`, `debug`, `trace` (did you mean `warn`?)",
    ),
];

/// The document with everything, one key's value replaced, and the line of that key.
fn with(folder: &Folder, path: &str, value: &str) -> (String, usize) {
    let text = folder.everything();
    let key = path.strip_suffix(']').and_then(|path| path.rsplit_once('[')).map_or(path, |(key, _)| key);
    let key = if key.ends_with("required_claims.tenant") { "issuers[0].required_claims" } else { key };
    let mut found = (0, yaml::parse(&text).0.unwrap());
    for step in key.split(['.', '[']) {
        let (line, node) = found.1.step(step.trim_end_matches(']')).unwrap();
        found = (line, node.clone());
    }
    let line_index = found.0.saturating_sub(1);
    let replace = |(index, line): (usize, &str)| {
        let (name, _) = line.split_once(':').unwrap();
        if index == line_index { format!("{name}: {value}\n") } else { format!("{line}\n") }
    };
    (text.lines().enumerate().map(replace).collect(), found.0)
}

#[test]
fn a_bad_value_is_told_with_its_path_its_line_and_a_hint() {
    let folder = Folder::new();
    for (path, value, message) in BAD {
        let (text, line) = with(&folder, path, value);
        let problems = folder.read(&text).unwrap_err();
        let errors: Vec<_> = problems.iter().filter(|problem| problem.is_error()).collect();
        assert_eq!(errors.len(), 1, "{path}: {value}: {errors:?}");
        assert_eq!(errors[0].path, *path, "{value}");
        assert_eq!(errors[0].line, Some(line), "{path}: {value}");
        assert!(errors[0].hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{path}: {value}");
        assert!(errors[0].to_string().contains(message), "{path}: {value}: {}", errors[0]);
    }
}

#[test]
fn every_key_has_a_bad_value_above() {
    let plain = |path: &str| path.replace(|character: char| character.is_ascii_digit(), "");
    let tried: Vec<_> = BAD.iter().map(|(path, ..)| plain(path)).collect();
    for key in reference::rows("", &reference::keys(Compatibility::Strict)) {
        let in_it = |tried: &String| *tried == key.path || tried.starts_with(&format!("{}[]", key.path));
        let below = |tried: &String| tried.starts_with(&format!("{}.", key.path));
        assert!(tried.iter().any(|tried| in_it(tried) || below(tried)), "{}", key.path);
    }
}

#[test]
fn k5_a_problem_shows_a_variable_by_its_name_alone() {
    let folder = Folder::new();
    for (path, ..) in BAD.iter().filter(|(path, ..)| !path.ends_with(".tenant")) {
        let value = if path.ends_with(']') { "['\\${CANARY}', '\\${CANARY}']" } else { "'${CANARY}'" };
        let (text, _) = with(&folder, path, &value.replace('\\', ""));
        for problem in told(folder.read(&text)) {
            assert!(!problem.contains("c4n4ry"), "{problem}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        at in 0..EVERYTHING.len(),
        length in 0..80_usize,
        noise in "\\PC{0,20}|[-:{}\\[\\]&*!|>'\"%@` \n\t]{0,20}",
    ) {
        let cut = at..at.saturating_add(length);
        let kept = EVERYTHING.char_indices().filter(|(index, _)| !cut.contains(index));
        let mut text: String = kept.map(|(_, character)| character).collect();
        text.insert_str(at, &noise);
        if let Err(problems) = Settings::read(&text, Path::new("/nowhere/config.yaml"), &|_| None) {
            prop_assert!(problems.iter().any(Problem::is_error));
        }
    }
}

#[test]
fn variables_stand_for_any_single_value() {
    let folder = Folder::new();
    let environment = |name: &str| match name {
        "HOST" => Some("idp.example".to_owned()),
        "WORKERS" => Some("7".to_owned()),
        "ON" => Some("true".to_owned()),
        _ => None,
    };
    let text = LEAST.replace("https://idp.example", "'https://${HOST}'")
        + "listeners: {workers: \"${WORKERS}\", reflection: '${ON}'}\n"
        + "decision_log: {mask: ['/input/$$/${HOST}']}\n";
    let settings = Settings::read(&text, &folder.0.path().join("config.yaml"), &environment).unwrap().settings;
    assert_eq!(settings.token.issuers[0].issuer, "https://idp.example");
    assert_eq!(settings.listeners.workers.get(), 7);
    assert!(settings.listeners.reflection);
    assert_eq!(settings.decision_log.mask, ["/input/$/idp.example"]);
}
