//! I7: the Workload API, and what becomes of what it gave while it is in trouble.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::sleep;

use super::agent::Agent;
use super::agent::Does;
use super::agent::INVALID_ARGUMENT;
use super::agent::JWT_BUNDLES;
use super::agent::OK;
use super::agent::PERMISSION_DENIED;
use super::agent::Relay;
use super::agent::UNIMPLEMENTED;
use super::agent::X509_BUNDLES;
use super::agent::X509_SVID;
use super::agent::jwt_bundles;
use super::agent::svid;
use super::agent::svids;
use super::agent::x509_bundles;
use super::issue::Authority;
use super::issue::Issued;
use super::issue::jwk;
use super::kept::Folder;
use super::kept::Kept;
use crate::spiffe_id::SpiffeId;
use crate::spiffe_id::TrustDomain;
use crate::trust::Config;
use crate::trust::Origin;
use crate::trust::refresh::ConnectionStatus;

const ID: &str = "/countersign";
const CONNECTED: &str = "countersign_workload_api_connected 1";
const NOT_CONNECTED: &str = "countersign_workload_api_connected 0";

/// A trust domain, its agent, and what the agent gives.
struct World {
    agent: Agent,
    own: Authority,
    partner: Authority,
    svid: Issued,
}

impl World {
    /// All is well.
    fn new() -> Self {
        let mut world = Self::before_its_start();
        world.agent.start();
        world
    }

    fn before_its_start() -> Self {
        let (own, partner) = (Authority::new("prod.example"), Authority::new("partner.example"));
        let world = Self { agent: Agent::new(), svid: own.svid(ID), own, partner };
        world.agent.tell(X509_SVID, world.x509());
        world.agent.tell(JWT_BUNDLES, Self::jwt());
        world
    }

    fn x509(&self) -> Does {
        svids(&[svid(&self.own, ID, &self.svid)], &[&self.partner])
    }

    fn jwt() -> Does {
        jwt_bundles(&[("prod.example", vec![jwk("one"), jwk("two")]), ("partner.example", vec![jwk("three")])])
    }

    fn config(&self) -> Config {
        Config { workload_api: Some(self.agent.address()), ..Config::default() }
    }
}

fn connection(kept: &Kept) -> ConnectionStatus {
    kept.status().workload_api.unwrap()
}

fn connection_error(kept: &Kept) -> String {
    connection(kept).last_error.unwrap_or_default()
}

/// How many X.509 and JWT authorities of a trust domain are in force.
fn counts(kept: &Kept, domain: &TrustDomain) -> Option<(usize, usize)> {
    let bundle = kept.held(domain)?.bundle;
    Some((bundle.x509_authorities().len(), bundle.jwt_authorities().usable()))
}

fn presents(kept: &Kept, svid: &Issued) -> bool {
    kept.material().svid.is_some_and(|own| own.chain().next() == Some(&*svid.der))
}

async fn is_connected(kept: &Kept) {
    kept.until("connected", |kept| connection(kept).connected).await;
}

#[tokio::test]
async fn everything_comes_from_both_streams_at_once() {
    let world = World::new();
    let kept = Kept::start(world.config());
    assert!(kept.material().bundles.awaits_workload_api());
    is_connected(&kept).await;
    assert!(presents(&kept, &world.svid));
    assert_eq!(counts(&kept, &world.own.domain), Some((1, 2)));
    assert_eq!(counts(&kept, &world.partner.domain), Some((1, 1)));
    let material = kept.material();
    assert!(material.bundles.iter().all(|(_, held)| held.origin == Origin::WorkloadApi));
    assert!(!material.bundles.awaits_workload_api());
    assert!(kept.status_at_publication().workload_api.unwrap().connected);
    assert_eq!((kept.publications(), connection(&kept).last_error), (1, None));
    assert!(kept.shows(CONNECTED));
    assert!(kept.shows("countersign_trust_refreshes_total{source=\"workload_api\",outcome=\"succeeded\"} 2"));
    assert!(kept.shows("countersign_trust_bundle_authorities{trust_domain=\"prod.example\",kind=\"jwt\"} 2"));
}

