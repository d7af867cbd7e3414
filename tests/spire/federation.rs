//! Bundles that Countersign fetches by itself: from SPIRE's endpoints, and from one that lies. Names are those of
//! docs/threats.md.

use std::fs;

use serde_json::Value as Json;
use serde_json::json;

use super::super::harness::client::Call;
use super::super::harness::envoy::Envoy;
use super::super::harness::eventually;
use super::super::harness::merged;
use super::super::harness::server::Server;
use super::super::peers::certs::Authority;
use super::super::peers::certs::Keyed;
use super::super::peers::certs::Leaf;
use super::super::peers::spire::Endpoint;
use super::harness::Domains;
use super::harness::Lifetimes;
use super::harness::UNVERIFIED;
use super::harness::endpoint::Answer;
use super::harness::endpoint::BundleEndpoint;
use super::harness::endpoint::bundle;
use super::harness::metric;

/// What becomes of a request with this certificate, at a listener that verifies nothing: status and reason.
async fn outcome(domains: &Domains, server: &Server, envoy: &Envoy, identity: &Keyed) -> (u16, String) {
    let client = domains.client(envoy, &UNVERIFIED, identity).await;
    let reply = client.send(&Call::get("/offers/1")).await;
    (reply.status, server.next_record().await.reason().to_owned())
}

