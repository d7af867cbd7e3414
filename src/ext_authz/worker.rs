//! One worker: a thread's authorizer and the asynchronous edge around it.
//!
//! Everything here lives on one thread: the authorizer is in a `RefCell`, borrowed only between two awaits, so a
//! request holds one revision and the path has no lock.

use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio::time::timeout_at;
use uuid::Uuid;

use super::check::Call;
use super::check::Outgoing;
use super::check::check;
use super::encode::Options;
use super::encode::Terms;
use super::encode::encode;
use crate::authorizer::Authorizer;
use crate::authorizer::Revision;
use crate::clock::UnixTime;
use crate::decision::Decision;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::decision_log::Guard;
use crate::decision_log::Outcome;
use crate::decision_log::Recorder;
use crate::policy;
use crate::route::Words;
use crate::telemetry::TraceContext;
use crate::token::IntrospectionHandle;
use crate::token::Need;
use crate::token::Waited;
use crate::token::refresh::RefreshHandle;

/// A revision on its way to one worker.
#[derive(Debug)]
pub struct Handover {
    /// What to go over to.
    pub revision: Arc<Revision>,
    /// The worker's own policy instance; `None` where the policy did not change.
    pub policy: Option<policy::Instance>,
    /// How this revision's issuers are asked for new keys.
    pub refresh: RefreshHandle,
    /// How they are asked about tokens.
    pub introspection: IntrospectionHandle,
    /// How answers are written.
    pub options: Options,
    /// Told once the worker has switched.
    pub switched: oneshot::Sender<()>,
}

/// One thread's side of the service.
#[derive(Debug)]
pub struct Worker {
    state: RefCell<Option<State>>,
    recorder: Recorder,
    /// Bytes of the requests that wait for an issuer.
    waiting: Cell<usize>,
    /// And of those whose token has verified, which nobody can invent: a flood of others takes no place of theirs.
    waiting_verified: Cell<usize>,
}

/// What a revision brings.
#[derive(Debug)]
struct State {
    authorizer: Authorizer,
    refresh: RefreshHandle,
    introspection: IntrospectionHandle,
    options: Options,
}

/// How long a check may take where the proxy sets no deadline: Envoy's own default for `ext_authz`.
const DEFAULT_DEADLINE: Duration = Duration::from_millis(200);
/// What is kept back of a deadline, so that the answer still arrives.
const ANSWER_MARGIN: Duration = Duration::from_millis(10);
/// Bytes of one worker's requests that may wait for an issuer at a time, those whose token has verified and the others each
/// for themselves. A request is held whole, so a flood of tokens with invented keys is answered rather than gathered: at
/// Envoy's usual sizes this is room for thousands.
const MAX_WAITING_BYTES: usize = 32 << 20;
/// What a waiting request weighs beside its message.
const WAITING_BYTES: usize = 4096;
/// The longest wait for an issuer, whatever the proxy's deadline: Istio's default of 600 s is no time to hold a request.
const MAX_WAIT: Duration = Duration::from_secs(5);

impl Worker {
    /// A worker without a revision: it denies until it has one.
    pub fn new(recorder: Recorder) -> Rc<Self> {
        Rc::new(Self { state: RefCell::new(None), recorder, waiting: Cell::new(0), waiting_verified: Cell::new(0) })
    }

    /// Goes over to a new revision between two requests.
    pub fn switch(&self, handover: Handover) {
        let Handover { revision, policy, refresh, introspection, options, switched } = handover;
        let mut state = self.state.borrow_mut();
        match (state.as_mut(), policy) {
            (Some(state), policy) => {
                state.authorizer.switch(revision, policy);
                state.refresh = refresh;
                state.introspection = introspection;
                state.options = options;
            }
            (None, Some(policy)) => {
                let authorizer = Authorizer::new(revision, policy);
                *state = Some(State { authorizer, refresh, introspection, options });
            }
            // The first handover always brings an instance; without one there is nothing to go over to.
            (None, None) => return,
        }
        let _publisher_gone = switched.send(());
    }

    /// Answers one check.
    pub(super) async fn answer(
        &self,
        wire: Bytes,
        deadline: Option<Duration>,
        trace: Option<TraceContext>,
    ) -> CheckResponse {
        let wait = deadline.unwrap_or(DEFAULT_DEADLINE).saturating_sub(ANSWER_MARGIN).min(MAX_WAIT);
        let until = Instant::now().checked_add(wait);
        let mut guard = self.open(trace);
        let mut waited = Waited::default();
        loop {
            if guard.reserve(wire.len()).is_err() {
                return self.refuse(unrecorded(), &mut guard);
            }
            match self.check(&wire, &waited, &mut guard) {
                Outgoing::Answer(response) => return *response,
                Outgoing::Needs(need) => {
                    guard.give_back();
                    self.wait_for(need, wire.len(), until, &mut waited).await;
                    // The wait is no stage's; the total has it.
                    guard.stopwatch.skip();
                }
            }
        }
    }

    /// Denies a call whose message the transport did not deliver: too long, compressed, none, or not in time.
    pub(super) fn refuse_unread(&self, denial: Denial, trace: Option<TraceContext>) -> CheckResponse {
        self.refuse(denial, &mut self.open(trace))
    }

