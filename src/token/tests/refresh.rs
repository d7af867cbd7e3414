//! I1, I2, I5 and D8: when keys are fetched, what stays in force, and whom it is told to.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::forge::ISSUER;
use super::forge::NOW;
use super::forge::SigningKey;
use super::forge::issuer;
use super::forge::jwks;
use super::forge::key_set;
use super::forge::now;
use super::forge::reason;
use super::forge::verify;
use crate::clock::UnixTime;
use crate::decision::Reason;
use crate::facts::User;
use crate::fetch::FetchLimits;
use crate::fetch::server::Reply;
use crate::fetch::server::Server;
use crate::telemetry::Metrics;
use crate::token::Config;
use crate::token::IssuerConfig;
use crate::token::IssuerIndex;
use crate::token::KeySets;
use crate::token::KeySource;
use crate::token::Need;
use crate::token::Refusal;
use crate::token::Verifier;
use crate::token::refresh::RefreshHandle;
use crate::token::refresh::RefreshOutcome;
use crate::token::refresh::Tuning;
use crate::token::refresh::keep_fresh_tuned;
use crate::token::refresh::load_keys;

const QUICK: Tuning = Tuning {
    fetch: FetchLimits { time: Duration::from_secs(2), bytes: 64 * 1024 },
    first_retry: Duration::from_millis(20),
};
const FIRST: IssuerIndex = IssuerIndex(0);

/// A configuration's keys being kept fresh, and what is in force.
struct Kept {
    handle: RefreshHandle,
    in_force: Arc<Mutex<Arc<KeySets>>>,
    /// A permit for each publication.
    published: Arc<Semaphore>,
    config: Arc<Config>,
    work: JoinSet<()>,
}

impl Kept {
    fn start(issuers: Vec<IssuerConfig>) -> Self {
        Self::start_from(Config { issuers, ..Config::default() }, None)
    }

    fn start_from(config: Config, previous: Option<&KeySets>) -> Self {
        let config = Arc::new(config);
        let keys = match previous {
            None => KeySets::empty(Arc::clone(&config)),
            Some(previous) => KeySets::carried_over(Arc::clone(&config), previous),
        };
        let keys = Arc::new(keys);
        let (in_force, published) = (Arc::new(Mutex::new(Arc::clone(&keys))), Arc::new(Semaphore::new(0)));
        let (place, count) = (Arc::clone(&in_force), Arc::clone(&published));
        let publish = move |keys: Arc<KeySets>| {
            *place.lock().unwrap() = keys;
            count.add_permits(1);
            std::future::ready(())
        };
        let (handle, working) = keep_fresh_tuned(keys, &Metrics::new(), publish, QUICK);
        let mut work = JoinSet::new();
        work.spawn(working);
        Self { handle, in_force, published, config, work }
    }

    fn keys(&self) -> Arc<KeySets> {
        Arc::clone(&self.in_force.lock().unwrap())
    }

    async fn next_publication(&self) {
        let waited = tokio::time::timeout(Duration::from_secs(10), self.published.acquire()).await;
        waited.expect("published in time").unwrap().forget();
    }

    /// Verifies in the present, since keys are fetched in the present.
    fn verify(&self, token: &str) -> Result<Arc<User>, Refusal> {
        verify(&mut Verifier::new(Arc::clone(&self.config)), token, &self.keys(), UnixTime::now())
    }
}

/// A token that is good whenever this test runs.
fn lasting(key: &SigningKey) -> String {
    key.token(json!({"exp": 4_000_000_000_i64, "iat": null}))
}

/// Fetched on demand only, and on demand always.
fn eager(keys: KeySource) -> IssuerConfig {
    IssuerConfig { keys, refresh_cooldown: Duration::ZERO, ..issuer(ISSUER) }
}

fn write(path: &Path, keys: &[&SigningKey]) {
    std::fs::write(path, jwks(&keys.iter().map(|key| &key.jwk).collect::<Vec<_>>())).unwrap();
}

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    (directory, path)
}

#[tokio::test]
async fn i2_without_keys_nothing_is_ready_and_nothing_accepted_until_they_come() {
    let (_directory, path) = scratch();
    let key = SigningKey::es256("k1");
    let kept = Kept::start(vec![eager(KeySource::File(path.clone()))]);
    assert_eq!(kept.handle.refresh(FIRST).await, RefreshOutcome::Failed);
    assert!(!kept.keys().ready(UnixTime::now()));
    assert_eq!(reason(kept.verify(&lasting(&key)), "no keys"), Reason::TokenKeysUnavailable);
    let status = kept.handle.status().remove(0);
    assert_eq!((status.issuer.as_str(), status.loaded_at), (ISSUER, None));
    assert!(status.last_error.unwrap().contains("cannot be read"));
    write(&path, &[&key]);
    // Nobody asks: the retries find them.
    kept.next_publication().await;
    assert!(kept.keys().ready(UnixTime::now()));
    assert!(kept.verify(&lasting(&key)).is_ok());
    kept.handle.refresh(FIRST).await;
    let status = kept.handle.status().remove(0);
    assert!(status.loaded_at.is_some() && status.last_error.is_none());
}

