//! Key servers that are slow, lie and flap: what is good stays good, what is not known is refused in time, it is said what
//! is wrong, and all is well again once the server is.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use countersign::clock::UnixTime;
use serde_json::Value as Json;
use serde_json::json;

use super::ALLOW_GET;
use super::client;
use super::client::Answer;
use super::client::Wire;
use super::issuer::Key;
use super::key_server::Fault;
use super::key_server::KeyServer;
use super::key_server::KeyServers;
use super::server::Server;
use super::server::eventually;

/// A proxy waits 200 ms unless it is told otherwise, and the answer must be there before. Unoptimised and on a busy machine
/// it is allowed more, but nothing like the ten seconds that a fetch may take.
const IN_TIME: Duration = Duration::from_secs(4);

/// Every fault that brings no keys, and what is said of it.
const FAULTS: [(Fault, &str); 19] = [
    (Fault::NoHandshake, "the request failed"),
    (Fault::Silent, "the request failed"),
    (Fault::Drip, "the request failed"),
    (Fault::Hangup, "the request failed"),
    (Fault::Status(500), "the server answered 500"),
    (Fault::Status(503), "the server answered 503"),
    (Fault::Status(404), "the server answered 404"),
    (Fault::Status(206), "the server answered 206"),
    (Fault::DiscoveryStatus(500), "the server answered 500"),
    (Fault::Html, "is no JSON object"),
    (Fault::HalfJson, "is no JSON object"),
    (Fault::Truncated, "the request failed"),
    (Fault::Large, "more than 524288 bytes"),
    (Fault::Endless, "more than 524288 bytes"),
    (Fault::Redirect("http"), "the server answered 302"),
    (Fault::Redirect("https"), "the server answered 302"),
    (Fault::ForeignCertificate, "the request failed"),
    (Fault::ForeignDiscovery, "is of another issuer"),
    (Fault::PlainJwksUri, "`jwks_uri` is no https URL"),
];

/// An issuer behind a server that fails, and its tokens.
struct Issuer {
    fault: Fault,
    said: &'static str,
    server: KeyServer,
    key: Key,
    /// Made anew later.
    next_key: Key,
    issued: AtomicUsize,
}