    fn refuse(&self, denial: Denial, guard: &mut Guard) -> CheckResponse {
        let options = self.state.borrow().as_ref().map(|state| state.options).unwrap_or_default();
        Self::deny(denial, options, guard)
    }

    fn open(&self, trace: Option<TraceContext>) -> Guard {
        let mut guard = self.recorder.open(Uuid::new_v4(), UnixTime::now());
        guard.record.trace = trace;
        guard
    }

    fn check(&self, wire: &[u8], waited: &Waited, guard: &mut Guard) -> Outgoing {
        let mut state = self.state.borrow_mut();
        let Some(State { authorizer, options, .. }) = state.as_mut() else {
            let denial = Denial::new(Reason::ServerNotReady, "no revision is in force yet");
            return Outgoing::Answer(Box::new(Self::deny(denial, Options::default(), guard)));
        };
        let call = Call { wire, now: UnixTime::now(), waited, options: *options };
        check(authorizer, &call, &mut guard.record, &mut guard.stopwatch)
    }

    fn deny(denial: Denial, options: Options, guard: &mut Guard) -> CheckResponse {
        let decision = Decision::Deny(denial);
        guard.record.outcome = Outcome::from(&decision);
        let id = guard.record.decision_id.to_string();
        encode(decision, &Terms { decision_id: &id, options, challenge: Words::default() })
    }

    /// Waits for an issuer, within the deadline, and says in `waited` what came of it. For keys that is how to refuse a token
    /// whose key is unknown even then: 401 where the issuer was heard, 503 where it was not.
    async fn wait_for(&self, need: Need, bytes: usize, until: Option<Instant>, waited: &mut Waited) {
        let handles = self.state.borrow().as_ref().map(|state| (state.refresh.clone(), state.introspection.clone()));
        match (need, handles) {
            (Need::Keys(_), None) => waited.keys = Some(Reason::ServerNotReady),
            (Need::Answer(_), None) => waited.answer = Some(Err(Reason::ServerNotReady)),
            (Need::Keys(issuer), Some((refresh, _))) => {
                let outcome = self.within(until, &self.waiting, bytes, refresh.refresh(issuer)).await;
                waited.keys = Some(outcome.map_or_else(|late| late, |outcome| outcome.denial().reason));
            }
            (Need::Answer(question), Some((_, introspection))) => {
                let waiting = if question.is_verified { &self.waiting_verified } else { &self.waiting };
                let answer = self.within(until, waiting, bytes, introspection.ask(question)).await.flatten();
                let is_of_now =
                    self.state.borrow().as_ref().is_some_and(|state| state.introspection.is_same(&introspection));
                // What is said to an older configuration, perhaps from an address that is believed no longer, lets
                // nobody in: the newer asks itself, within the same deadline.
                if is_of_now || answer.is_err() {
                    waited.answer = Some(answer);
                }
            }
        }
    }

    /// Waits until the deadline at most, where there is room for one more that waits.
    async fn within<T>(
        &self,
        until: Option<Instant>,
        waiting: &Cell<usize>,
        bytes: usize,
        work: impl Future<Output = T>,
    ) -> Result<T, Reason> {
        let until = until.ok_or(Reason::ServerDeadline)?;
        let _place = Place::take(waiting, bytes).ok_or(Reason::ServerOverloaded)?;
        timeout_at(until, work).await.map_err(|_out_of_time| Reason::ServerDeadline)
    }
}

fn unrecorded() -> Denial {
    Denial::new(Reason::ServerLogUnavailable, "records are required, and this one would be lost")
}

/// A place among the waiting, given back when dropped: also where the proxy gives the call up.
struct Place<'a> {
    waiting: &'a Cell<usize>,
    bytes: usize,
}

impl<'a> Place<'a> {
    fn take(waiting: &'a Cell<usize>, message_bytes: usize) -> Option<Self> {
        let bytes = message_bytes.saturating_add(WAITING_BYTES);
        let taken = waiting.get().checked_add(bytes).filter(|&taken| taken <= MAX_WAITING_BYTES)?;
        waiting.set(taken);
        Some(Self { waiting, bytes })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.set(self.waiting.get().saturating_sub(self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn j6_a_flood_that_waits_takes_no_place_of_a_token_that_has_verified() {
        let worker = Worker::new(Recorder::new(None, Metrics::new().worker()));
        let _flood = Place::take(&worker.waiting, MAX_WAITING_BYTES - WAITING_BYTES).unwrap();
        let until = Instant::now().checked_add(Duration::from_secs(5));
        let other = worker.within(until, &worker.waiting, 0, async {}).await;
        assert_eq!(other, Err(Reason::ServerOverloaded));
        assert_eq!(worker.within(until, &worker.waiting_verified, 0, async {}).await, Ok(()));
    }

    #[test]
    fn j6_places_among_the_waiting_are_bounded_and_given_back() {
        let waiting = Cell::new(0);
        let large = MAX_WAITING_BYTES / 4;
        let mut places: Vec<_> = std::iter::from_fn(|| Place::take(&waiting, large)).collect();
        assert_eq!(places.len(), 3);
        assert!(Place::take(&waiting, large).is_none());
        places.pop();
        assert!(Place::take(&waiting, large).is_some());
        places.clear();
        assert_eq!(waiting.get(), 0);
    }
}