#[tokio::test]
async fn i2_readiness_does_without_optional_issuers_but_not_without_keys_in_a_set() {
    let (_directory, path) = scratch();
    write(&path, &[]);
    let missing = IssuerConfig { optional: true, ..issuer("https://optional.example") };
    let kept = Kept::start(vec![eager(KeySource::File(path.clone())), missing]);
    kept.next_publication().await;
    assert!(!kept.keys().ready(UnixTime::now()));
    write(&path, &[&SigningKey::es256("k1")]);
    kept.handle.refresh(FIRST).await;
    assert!(kept.keys().ready(UnixTime::now()));
}

#[tokio::test]
async fn i5_a_rotated_key_is_found_on_demand_and_a_removed_one_stops() {
    let (_directory, path) = scratch();
    let (old, new) = (SigningKey::es256("old"), SigningKey::es256("new"));
    write(&path, &[&old]);
    let kept = Kept::start(vec![eager(KeySource::File(path.clone()))]);
    kept.next_publication().await;
    let Err(Refusal::Needs(Need::Keys(index))) = kept.verify(&lasting(&new)) else {
        panic!("the key is not known yet")
    };
    write(&path, &[&old, &new]);
    assert_eq!(kept.handle.refresh(index).await, RefreshOutcome::Refreshed);
    assert!(kept.verify(&lasting(&new)).is_ok() && kept.verify(&lasting(&old)).is_ok());
    write(&path, &[&new]);
    kept.handle.refresh(index).await;
    assert!(matches!(kept.verify(&lasting(&old)), Err(Refusal::Needs(_))));
}

#[tokio::test]
async fn i5_a_removed_key_stops_within_the_refresh_interval() {
    let (_directory, path) = scratch();
    let key = SigningKey::es256("k1");
    write(&path, &[&key]);
    let rules = IssuerConfig { refresh_interval: Duration::from_millis(50), ..eager(KeySource::File(path.clone())) };
    let kept = Kept::start(vec![rules]);
    kept.next_publication().await;
    assert!(kept.verify(&lasting(&key)).is_ok());
    write(&path, &[]);
    kept.next_publication().await;
    kept.next_publication().await;
    assert!(kept.verify(&lasting(&key)).is_err());
}

