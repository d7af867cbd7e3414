//! What OPA's log has no place for: who called, for whom, and why the answer was what it was.

use std::borrow::Cow;

use serde::Serialize;
use serde::Serializer;

use crate::decision_log::Mask;
use crate::decision_log::Outcome;
use crate::decision_log::Record;
use crate::decision_log::text;
use crate::facts::Caller;
use crate::facts::Delegation;
use crate::facts::User;
use crate::telemetry::Timings;

/// The most actors listed; the token stage takes no longer chains.
const MAX_ACTORS: usize = 16;

/// The `countersign` object.
#[derive(Serialize)]
pub(super) struct Summary<'a> {
    decision: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    caller: Option<CallerSummary<'a>>,
    user: Option<UserSummary<'a>>,
    delegation: Option<DelegationSummary<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<RevisionSummary<'a>>,
    durations_ns: Durations,
}

#[derive(Serialize)]
struct CallerSummary<'a> {
    spiffe_id: &'a str,
    proof: &'static str,
}

#[derive(Serialize)]
struct UserSummary<'a> {
    subject: Cow<'a, str>,
    issuer: Cow<'a, str>,
    client_id: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
struct DelegationSummary<'a> {
    actors: Vec<ActorSummary<'a>>,
}

#[derive(Serialize)]
struct ActorSummary<'a> {
    subject: Cow<'a, str>,
    issuer: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
struct RevisionSummary<'a> {
    number: u64,
    policy: &'a str,
}

/// Nanoseconds by stage, for the stages reached.
struct Durations(Timings);

impl Serialize for Durations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.stages().map(|(stage, nanos)| (stage.name(), nanos)))
    }
}

impl<'a> Summary<'a> {
    pub(super) fn new(record: &'a Record, mask: &Mask) -> Self {
        let answer = record.outcome.answer();
        let (detail, http_status) = match &record.outcome {
            Outcome::Cancelled | Outcome::Allowed => (None, None),
            Outcome::Denied { detail, http_status, .. } => (Some(detail.as_str()), Some(*http_status)),
            Outcome::Answered { http_status } => (None, Some(*http_status)),
        };
        let http = record.attributes.as_ref().and_then(|attributes| attributes.http());
        let user = record.user.as_deref();
        let present =
            |text: Option<&'a str>, limit| text.filter(|text| !text.is_empty()).map(|text| mask.clean(text, limit));
        Self {
            decision: answer.decision(),
            reason: answer.reason(),
            detail: present(detail, text::DETAIL),
            http_status,
            method: present(http.map(|http| http.method.as_str()), text::NAME),
            host: present(http.map(|http| http.host.as_str()), text::HOST),
            path: present(http.map(|http| without_query(&http.path)), text::PATH),
            caller: record.caller.as_ref().map(CallerSummary::new),
            user: user.map(UserSummary::new),
            delegation: user.and_then(|user| user.delegation.as_ref()).map(DelegationSummary::new),
            revision: record
                .revision
                .as_ref()
                .map(|revision| RevisionSummary { number: revision.number, policy: &revision.policy }),
            durations_ns: Durations(record.timings),
        }
    }
}

/// A query's values may be anything, so the summary has none of them.
fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or_default()
}

fn identity(text: &str) -> Cow<'_, str> {
    text::bounded(text, text::IDENTITY)
}

impl<'a> CallerSummary<'a> {
    fn new(caller: &'a Caller) -> Self {
        Self { spiffe_id: caller.spiffe_id.as_str(), proof: caller.proof.name() }
    }
}

impl<'a> UserSummary<'a> {
    fn new(user: &'a User) -> Self {
        Self {
            subject: identity(&user.subject),
            issuer: identity(&user.issuer),
            client_id: user.client_id.as_deref().map(identity),
        }
    }
}

impl<'a> DelegationSummary<'a> {
    fn new(delegation: &'a Delegation) -> Self {
        let actors = delegation.actors.iter().take(MAX_ACTORS);
        let summary = actors.map(|actor| ActorSummary {
            subject: identity(&actor.subject),
            issuer: actor.issuer.as_deref().map(identity),
        });
        Self { actors: summary.collect() }
    }
}
