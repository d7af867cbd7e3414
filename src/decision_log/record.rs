//! What is known about one request when its check ends.

use std::fmt;
use std::mem;
use std::sync::Arc;

use uuid::Uuid;

use crate::clock::UnixTime;
use crate::decision::Decision;
use crate::decision::Reason;
use crate::facts::Attributes;
use crate::facts::Body;
use crate::facts::Caller;
use crate::facts::Http;
use crate::facts::Request;
use crate::facts::RequestView;
use crate::facts::Shape;
use crate::facts::User;
use crate::telemetry::Answer;
use crate::telemetry::Timings;
use crate::telemetry::TraceContext;

/// Everything about one request, owned: the check moves its findings in and borrows them from here.
#[derive(Default)]
pub struct Record {
    /// Names this decision, here and towards the proxy.
    pub decision_id: Uuid,
    /// When the check began.
    pub timestamp: UnixTime,
    /// The trace that the request belongs to.
    pub trace: Option<TraceContext>,
    /// Encoded length of the request message: what the queue's memory is reckoned by.
    pub message_bytes: usize,
    /// What decides; `None` before the first revision.
    pub revision: Option<Revision>,
    /// The policy's entry point, as a path; empty where the check ended before it was known.
    pub entry_point: Arc<str>,
    /// What the proxy said.
    pub attributes: Option<Attributes>,
    /// Path, query and body as parsed.
    pub request: Option<RequestView>,
    /// The proven workload.
    pub caller: Option<Caller>,
    /// The proven user.
    pub user: Option<Arc<User>>,
    /// What it came to.
    pub outcome: Outcome,
    /// How long it took.
    pub timings: Timings,
    /// JSON pointers to the bodies taken out before the record was queued.
    pub(super) erased: Vec<&'static str>,
}

/// What a request was decided by.
#[derive(Debug, Clone)]
pub struct Revision {
    /// Counts the revisions of this process.
    pub number: u64,
    /// The policy's own revision: a hash of its content.
    pub policy: Arc<str>,
    /// Which keys the input document has.
    pub shape: Shape,
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Outcome {
    /// Nothing: the check was given up before it ended. What a record says unless it is told otherwise.
    #[default]
    Cancelled,
    /// The request may go on.
    Allowed,
    /// The request may not go on.
    Denied {
        /// Why, for machines.
        reason: Reason,
        /// Why, for people.
        detail: String,
        /// The HTTP status that the client gets.
        http_status: u16,
    },
    /// The request was answered from here, with a public document.
    Answered {
        /// The HTTP status that the client gets.
        http_status: u16,
    },
}

impl Outcome {
    /// How the metrics count it.
    pub const fn answer(&self) -> Answer {
        match self {
            Self::Cancelled => Answer::Cancelled,
            Self::Allowed => Answer::Allow,
            Self::Denied { reason, .. } => Answer::Deny(*reason),
            Self::Answered { .. } => Answer::Document,
        }
    }
}

impl From<&Decision> for Outcome {
    fn from(decision: &Decision) -> Self {
        match decision {
            Decision::Allow(_) => Self::Allowed,
            Decision::Deny(denial) => {
                Self::Denied { reason: denial.reason, detail: denial.detail.clone(), http_status: denial.http_status() }
            }
        }
    }
}

/// Only what names the record: the rest holds tokens and bodies.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { decision_id, timestamp, outcome, .. } = self;
        let mut record = f.debug_struct("Record");
        record.field("decision_id", decision_id).field("timestamp", timestamp).field("outcome", outcome);
        record.finish_non_exhaustive()
    }
}

impl Record {
    /// The empty record of a request that has just arrived.
    pub fn new(decision_id: Uuid, timestamp: UnixTime) -> Self {
        Self { decision_id, timestamp, ..Self::default() }
    }

    /// Takes the bodies out: they are never logged, and a queue of them would be a client's to fill.
    pub(super) fn shed_bodies(&mut self) {
        if self.attributes.is_none() {
            // Nothing of the message was read, so nothing of it waits.
            self.message_bytes = 0;
        }
        let http = self.attributes.as_mut().and_then(|attributes| attributes.request.as_mut()?.http.as_mut());
        if let Some(http) = http {
            let (body, raw_body) = (mem::take(&mut http.body), mem::take(&mut http.raw_body));
            self.message_bytes = self.message_bytes.saturating_sub(body.len()).saturating_sub(raw_body.len());
            self.note_erased(!body.is_empty(), "/input/attributes/request/http/body");
            self.note_erased(!raw_body.is_empty(), "/input/attributes/request/http/rawBody");
        }
        if let Some(request) = &mut self.request
            && matches!(request.body, Body::Parsed(_))
        {
            request.body = Body::Absent;
            self.note_erased(true, "/input/parsed_body");
        }
    }

    /// Drops what no line shows that has no input in it. The worker drops it, which made it: memory that one thread
    /// takes and another gives back costs both.
    pub(super) fn shed_input(&mut self) {
        self.request = None;
        self.message_bytes = 0;
        let http = self.attributes.take().and_then(|attributes| attributes.request?.http);
        if let Some(Http { method, path, host, .. }) = http {
            self.message_bytes = method.len().saturating_add(path.len()).saturating_add(host.len());
            let http = Some(Http { method, path, host, ..Http::default() });
            self.attributes = Some(Attributes { request: Some(Request { time: None, http }), ..Attributes::default() });
        }
    }

    fn note_erased(&mut self, found: bool, pointer: &'static str) {
        if found {
            self.erased.push(pointer);
        }
    }
}