#[tokio::test]
async fn i1_the_last_good_keys_serve_until_max_stale() {
    let (_directory, path) = scratch();
    let key = SigningKey::es256("k1");
    write(&path, &[&key]);
    let kept = Kept::start(vec![eager(KeySource::File(path.clone()))]);
    kept.next_publication().await;
    let epoch = kept.keys().epoch();
    for broken in ["<html>", "", "{\"keys\":1}"] {
        std::fs::write(&path, broken).unwrap();
        assert_eq!(kept.handle.refresh(FIRST).await, RefreshOutcome::Failed);
        assert!(kept.verify(&lasting(&key)).is_ok());
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(kept.handle.refresh(FIRST).await, RefreshOutcome::Failed);
    assert_eq!(kept.keys().epoch(), epoch);
    let mut verifier = Verifier::new(Arc::clone(&kept.config));
    let mut later =
        |seconds| verify(&mut verifier, &lasting(&key), &kept.keys(), UnixTime::now().plus_seconds(seconds));
    assert!(later(3590).is_ok());
    assert_eq!(reason(later(3601), "too old"), Reason::TokenKeysUnavailable);
    assert!(!kept.keys().ready(UnixTime::now().plus_seconds(3601)));
}

#[tokio::test]
async fn unchanged_keys_get_younger_but_keep_their_epoch() {
    let (_directory, path) = scratch();
    let (first, second) = (SigningKey::es256("k1"), SigningKey::es256("k2"));
    write(&path, &[&first, &second]);
    let kept = Kept::start(vec![eager(KeySource::File(path.clone()))]);
    kept.next_publication().await;
    let before = kept.keys();
    tokio::time::sleep(Duration::from_millis(30)).await;
    write(&path, &[&second, &first]);
    assert_eq!(kept.handle.refresh(FIRST).await, RefreshOutcome::Refreshed);
    let (after, moment) = (kept.keys(), UnixTime::now());
    assert_eq!(after.epoch(), before.epoch());
    let age = |keys: &KeySets| keys.issuers(moment).next().unwrap().age.unwrap();
    assert!(age(&after) < age(&before));
    write(&path, &[&first]);
    kept.handle.refresh(FIRST).await;
    assert!(kept.keys().epoch() > before.epoch());
}

#[tokio::test]
async fn d8_however_many_ask_one_fetch_is_made_in_a_cooldown() {
    let key = SigningKey::es256("k1");
    let body = jwks(&[&key.jwk]);
    let server = Server::start(move |_path| Reply::json(body.clone())).await;
    let keys = KeySource::Url { url: server.url.clone(), ca_file: Some(server.ca_file().to_owned()) };
    let kept = Kept::start(vec![IssuerConfig { keys, refresh_cooldown: Duration::from_secs(1), ..issuer(ISSUER) }]);
    kept.next_publication().await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut asking = JoinSet::new();
    for _ in 0..3000 {
        let handle = kept.handle.clone();
        asking.spawn(async move { handle.refresh(FIRST).await });
    }
    let outcomes = asking.join_all().await;
    let refreshed = outcomes.iter().filter(|outcome| **outcome == RefreshOutcome::Refreshed).count();
    assert!(refreshed >= 1);
    let rest = RefreshOutcome::CoolingDown { last_failed: false };
    assert!(outcomes.iter().all(|outcome| *outcome == RefreshOutcome::Refreshed || *outcome == rest));
    assert_eq!(server.paths().len(), 2, "the first load, and one for all who asked");
    assert!(kept.verify(&lasting(&key)).is_ok(), "others are not disturbed");
}

#[tokio::test]
async fn d8_in_the_cooldown_of_a_failure_the_answer_is_503() {
    let (_directory, path) = scratch();
    write(&path, &[]);
    let rules = IssuerConfig { refresh_cooldown: Duration::from_mins(1), ..issuer(ISSUER) };
    let kept = Kept::start(vec![IssuerConfig { keys: KeySource::File(path), ..rules.clone() }]);
    kept.next_publication().await;
    // Asked again: the first may have been during the first load.
    kept.handle.refresh(FIRST).await;
    let outcome = kept.handle.refresh(FIRST).await;
    assert_eq!(outcome, RefreshOutcome::CoolingDown { last_failed: false });
    assert_eq!(outcome.denial().reason, Reason::TokenKeyUnknown);

    let kept = Kept::start(vec![IssuerConfig { keys: KeySource::File(PathBuf::from("/missing")), ..rules }]);
    assert_eq!(kept.handle.refresh(FIRST).await, RefreshOutcome::Failed);
    let outcome = kept.handle.refresh(FIRST).await;
    assert_eq!(outcome, RefreshOutcome::CoolingDown { last_failed: true });
    assert_eq!(outcome.denial().reason, Reason::TokenKeysUnavailable);
    assert_eq!(RefreshOutcome::Failed.denial().http_status(), 503);
    assert_eq!(RefreshOutcome::Refreshed.denial().http_status(), 401);
}

#[tokio::test]
async fn who_waits_is_answered_once_the_keys_are_in_force() {
    let (_directory, path) = scratch();
    write(&path, &[&SigningKey::es256("k1")]);
    let config = Arc::new(Config { issuers: vec![eager(KeySource::File(path))], ..Config::default() });
    let (gate, arrived) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (pass, count) = (Arc::clone(&gate), Arc::clone(&arrived));
    let publish = move |_keys: Arc<KeySets>| {
        let (pass, count) = (Arc::clone(&pass), Arc::clone(&count));
        async move {
            count.add_permits(1);
            pass.acquire().await.unwrap().forget();
        }
    };
    let (handle, work) = keep_fresh_tuned(Arc::new(KeySets::empty(config)), &Metrics::new(), publish, QUICK);
    let mut running = JoinSet::new();
    running.spawn(work);
    arrived.acquire().await.unwrap().forget();
    let waiting = handle.refresh(FIRST);
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut waiting).await.is_err());
    gate.add_permits(1);
    assert_eq!(waiting.await, RefreshOutcome::Refreshed);
}

#[tokio::test]
async fn one_issuers_trouble_is_not_anothers() {
    let (_directory, path) = scratch();
    let key = SigningKey::es256("k1");
    write(&path, &[&key]);
    let slow = Server::start(|_path| Reply::Silence).await;
    let slow_keys = KeySource::Url { url: slow.url.clone(), ca_file: Some(slow.ca_file().to_owned()) };
    let kept = Kept::start(vec![
        IssuerConfig { keys: slow_keys, ..issuer("https://slow.example") },
        eager(KeySource::File(path)),
    ]);
    kept.next_publication().await;
    assert!(kept.verify(&lasting(&key)).is_ok());
    assert_eq!(kept.handle.refresh(IssuerIndex(1)).await, RefreshOutcome::Refreshed);
    let states: Vec<_> = kept.keys().issuers(UnixTime::now()).map(|issuer| issuer.usable).collect();
    assert_eq!(states, [false, true]);
    assert_eq!(kept.handle.refresh(IssuerIndex(2)).await, RefreshOutcome::Failed, "there is no such issuer");
}