#[tokio::test]
async fn each_message_replaces_the_one_before() {
    let world = World::new();
    let kept = Kept::start(world.config());
    is_connected(&kept).await;
    let renewed = world.own.svid(ID);
    world.agent.tell(X509_SVID, svids(&[svid(&world.own, ID, &renewed)], &[]));
    kept.until("the renewed", |kept| presents(kept, &renewed)).await;
    assert_eq!(counts(&kept, &world.partner.domain), Some((0, 1)), "no X.509 authorities any more");
    world.agent.tell(JWT_BUNDLES, jwt_bundles(&[("prod.example", vec![jwk("two")])]));
    kept.until("the partner is gone", |kept| kept.held(&world.partner.domain).is_none()).await;
    assert_eq!(counts(&kept, &world.own.domain), Some((1, 1)));
    assert!(!kept.metrics.encode().contains("partner.example"));
}

#[tokio::test]
async fn a_renewed_certificate_leaves_the_bundles_the_same_value() {
    let world = World::new();
    let kept = Kept::start(world.config());
    is_connected(&kept).await;
    let (before, renewed) = (kept.material().bundles, world.own.svid(ID));
    world.agent.tell(X509_SVID, svids(&[svid(&world.own, ID, &renewed)], &[&world.partner]));
    kept.until("the renewed", |kept| presents(kept, &renewed)).await;
    assert!(Arc::ptr_eq(&before, &kept.material().bundles), "or each renewal would be a revision");
}

#[tokio::test]
async fn the_configured_svid_is_the_own_one() {
    let world = World::new();
    let other = world.own.svid("/other");
    let both = || svids(&[svid(&world.own, ID, &world.svid), svid(&world.own, "/other", &other)], &[]);
    world.agent.tell(X509_SVID, both());
    let svid_id = Some(SpiffeId::parse("spiffe://prod.example/other").unwrap());
    let kept = Kept::start(Config { svid_id, ..world.config() });
    is_connected(&kept).await;
    assert!(presents(&kept, &other), "the second");
    world.agent.tell(X509_SVID, world.x509());
    let told = "the agent gives no SVID `spiffe://prod.example/other`, but `spiffe://prod.example/countersign`";
    kept.until("an error", |kept| connection_error(kept) == told).await;
    assert!(presents(&kept, &other), "until it ends");
    assert_eq!(counts(&kept, &world.partner.domain), Some((1, 1)), "the bundles are taken");
    world.agent.tell(X509_SVID, both());
    kept.until("no error", |kept| connection(kept).last_error.is_none()).await;
}

#[tokio::test]
async fn with_a_certificate_in_files_no_key_is_asked_for() {
    let world = World::new();
    let folder = Folder::new();
    let in_files = world.own.svid("/in-files");
    folder.write("svid.pem", &in_files.pem);
    folder.write("svid_key.pem", in_files.key_pem());
    world.agent.tell(X509_BUNDLES, x509_bundles(&[("prod.example", &[&world.own]), ("partner.example", &[])]));
    let kept = Kept::start(Config { workload_api: Some(world.agent.address()), ..folder.svid() });
    is_connected(&kept).await;
    kept.until("the certificate", |kept| presents(kept, &in_files)).await;
    assert_eq!(counts(&kept, &world.own.domain), Some((1, 2)));
    assert_eq!(counts(&kept, &world.partner.domain), Some((0, 1)), "a bundle without authorities is one");
    assert_eq!((world.agent.calls(X509_SVID), world.agent.calls(X509_BUNDLES)), (0, 1));
}

