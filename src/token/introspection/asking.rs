//! Asking issuers, off the check path: two tasks for each, at most one question at a time about one token, answers kept
//! as long as they hold.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::Id;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Answer;
use super::Introspected;
use super::IntrospectionConfig;
use super::Question;
use super::complaints::Complaints;
use super::endpoint::AskError;
use super::endpoint::Endpoint;
use super::kept::KeptAnswers;
use super::kept::TokenHash;
use crate::clock::UnixTime;
use crate::decision::Reason;
use crate::fetch::FetchLimits;
use crate::jose;
use crate::secret::Secret;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Introspection;
use crate::token::Config;
use crate::token::IssuerConfig;

/// One question: as long as a check may wait at most. An answer is somewhat longer than a token may be.
const LIMITS: FetchLimits = FetchLimits { time: Duration::from_secs(5), bytes: 64 * 1024 };
/// Questions that one task asks at a time, so that a flood of invented tokens does not become one at the issuer.
const MAX_RUNNING: usize = 64;
/// Tokens that wait for their turn; what comes then is refused, so that what is known is told however many are not.
const MAX_QUEUED: usize = 1024;
/// Questions on their way to the task, which takes them at once.
const MAX_UNDER_WAY: usize = 64;
/// How long the secret and the root certificates are used before their files are read again.
const REOPEN_AFTER: Duration = Duration::from_mins(1);

/// After so many failures in a row that are no fault of a token the issuer is left alone for a [`PAUSE`]: one in trouble is
/// not pressed, and a flood of tokens costs no flood of connections.
const MAX_FAILURES: u32 = 8;
/// How long the issuer is left alone then, and how soon its files are read again after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Where one check waits.
type Waiter = oneshot::Sender<Introspected>;

/// Asks issuers, from any thread and any runtime. The asking ends when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct IntrospectionHandle {
    links: Arc<[Option<Lanes>]>,
}

/// Where questions to one issuer are taken. Those about JWTs that have verified have a task of their own: nobody can invent
/// such tokens, so no flood of invented ones stands in their way, and no failure over one silences the issuer for them.
#[derive(Debug)]
struct Lanes {
    any: mpsc::Sender<Asked>,
    verified: mpsc::Sender<Asked>,
}

/// A question on its way.
#[derive(Debug)]
struct Asked {
    token: Secret<String>,
    waiter: Waiter,
}

impl IntrospectionHandle {
    /// Whether both ask by the same configuration.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.links, &other.links)
    }

    /// Waits for the issuer's answer about a token: one that still holds, or a new one.
    ///
    /// # Errors
    /// [`Reason::TokenIntrospectionUnavailable`] where there is none.
    pub async fn ask(&self, question: Question) -> Introspected {
        let unavailable = Err(Reason::TokenIntrospectionUnavailable);
        let Some(Some(lanes)) = self.links.get(question.issuer.0) else { return unavailable };
        let link = if question.is_verified { &lanes.verified } else { &lanes.any };
        let (waiter, answer) = oneshot::channel();
        if link.send(Asked { token: question.token, waiter }).await.is_err() {
            return unavailable;
        }
        answer.await.unwrap_or(unavailable)
    }
}

/// The asking of the issuers of `config`: a handle to ask by, and the work itself, to be spawned.
pub fn keep_asking(
    config: &Config,
    metrics: &Arc<Metrics>,
) -> (IntrospectionHandle, impl Future<Output = ()> + Send + use<>) {
    keep_asking_within(LIMITS, config, metrics)
}

/// The same with other limits for each question.
pub(in crate::token) fn keep_asking_within(
    limits: FetchLimits,
    config: &Config,
    metrics: &Arc<Metrics>,
) -> (IntrospectionHandle, impl Future<Output = ()> + Send + use<>) {
    let mut tasks = Vec::new();
    let mut link = |issuer: &IssuerConfig| {
        let introspection = issuer.introspection.clone()?;
        let mut lane = || {
            let (questions, asked) = mpsc::channel(MAX_UNDER_WAY);
            let (named, config) = (issuer.issuer.clone(), introspection.clone());
            tasks.push(Asking::new(named, config, limits, asked, Arc::clone(metrics)));
            questions
        };
        Some(Lanes { any: lane(), verified: lane() })
    };
    let links = config.issuers.iter().map(&mut link).collect();
    (IntrospectionHandle { links }, run_all(tasks))
}