impl Issuer {
    fn start(servers: &KeyServers, (fault, said): (Fault, &'static str), now: Fault) -> Self {
        let [key, next_key] = [Key::new(), Key::new()];
        let server = servers.start(json!({"keys": [key.public()]}), now);
        Self { fault, said, server, key, next_key, issued: AtomicUsize::new(0) }
    }

    /// A request with a token that has not been seen before.
    fn request(&self, key: &Key) -> Vec<u8> {
        let exp = UnixTime::now().plus_seconds(3600).seconds();
        let jti = self.issued.fetch_add(1, Ordering::Relaxed).to_string();
        let token = key.sign(&json!({"iss": self.server.url, "sub": "alice", "aud": "a", "exp": exp, "jti": jti}));
        client::request(&json!({"headers": {"authorization": format!("Bearer {token}")}}))
    }

    fn is_allowed(&self, client: &Wire, key: &Key) -> bool {
        client.check(&self.request(key)).allowed() == Some(true)
    }

    /// What becomes of a token with a key that the server never had.
    fn ask_unknown(&self, client: &Wire) -> Answer {
        let started = Instant::now();
        let answer = client.check(&self.request(&Key::new()));
        assert!(started.elapsed() < IN_TIME, "{:?}: answered after {:?}", self.fault, started.elapsed());
        let (status, reason) = (answer.http_status(), answer.reason().unwrap_or_default());
        let refused = [(401, "token_key_unknown"), (503, "token_keys_unavailable"), (503, "server_deadline")];
        assert!(refused.iter().any(|&(code, why)| (Some(code), why) == (status, &*reason)), "{status:?} {reason}");
        answer
    }

    /// Whether its fetches come to nothing before ten seconds.
    fn hangs(&self) -> bool {
        matches!(self.fault, Fault::NoHandshake | Fault::Silent | Fault::Drip)
    }

    /// How many fetches came to this.
    fn fetches(&self, server: &Server, outcome: &str) -> u64 {
        server.metric("countersign_keys_refreshes_total", &[&self.server.url, &format!("outcome=\"{outcome}\"")])
    }

    /// Whether the log says what is wrong.
    fn is_logged(&self, server: &Server) -> bool {
        let log = server.log();
        log.lines().any(|line| line.contains(&self.server.url) && line.contains(self.said))
    }

    /// Whether `/readyz` says it now.
    fn is_reported(&self, server: &Server) -> bool {
        let troubles = readyz(server)["keys_troubles"].clone();
        let of_this = |trouble: &&Json| trouble.as_str().unwrap().starts_with(&format!("{}: ", self.server.url));
        troubles.as_array().unwrap().iter().find(of_this).is_some_and(|trouble| trouble.to_string().contains(self.said))
    }
}

/// The configuration that believes all of them.
fn config(servers: &KeyServers, issuers: &[Issuer], more: &Json) -> String {
    let issuer = |issuer: &Issuer| {
        let mut entry = json!({"issuer": issuer.server.url, "algorithms": ["ES256"], "audiences": ["a"],
            "keys": {"discovery": true, "ca_file": servers.ca_file()}, "refresh_cooldown": "1s"});
        entry.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        entry
    };
    let issuers: Vec<_> = issuers.iter().map(issuer).collect();
    format!("routes: {{caller: optional, reason_in_body: true}}\nissuers: {}\n", json!(issuers))
}

fn readyz(server: &Server) -> Json {
    serde_json::from_str(&server.probe("/readyz").1).unwrap()
}

fn unavailable(server: &Server) -> Json {
    readyz(server)["keys_unavailable"].clone()
}

#[test]
fn i1_i4_the_last_good_keys_serve_through_every_fault_and_new_ones_come_after_it() {
    let servers = KeyServers::new();
    let issuers: Vec<_> = FAULTS.iter().map(|row| Issuer::start(&servers, *row, Fault::None)).collect();
    let server = Server::start(&config(&servers, &issuers, &json!({})), ALLOW_GET);
    let client = Wire::connect(&server.tcp());
    for issuer in &issuers {
        assert!(issuer.is_allowed(&client, &issuer.key), "{:?}", issuer.fault);
        issuer.server.set(issuer.fault);
    }
    // Each unknown key asks for a fetch, once the cooldown is over.
    for issuer in &issuers {
        eventually("a fetch fails", || {
            issuer.ask_unknown(&client);
            assert!(issuer.is_allowed(&client, &issuer.key), "{:?}", issuer.fault);
            issuer.fetches(&server, "failed") > 0 || issuer.hangs() && issuer.server.fetches() > 1
        });
    }
    for issuer in issuers.iter().filter(|issuer| !issuer.hangs()) {
        eventually("it is said what is wrong", || issuer.is_reported(&server));
    }
    assert_eq!((server.probe("/readyz").0, unavailable(&server)), (200, json!([])), "what is held serves");
    for issuer in &issuers {
        issuer.server.publish(json!({"keys": [issuer.next_key.public()]}));
        assert!(issuer.is_allowed(&client, &issuer.key), "{:?}", issuer.fault);
        issuer.server.set(Fault::None);
    }
    for issuer in &issuers {
        eventually("the new key counts", || issuer.is_allowed(&client, &issuer.next_key));
        assert!(!issuer.is_allowed(&client, &issuer.key), "I5: {:?}: the old key is withdrawn", issuer.fault);
        assert!(issuer.fetches(&server, "failed") > 0 && issuer.fetches(&server, "succeeded") > 1);
        assert!(issuer.is_logged(&server), "{:?}: no `{}` in {}", issuer.fault, issuer.said, server.log());
    }
    eventually("all is well", || readyz(&server)["keys_troubles"] == json!([]));
    assert_eq!(servers.trapped(), 0, "nobody was sent elsewhere");
}

#[test]
fn i2_a_start_with_any_fault_accepts_nothing_until_the_server_is_right() {
    let servers = KeyServers::new();
    let mut issuers: Vec<_> = FAULTS.iter().map(|row| Issuer::start(&servers, *row, row.0)).collect();
    // The last to be right is one whose fetch hangs, as it has failed the least and so is asked again the soonest.
    issuers.sort_by_key(|issuer| issuer.fault == Fault::Silent);
    // A server without keys is asked again at this interval at the latest.
    let server = Server::start_unready(&config(&servers, &issuers, &json!({"refresh_interval": "10s"})), ALLOW_GET);
    let client = Wire::connect(&server.tcp());
    eventually("the policy is loaded", || !server.probe("/readyz").1.contains("\"policy\""));
    for issuer in &issuers {
        let started = Instant::now();
        let answer = client.check(&issuer.request(&issuer.key));
        assert_eq!((answer.allowed(), answer.http_status()), (Some(false), Some(503)), "{:?}", issuer.fault);
        let reason = answer.reason().unwrap();
        assert!(["token_keys_unavailable", "server_deadline"].contains(&&*reason), "{:?}: {reason}", issuer.fault);
        assert!(started.elapsed() < IN_TIME, "{:?}", issuer.fault);
        assert!(server.probe("/readyz").1.contains(&format!("keys of {}", issuer.server.url)), "{:?}", issuer.fault);
        assert_eq!(issuer.fetches(&server, "succeeded"), 0, "{:?}", issuer.fault);
    }
    let (last, others) = issuers.split_last().unwrap();
    for issuer in others {
        issuer.server.set(Fault::None);
    }
    for issuer in others {
        eventually("the keys come", || issuer.is_allowed(&client, &issuer.key));
    }
    assert_eq!(server.probe("/readyz").0, 503, "one is still without keys");
    assert_eq!(unavailable(&server), json!([last.server.url]));
    last.server.set(Fault::None);
    eventually("it is ready", || server.probe("/readyz").0 == 200);
    assert!(last.is_allowed(&client, &last.key));
    assert_eq!(servers.trapped(), 0, "nobody was sent elsewhere");
}

/// No test can make the ten seconds of a fetch shorter from outside.
#[test]
fn i1_a_server_that_hangs_or_drips_is_left_in_ten_seconds() {
    let servers = KeyServers::new();
    let slow =
        [Fault::NoHandshake, Fault::Silent, Fault::Drip].map(|fault| (fault, "the fetch took longer than 10000 ms"));
    let issuers = slow.map(|row| Issuer::start(&servers, row, row.0));
    let server = Server::start_unready(&config(&servers, &issuers, &json!({})), ALLOW_GET);
    for issuer in &issuers {
        eventually("it is left", || {
            issuer.fetches(&server, "failed") > 0 && issuer.is_logged(&server) && issuer.is_reported(&server)
        });
        assert_eq!(issuer.fetches(&server, "succeeded"), 0, "{:?}", issuer.fault);
    }
}

#[test]
fn i1_a_server_that_flaps_is_asked_on_and_what_it_says_in_between_counts() {
    let servers = KeyServers::new();
    let issuers = [Issuer::start(&servers, (Fault::Flapping, ""), Fault::None)];
    let server = Server::start(&config(&servers, &issuers, &json!({})), ALLOW_GET);
    let (client, [issuer]) = (Wire::connect(&server.tcp()), &issuers);
    issuer.server.publish(json!({"keys": [issuer.key.public(), issuer.next_key.public()]}));
    issuer.server.set(Fault::Flapping);
    eventually("it fails and succeeds", || {
        issuer.ask_unknown(&client);
        assert!(issuer.is_allowed(&client, &issuer.key));
        issuer.fetches(&server, "failed") > 1 && issuer.fetches(&server, "succeeded") > 2
    });
    assert!(issuer.is_allowed(&client, &issuer.next_key), "a key that came in between");
    assert_eq!(server.probe("/readyz").0, 200);
}

#[test]
fn i3_i5_an_empty_set_withdraws_every_key_and_is_no_outage_of_others() {
    let servers = KeyServers::new();
    let issuers = [(); 2].map(|()| Issuer::start(&servers, (Fault::NoKeys, ""), Fault::None));
    let server = Server::start(&config(&servers, &issuers, &json!({})), ALLOW_GET);
    let (client, [emptied, other]) = (Wire::connect(&server.tcp()), &issuers);
    emptied.server.set(Fault::NoKeys);
    eventually("the set is empty", || {
        emptied.ask_unknown(&client);
        unavailable(&server) == json!([emptied.server.url])
    });
    let answer = client.check(&emptied.request(&emptied.key));
    assert_eq!((answer.http_status(), answer.reason().as_deref()), (Some(401), Some("token_key_unknown")));
    assert_eq!(server.probe("/readyz").0, 200, "the other's tokens are still good");
    assert!(other.is_allowed(&client, &other.key));
    emptied.server.set(Fault::None);
    eventually("the key is back", || emptied.is_allowed(&client, &emptied.key));
    eventually("and nothing is said of it", || unavailable(&server) == json!([]));
}

#[test]
fn d8_hundreds_of_unknown_keys_at_once_share_one_fetch_that_hangs() {
    let servers = KeyServers::new();
    let issuers = [Issuer::start(&servers, (Fault::Silent, ""), Fault::None)];
    let server = Server::start(&config(&servers, &issuers, &json!({"refresh_cooldown": "2s"})), ALLOW_GET);
    let (client, [issuer]) = (Wire::connect(&server.tcp()), &issuers);
    let before = issuer.server.fetches();
    issuer.server.set(Fault::Silent);
    eventually("a fetch is on its way", || {
        issuer.ask_unknown(&client);
        issuer.server.fetches() > before
    });
    let unknown: Vec<_> = (0..500).map(|_| issuer.request(&Key::new())).collect();
    let (flood, beside) = std::thread::scope(|scope| {
        let flood = scope.spawn(|| Wire::connect(&server.tcp()).check_all(&unknown));
        let mut beside = 0;
        while !flood.is_finished() || beside == 0 {
            assert!(issuer.is_allowed(&client, &issuer.key), "after {beside} others");
            beside += 1;
        }
        (flood.join().unwrap(), beside)
    });
    assert!(flood.iter().all(|answer| answer.http_status() == Some(503)), "{flood:?}");
    assert!(flood.iter().all(|answer| answer.reason().as_deref() == Some("server_deadline")), "{flood:?}");
    assert_eq!(issuer.server.fetches(), before + 1, "one fetch for {} tokens and {beside} good ones", flood.len());

    issuer.server.publish(json!({"keys": [issuer.key.public(), issuer.next_key.public()]}));
    issuer.server.set(Fault::None);
    eventually("the new key counts", || issuer.is_allowed(&client, &issuer.next_key));
    let (before, started) = (issuer.server.fetches(), Instant::now());
    let flood = client.check_all(&unknown);
    assert!(flood.iter().all(|answer| answer.http_status() == Some(401)), "the server was heard: {flood:?}");
    let cooldowns = usize::try_from(started.elapsed().as_secs() / 2).unwrap() + 1;
    assert!(issuer.server.fetches() - before <= cooldowns, "more than {cooldowns} fetches");
}

/// The one test here that takes more than seconds: the least that `max_stale` may be is a minute.
#[test]
fn i1_after_max_stale_tokens_are_denied_until_the_server_is_right() {
    let servers = KeyServers::new();
    let issuers = [Issuer::start(&servers, (Fault::Status(500), ""), Fault::None)];
    let stale = json!({"max_stale": "1m", "refresh_interval": "10s"});
    let server = Server::start(&config(&servers, &issuers, &stale), ALLOW_GET);
    let (client, [issuer]) = (Wire::connect(&server.tcp()), &issuers);
    issuer.server.set(Fault::Status(500));
    let fetched = server.metric("countersign_keys_fetched_timestamp_seconds", &[&issuer.server.url]);
    let age = || u64::try_from(UnixTime::now().seconds()).unwrap() - fetched;
    // One token all the while, so that it is in the cache.
    let request = issuer.request(&issuer.key);
    let denied = loop {
        let (before, answer) = (age(), client.check(&request));
        if answer.allowed() != Some(true) {
            assert!(before >= 60, "it is refused after {before} seconds");
            break answer;
        }
        assert!(before <= 62, "it serves for ever");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!((denied.http_status(), denied.reason().as_deref()), (Some(503), Some("token_keys_unavailable")));
    assert!(issuer.fetches(&server, "failed") > 2, "it was tried");
    eventually("it is said", || unavailable(&server) == json!([issuer.server.url]));
    issuer.server.set(Fault::None);
    eventually("the keys are back", || client.check(&request).allowed() == Some(true));
    eventually("and nothing is said of it", || unavailable(&server) == json!([]));
}