#[tokio::test]
async fn a_trust_domain_that_the_configuration_names_is_not_touched() {
    let world = World::new();
    let folder = Folder::new();
    let pinned = Authority::new("partner.example");
    folder.write("bundle.pem", pinned.pem());
    let bundles = folder.bundle(&pinned.domain, &["bundle.pem"]).bundles;
    let kept = Kept::start(Config { bundles, ..world.config() });
    is_connected(&kept).await;
    kept.until("the file", |kept| kept.held(&pinned.domain).is_some()).await;
    for _ in 0..2 {
        assert_eq!(counts(&kept, &pinned.domain), Some((1, 0)));
        assert_eq!(kept.held(&pinned.domain).unwrap().origin, Origin::Files);
        world.agent.tell(X509_SVID, svids(&[svid(&world.own, ID, &world.own.svid(ID))], &[]));
        kept.until("another message", |kept| !presents(kept, &world.svid)).await;
    }
}

#[tokio::test]
async fn nothing_is_in_force_before_both_streams_have_answered() {
    let world = World::new();
    world.agent.tell(JWT_BUNDLES, Does::Waits);
    let kept = Kept::start(world.config());
    kept.until("both are open", |_| world.agent.calls(JWT_BUNDLES) == 1).await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(kept.publications(), 0);
    assert!(!connection(&kept).connected);
    world.agent.tell(JWT_BUNDLES, World::jwt());
    is_connected(&kept).await;
    assert_eq!((kept.publications(), counts(&kept, &world.own.domain)), (1, Some((1, 2))));
}

#[tokio::test]
async fn i7_a_jwt_stream_that_brings_nothing_does_not_hold_back_x509() {
    for (does, told) in [
        (Does::Ends(UNIMPLEMENTED, "disabled"), "unimplemented: disabled"),
        (Does::Ends(PERMISSION_DENIED, "no"), "permission denied: no"),
        (Does::Ends(OK, ""), "the agent ended the stream"),
        (Does::Says(b"\xff\xff garbage".to_vec()), "JWT bundles"),
        (Does::Says(Vec::new()), "missing required field"),
        (Does::Waits, "the agent did not answer within"),
    ] {
        let world = World::new();
        world.agent.tell(JWT_BUNDLES, does);
        let kept = Kept::start(world.config());
        is_connected(&kept).await;
        assert!(presents(&kept, &world.svid), "{told}");
        assert_eq!(counts(&kept, &world.own.domain), Some((1, 0)), "{told}");
        let error = connection_error(&kept);
        assert!(error.starts_with("JWT bundles: ") && error.contains(told), "{told}: {error}");
    }
}

#[tokio::test]
async fn i7_a_jwt_stream_comes_back_by_itself() {
    let world = World::new();
    let kept = Kept::start(world.config());
    is_connected(&kept).await;
    world.agent.tell(JWT_BUNDLES, Does::Ends(PERMISSION_DENIED, "not now"));
    kept.until("an error", |kept| connection_error(kept).contains("not now")).await;
    assert_eq!(counts(&kept, &world.own.domain), Some((1, 2)), "what it brought stays");
    kept.until("more calls", |_| world.agent.calls(JWT_BUNDLES) >= 4).await;
    world.agent.tell(JWT_BUNDLES, jwt_bundles(&[("prod.example", vec![jwk("four")])]));
    kept.until("newer keys", |kept| counts(kept, &world.own.domain) == Some((1, 1))).await;
    assert_eq!((connection(&kept).last_error, world.agent.calls(X509_SVID)), (None, 1));
}

#[tokio::test]
async fn i7_while_the_agent_is_away_everything_is_kept() {
    let mut world = World::before_its_start();
    let kept = Kept::start(world.config());
    kept.until("failures", |kept| connection(kept).failures >= 3).await;
    let told = connection_error(&kept);
    assert!(told.starts_with("the socket cannot be connected to") && told.contains("No such file"), "{told}");
    assert!(kept.shows(NOT_CONNECTED) && kept.material().bundles.awaits_workload_api());
    world.agent.start();
    is_connected(&kept).await;
    let before = kept.publications();
    world.agent.stop().await;
    kept.until("failures", |kept| connection(kept).failures >= 3).await;
    assert!(!connection(&kept).connected && kept.shows(NOT_CONNECTED));
    assert!(presents(&kept, &world.svid));
    assert_eq!((counts(&kept, &world.own.domain), kept.publications()), (Some((1, 2)), before));
    let renewed = world.own.svid(ID);
    world.agent.tell(X509_SVID, svids(&[svid(&world.own, ID, &renewed)], &[&world.partner]));
    world.agent.start();
    kept.until("the renewed", |kept| presents(kept, &renewed)).await;
    is_connected(&kept).await;
    assert_eq!(connection(&kept), ConnectionStatus { connected: true, ..ConnectionStatus::default() });
}

