//! Everything once, for a command: what there is, and a problem for each place that gave nothing.

use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::agent::Agent;
use super::agent::Does;
use super::agent::JWT_BUNDLES;
use super::agent::PERMISSION_DENIED;
use super::agent::X509_SVID;
use super::agent::jwt_bundles;
use super::agent::svid;
use super::agent::svids;
use super::issue::Authority;
use super::issue::document;
use super::issue::jwk;
use super::kept::Folder;
use super::kept::PATIENCE;
use super::kept::QUICK;
use crate::fetch::server::Reply;
use crate::fetch::server::Server;
use crate::problem::Problem;
use crate::spiffe_id::SpiffeId;
use crate::trust::BundleConfig;
use crate::trust::Config;
use crate::trust::Endpoint;
use crate::trust::Material;
use crate::trust::Origin;
use crate::trust::Profile;
use crate::trust::fixtures::uri;
use crate::trust::refresh::load_once;
use crate::trust::refresh::once::look_once_tuned;

async fn once(config: &Config) -> (Material, Vec<Problem>) {
    let (material, _status, problems) = look_once_tuned(config, PATIENCE, QUICK).await;
    (material, problems)
}

fn told(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn nothing_configured_is_nothing_to_wait_for() {
    let began = Instant::now();
    let (material, problems) = load_once(&Config::default()).await;
    assert!(material.svid.is_none() && material.bundles.iter().next().is_none() && problems.is_empty());
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn all_places_are_asked_also_one_that_needs_another_first() {
    let (own, partner) = (Authority::new("prod.example"), Authority::new("partner.example"));
    let mut agent = Agent::new();
    let issued = own.svid("/countersign");
    agent.tell(X509_SVID, svids(&[svid(&own, "/countersign", &issued)], &[]));
    agent.tell(JWT_BUNDLES, jwt_bundles(&[("prod.example", vec![jwk("one")])]));
    agent.start();
    let body = document(&[&partner], json!({"spiffe_sequence": 3}));
    // Its server is proven by the own trust domain's bundle, which the agent brings.
    let server = own.svid("/spire/server").server_config();
    let server = Server::presenting(server, move |_path| Reply::json(body.clone())).await;
    let profile = Profile::HttpsSpiffe { id: SpiffeId::parse("spiffe://prod.example/spire/server").unwrap() };
    let endpoint = Endpoint { url: server.url.clone(), profile, refuse_rollback: false };
    let bundle = BundleConfig {
        trust_domain: partner.domain.clone(),
        files: Vec::new(),
        endpoint: Some(endpoint),
        optional: false,
    };
    let config = Config { workload_api: Some(agent.address()), bundles: vec![bundle], ..Config::default() };
    let began = Instant::now();
    let (material, problems) = once(&config).await;
    assert!(began.elapsed() < Duration::from_secs(10), "it ends when all have answered");
    assert_eq!(told(&problems), [""; 0]);
    assert_eq!(material.svid.unwrap().spiffe_id.as_ref().unwrap().as_str(), "spiffe://prod.example/countersign");
    let origins: Vec<_> = material.bundles.iter().map(|(domain, held)| (domain.as_str(), held.origin)).collect();
    assert_eq!(origins, [("partner.example", Origin::Endpoint), ("prod.example", Origin::WorkloadApi)]);
}

#[tokio::test]
async fn each_place_that_gives_nothing_is_a_problem_with_its_path() {
    let (folder, good) = (Folder::new(), Authority::new("good.example"));
    folder.write("good.pem", good.pem());
    folder.write("odd.json", json!({"keys": [{"use": "x509-svid", "kty": "EC"}]}).to_string());
    let web = Server::start(|_path| Reply::Answer(404, String::new(), Vec::new())).await;
    let profile = Profile::HttpsWeb { ca_file: Some(web.ca_file().to_owned()) };
    let endpoint = Endpoint { url: web.url.clone(), profile, refuse_rollback: false };
    let domain = |name: &str| Authority::new(name).domain;
    let fetched = BundleConfig { endpoint: Some(endpoint), ..folder.bundle_config(&domain("fetched.example"), &[]) };
    let config = Config {
        workload_api: Some(format!("unix://{}/none.sock", folder.path().display())),
        bundles: vec![
            folder.bundle_config(&good.domain, &["good.pem"]),
            folder.bundle_config(&domain("missing.example"), &["missing.pem"]),
            fetched,
            folder.bundle_config(&domain("odd.example"), &["odd.json"]),
        ],
        ..folder.svid()
    };
    let (material, problems) = once(&config).await;
    assert!(material.svid.is_none());
    let held: Vec<_> = material.bundles.iter().map(|(domain, _)| domain.as_str()).collect();
    assert_eq!(held, ["good.example", "odd.example"]);
    let expected = [
        "error: spiffe.workload_api: the socket cannot be connected to",
        "error: spiffe.svid: ",
        "error: spiffe.bundles[1].files: ",
        "error: spiffe.bundles[2].endpoint: the server answered 404",
        "warning: spiffe.bundles[3].files: trust domain `odd.example`: X.509 authority 0 has no `x5c`: it is not used",
        "warning: spiffe.bundles[3].files: trust domain `odd.example`: the bundle has no authorities",
    ];
    let told = told(&problems);
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}\n{expected}");
    }
}

