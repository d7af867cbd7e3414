//! A record as a line of JSON: the names of OPA's decision log (`EventV1`) at the top, ours in one object,
//! `countersign`. docs/decision-log.md describes it.

mod summary;

use std::borrow::Cow;
use std::io;

use serde::Serialize;
use serde_json::Value as Json;
use serde_json::ser::Serializer;
use uuid::Uuid;

use super::Mask;
use super::Outcome;
use super::Record;
use super::text;
use super::text::SafeJson;
use super::text::Shown;
use super::text::bounded;
use crate::clock::UnixTime;
use crate::facts::Attributes;
use crate::facts::Facts;
use crate::telemetry::Stage;
use summary::Summary;

/// The longest line. A record that is longer loses its input: a collector that refuses the line would lose all of it.
const MAX_LINE_BYTES: usize = 256 << 10;

/// How records become lines.
#[derive(Debug)]
pub struct Format {
    labels: Labels,
    include_input: bool,
    mask: Mask,
}

/// Who writes.
#[derive(Debug, Clone, Serialize)]
struct Labels {
    id: String,
    version: &'static str,
}

impl Format {
    /// The format of this process; `instance` is its own ID, the label `id` of every line.
    pub fn new(instance: Uuid, include_input: bool, mask: Mask) -> Self {
        let labels = Labels { id: instance.to_string(), version: env!("CARGO_PKG_VERSION") };
        Self { labels, include_input, mask }
    }

    /// Whether lines have the input document in them.
    pub const fn include_input(&self) -> bool {
        self.include_input
    }

    /// Appends the record as one line.
    ///
    /// # Errors
    /// Where the record has no form in JSON, which no request can bring about.
    pub fn write_line(&self, record: &Record, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let event = Event::new(record, self);
        if event.input.is_none() && !self.mask.reaches_summary() {
            write_json(&event, out)?;
        } else {
            self.write_masked(serde_json::to_value(&event)?, out)?;
        }
        out.push(b'\n');
        Ok(())
    }

    fn write_masked(&self, mut event: Json, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let masked = self.mask.apply(&mut event);
        if !masked.is_empty() {
            set(&mut event, "masked", Json::from(masked));
        }
        let began = out.len();
        write_json(&event, out)?;
        if out.len().saturating_sub(began) > MAX_LINE_BYTES {
            out.truncate(began);
            remove_input(&mut event);
            write_json(&event, out)?;
        }
        Ok(())
    }
}

fn write_json(event: &impl Serialize, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    event.serialize(&mut Serializer::with_formatter(io::Write::by_ref(out), SafeJson))
}

fn set(event: &mut Json, key: &str, value: Json) {
    if let Some(members) = event.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
}

fn remove_input(event: &mut Json) {
    if let Some(members) = event.as_object_mut() {
        members.remove("input");
        members.remove("masked");
        members.insert("erased".to_owned(), Json::from(vec!["/input"]));
    }
}

/// One line.
#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    msg: &'static str,
    level: &'static str,
    decision_id: Shown<Uuid>,
    timestamp: Shown<UnixTime>,
    labels: &'a Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundles: Option<Bundles<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Input<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    erased: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Answered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
    metrics: Timers,
    countersign: Summary<'a>,
}

/// OPA names its bundles; here there is one policy.
#[derive(Serialize)]
struct Bundles<'a> {
    policy: Bundle<'a>,
}

#[derive(Serialize)]
struct Bundle<'a> {
    revision: &'a str,
}

/// The input document as far as the check came.
#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Whole(Facts<'a>),
    AttributesAlone { attributes: &'a Attributes },
}

/// The answer in the two forms that a policy gives it.
#[derive(Serialize)]
#[serde(untagged)]
enum Answered {
    Allowed(bool),
    Denied { allowed: bool, http_status: u16 },
}

/// OPA's timers, in nanoseconds.
#[derive(Serialize)]
struct Timers {
    #[serde(skip_serializing_if = "Option::is_none")]
    timer_rego_query_eval_ns: Option<u64>,
    timer_server_handler_ns: u64,
}

impl<'a> Event<'a> {
    fn new(record: &'a Record, format: &'a Format) -> Self {
        let input = if format.include_input { input(record) } else { None };
        let (result, error) = result_or_error(&record.outcome, &format.mask);
        Self {
            r#type: "openpolicyagent.org/decision_logs",
            msg: "Decision Log",
            level: "info",
            decision_id: Shown(record.decision_id),
            timestamp: Shown(record.timestamp),
            labels: &format.labels,
            path: Some(bounded(&record.entry_point, text::PATH)).filter(|path| !path.is_empty()),
            bundles: record.revision.as_ref().map(|revision| Bundles { policy: Bundle { revision: &revision.policy } }),
            trace_id: record.trace.map(|trace| trace.trace_id.to_string()),
            span_id: record.trace.map(|trace| trace.span_id.to_string()),
            erased: if input.is_some() { &record.erased } else { &[] },
            input,
            result,
            error,
            metrics: Timers {
                timer_rego_query_eval_ns: record.timings.stage(Stage::Policy),
                timer_server_handler_ns: record.timings.total(),
            },
            countersign: Summary::new(record, &format.mask),
        }
    }
}

fn input(record: &Record) -> Option<Input<'_>> {
    let attributes = record.attributes.as_ref()?;
    let (Some(request), Some(revision)) = (&record.request, &record.revision) else {
        return Some(Input::AttributesAlone { attributes });
    };
    let (caller, user) = (record.caller.as_ref(), record.user.as_deref());
    Some(Input::Whole(Facts { attributes, request, caller, user, shape: revision.shape }))
}

/// As in OPA's log, a line has the one or the other: a result where there was a decision, an error where the request
/// could not be read or decided.
fn result_or_error<'a>(outcome: &'a Outcome, mask: &Mask) -> (Option<Answered>, Option<Cow<'a, str>>) {
    match outcome {
        Outcome::Cancelled => (None, Some(Cow::Borrowed(CANCELLED))),
        Outcome::Allowed => (Some(Answered::Allowed(true)), None),
        Outcome::Denied { reason, detail, .. } if matches!(reason.http_status(), UNREADABLE | UNDECIDED) => {
            let error = if detail.is_empty() { reason.sentence() } else { detail };
            (None, Some(mask.clean(error, text::DETAIL)))
        }
        Outcome::Denied { http_status, .. } | Outcome::Answered { http_status } => {
            (Some(Answered::Denied { allowed: false, http_status: *http_status }), None)
        }
    }
}

/// The error of a guard that was dropped.
const CANCELLED: &str = "the request was given up before a decision";
/// The statuses of reasons that are no decision.
const UNREADABLE: u16 = 400;
const UNDECIDED: u16 = 503;

#[cfg(test)]
mod tests;
