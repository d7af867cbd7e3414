//! Who calls, by certificates and tokens that SPIRE issued, and forged ones. Names are those of docs/threats.md.

use rcgen::CertificateParams;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::SanType;
use serde_json::Value as Json;
use serde_json::json;

use super::super::harness::client::Call;
use super::super::harness::client::Client;
use super::super::harness::client::Reply;
use super::super::harness::envoy::Envoy;
use super::super::harness::eventually;
use super::super::harness::server::Record;
use super::super::harness::server::Server;
use super::super::peers::certs::Authority;
use super::super::peers::certs::Keyed;
use super::super::peers::certs::Leaf;
use super::harness::Domains;
use super::harness::Lifetimes;
use super::harness::MESH;
use super::harness::PLAINTEXT;
use super::harness::UNVERIFIED;
use super::harness::envoy::Door;

const PLANNER: &str = "spiffe://prod.example/planner";
const LEDGER: &str = "spiffe://prod.example/ledger";
const SELLER: &str = "spiffe://partner.example/seller";
const AUDIENCE: &str = "spiffe://prod.example/accounts";
const JWT_SVID: &str = "x-spiffe-jwt-svid";

/// Everything behind three listeners, with these changes to Countersign's configuration.
struct Stack {
    server: Server,
    envoy: Envoy,
    // Last, so that the folder goes after those who write to it.
    domains: Domains,
}

impl Stack {
    async fn start(lifetimes: Lifetimes, settings: impl FnOnce(&Domains) -> Json) -> Self {
        let domains = Domains::start(lifetimes).await;
        let server = domains.countersign(0, &settings(&domains)).await;
        let envoy = domains.envoy(&[MESH, UNVERIFIED, PLAINTEXT], &[], server.checks()).await;
        Self { server, envoy, domains }
    }

    async fn client(&self, door: &Door, identity: &Keyed) -> Client {
        self.domains.client(&self.envoy, door, identity).await
    }

    /// Asks once; gives status and reason, with the whole record.
    async fn ask(&self, client: &Client, call: &Call) -> (Reply, Record) {
        let reply = client.send(call).await;
        (reply, self.server.next_record().await)
    }

    /// What becomes of this certificate at this listener: status and reason.
    async fn outcome(&self, door: &Door, identity: &Keyed) -> (u16, String) {
        let (reply, record) = self.ask(&self.client(door, identity).await, &Call::get("/offers/1")).await;
        (reply.status, record.reason().to_owned())
    }
}

