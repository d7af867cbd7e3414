//! What must hold between keys.

use super::*;

/// The least document with some keys more.
fn least_and(more: &str) -> Vec<String> {
    told(Folder::new().read(&format!("{LEAST}{more}")))
}

#[test]
fn what_is_missing_is_told() {
    let folder = Folder::new();
    let expected = [
        "line 1: error: policy.paths: is missing (add it: list: file or folder)",
        "line 1: error: routes.token: asks for tokens, but no issuer is configured whose tokens could be believed (add an issuer below `issuers`, or set routes.token: off)",
    ];
    for nothing in ["", "{}", "policy:\nroutes:\nissuers:\n", "issuers: []\npolicy: {}\n"] {
        let told = told(folder.read(nothing));
        assert_eq!(told.len(), 2, "{told:?}");
    }
    assert_eq!(told(folder.read("")), expected);
    let issuer = told(folder.read("policy: {paths: [policies]}\nissuers:\n- {}\n"));
    let without_hints: Vec<_> = issuer.iter().filter_map(|problem| problem.split(" (").next()).collect();
    let expected = [
        "line 3: error: issuers[0].issuer: is missing",
        "line 3: error: issuers[0].keys: names no source of keys",
        "line 3: error: issuers[0].algorithms: is missing",
        "line 3: error: issuers[0].audiences: is missing",
    ];
    assert_eq!(without_hints, expected);
}

#[test]
fn unknown_keys_are_told_with_what_was_meant() {
    for (more, problem) in [
        ("listener: {}\n", "line 4: error: listener: is not known here (did you mean `listeners`?)"),
        (
            "listeners: {drainDelay: 1s}\n",
            "line 4: error: listeners.drainDelay: is not known here (did you mean `drain_delay`?)",
        ),
        (
            "admin: {\n  password: 1}\n",
            "line 5: error: admin.password: is not known here (known here: probes, private, tls, insecure_plaintext_beyond_loopback)",
        ),
        ("plugins: {}\n", "plugins: is not known here"),
    ] {
        let told = least_and(more);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(problem), "{told:?}");
    }
    let nested = told(Folder::new().read(&LEAST.replace("{file:", "{jwks: 1, file:")));
    assert!(
        nested[0].starts_with("line 2: error: issuers[0].keys.jwks: is not known here (known here: file"),
        "{nested:?}"
    );
}

#[test]
fn sections_are_maps_and_issuers_a_list() {
    assert!(least_and("admin: [a]\n")[0].contains("admin: takes a map, not a list (write `key: value` below it)"));
    assert!(least_and("caller: off\n")[0].contains("caller: takes a map, not a single value"));
    let told = told(Folder::new().read("policy: {paths: [policies]}\nissuers: {issuer: a}\nroutes: {token: off}\n"));
    assert_eq!(told, ["line 2: error: issuers: takes a list, not a map (begin each item with `- `)"]);
    let text = super::told(Folder::new().read("just words"));
    assert!(text[0].starts_with("line 1: error: takes a map, not a single value"), "{text:?}");
}

#[test]
fn plaintext_beyond_loopback_is_said_aloud() {
    for open in ["0.0.0.0:9191", "[::]:9191", "10.1.2.3:9191"] {
        let told = least_and(&format!("listeners: {{checks: ['127.0.0.1:1', '{open}']}}\n"));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(&format!("error: listeners.checks: `{open}` can be reached from other machines")));
        let accepted = "insecure_plaintext_beyond_loopback: true";
        let told = least_and(&format!("listeners: {{checks: ['{open}'], {accepted}}}\n"));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("line 4: warning: listeners.insecure_plaintext_beyond_loopback: `"), "{told:?}");
    }
    for closed in ["127.0.0.1:9191", "127.1.2.3:9191", "[::1]:9191", "unix:///run/a.sock"] {
        assert_eq!(least_and(&format!("listeners: {{checks: ['{closed}']}}\n")), [""; 0], "{closed}");
    }
}