async fn run_all(tasks: Vec<Asking>) {
    let mut running: JoinSet<()> = tasks.into_iter().map(Asking::run).collect();
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "an issuer is no longer asked about tokens");
        }
    }
}

/// What came of a question that began at that instant.
type Done = (Instant, Result<Answer, AskError>);

/// One task.
struct Asking {
    issuer: String,
    config: IntrospectionConfig,
    limits: FetchLimits,
    questions: mpsc::Receiver<Asked>,
    metrics: Arc<Metrics>,
    /// Where to ask, and until when its files are not read again.
    endpoint: Option<(Endpoint, Instant)>,
    running: JoinSet<Done>,
    /// Which token each running question is about, also where it ends in a panic.
    asked_about: HashMap<Id, TokenHash>,
    waiting: HashMap<TokenHash, Vec<Waiter>>,
    /// Those of the waiting that are not asked about yet, the first first.
    queued: VecDeque<(TokenHash, Secret<String>)>,
    kept: KeptAnswers,
    complaints: Complaints,
    /// Questions that failed for no fault of the token since the last that did not fail.
    failures: u32,
    /// Until when nothing is asked.
    paused_until: Option<Instant>,
}

impl Asking {
    fn new(
        issuer: String,
        config: IntrospectionConfig,
        limits: FetchLimits,
        questions: mpsc::Receiver<Asked>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            kept: KeptAnswers::new(config.cache),
            issuer,
            config,
            limits,
            questions,
            metrics,
            endpoint: None,
            running: JoinSet::new(),
            asked_about: HashMap::new(),
            waiting: HashMap::new(),
            queued: VecDeque::new(),
            complaints: Complaints::default(),
            failures: 0,
            paused_until: None,
        }
    }

    /// Runs until nobody can ask any more.
    async fn run(mut self) {
        loop {
            self.begin().await;
            tokio::select! {
                // Answers first: they make room.
                biased;
                Some(done) = self.running.join_next_with_id() => {
                    let (id, done) = match done {
                        Ok((id, (since, answer))) => (id, answer.map(|answer| (since, answer))),
                        Err(error) => (error.id(), Err(AskError::Lost)),
                    };
                    if let Some(hash) = self.asked_about.remove(&id) {
                        self.tell(hash, done);
                    }
                },
                asked = self.questions.recv() => match asked {
                    Some(asked) => self.take(asked),
                    None => return,
                },
            }
        }
    }

    fn take(&mut self, asked: Asked) {
        let Asked { token, waiter } = asked;
        if waiter.is_closed() {
            return;
        }
        let hash = jose::sha256(token.expose().as_bytes());
        if let Some(answer) = self.kept.get(&hash) {
            answer_to(waiter, Ok(answer));
        } else if let Some(waiters) = self.waiting.get_mut(&hash) {
            waiters.push(waiter);
        } else if self.is_paused() || self.is_full() {
            answer_to(waiter, Err(Reason::TokenIntrospectionUnavailable));
        } else {
            self.waiting.insert(hash, vec![waiter]);
            self.queued.push_back((hash, token));
        }
    }

    fn is_paused(&self) -> bool {
        self.paused_until.is_some_and(|until| Instant::now() < until)
    }

    /// Whether no place in the queue is free, nor taken by those whose deadline has passed.
    fn is_full(&mut self) -> bool {
        while let Some((hash, _)) = self.queued.front()
            && self.queued.len() >= MAX_QUEUED
            && is_given_up(&self.waiting, hash)
        {
            self.waiting.remove(hash);
            self.queued.pop_front();
        }
        self.queued.len() >= MAX_QUEUED
    }

    /// Asks about those whose turn it is.
    async fn begin(&mut self) {
        while self.running.len() < MAX_RUNNING
            && let Some((hash, token)) = self.queued.pop_front()
        {
            // Under load a queue holds many whose deadline has passed, and whom no answer helps.
            if is_given_up(&self.waiting, &hash) {
                self.waiting.remove(&hash);
            } else if self.is_paused() {
                self.answer_all(&hash, &Err(Reason::TokenIntrospectionUnavailable));
            } else {
                match self.endpoint().await {
                    Ok(endpoint) => {
                        let running = self.running.spawn(ask(endpoint, self.limits, self.issuer.clone(), token));
                        self.asked_about.insert(running.id(), hash);
                    }
                    Err(error) => self.tell(hash, Err(error)),
                }
            }
        }
    }

    async fn endpoint(&mut self) -> Result<Endpoint, AskError> {
        if let Some((endpoint, until)) = &self.endpoint
            && Instant::now() < *until
        {
            return Ok(endpoint.clone());
        }
        let endpoint = Endpoint::open(&self.config).await?;
        self.endpoint = Instant::now().checked_add(REOPEN_AFTER).map(|until| (endpoint.clone(), until));
        Ok(endpoint)
    }

    /// Tells all who wait for it, and keeps an answer.
    fn tell(&mut self, hash: TokenHash, answer: Result<(Instant, Answer), AskError>) {
        let told = match answer {
            Ok((since, answer)) => Ok(self.keep(hash, Arc::new(answer), since)),
            Err(error) => {
                self.failed(&error);
                Err(Reason::TokenIntrospectionUnavailable)
            }
        };
        self.answer_all(&hash, &told);
    }

    fn answer_all(&mut self, hash: &TokenHash, told: &Introspected) {
        for waiter in self.waiting.remove(hash).unwrap_or_default() {
            answer_to(waiter, told.clone());
        }
    }

    fn keep(&mut self, hash: TokenHash, answer: Arc<Answer>, since: Instant) -> Arc<Answer> {
        if self.complaints.are_over() {
            tracing::info!(issuer = self.issuer, "the introspection endpoint answers again");
        }
        (self.failures, self.paused_until) = (0, None);
        let outcome = self.kept.insert(hash, Arc::clone(&answer), since);
        self.metrics.introspected(&self.issuer, outcome);
        answer
    }

    fn failed(&mut self, error: &AskError) {
        self.metrics.introspected(&self.issuer, Introspection::Failed);
        let now = Instant::now();
        let later = now.checked_add(PAUSE);
        if self.complaints.is_new(&error.to_string(), now) {
            tracing::warn!(issuer = self.issuer, %error, "the introspection endpoint gives no answer");
        }
        if error.is_of_any_token() {
            self.failures = self.failures.saturating_add(1);
            self.paused_until = later.filter(|_| self.failures >= MAX_FAILURES);
        }
        // A secret that was changed at both ends is read again soon, but not for every failure.
        if let Some(((_, until), later)) = self.endpoint.as_mut().zip(later) {
            *until = later.min(*until);
        }
    }
}

async fn ask(endpoint: Endpoint, limits: FetchLimits, issuer: String, token: Secret<String>) -> Done {
    // Before asking, so that what is withdrawn meanwhile is not good for longer than it should be.
    let (since, at) = (Instant::now(), UnixTime::now());
    let claims = endpoint.ask(&token, limits).await;
    (since, claims.map(|claims| Answer { issuer, at, claims }))
}

/// Whether nobody waits any longer. Who came last waits longest.
fn is_given_up(waiting: &HashMap<TokenHash, Vec<Waiter>>, hash: &TokenHash) -> bool {
    waiting.get(hash).is_none_or(|waiters| waiters.iter().rev().all(Waiter::is_closed))
}

/// Whoever has stopped waiting is not missed.
fn answer_to(waiter: Waiter, answer: Introspected) {
    let _gone = waiter.send(answer);
}