#[tokio::test]
async fn a_silent_place_is_waited_for_no_longer_than_said() {
    let mut agent = Agent::new();
    agent.start();
    let config = Config { workload_api: Some(agent.address()), ..Config::default() };
    let began = Instant::now();
    let (material, _, problems) = look_once_tuned(&config, Duration::from_millis(100), QUICK).await;
    assert!(began.elapsed() < Duration::from_secs(10) && material.bundles.awaits_workload_api());
    assert_eq!(told(&problems), ["error: spiffe.workload_api: there was no answer in time"]);
}

#[tokio::test]
async fn an_agent_without_the_svid_that_is_named_gives_no_certificate() {
    let own = Authority::new("prod.example");
    let mut agent = Agent::new();
    agent.tell(X509_SVID, svids(&[svid(&own, "/other", &own.svid("/other"))], &[]));
    agent.tell(JWT_BUNDLES, Does::Ends(PERMISSION_DENIED, "turned off"));
    agent.start();
    let svid_id = Some(SpiffeId::parse("spiffe://prod.example/countersign").unwrap());
    let config = Config { workload_api: Some(agent.address()), svid_id, ..Config::default() };
    let (material, problems) = once(&config).await;
    assert!(material.svid.is_none());
    let told = told(&problems);
    let begin = "error: spiffe.workload_api: the agent gives no SVID `spiffe://prod.example/countersign`";
    assert!(told.len() == 1 && told[0].starts_with(begin), "{told:#?}");
}

#[tokio::test]
async fn a_certificate_that_has_ended_is_a_warning() {
    let own = Authority::new("prod.example");
    let folder = Folder::new();
    let ended = own.issue(|params| {
        params.subject_alt_names = vec![uri("spiffe://prod.example/countersign")];
        params.not_after = OffsetDateTime::from_unix_timestamp(1_000_000_000).unwrap();
    });
    folder.write("svid.pem", &ended.pem);
    folder.write("svid_key.pem", ended.key_pem());
    let (material, problems) = once(&folder.svid()).await;
    assert!(material.svid.is_some());
    let told = told(&problems);
    let begin = "warning: spiffe.svid.certificate: the certificate is valid from ";
    assert!(told.len() == 1 && told[0].starts_with(begin), "{told:#?}");
}

#[tokio::test]
async fn what_works_in_part_is_a_warning() {
    let own = Authority::new("prod.example");
    let mut agent = Agent::new();
    agent.tell(X509_SVID, svids(&[svid(&own, "/countersign", &own.svid("/countersign"))], &[]));
    agent.tell(JWT_BUNDLES, Does::Ends(PERMISSION_DENIED, "turned off"));
    agent.start();
    let config = Config { workload_api: Some(agent.address()), ..Config::default() };
    let (material, problems) = once(&config).await;
    assert!(material.svid.is_some());
    assert_eq!(told(&problems), ["warning: spiffe.workload_api: JWT bundles: permission denied: turned off"]);
}
