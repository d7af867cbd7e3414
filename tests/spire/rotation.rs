//! Certificates and authorities that change under load: no call fails, and none is wrongly decided.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::sleep;

use super::super::harness::client::Call;
use super::super::harness::client::Client;
use super::super::harness::envoy::Envoy;
use super::super::harness::eventually;
use super::super::harness::server::Server;
use super::super::peers::certs::Keyed;
use super::super::peers::spire::Svid;
use super::harness::Domains;
use super::harness::Lifetimes;
use super::harness::MESH;
use super::harness::SERVER_NAME;
use super::harness::UNVERIFIED;
use super::harness::metric;

/// Who asks for what, with the answer and the reason that must come of it.
const TRAFFIC: [(&str, &str, u16, &str); 4] = [
    ("spiffe://prod.example/planner", "/accounts/1", 200, "policy_allowed"),
    ("spiffe://prod.example/ledger", "/accounts/1", 403, "policy_denied"),
    ("spiffe://partner.example/seller", "/offers/1", 200, "policy_allowed"),
    ("spiffe://partner.example/seller", "/accounts/1", 403, "policy_denied"),
];

/// How many requests a client makes with one connection, and how long it pauses between them: so that no connection
/// outlives the certificate it was made with, and the machine has time for what is tested.
const REQUESTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(20);

/// How often Countersign's own certificate must have changed.
const ROTATIONS: usize = 4;
/// What that may take: SPIRE renews after half a life, so twenty seconds are normal.
const PATIENCE: Duration = Duration::from_secs(90);

/// The newest SVIDs, by their names.
#[derive(Default)]
struct Wallet(Mutex<BTreeMap<String, Svid>>);

impl Wallet {
    async fn refresh(&self, domains: &Domains) {
        let both = tokio::try_join!(domains.prod.x509_svids(), domains.partner.x509_svids()).unwrap();
        let mut svids = self.0.lock().unwrap();
        svids.extend([both.0, both.1].into_iter().flatten().map(|svid| (svid.id.clone(), svid)));
    }

    fn client(&self, envoy: &Envoy, id: &str) -> Client {
        let svids = self.0.lock().unwrap();
        let (own, prod) = (&svids[id], &svids["spiffe://prod.example/planner"]);
        Client::with_certificate(envoy.listener(MESH.name), SERVER_NAME, &prod.bundle, &own.keyed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn svids_of_seconds_change_under_load_and_no_call_fails() {
    let domains = Domains::start(Lifetimes::SECONDS).await;
    let server = domains.countersign(0, &json!({})).await;
    let envoy = domains.envoy(&[MESH], &[], server.checks()).await;
    let (wallet, stop) = (Wallet::default(), AtomicBool::new(false));
    wallet.refresh(&domains).await;
    let running = || !stop.load(Ordering::Relaxed);

    let renew = async {
        while running() {
            wallet.refresh(&domains).await;
            sleep(Duration::from_millis(500)).await;
        }
    };
    let clients = TRAFFIC.map(async |(caller, target, status, _reason)| {
        let mut calls = 0_usize;
        while running() {
            let mut connection = wallet.client(&envoy, caller).connect().await.unwrap();
            for _ in 0..REQUESTS {
                let reply = connection.send(&Call::get(target)).await.unwrap();
                assert_eq!(reply.status, status, "{caller} {target}, after {calls} calls: {reply:?}");
                calls += 1;
                sleep(PAUSE).await;
            }
        }
        calls
    });
    let watch = async {
        until_rotated(&server).await;
        stop.store(true, Ordering::Relaxed);
    };
    let (calls, (), ()) = tokio::join!(join_all(clients), renew, watch);

    let records = server.records_of(calls.iter().sum()).await;
    let found: BTreeSet<_> = records.iter().map(|record| (record.caller(), record.reason())).collect();
    let wanted = TRAFFIC.iter().map(|(caller, _, _, reason)| (Some(*caller), *reason)).collect();
    assert_eq!(found, wanted);
}

/// Waits until Countersign has had several certificates, and more authorities of its own domain than at first.
async fn until_rotated(server: &Server) {
    let authorities = async || {
        let labels = ["trust_domain=\"prod.example\"", "kind=\"x509\""];
        metric(server, "countersign_trust_bundle_authorities", &labels).await
    };
    let (start, at_first, mut expiries) = (Instant::now(), authorities().await, BTreeSet::new());
    while expiries.len() <= ROTATIONS || authorities().await <= at_first {
        assert!(start.elapsed() < PATIENCE, "certificates: {expiries:?}, authorities: {at_first}");
        expiries.insert(metric(server, "countersign_svid_expiry_timestamp_seconds", &[]).await);
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn svids_of_a_revoked_authority_are_refused() {
    let domains = Domains::start(Lifetimes::ORDINARY).await;
    let server = domains.countersign(0, &json!({})).await;
    let envoy = domains.envoy(&[UNVERIFIED], &[], server.checks()).await;
    let ask = async |identity: &Keyed| {
        let client = domains.client(&envoy, &UNVERIFIED, identity).await;
        // Envoy's own certificate changes too, at a moment of its own.
        let reply = client.try_send(&Call::get("/")).await.ok()?;
        Some(reply.status).filter(|status| *status != 503)?;
        let record = server.next_record().await;
        Some((reply.status, record.reason().to_owned()))
    };
    let planner = async || domains.prod.x509_svid("/planner").await.unwrap().keyed;
    let allowed = Some((200, "policy_allowed".to_owned()));
    let old = planner().await;
    assert_eq!(ask(&old).await, allowed);

    let authority = domains.prod.rotate_x509_authority().await.unwrap();
    domains.prod.taint_x509_authority(&authority).await.unwrap();
    let new = eventually("SVIDs of the new authority", async || {
        let new = planner().await;
        (new.certificate != old.certificate).then_some(new)
    })
    .await;
    assert_eq!(eventually("an answer", async || ask(&old).await).await, allowed.clone().unwrap(), "not yet revoked");

    domains.prod.revoke_x509_authority(&authority).await.unwrap();
    let untrusted = Some((403, "caller_certificate_untrusted".to_owned()));
    eventually("the refusal of the old one", async || (ask(&old).await == untrusted).then_some(())).await;
    eventually("the new one", async || (ask(&new).await == allowed).then_some(())).await;
}
