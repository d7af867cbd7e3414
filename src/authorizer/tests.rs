use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::decision::Scheme;
use crate::facts::Http;
use crate::facts::Request;
use crate::identity::JwtSvidConfig;
use crate::identity::WimseConfig;
use crate::jose::fixtures::SigningKey;
use crate::jose::fixtures::changed;
use crate::policy::Compatibility;
use crate::route::Challenge;
use crate::route::Resources;
use crate::route::TxnToken;
use crate::spiffe_id::TrustDomain;
use crate::trust::Bundle;
use crate::trust::Bundles;
use crate::trust::Origin;

const NOW: UnixTime = UnixTime::from_seconds(1_795_515_072);
const SECONDS: i64 = NOW.seconds();
const HEADER: &str = "x-spiffe-jwt-svid";
const SETS_ITS_OWN: &str = r#"allow := {"allowed": true, "headers": {"x-spiffe-jwt-svid": "for the upstream"}}"#;
const REMOVES_IT: &str = r#"allow := {"allowed": true, "request_headers_to_remove": ["X-Spiffe-Jwt-Svid"]}"#;

/// An authorizer that believes JWT-SVIDs of `td`, and a policy of one rule.
struct World {
    authorizer: Authorizer,
    key: SigningKey,
}

impl World {
    fn new(compatibility: Compatibility, caller: Requirement, rule: &str) -> Self {
        let key = SigningKey::es256("k");
        let revision = Revision {
            number: 1,
            policy: "test".into(),
            rules: Arc::new(rules(compatibility, caller)),
            keys: Arc::new(token::KeySets::empty(Arc::default())),
            trust: Arc::new(believing(&key)),
            proofs: Arc::default(),
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.rego"), format!("package envoy.authz\n\n{rule}\n")).unwrap();
        // Debug builds are slow, and machines that test are busy.
        let config = policy::Config {
            paths: vec![folder.path().to_owned()],
            time_limit: Duration::from_secs(5),
            ..policy::Config::default()
        };
        let instance = policy::Bundle::load(&config).unwrap().instance().unwrap();
        Self { authorizer: Authorizer::new(Arc::new(revision), instance), key }
    }

    fn svid(&self) -> String {
        let claims = json!({"sub": "spiffe://td/agent", "aud": "orders", "exp": SECONDS + 60});
        self.key.sign(&self.key.typed("JWT"), &claims)
    }

    fn ask(&mut self, headers: &[(&str, &str)]) -> (Decision, Record) {
        self.ask_on(&[], headers)
    }

    /// On a route with these words of its own.
    fn ask_on(&mut self, route: &[(&str, &str)], headers: &[(&str, &str)]) -> (Decision, Record) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let context_extensions = route.iter().map(owned).collect();
        let headers = headers.iter().map(owned).collect();
        let http = Http { method: "GET".to_owned(), path: "/".to_owned(), headers, ..Http::default() };
        let attributes = Attributes {
            request: Some(Request { http: Some(http), ..Request::default() }),
            context_extensions,
            ..Attributes::default()
        };
        let mut record = Record::new(Uuid::nil(), NOW);
        let check = Check { attributes: &attributes, decision_id: Uuid::nil(), now: NOW, waited: &Waited::default() };
        match self.authorizer.decide(&check, &mut record, &mut Stopwatch::start()) {
            Step::Decided(decision) => (decision, record),
            Step::Needs(_) | Step::Answered(_) => panic!("there are no issuers and no resources"),
        }
    }

    fn reason(&mut self, headers: &[(&str, &str)]) -> Option<Reason> {
        match self.ask(headers).0 {
            Decision::Allow(_) => None,
            Decision::Deny(denial) => Some(denial.reason),
        }
    }

    /// How the header leaves: set to what, and removed how often.
    fn leaves(&mut self, headers: &[(&str, &str)]) -> (Vec<String>, usize) {
        let Decision::Allow(grant) = self.ask(headers).0 else { panic!("allowed") };
        let set = grant.effects.headers.iter().filter(|field| field.name() == HEADER);
        let removed = grant.effects.headers_to_remove.iter().filter(|name| name.eq_ignore_ascii_case(HEADER));
        (set.map(|field| field.value().to_owned()).collect(), removed.count())
    }
}