/// A metric of this trust domain.
async fn of_domain(server: &Server, name: &str, trust_domain: &str) -> i64 {
    metric(server, name, &[&format!("\"{trust_domain}\"")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_come_from_spires_own_endpoints_of_both_profiles() {
    let web = Authority::new("web").unwrap();
    let domains = Domains::start_with(Lifetimes::ORDINARY, Endpoint::HttpsWeb(&web)).await;
    fs::write(domains.dir().join("web-ca.pem"), web.pem()).unwrap();
    fs::write(domains.dir().join("prod.json"), domains.prod.bundle().await.unwrap()).unwrap();
    let bundles = json!([
        {
            "trust_domain": "prod.example",
            "files": ["prod.json"],
            "endpoint": domains.prod.endpoint_url(),
            "profile": "https_spiffe",
            "endpoint_id": "spiffe://prod.example/spire/server",
        },
        {
            "trust_domain": "partner.example",
            "endpoint": domains.partner.endpoint_url(),
            "profile": "https_web",
            "ca_file": "web-ca.pem",
        },
    ]);
    let server = domains.countersign(0, &json!({"spiffe": {"bundles": bundles}})).await;
    let envoy = domains.envoy(&[UNVERIFIED], &[], server.checks()).await;
    let planner = domains.prod.x509_svid("/planner").await.unwrap().keyed;
    let seller = domains.partner.x509_svid("/seller").await.unwrap().keyed;
    for identity in [&planner, &seller] {
        assert_eq!(outcome(&domains, &server, &envoy, identity).await, (200, "policy_allowed".to_owned()));
    }

    for domain in [&domains.prod, &domains.partner] {
        let name = domain.id("").trim_start_matches("spiffe://").to_owned();
        let sequence = async || of_domain(&server, "countersign_trust_bundle_sequence", &name).await;
        let before = sequence().await;
        domain.rotate_jwt_authority().await.unwrap();
        eventually("the domain's next bundle", async || (sequence().await > before).then_some(())).await;
    }
}

/// liar.example: its authority, a workload of it, and its bundle endpoint.
struct Liar {
    authority: Authority,
    workload: Keyed,
    endpoint: BundleEndpoint,
}

const LIAR: &str = "liar.example";
const LIARS_SERVER: &str = "spiffe://liar.example/spire/server";

impl Liar {
    /// The endpoint proves itself by an X509-SVID, and by a name of the web too.
    async fn start() -> Self {
        let authority = Authority::of(LIAR, "liar").unwrap();
        let server = authority.issue(&Leaf { uris: vec![LIARS_SERVER.to_owned()], ..Leaf::local_server() }).unwrap();
        let workload = authority.issue(&Leaf::svid("spiffe://liar.example/seller")).unwrap();
        let endpoint = BundleEndpoint::start(&server, Answer::Bundle(bundle(&[&authority], 7))).await;
        Self { authority, workload, endpoint }
    }

    /// Its entry in Countersign's configuration.
    fn settings(&self, domains: &Domains, changes: &Json) -> Json {
        fs::write(domains.dir().join("liar.json"), bundle(&[&self.authority], 7).to_string()).unwrap();
        let entry = json!({
            "trust_domain": LIAR,
            "files": ["liar.json"],
            "endpoint": self.endpoint.url(),
            "profile": "https_spiffe",
            "endpoint_id": LIARS_SERVER,
        });
        json!({"spiffe": {"bundles": [merged(entry, changes)]}})
    }

    /// Waits until the endpoint has been asked again, and the answer was dealt with.
    async fn asked_again(&self, server: &Server) {
        let outcomes = async || of_domain(server, "countersign_trust_refreshes_total", LIAR).await;
        let (asked, before) = (self.endpoint.asked(), outcomes().await);
        let again = async || (self.endpoint.asked() > asked && outcomes().await > before).then_some(());
        eventually("another fetch", again).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i6_i8_what_a_lying_endpoint_says_changes_nothing() {
    let (domains, liar) = (Domains::start(Lifetimes::ORDINARY).await, Liar::start().await);
    let server = domains.countersign(0, &liar.settings(&domains, &Json::Null)).await;
    let envoy = domains.envoy(&[UNVERIFIED], &[], server.checks()).await;
    let good = || Answer::Bundle(bundle(&[&liar.authority], 7));
    let held = (403, "policy_denied".to_owned());
    let ask = async || outcome(&domains, &server, &envoy, &liar.workload).await;
    assert_eq!(ask().await, held, "proven, but without a right");

    let other = Authority::of(LIAR, "another").unwrap();
    let server_of = |authority: &Authority, id: &str| {
        authority.issue(&Leaf { uris: vec![id.to_owned()], ..Leaf::local_server() }).unwrap()
    };
    let genuine = server_of(&liar.authority, LIARS_SERVER);
    let usurped = Answer::Bundle(bundle(&[&other], 8));
    for (what, identity, answer) in [
        ("another workload of the domain", server_of(&liar.authority, "spiffe://liar.example/x"), usurped.clone()),
        (
            "a server of another domain",
            server_of(&domains.partner_root, "spiffe://partner.example/spire/server"),
            usurped.clone(),
        ),
        ("the right name, signed by another", server_of(&other, LIARS_SERVER), usurped),
        ("a page for people", genuine.clone(), Answer::Html),
        ("silence", genuine.clone(), Answer::Silence),
        ("drops", genuine.clone(), Answer::Drip),
    ] {
        liar.endpoint.set_identity(&identity);
        liar.endpoint.set_answer(answer);
        liar.asked_again(&server).await;
        assert_eq!(ask().await, held, "{what}");
    }
    let readiness = server.probe("/readyz").await.unwrap();
    assert_eq!(readiness.status, 200, "what is held serves");
    assert!(readiness.text().contains(LIAR), "{}", readiness.text());
    assert_eq!(of_domain(&server, "countersign_trust_bundle_sequence", LIAR).await, 7);

    liar.endpoint.set_identity(&genuine);
    liar.endpoint.set_answer(good());
    eventually("the end of the trouble", async || {
        server.probe("/readyz").await.filter(|reply| !reply.text().contains(LIAR))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i6_a_lower_sequence_is_taken_and_told_or_refused() {
    let (domains, liar) = (Domains::start(Lifetimes::ORDINARY).await, Liar::start().await);
    let old = Authority::of(LIAR, "old").unwrap();
    let of_old = old.issue(&Leaf::svid("spiffe://liar.example/seller")).unwrap();
    let (known, unknown) = ((403, "policy_denied".to_owned()), (403, "caller_certificate_untrusted".to_owned()));
    for (number, refuse, wanted) in [(0, false, [&unknown, &known]), (1, true, [&known, &unknown])] {
        liar.endpoint.set_answer(Answer::Bundle(bundle(&[&liar.authority], 7)));
        let settings = liar.settings(&domains, &json!({"refuse_rollback": refuse}));
        let server = domains.countersign(number, &settings).await;
        let envoy = domains.envoy(&[UNVERIFIED], &[], server.checks()).await;
        liar.asked_again(&server).await;
        liar.endpoint.set_answer(Answer::Bundle(bundle(&[&old], 3)));
        eventually("the count", async || {
            let rollbacks = of_domain(&server, "countersign_trust_rollbacks_total", LIAR).await;
            (rollbacks >= 1).then_some(())
        })
        .await;
        for (identity, wanted) in [&liar.workload, &of_old].into_iter().zip(wanted) {
            assert_eq!(&outcome(&domains, &server, &envoy, identity).await, wanted, "refuse_rollback: {refuse}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i6_an_empty_bundle_trusts_nobody() {
    let (domains, liar) = (Domains::start(Lifetimes::ORDINARY).await, Liar::start().await);
    let server = domains.countersign(0, &liar.settings(&domains, &Json::Null)).await;
    let envoy = domains.envoy(&[UNVERIFIED], &[], server.checks()).await;
    assert_eq!(outcome(&domains, &server, &envoy, &liar.workload).await, (403, "policy_denied".to_owned()));
    liar.endpoint.set_answer(Answer::Bundle(bundle(&[], 8)));
    eventually("the end of trust", async || {
        let (status, reason) = outcome(&domains, &server, &envoy, &liar.workload).await;
        (status == 403 && reason == "caller_certificate_untrusted").then_some(())
    })
    .await;
}