fn outcome(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_both_domains_are_proven_and_decided_by_policy() {
    let stack = Stack::start(Lifetimes::ORDINARY, |_| json!({})).await;
    let svid = async |id: &str| match id {
        SELLER => stack.domains.partner.x509_svid("/seller").await.unwrap(),
        _ => stack.domains.prod.x509_svid(id.trim_start_matches("spiffe://prod.example")).await.unwrap(),
    };
    for (caller, target, wanted) in [
        (PLANNER, "/accounts/1", outcome(200, "policy_allowed")),
        (PLANNER, "/offers/1", outcome(200, "policy_allowed")),
        (LEDGER, "/accounts/1", outcome(403, "policy_denied")),
        (SELLER, "/offers/1", outcome(200, "policy_allowed")),
        (SELLER, "/accounts/1", outcome(403, "policy_denied")),
    ] {
        let client = stack.client(&MESH, &svid(caller).await.keyed).await;
        let (reply, record) = stack.ask(&client, &Call::get(target)).await;
        assert_eq!((reply.status, record.reason().to_owned()), wanted, "{caller} {target}: {record:?}");
        let logged = &record.0["countersign"]["caller"];
        let proven = (&json!(caller), &json!("verified_certificate"));
        assert_eq!((&logged["spiffe_id"], &logged["proof"]), proven, "{logged}");
        if reply.status == 200 {
            assert_eq!(reply.seen().header("x-countersign-caller"), [caller]);
        }
    }
}

/// A certificate for this SPIFFE ID that nobody signed but its own key.
fn self_signed(id: &str) -> Keyed {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().unwrap();
    Keyed { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

/// The first certificate alone.
fn without_intermediates(keyed: &Keyed) -> Keyed {
    const END: &str = "-----END CERTIFICATE-----";
    let leaf = keyed.certificate.split_inclusive(END).next().unwrap().to_owned();
    assert_ne!(leaf.len(), keyed.certificate.trim_end().len(), "there is no intermediate");
    Keyed { certificate: leaf, key: keyed.key.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a16_a17_a_domains_names_are_proven_by_its_own_bundle_alone() {
    let third = Authority::of("third.example", "third").unwrap();
    let stack = Stack::start(Lifetimes::ORDINARY, |domains| {
        std::fs::write(domains.dir().join("third.pem"), third.pem()).unwrap();
        json!({"spiffe": {"bundles": [{"trust_domain": "third.example", "files": ["third.pem"]}]}})
    })
    .await;
    let stranger = Authority::of("fourth.example", "fourth").unwrap();
    let planner = stack.domains.prod.x509_svid("/planner").await.unwrap().keyed;
    let seller = stack.domains.partner.x509_svid("/seller").await.unwrap().keyed;
    let signed = |authority: &Authority, id: &str| authority.issue(&Leaf::svid(id)).unwrap();
    let partner = &stack.domains.partner_root;

    for (what, identity) in [
        ("A16: signed by itself", self_signed(PLANNER)),
        ("A16: signed by an authority that nobody knows", signed(&stranger, PLANNER)),
        ("A17: signed by the federated domain's root", signed(partner, PLANNER)),
        ("A17: signed by a configured domain's root", signed(&third, PLANNER)),
        ("A17: the federated domain's name, signed by another", signed(&third, SELLER)),
        ("without the intermediate that leads to the root", without_intermediates(&seller)),
    ] {
        assert_eq!(stack.outcome(&UNVERIFIED, &identity).await, outcome(403, "caller_certificate_untrusted"), "{what}");
        let client = stack.client(&MESH, &identity).await;
        assert!(client.try_send(&Call::get("/offers/1")).await.is_err(), "{what}: Envoy's own validator agrees");
    }
    let unknown = signed(&stranger, "spiffe://fourth.example/seller");
    assert_eq!(stack.outcome(&UNVERIFIED, &unknown).await, outcome(403, "caller_trust_domain_unknown"));
    for (what, identity, wanted) in [
        ("own domain", planner, outcome(200, "policy_allowed")),
        ("federated domain, with its intermediate", seller, outcome(200, "policy_allowed")),
        ("federated domain, by its root", signed(partner, SELLER), outcome(200, "policy_allowed")),
        ("configured domain", signed(&third, "spiffe://third.example/seller"), outcome(403, "policy_denied")),
    ] {
        assert_eq!(stack.outcome(&UNVERIFIED, &identity).await, wanted, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_svid_of_either_domain_names_the_caller() {
    let audiences = json!({"caller": {"jwt_svid": {"audiences": [AUDIENCE]}}});
    let stack = Stack::start(Lifetimes { jwt_seconds: 5, ..Lifetimes::ORDINARY }, |_| audiences).await;
    let Domains { prod, partner, .. } = &stack.domains;
    let client = Client::plaintext(stack.envoy.listener(PLAINTEXT.name));
    let ask = async |token: &str| {
        let (reply, record) = stack.ask(&client, &Call::get("/offers/1").header(JWT_SVID, token)).await;
        ((reply.status, record.reason().to_owned()), record.0["countersign"]["caller"].clone())
    };

    for (caller, token) in [
        (PLANNER, prod.jwt_svid("/planner", AUDIENCE).await.unwrap()),
        (SELLER, partner.jwt_svid("/seller", AUDIENCE).await.unwrap()),
    ] {
        let (found, logged) = ask(&token).await;
        assert_eq!(found, outcome(200, "policy_allowed"), "{caller}");
        assert_eq!((&logged["spiffe_id"], &logged["proof"]), (&json!(caller), &json!("jwt_svid")), "{logged}");
    }
    let ledger = prod.jwt_svid("/ledger", AUDIENCE).await.unwrap();
    assert_eq!(ask(&ledger).await.0, outcome(403, "policy_denied"));
    let elsewhere = prod.jwt_svid("/planner", "spiffe://prod.example/elsewhere").await.unwrap();
    assert_eq!(ask(&elsewhere).await.0, outcome(403, "caller_jwt_svid_audience"));

    // Genuine parts, put together anew: the planner's signature below the ledger's claims.
    let planner = prod.jwt_svid("/planner", AUDIENCE).await.unwrap();
    let (claims, signature) = (ledger.rsplit_once('.').unwrap().0, planner.rsplit_once('.').unwrap().1);
    assert_eq!(ask(&format!("{claims}.{signature}")).await.0, outcome(403, "caller_jwt_svid_signature"));

    eventually("the end of a JWT-SVID's life", async || {
        (ask(&planner).await.0 == outcome(403, "caller_jwt_svid_expired")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a12_a_jwt_svid_and_a_certificate_must_name_one_workload() {
    let audiences = json!({"caller": {"jwt_svid": {"audiences": [AUDIENCE]}}});
    let stack = Stack::start(Lifetimes::ORDINARY, |_| audiences).await;
    let prod = &stack.domains.prod;
    let client = stack.client(&MESH, &prod.x509_svid("/planner").await.unwrap().keyed).await;
    for (path, wanted) in [("/planner", outcome(200, "policy_allowed")), ("/ledger", outcome(403, "caller_conflict"))] {
        let token = prod.jwt_svid(path, AUDIENCE).await.unwrap();
        let (reply, record) = stack.ask(&client, &Call::get("/").header(JWT_SVID, token)).await;
        assert_eq!((reply.status, record.reason().to_owned()), wanted, "{path}");
    }
}