#[tokio::test]
async fn i7_an_agent_that_forbids_asking_again_is_not_asked_again() {
    for (status, told) in
        [(INVALID_ARGUMENT, "invalid_argument: no header"), (UNIMPLEMENTED, "unimplemented: no header")]
    {
        let world = World::new();
        let kept = Kept::start(world.config());
        is_connected(&kept).await;
        world.agent.tell(X509_SVID, Does::Ends(status, "no header"));
        kept.until("an error", |kept| connection_error(kept).contains(told)).await;
        // Ten times the longest wait after any other failure.
        sleep(Duration::from_millis(400)).await;
        assert_eq!((world.agent.calls(X509_SVID), connection(&kept).failures), (1, 1), "{told}");
        assert!(!connection(&kept).connected && presents(&kept, &world.svid), "{told}");
    }
}

#[tokio::test]
async fn i7_a_workload_that_is_not_registered_yet_asks_until_it_is() {
    let world = World::new();
    for stream in [X509_SVID, JWT_BUNDLES] {
        world.agent.tell(stream, Does::Ends(PERMISSION_DENIED, "no identity issued"));
    }
    let kept = Kept::start(world.config());
    kept.until("failures", |kept| connection(kept).failures >= 4).await;
    assert_eq!(connection_error(&kept), "no identity issued");
    world.agent.tell(X509_SVID, world.x509());
    world.agent.tell(JWT_BUNDLES, World::jwt());
    is_connected(&kept).await;
    // Unregistered again: the certificate is good until it ends, and the agent is asked on.
    world.agent.tell(X509_SVID, Does::Ends(PERMISSION_DENIED, "no identity issued"));
    kept.until("failures", |kept| connection(kept).failures >= 2).await;
    assert!(presents(&kept, &world.svid) && counts(&kept, &world.own.domain) == Some((1, 2)));
}

#[tokio::test]
async fn i7_a_message_that_cannot_be_read_changes_nothing() {
    let world = World::new();
    let kept = Kept::start(world.config());
    is_connected(&kept).await;
    let epoch = kept.held(&world.own.domain).unwrap().epoch();
    let foreign_key = Issued { der: world.svid.der.clone(), pem: String::new(), key: world.own.svid(ID).key };
    let is_authority = Issued { der: world.own.der().to_vec().into(), pem: String::new(), key: world.own.svid(ID).key };
    for (does, told) in [
        (Does::Says(b"\xff\xff\xff".to_vec()), "decode Protobuf"),
        (Does::Says(Vec::new()), "missing required field"),
        (svids(&[svid(&world.own, ID, &is_authority)], &[]), "failed to parse X.509 SVID"),
        (svids(&[b"\x0a\x01x".to_vec()], &[]), "missing required field"),
        (Does::Ends(OK, ""), "the agent ended the stream"),
        (Does::Ends(13, "internal\u{20}trouble"), "internal trouble"),
        (Does::Says(vec![0; 5 * 1024 * 1024]), "decoded message length too large"),
    ] {
        world.agent.tell(X509_SVID, does);
        kept.until(told, |kept| !connection(kept).connected && connection_error(kept).contains(told)).await;
        assert!(presents(&kept, &world.svid), "{told}");
        assert_eq!(kept.held(&world.own.domain).unwrap().epoch(), epoch, "{told}");
        world.agent.tell(X509_SVID, world.x509());
        is_connected(&kept).await;
    }
    world.agent.tell(X509_SVID, svids(&[svid(&world.own, ID, &foreign_key)], &[&world.partner]));
    kept.until("a foreign key", |kept| connection_error(kept).contains("do not belong together")).await;
    assert!(presents(&kept, &world.svid) && connection(&kept).connected, "the bundles of the same message are good");
}