#[test]
fn what_contradicts_itself_is_told() {
    for (more, problem) in [
        (
            "caller: {principal: false, certificate: false}\n",
            "line 1: error: routes.caller: is `required`, but no evidence of a caller is looked at",
        ),
        (
            "caller: {xfcc_by: spiffe://a/b}\n",
            "line 4: error: caller.xfcc_by: is only looked at with `xfcc: append_forward`",
        ),
        (
            "caller: {principal: false, certificate: false, xfcc: append_forward}\n",
            "line 4: error: caller.xfcc: `append_forward` alone proves nothing: a client can write into the header",
        ),
        (
            "listeners: {checks: ['127.0.0.1:8283']}\n",
            "error: admin.private: `127.0.0.1:8283` is also the address of listeners.checks[0]",
        ),
        (
            "listeners: {checks: ['unix:///a', 'unix:///a']}\n",
            "error: listeners.checks[1]: `unix:///a` is also the address of listeners.checks[0]",
        ),
        (
            "compatibility: opa-envoy\n",
            "warning: routes.token: is off in opa-envoy mode, so the issuers' tokens are not",
        ),
    ] {
        let told = least_and(more);
        assert_eq!(told.len(), 1, "{more}: {told:?}");
        assert!(told[0].contains(problem), "{more}: {told:?}");
    }
    assert_eq!(least_and("compatibility: opa-envoy\nroutes: {token: off}\n"), [""; 0]);
    assert_eq!(least_and("listeners: {checks: ['127.0.0.1:0', '127.0.0.1:0']}\n"), [""; 0]);
    assert_eq!(least_and("caller: {principal: false, certificate: false, xfcc: sanitize_set}\n"), [""; 0]);
}

#[test]
fn keys_have_one_source() {
    for (keys, problem) in [
        ("{}", "line 2: error: issuers[0].keys: names no source of keys"),
        ("{discovery: false}", "issuers[0].keys: names no source of keys"),
        ("{oauth_metadata: true, discovery: true}", "issuers[0].keys: names more than one source of keys"),
        ("{file: jwks.json, discovery: true}", "issuers[0].keys: names more than one source of keys"),
        ("{file: jwks.json, url: 'https://a/b'}", "issuers[0].keys: names more than one source of keys"),
        ("{file: jwks.json, ca_file: ca.pem}", "issuers[0].keys.ca_file: is of no use to a file"),
    ] {
        let told = told(Folder::new().read(&LEAST.replace("{file: jwks.json}", keys)));
        assert_eq!(told.len(), 1, "{keys}: {told:?}");
        assert!(told[0].contains(problem), "{keys}: {told:?}");
    }
    let discovered = LEAST.replace("{file: jwks.json}", "{discovery: true, ca_file: ca.pem}");
    let settings = Folder::new().read(&discovered).unwrap().settings;
    assert!(matches!(&settings.token.issuers[0].keys, token::KeySource::Discovery { ca_file: Some(_) }));
}

#[test]
fn an_issuer_stands_there_once() {
    let one = "- {issuer: https://idp.example, keys: {discovery: true}, algorithms: [ES256], audiences: [a]}\n";
    let other = one.replace("idp.example", "idp.example/");
    let text = format!("policy: {{paths: [policies]}}\nissuers:\n{one}{other}{one}");
    let expected = "line 5: error: issuers[2].issuer: is also the issuer of issuers[0] (make one entry of the two)";
    assert_eq!(told(Folder::new().read(&text)), [expected]);
}

#[test]
fn tokens_need_an_issuer_unless_they_are_off() {
    let policy = "policy: {paths: [policies]}\n";
    for (routes, problems) in [("required", 1), ("optional", 1), ("off", 0)] {
        let told = told(Folder::new().read(&format!("{policy}routes: {{token: {routes}}}\n")));
        assert_eq!(told.len(), problems, "{routes}: {told:?}");
    }
}