fn rules(compatibility: Compatibility, caller: Requirement) -> Rules {
    let routes = Defaults {
        caller,
        token: TokenMode::Off,
        txn_token: TxnToken::Remove,
        path: "envoy/authz/allow".to_owned(),
        owned_header_prefix: "x-countersign-".to_owned(),
        reason_in_body: false,
        problem_details: false,
        challenge: Challenge::default(),
    };
    let identity = identity::Config {
        jwt_svid: Some(JwtSvidConfig { header: HEADER.to_owned(), audiences: vec!["orders".to_owned()] }),
        wimse: Some(WimseConfig { audiences: vec!["https://orders.example".to_owned()] }),
        ..identity::Config::default()
    };
    Rules {
        entry_point: routes.path.as_str().into(),
        output: policy::OutputRules { compatibility, owned_prefix: routes.owned_header_prefix.clone() },
        routes,
        resources: Resources::default(),
        identity,
        token: Arc::default(),
        revoked: Arc::default(),
        input: input::Config { normalise: true, parse_body: false },
        shape: Shape::Strict,
    }
}

fn believing(key: &SigningKey) -> Bundles {
    let domain = TrustDomain::parse("td").unwrap();
    let document = json!({"keys": [changed(key.jwk.clone(), json!({"use": "jwt-svid"}))]}).to_string();
    let bundle = Bundle::parse(document.as_bytes(), &domain).unwrap();
    let mut bundles = Bundles::default();
    bundles.insert(domain, bundle, Origin::Files, NOW);
    bundles
}

#[test]
fn a_token_of_a_workload_names_the_caller_to_the_policy() {
    let rule = r#"allow if { input.caller.spiffe_id == "spiffe://td/agent"; input.caller.proof == "jwt_svid" }"#;
    let mut world = World::new(Compatibility::Strict, Requirement::Required, rule);
    let svid = world.svid();
    let (decision, record) = world.ask(&[(HEADER, &svid)]);
    let Decision::Allow(grant) = decision else { panic!("allowed") };
    assert_eq!(record.caller.unwrap().spiffe_id.as_str(), "spiffe://td/agent");
    let caller = grant.effects.headers.iter().find(|field| field.name() == "x-countersign-caller").unwrap();
    assert_eq!(caller.value(), "spiffe://td/agent");
    assert_eq!(world.reason(&[]), Some(Reason::CallerMissing));
}

#[test]
fn where_a_caller_is_optional_absent_is_null_and_bad_is_denied() {
    let mut world = World::new(Compatibility::Strict, Requirement::Optional, "allow if input.caller == null");
    assert_eq!(world.reason(&[]), None);
    let svid = world.svid();
    assert_eq!(world.reason(&[(HEADER, &svid)]), Some(Reason::PolicyUndefined));
    for (headers, reason) in [
        ([(HEADER, "")], Reason::CallerJwtSvidMalformed),
        ([(HEADER, "a.b.c")], Reason::CallerJwtSvidMalformed),
        ([("workload-identity-token", "a.b.c")], Reason::CallerWptMissing),
        ([("workload-proof-token", "a.b.c")], Reason::CallerWitMalformed),
    ] {
        assert_eq!(world.reason(&headers), Some(reason), "{headers:?}");
    }
    let stranger = World::new(Compatibility::Strict, Requirement::Optional, "allow := true").svid();
    assert_eq!(world.reason(&[(HEADER, &stranger)]), Some(Reason::CallerJwtSvidSignature));
}

#[test]
fn a_jwt_svid_goes_no_further() {
    let strict = |rule: &str| World::new(Compatibility::Strict, Requirement::Optional, rule);
    for rule in ["allow := true", REMOVES_IT] {
        let mut world = strict(rule);
        let svid = world.svid();
        assert_eq!(world.leaves(&[(HEADER, &svid)]), (Vec::new(), 1), "{rule}");
        assert_eq!(world.leaves(&[]), (Vec::new(), 1), "{rule}");
    }
    // What the policy sets overwrites what came, and is removed by nobody.
    let mut world = strict(SETS_ITS_OWN);
    let svid = world.svid();
    assert_eq!(world.leaves(&[(HEADER, &svid)]), (vec!["for the upstream".to_owned()], 0));
    // OPA's plugin takes nothing away.
    let mut world = World::new(Compatibility::OpaEnvoy, Requirement::Optional, "allow := true");
    let svid = world.svid();
    assert_eq!(world.leaves(&[(HEADER, &svid)]), (Vec::new(), 0));
}