#[tokio::test]
async fn i7_what_a_message_holds_is_bounded() {
    let world = World::new();
    let kept = Kept::start(world.config());
    is_connected(&kept).await;
    let names: Vec<String> = (0..1025).map(|number| format!("d{number}.example")).collect();
    let domains: Vec<_> = names.iter().map(|name| (name.as_str(), vec![jwk("k")])).take(3).collect();
    let empty: Vec<_> = names.iter().map(|name| (name.as_str(), Vec::new())).collect();
    world.agent.tell(JWT_BUNDLES, jwt_bundles(&empty));
    let told = "the agent named more than 1024 trust domains";
    kept.until(told, |kept| connection_error(kept).contains(told)).await;
    assert_eq!(counts(&kept, &world.own.domain), Some((1, 2)));
    // Too many of one trust domain: the others are good, and it keeps what it had.
    let certificates = vec![&world.partner; 257];
    world.agent.tell(JWT_BUNDLES, jwt_bundles(&domains));
    kept.until("other keys", |kept| counts(kept, &world.own.domain) == Some((1, 0))).await;
    drop(kept);

    let folder = Folder::new();
    let config = Config { workload_api: Some(world.agent.address()), ..folder.svid() };
    world
        .agent
        .tell(X509_BUNDLES, x509_bundles(&[("prod.example", &[&world.own]), ("partner.example", &[&world.partner])]));
    let kept = Kept::start(config);
    is_connected(&kept).await;
    let too_many = x509_bundles(&[("prod.example", &[]), ("partner.example", &certificates)]);
    world.agent.tell(X509_BUNDLES, too_many);
    kept.until("the own is empty", |kept| counts(kept, &world.own.domain) == Some((0, 0))).await;
    assert_eq!(counts(&kept, &world.partner.domain), Some((1, 0)));
    assert!(connection_error(&kept).contains("trust domain `partner.example`: the bundle has more than 256"));
}

#[tokio::test]
async fn i7_a_frozen_agent_is_noticed() {
    let world = World::new();
    let folder = Folder::new();
    let socket = folder.path().join("relay.sock");
    let relay = Relay::start(&socket, world.agent.socket());
    let kept = Kept::start(Config { workload_api: Some(format!("unix://{}", socket.display())), ..Config::default() });
    is_connected(&kept).await;
    relay.freeze();
    kept.until("not connected", |kept| !connection(kept).connected).await;
    assert!(presents(&kept, &world.svid));
    is_connected(&kept).await;
}

#[tokio::test]
async fn i7_an_agent_that_never_answers_is_left() {
    let world = World::new();
    world.agent.tell(X509_SVID, Does::Waits);
    let kept = Kept::start(world.config());
    let began = Instant::now();
    kept.until("an error", |kept| connection_error(kept).contains("the agent did not answer within")).await;
    assert!(began.elapsed() >= Duration::from_millis(450));
    kept.until("asked again", |_| world.agent.calls(X509_SVID) >= 2).await;
}

#[tokio::test]
async fn a_reload_begins_with_what_is_known() {
    let world = World::new();
    let kept = Kept::start(world.config());
    is_connected(&kept).await;
    world.agent.tell(X509_SVID, Does::Waits);
    let again = Kept::start_tuned(world.config(), kept.material(), super::kept::QUICK);
    assert!(presents(&again, &world.svid) && counts(&again, &world.own.domain) == Some((1, 2)));
    world.agent.tell(X509_SVID, world.x509());
    is_connected(&again).await;
    assert_eq!(again.publications(), 0, "nothing has changed");
}