#[test]
fn a_worker_on_its_own_runtime_may_ask() {
    let (_directory, path) = scratch();
    write(&path, &[&SigningKey::es256("k1")]);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let background = runtime();
    let mut kept = background.block_on(async { Kept::start(vec![eager(KeySource::File(path))]) });
    let handle = kept.handle.clone();
    let worker = std::thread::spawn(move || runtime().block_on(handle.refresh(FIRST)));
    background.block_on(kept.next_publication());
    let work_on = async || tokio::time::sleep(Duration::from_millis(5)).await;
    while !worker.is_finished() {
        background.block_on(work_on());
    }
    assert_eq!(worker.join().unwrap(), RefreshOutcome::Refreshed);

    // The work ends with the last handle.
    drop(kept.handle);
    let ended =
        background.block_on(async { tokio::time::timeout(Duration::from_secs(5), kept.work.join_next()).await });
    assert!(matches!(ended, Ok(Some(Ok(())))));
}

#[tokio::test]
async fn when_the_work_has_ended_asking_fails() {
    let mut kept = Kept::start(vec![eager(KeySource::File(PathBuf::from("/missing")))]);
    kept.work.shutdown().await;
    assert_eq!(kept.handle.refresh(FIRST).await, RefreshOutcome::Failed);
}

#[tokio::test]
async fn a_reload_keeps_the_keys_of_unchanged_sources_only() {
    let key = SigningKey::es256("k1");
    let (same, moved) = (issuer("https://same.example"), issuer("https://moved.example"));
    let before = Arc::new(Config { issuers: vec![moved.clone(), same.clone()], ..Config::default() });
    let keys = KeySets::empty(before).with(IssuerIndex(0), key_set(&[&key.jwk]), now());
    let keys = keys.with(IssuerIndex(1), key_set(&[&key.jwk]), now());
    let other_file = KeySource::File(PathBuf::from("other.json"));
    let other_algorithms = IssuerConfig { algorithms: vec![], ..issuer("https://same.example") };
    let known = |issuers: Vec<IssuerConfig>| -> Vec<usize> {
        let carried = KeySets::carried_over(Arc::new(Config { issuers, ..Config::default() }), &keys);
        carried.issuers(UnixTime::from_seconds(NOW)).map(|issuer| issuer.keys).collect()
    };
    assert_eq!(known(vec![same.clone(), IssuerConfig { keys: other_file, ..moved }]), [1, 0]);
    assert_eq!(known(vec![issuer("https://new.example"), other_algorithms]), [0, 0]);
    let audiences = vec!["another".to_owned()];
    let kept = Kept::start_from(
        Config { issuers: vec![IssuerConfig { audiences, ..same }], ..Config::default() },
        Some(&keys),
    );
    assert_eq!(kept.keys().issuers(now()).next().unwrap().keys, 1);
}

#[tokio::test]
async fn k2_a_reload_reads_what_it_is_asked_to_and_keeps_the_rest() {
    let (_directory, path) = scratch();
    let (old, new) = (SigningKey::es256("old"), SigningKey::es256("new"));
    let file = IssuerConfig { keys: KeySource::File(path.clone()), ..issuer("https://file.example") };
    let missing = IssuerConfig { keys: KeySource::File(path.with_extension("none")), ..issuer("https://none.example") };
    let config = Arc::new(Config { issuers: vec![missing, file, issuer("https://kept.example")], ..Config::default() });
    let known = KeySets::empty(config).with(FIRST, key_set(&[&old.jwk]), now());
    let known = known.with(IssuerIndex(1), key_set(&[&old.jwk]), now());
    let is_file = |issuer: &IssuerConfig, _usable: bool| issuer.issuer != "https://kept.example";
    write(&path, &[&old]);
    let (same, problems) = load_keys(known.clone(), is_file, now()).await;
    assert_eq!((same.epoch(), problems.len()), (known.epoch(), 1), "one cannot be read, and nothing has changed");
    write(&path, &[&new, &SigningKey::es256("newer")]);
    let (changed, _) = load_keys(known.clone(), is_file, now()).await;
    assert_ne!(changed.epoch(), known.epoch());
    assert_eq!(changed.issuers(now()).map(|issuer| issuer.keys).collect::<Vec<_>>(), [1, 2, 0]);
}
