//! I6: bundle endpoints, when they are asked, and what they may take back.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::endpoint::Replies;
use super::endpoint::at;
use super::endpoint::numbered;
use super::endpoint::sequence;
use super::endpoint::web;
use super::issue::Authority;
use super::issue::document;
use super::kept::Folder;
use super::kept::Kept;
use super::kept::QUICK;
use crate::clock::UnixTime;
use crate::fetch::server::Reply;
use crate::fetch::server::Server;
use crate::trust::Endpoint;
use crate::trust::Material;
use crate::trust::Origin;
use crate::trust::certificate::Leaf;
use crate::trust::chain;
use crate::trust::chain::Side;
use crate::trust::refresh::Tuning;

/// Slow after a success, so that nothing but the first fetch happens.
const PATIENT: Tuning =
    Tuning { interval: Duration::from_hours(1), longest_interval: Duration::from_hours(1), ..QUICK };

#[tokio::test]
async fn a_bundle_comes_by_https_web_again_and_again() {
    let authority = Authority::new("partner.example");
    let (domain, replies) = (&authority.domain, Replies::new(numbered(&authority, 1)));
    let server = Server::start(replies.respond()).await;
    let kept = Kept::start(at(domain, vec![], web(&server)));
    kept.until("the first", |kept| sequence(kept, domain) == Some(1)).await;
    assert_eq!(kept.held(domain).unwrap().origin, Origin::Endpoint);
    assert!(kept.status_at_publication().of_bundle(domain).unwrap().last_success.is_some());
    kept.looked_again(2).await;
    assert_eq!(kept.publications(), 1, "a bundle that has not changed is not published");
    replies.set(Reply::json(numbered(&authority, 2)));
    kept.until("the second", |kept| sequence(kept, domain) == Some(2)).await;
    assert!(server.paths().iter().all(|path| path == "/bundle"));
    assert!(kept.shows("countersign_trust_bundle_sequence{trust_domain=\"partner.example\"} 2"));
    assert!(kept.shows("countersign_trust_rollbacks_total{trust_domain=\"partner.example\"} 0"));
}

#[test]
fn the_refresh_hint_says_when_within_bounds() {
    for (hint, seconds) in
        [(None, 300), (Some(0), 5), (Some(4), 5), (Some(60), 60), (Some(3600), 3600), (Some(u64::MAX), 3600)]
    {
        let interval = Tuning::default().interval_by(hint.map(Duration::from_secs));
        assert_eq!(interval, Duration::from_secs(seconds), "{hint:?}");
    }
}

#[tokio::test]
async fn a_hint_cannot_put_off_the_next_fetch_for_ever() {
    let authority = Authority::new("partner.example");
    let tuning = Tuning { longest_interval: Duration::from_millis(200), ..PATIENT };
    let body = document(&[&authority], json!({"spiffe_refresh_hint": u64::MAX}));
    let server = Server::start(move |_path| Reply::json(body.clone())).await;
    let config = at(&authority.domain, vec![], web(&server));
    let kept = Kept::start_tuned(config.clone(), Material::empty(&config), tuning);
    kept.until("the first", |_| server.paths().len() == 1).await;
    let began = Instant::now();
    kept.until("four more", |_| server.paths().len() == 5).await;
    // Each wait is a tenth more or less.
    assert!(began.elapsed() >= Duration::from_millis(4 * 180), "but not sooner than the longest interval");
}

#[tokio::test]
async fn a_bundle_file_is_there_before_the_endpoint_answers() {
    let authority = Authority::new("partner.example");
    let (domain, folder) = (&authority.domain, Folder::new());
    folder.write("bundle.json", numbered(&authority, 1));
    let replies = Replies::new(Vec::new());
    replies.set(Reply::Silence);
    let server = Server::start(replies.respond()).await;
    let files = vec![folder.path().join("bundle.json")];
    let config = at(domain, files, web(&server));
    let kept = Kept::start(config.clone());
    kept.until("the file's", |kept| sequence(kept, domain) == Some(1)).await;
    assert_eq!(kept.held(domain).unwrap().origin, Origin::Files);
    kept.fails("the fetch took longer than 500 ms").await;
    replies.set(Reply::json(numbered(&authority, 2)));
    kept.until("the endpoint's", |kept| sequence(kept, domain) == Some(2)).await;
    // After a reload what was fetched is not replaced by the file.
    replies.set(Reply::Silence);
    let again = Kept::start_tuned(config, kept.material(), QUICK);
    again.fails("the fetch took longer").await;
    assert_eq!((sequence(&again, domain), again.publications()), (Some(2), 0));
}

