//! How an issuer is asked: the request, who shares an answer, and what happens where none comes.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join;
use futures_util::future::join_all;
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::asking;
use crate::decision::Reason;
use crate::fetch::FetchLimits;
use crate::fetch::server::Reply;
use crate::fetch::server::Server;
use crate::secret::Secret;
use crate::telemetry::Metrics;
use crate::token::AskedTokens;
use crate::token::Config;
use crate::token::Introspected;
use crate::token::IntrospectionConfig;
use crate::token::IntrospectionHandle;
use crate::token::IssuerConfig;
use crate::token::IssuerIndex;
use crate::token::Question;
use crate::token::introspection::check_files;
use crate::token::introspection::keep_asking;
use crate::token::introspection::keep_asking_within;
use crate::token::tests::forge::ISSUER;
use crate::token::tests::forge::issuer;

/// One issuer, asked in the background.
struct Asked {
    handle: IntrospectionHandle,
    metrics: Arc<Metrics>,
    secret: NamedTempFile,
    _running: JoinSet<()>,
}

fn config(server: &Server, secret: &NamedTempFile, change: impl FnOnce(&mut IntrospectionConfig)) -> Config {
    let mut introspection = IntrospectionConfig {
        url: format!("{}/introspect", server.url),
        client_id: "counter:sign".to_owned(),
        client_secret_file: secret.path().to_owned(),
        ca_file: Some(server.ca_file().to_owned()),
        ..asking(AskedTokens::Opaque)
    };
    change(&mut introspection);
    let issuers = vec![IssuerConfig { introspection: Some(introspection), ..issuer(ISSUER) }];
    Config { issuers, ..Config::default() }
}

impl Asked {
    fn start(server: &Server, change: impl FnOnce(&mut IntrospectionConfig)) -> Self {
        Self::within(Duration::from_secs(5), server, change)
    }

    /// With this much time for each question.
    fn within(time: Duration, server: &Server, change: impl FnOnce(&mut IntrospectionConfig)) -> Self {
        let secret = NamedTempFile::new().unwrap();
        fs::write(secret.path(), "s:e c/ret\n").unwrap();
        let metrics = Metrics::new();
        let limits = FetchLimits { time, bytes: 64 * 1024 };
        let (handle, work) = keep_asking_within(limits, &config(server, &secret, change), &metrics);
        let mut running = JoinSet::new();
        running.spawn(work);
        Self { handle, metrics, secret, _running: running }
    }

    async fn ask(&self, token: &str) -> Introspected {
        self.handle
            .ask(Question { issuer: IssuerIndex(0), token: Secret::new(token.to_owned()), is_verified: false })
            .await
    }

    /// Whether a token is active; the reason where nobody knows.
    async fn is_active(&self, token: &str) -> Result<bool, Reason> {
        self.ask(token).await.map(|answer| answer.claims.is_some())
    }

    fn counted(&self, outcome: &str) -> bool {
        let series = format!("countersign_introspections_total{{issuer=\"{ISSUER}\",outcome=\"{outcome}\"}}");
        self.metrics.encode().contains(&series)
    }
}

fn active() -> Reply {
    Reply::json(json!({"active": true, "sub": "alice"}).to_string())
}

#[tokio::test]
async fn d26_the_issuer_is_asked_as_the_standard_says() {
    let server = Server::start(|_path| active()).await;
    let asked = Asked::start(&server, |_config| {});
    assert_eq!(asked.is_active("a+b/c=").await, Ok(true));
    let requests = server.requests();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /introspect HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    assert!(head.contains("content-type: application/x-www-form-urlencoded"), "{head}");
    assert!(head.contains("accept: application/json"), "{head}");
    assert_eq!(body, "token=a%2Bb%2Fc%3D&token_type_hint=access_token");
    let basic = request.lines().find_map(|line| line.strip_prefix("authorization: Basic ")).unwrap();
    let credentials = String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap();
    assert_eq!(credentials, "counter%3Asign:s%3Ae%20c%2Fret", "encoded before they are joined (RFC 6749 §2.3.1)");
    assert!(asked.counted("active"));
}