#[test]
fn a_route_that_takes_bound_tokens_alone_says_so_to_whoever_comes_without() {
    let mut world = World::new(Compatibility::Strict, Requirement::Optional, "allow := true");
    for (proof, scheme) in [("dpop", Scheme::Dpop), ("required", Scheme::Bearer), ("certificate", Scheme::Bearer)] {
        let route = [("countersign.token", "required"), ("countersign.proof", proof)];
        let Decision::Deny(denial) = world.ask_on(&route, &[]).0 else { panic!("denied") };
        assert_eq!((denial.reason, denial.scheme), (Reason::TokenMissing, scheme), "{proof}");
    }
}

const TXN: &str = "txn-token";
const SETS_TXN: &str = r#"allow := {"allowed": true, "headers": {"txn-token": "e30.e30.e30"}}"#;

#[test]
fn e5_a_transaction_token_goes_on_only_where_it_may() {
    let pass = [("countersign.txn_token", "pass")];
    for (rule, route, sent, removed) in [
        ("allow := true", &[][..], &[(TXN, "a.b.c")][..], &[TXN][..]),
        ("allow := true", &[], &[], &[TXN]),
        ("allow := true", &[], &[("Txn_Token", "a.b.c"), (TXN, "a.b.c")], &[TXN, "Txn_Token"]),
        ("allow := true", &[], &[("txn-tokens", "a")], &[TXN]),
        ("allow := true", &pass, &[(TXN, "a.b.c")], &[]),
        (SETS_TXN, &[], &[(TXN, "a.b.c")], &[]),
        (SETS_TXN, &pass, &[("Txn_Token", "a.b.c")], &["Txn_Token"]),
    ] {
        let mut world = World::new(Compatibility::Strict, Requirement::Optional, rule);
        let decision = world.ask_on(route, sent).0;
        let Decision::Allow(grant) = decision else { panic!("{decision:?}: {rule} {sent:?}") };
        let all = grant.effects.headers_to_remove.iter().filter(|name| name.to_lowercase().starts_with("txn"));
        assert_eq!(all.collect::<Vec<_>>(), removed, "{rule} {route:?} {sent:?}");
    }
    let mut world = World::new(Compatibility::OpaEnvoy, Requirement::Optional, "allow := true");
    for (route, removed) in [(&pass[..], &[][..]), (&[("countersign.txn_token", "remove")], &[TXN])] {
        let Decision::Allow(grant) = world.ask_on(route, &[(TXN, "a.b.c")]).0 else { panic!("allowed") };
        assert_eq!(grant.effects.headers_to_remove, removed, "OPA's plugin takes nothing away by itself");
    }
}

#[test]
fn e5_two_transaction_tokens_are_never_chosen_from() {
    let mut world = World::new(Compatibility::Strict, Requirement::Optional, "allow := true");
    for route in [&[][..], &[("countersign.txn_token", "pass")]] {
        for sent in [&[(TXN, "a.b.c,d.e.f")][..], &[(TXN, "a.b.c"), ("Txn-Token", "d.e.f")], &[(TXN, ",")]] {
            let Decision::Deny(denial) = world.ask_on(route, sent).0 else { panic!("denied: {sent:?}") };
            assert_eq!(denial.reason, Reason::TokenRepeated, "{sent:?}");
        }
    }
    // To servers of the CGI family both are one name, and here neither is taken away.
    let spellings = [(TXN, "a.b.c"), ("txn_token", "d.e.f")];
    let Decision::Deny(denial) = world.ask_on(&[("countersign.txn_token", "pass")], &spellings).0 else {
        panic!("denied")
    };
    assert_eq!(denial.reason, Reason::TokenRepeated);
}