#[tokio::test]
async fn a_server_that_comes_up_late_is_met_early() {
    let authority = Authority::new("partner.example");
    let replies = Replies::new(numbered(&authority, 1));
    replies.set(Reply::Answer(503, String::new(), Vec::new()));
    let server = Server::start(replies.respond()).await;
    let config = at(&authority.domain, vec![], web(&server));
    let kept = Kept::start_tuned(config.clone(), Material::empty(&config), PATIENT);
    kept.fails("503").await;
    assert!(kept.material().bundles.get("partner.example").is_err());
    replies.set(Reply::json(numbered(&authority, 1)));
    kept.until("the bundle, though the interval is an hour", |kept| kept.held(&authority.domain).is_some()).await;
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_no_more_often_than_before() {
    let authority = Authority::new("partner.example");
    let replies = Replies::new(numbered(&authority, 1));
    let server = Server::start(replies.respond()).await;
    let config = at(&authority.domain, vec![], web(&server));
    let tuning = Tuning { interval: Duration::from_millis(150), ..QUICK };
    let kept = Kept::start_tuned(config.clone(), Material::empty(&config), tuning);
    kept.until("the bundle", |kept| kept.held(&authority.domain).is_some()).await;
    replies.set(Reply::Answer(503, String::new(), Vec::new()));
    kept.fails("503").await;
    let began = Instant::now();
    kept.until("more failures", |kept| kept.source().failures == 4).await;
    assert!(began.elapsed() >= Duration::from_millis(3 * 135), "{:?}", began.elapsed());
}

/// Whether the trust domain's SVIDs are believed now.
fn trusts(kept: &Kept, authority: &Authority) -> bool {
    let svid = authority.svid("/workload");
    let leaf = Leaf::from_der(&svid.der).unwrap();
    let bundle = kept.held(&authority.domain).unwrap().bundle;
    chain::verify(&leaf, &svid.der, &[], &bundle, Side::Client, UnixTime::now()).is_ok()
}

#[tokio::test]
async fn i6_an_empty_bundle_is_taken_as_it_stands_and_nobody_is_trusted() {
    let authority = Authority::new("partner.example");
    let (domain, replies) = (&authority.domain, Replies::new(numbered(&authority, 1)));
    let server = Server::start(replies.respond()).await;
    let kept = Kept::start(at(domain, vec![], web(&server)));
    kept.until("the bundle", |kept| kept.held(domain).is_some()).await;
    assert!(trusts(&kept, &authority));
    replies.set(Reply::json("{\"keys\":[],\"spiffe_sequence\":2}"));
    kept.until("the empty one", |kept| sequence(kept, domain) == Some(2)).await;
    assert!(!trusts(&kept, &authority));
    assert_eq!(kept.source().last_error, None);
    assert!(kept.shows("countersign_trust_bundle_authorities{trust_domain=\"partner.example\",kind=\"x509\"} 0"));
    replies.set(Reply::json(numbered(&authority, 3)));
    kept.until("authorities again", |kept| sequence(kept, domain) == Some(3)).await;
    assert!(trusts(&kept, &authority));
}

const ONE_ROLLBACK: &str = "countersign_trust_rollbacks_total{trust_domain=\"partner.example\"} 1";

#[tokio::test]
async fn i6_a_lower_sequence_number_is_taken_counted_and_shown() {
    let (new, old) = (Authority::new("partner.example"), Authority::new("partner.example"));
    let (domain, replies) = (&new.domain, Replies::new(numbered(&new, 9)));
    let server = Server::start(replies.respond()).await;
    let kept = Kept::start(at(domain, vec![], web(&server)));
    kept.until("the bundle", |kept| sequence(kept, domain) == Some(9)).await;
    assert!(!kept.source().rolled_back);
    replies.set(Reply::json(numbered(&old, 8)));
    kept.until("the older one", |kept| sequence(kept, domain) == Some(8)).await;
    assert!(trusts(&kept, &old) && !trusts(&kept, &new));
    kept.looked_again(2).await;
    assert!(kept.source().rolled_back && kept.shows(ONE_ROLLBACK), "counted once, shown as long as it lasts");
    replies.set(Reply::json(numbered(&new, 9)));
    kept.until("the newer one", |kept| sequence(kept, domain) == Some(9)).await;
    assert!(!kept.source().rolled_back && kept.shows(ONE_ROLLBACK));
}

#[tokio::test]
async fn i6_a_lower_sequence_number_is_refused_where_the_configuration_says_so() {
    let (new, old) = (Authority::new("partner.example"), Authority::new("partner.example"));
    let (domain, replies) = (&new.domain, Replies::new(numbered(&new, 9)));
    let server = Server::start(replies.respond()).await;
    let config = at(domain, vec![], Endpoint { refuse_rollback: true, ..web(&server) });
    let kept = Kept::start(config.clone());
    kept.until("the bundle", |kept| sequence(kept, domain) == Some(9)).await;
    replies.set(Reply::json(numbered(&old, 8)));
    kept.fails("the bundle's sequence number 8 is lower than 9, which is held").await;
    assert!(trusts(&kept, &new) && !trusts(&kept, &old) && kept.source().rolled_back);
    assert!(!kept.shows("countersign_trust_rollbacks_total{trust_domain=\"partner.example\"} 0"));
    // A reload remembers; a restart does not.
    let reloaded = Kept::start_tuned(config.clone(), kept.material(), QUICK);
    reloaded.fails("lower than 9").await;
    assert!(trusts(&reloaded, &new));
    let restarted = Kept::start(config);
    restarted.until("the older one", |kept| sequence(kept, domain) == Some(8)).await;
    assert!(!restarted.source().rolled_back);
    // The same number is no step back, nor is none at all.
    replies.set(Reply::json(numbered(&old, 9)));
    kept.until("the same number", |kept| trusts(kept, &old)).await;
    assert!(!kept.source().rolled_back);
    replies.set(Reply::json(document(&[&new], json!({}))));
    kept.until("no number", |kept| trusts(kept, &new)).await;
}