#[tokio::test]
async fn j6_however_many_ask_about_a_token_the_issuer_is_asked_once() {
    let server = Server::start(|_path| active()).await;
    let asked = Asked::start(&server, |_config| {});
    let answers = join_all((0..500).map(|_| asked.is_active("one"))).await;
    assert!(answers.iter().all(|answer| *answer == Ok(true)));
    assert_eq!(server.paths().len(), 1);
    assert_eq!(asked.is_active("one").await, Ok(true));
    assert_eq!(server.paths().len(), 1, "the answer holds");
    assert_eq!(asked.is_active("two").await, Ok(true));
    assert_eq!(server.paths().len(), 2);
}

#[tokio::test]
async fn k1_an_inactive_token_is_known_as_such_as_long_as_an_answer_holds() {
    let server = Server::start(|_path| Reply::json(r#"{"active": false, "sub": "alice"}"#)).await;
    let asked = Asked::start(&server, |config| config.cache = Duration::from_millis(200));
    for _time in 0..3 {
        assert_eq!(asked.is_active("one").await, Ok(false));
    }
    assert_eq!(server.paths().len(), 1);
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(asked.is_active("one").await, Ok(false));
    assert_eq!(server.paths().len(), 2);
    assert!(asked.counted("inactive"));
}

#[tokio::test]
async fn k2_a_token_that_is_withdrawn_is_known_to_be_once_the_answer_has_had_its_time() {
    let said = Arc::new(Mutex::new(active()));
    let now_said = Arc::clone(&said);
    let server = Server::start(move |_path| now_said.lock().unwrap().clone()).await;
    let asked = Asked::start(&server, |config| config.cache = Duration::ZERO);
    assert_eq!(asked.is_active("one").await, Ok(true));
    *said.lock().unwrap() = Reply::json(r#"{"active": false}"#);
    assert_eq!(asked.is_active("one").await, Ok(false));
    *said.lock().unwrap() = Reply::Half;
    assert_eq!(asked.is_active("one").await, Err(Reason::TokenIntrospectionUnavailable));
    *said.lock().unwrap() = active();
    assert_eq!(asked.is_active("one").await, Ok(true), "a failure is not kept");
}

#[tokio::test]
async fn i1_what_is_no_answer_is_none() {
    let answers = [
        ("error", Reply::Answer(500, String::new(), Vec::new())),
        ("credentials refused", Reply::Answer(401, String::new(), br#"{"active": true}"#.to_vec())),
        ("redirect", Reply::redirect("https://127.0.0.1:1/")),
        ("html", Reply::Answer(200, String::new(), b"<html>".to_vec())),
        ("no object", Reply::json("true")),
        ("no active", Reply::json("{}")),
        ("text", Reply::json(r#"{"active": "true"}"#)),
        ("number", Reply::json(r#"{"active": 1}"#)),
        ("null", Reply::json(r#"{"active": null}"#)),
        ("twice", Reply::json(r#"{"active": false, "active": true}"#)),
        ("more behind it", Reply::json(r#"{"active": true} {}"#)),
        ("deep", Reply::json(format!(r#"{{"active": true, "a": {}{}}}"#, "[".repeat(40), "]".repeat(40)))),
        ("endless", Reply::Flood("")),
        ("half", Reply::Half),
    ];
    for (what, reply) in answers {
        let server = Server::start(move |_path| reply.clone()).await;
        let asked = Asked::start(&server, |_config| {});
        assert_eq!(asked.is_active("one").await, Err(Reason::TokenIntrospectionUnavailable), "{what}");
        assert!(asked.counted("failed"), "{what}");
    }
}

#[tokio::test]
async fn i1_an_issuer_that_never_answers_is_given_up() {
    for reply in [Reply::Silence, Reply::Drip] {
        let server = Server::start(move |_path| reply.clone()).await;
        let asked = Asked::within(Duration::from_millis(200), &server, |_config| {});
        assert_eq!(asked.is_active("one").await, Err(Reason::TokenIntrospectionUnavailable));
    }
}

#[tokio::test]
async fn j6_a_flood_of_questions_is_asked_a_few_at_a_time() {
    let server = Server::start(|_path| Reply::Silence).await;
    let asked = Asked::within(Duration::from_mins(1), &server, |_config| {});
    let tokens: Vec<_> = (0..200).map(|number| number.to_string()).collect();
    let flood = join_all(tokens.iter().map(|token| asked.is_active(token)));
    let looking = async {
        while server.paths().len() < 64 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.paths().len()
    };
    tokio::select! {
        answers = flood => panic!("nobody answers, but {answers:?}"),
        running = looking => assert_eq!(running, 64),
    }
}

#[tokio::test]
async fn j6_a_flood_of_invented_tokens_stands_in_the_way_of_none_that_has_verified() {
    let said = Arc::new(Mutex::new(Reply::Silence));
    let now_said = Arc::clone(&said);
    let server = Server::start(move |_path| now_said.lock().unwrap().clone()).await;
    let asked = Asked::within(Duration::from_mins(1), &server, |config| config.tokens = AskedTokens::All);
    let tokens: Vec<_> = (0..200).map(|number| number.to_string()).collect();
    let flood = join_all(tokens.iter().map(|token| asked.is_active(token)));
    let verified = async {
        while server.paths().len() < 64 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        *said.lock().unwrap() = active();
        let question = Question { issuer: IssuerIndex(0), token: Secret::new("a.b.c".to_owned()), is_verified: true };
        asked.handle.ask(question).await.map(|answer| answer.claims.is_some())
    };
    tokio::select! {
        answers = flood => panic!("nobody answers, but {answers:?}"),
        is_active = timeout(Duration::from_secs(20), verified) => assert_eq!(is_active, Ok(Ok(true))),
    }
}

#[tokio::test]
async fn j6_what_is_known_is_told_while_a_flood_waits() {
    let said = Arc::new(Mutex::new(active()));
    let now_said = Arc::clone(&said);
    let server = Server::start(move |_path| now_said.lock().unwrap().clone()).await;
    let asked = Asked::within(Duration::from_mins(1), &server, |_config| {});
    assert_eq!(asked.is_active("known").await, Ok(true));
    *said.lock().unwrap() = Reply::Silence;
    let tokens: Vec<_> = (0..3000).map(|number| number.to_string()).collect();
    let flood = join_all(tokens.iter().map(|token| asked.is_active(token)));
    let known = async {
        while server.paths().len() < 65 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        timeout(Duration::from_secs(5), asked.is_active("known")).await
    };
    tokio::select! {
        _answers = flood => panic!("nobody answers most of them"),
        is_active = known => assert_eq!(is_active, Ok(Ok(true))),
    }
}

#[tokio::test]
async fn j6_a_question_that_nobody_waits_for_any_longer_is_not_asked() {
    let server = Server::start(|_path| Reply::Silence).await;
    let asked = Asked::within(Duration::from_millis(300), &server, |_config| {});
    let tokens: Vec<_> = (0..64).map(|number| number.to_string()).collect();
    let running = join_all(tokens.iter().map(|token| asked.is_active(token)));
    let given_up = timeout(Duration::from_millis(50), asked.is_active("given up"));
    let (_answers, given_up) = join(running, given_up).await;
    assert!(given_up.is_err());
    assert!(asked.is_active("last").await.is_err());
    assert!(!server.requests().iter().any(|request| request.contains("token=given")), "{:?}", server.requests());
}

#[tokio::test]
async fn a_new_secret_is_used_soon_after_a_failure() {
    let server = Server::start(|_path| Reply::Answer(401, String::new(), Vec::new())).await;
    let asked = Asked::start(&server, |_config| {});
    assert!(asked.is_active("one").await.is_err());
    fs::write(asked.secret.path(), "new").unwrap();
    let sent = |request: &String| {
        let basic = request.lines().find_map(|line| line.strip_prefix("authorization: Basic ").map(str::to_owned));
        String::from_utf8(STANDARD.decode(basic.unwrap()).unwrap()).unwrap()
    };
    let until = Instant::now() + Duration::from_secs(20);
    while server.requests().last().map(sent).unwrap() != "counter%3Asign:new" {
        assert!(Instant::now() < until);
        assert!(asked.is_active("one").await.is_err());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let asked = Asked::start(&server, |config| config.client_secret_file = PathBuf::from("/nowhere"));
    let before = server.paths().len();
    assert_eq!(asked.is_active("one").await, Err(Reason::TokenIntrospectionUnavailable));
    assert_eq!(server.paths().len(), before, "without a secret nobody is asked");
}

#[tokio::test]
async fn j6_an_issuer_in_trouble_is_left_alone_for_a_while_and_asked_again() {
    let failing = Arc::new(AtomicBool::new(true));
    let is_failing = Arc::clone(&failing);
    let server = Server::start(move |_path| {
        if is_failing.load(Ordering::Relaxed) { Reply::Answer(503, String::new(), Vec::new()) } else { active() }
    })
    .await;
    let asked = Asked::start(&server, |_config| {});
    for number in 0..400 {
        assert!(asked.is_active(&number.to_string()).await.is_err());
    }
    assert!(server.paths().len() < 200, "{} of 400", server.paths().len());
    failing.store(false, Ordering::Relaxed);
    let until = Instant::now() + Duration::from_secs(20);
    while asked.is_active("one").await.is_err() {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn j6_tokens_that_the_endpoint_stumbles_over_lock_nobody_else_out() {
    let refusal = |status| Reply::Answer(status, String::new(), Vec::new());
    let stumbles = [400, 403, 404, 413, 431, 500].map(refusal);
    for stumble in stumbles.into_iter().chain([Reply::json("{}"), Reply::Flood("")]) {
        let said = Arc::new(Mutex::new(stumble.clone()));
        let now_said = Arc::clone(&said);
        let server = Server::start(move |_path| now_said.lock().unwrap().clone()).await;
        let asked = Asked::start(&server, |_config| {});
        for number in 0..20 {
            assert!(asked.is_active(&number.to_string()).await.is_err());
        }
        *said.lock().unwrap() = active();
        assert_eq!(asked.is_active("good").await, Ok(true), "{stumble:?}");
    }
}

#[tokio::test]
async fn nobody_is_asked_who_is_not_configured_or_gone() {
    let server = Server::start(|_path| active()).await;
    let asked = Asked::start(&server, |_config| {});
    let question = Question { issuer: IssuerIndex(1), token: Secret::new("one".to_owned()), is_verified: false };
    assert_eq!(asked.handle.ask(question).await, Err(Reason::TokenIntrospectionUnavailable));
    let (handle, work) = keep_asking(&config(&server, &asked.secret, |_config| {}), &asked.metrics);
    drop(work);
    let question = Question { issuer: IssuerIndex(0), token: Secret::new("one".to_owned()), is_verified: false };
    assert_eq!(handle.ask(question).await, Err(Reason::TokenIntrospectionUnavailable));
    assert!(server.paths().is_empty());
}

#[tokio::test]
async fn what_is_wrong_with_the_files_is_told_before_it_is_asked() {
    let server = Server::start(|_path| active()).await;
    let secret = NamedTempFile::new().unwrap();
    for (content, told) in [
        (&b"secret"[..], None),
        (b"", Some("holds no single line")),
        (b"\xff", Some("holds no single line")),
        (b"a\nb", Some("holds no single line")),
    ] {
        fs::write(secret.path(), content).unwrap();
        let problems = check_files(&config(&server, &secret, |_config| {})).await;
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems.is_empty(), told.is_none(), "{problems:?}");
        assert!(problems.iter().all(|problem| problem.contains(told.unwrap_or_default())), "{problems:?}");
    }
    let missing = config(&server, &secret, |config| config.client_secret_file = secret.path().with_extension("none"));
    assert!(check_files(&missing).await[0].to_string().contains("cannot be read"));
    let long = vec![b'a'; 5000];
    fs::write(secret.path(), long).unwrap();
    assert!(check_files(&config(&server, &secret, |_config| {})).await[0].to_string().contains("more than 4096 bytes"));
}
