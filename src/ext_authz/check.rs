//! One check, bytes in, answer out: what the server, `eval`, the cases, the benches and the fuzzer all call.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use envoy_types::pb::envoy::service::auth::v3::CheckResponse;

use super::decode::decode;
use super::encode::Options;
use super::encode::Terms;
use super::encode::encode;
use super::encode::encode_document;
use crate::authorizer::Authorizer;
use crate::authorizer::Check;
use crate::authorizer::Step;
use crate::clock::UnixTime;
use crate::decision::Decision;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::decision_log::Outcome;
use crate::decision_log::Record;
use crate::decision_log::Revision;
use crate::facts::Attributes;
use crate::route::Words;
use crate::telemetry::Stage;
use crate::telemetry::Stopwatch;
use crate::telemetry::TraceContext;
use crate::telemetry::trace::TRACEPARENT;
use crate::token::Need;
use crate::token::Waited;

/// One call, before its bytes are read.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The message.
    pub wire: &'a [u8],
    /// The time at which everything is judged.
    pub now: UnixTime,
    /// What has been waited for already.
    pub waited: &'a Waited,
    /// How the answer is written.
    pub options: Options,
}

/// Where a call has come to.
#[derive(Debug)]
pub enum Outgoing {
    /// The answer.
    Answer(Box<CheckResponse>),
    /// Nothing yet: only the token's issuer can give what is missing. The check starts again from its first step
    /// afterwards.
    Needs(Need),
}

/// Checks one request, and leaves in `record` what was found and what it came to. Never fails and never panics: what
/// cannot be decided is denied.
pub fn check(authorizer: &mut Authorizer, call: &Call<'_>, record: &mut Record, watch: &mut Stopwatch) -> Outgoing {
    or_denied(record, call.options, |record| run(authorizer, call, record, watch))
}

/// A defect is a denial, with a record of it.
fn or_denied(record: &mut Record, options: Options, run: impl FnOnce(&mut Record) -> Outgoing) -> Outgoing {
    catch_unwind(AssertUnwindSafe(|| run(record))).unwrap_or_else(|_panic| {
        let decision = Decision::Deny(Denial::new(Reason::ServerPanic, "the check panicked"));
        record.outcome = Outcome::from(&decision);
        let id = record.decision_id.to_string();
        let terms = Terms { decision_id: &id, options, challenge: Words::default() };
        Outgoing::Answer(Box::new(encode(decision, &terms)))
    })
}

fn run(authorizer: &mut Authorizer, call: &Call<'_>, record: &mut Record, watch: &mut Stopwatch) -> Outgoing {
    let id = record.decision_id.hyphenated().to_string();
    let revision = Arc::clone(authorizer.revision());
    record.message_bytes = call.wire.len();
    record.revision =
        Some(Revision { number: revision.number, policy: Arc::clone(&revision.policy), shape: revision.rules.shape });
    let decoded = decode(call.wire);
    watch.lap(Stage::Decode);
    let step = match decoded {
        Err(denial) => Step::Decided(Decision::Deny(denial)),
        Ok(attributes) => {
            record.trace = record.trace.or_else(|| trace_of(&attributes));
            let (decision_id, now, waited) = (record.decision_id, call.now, call.waited);
            let check = Check { attributes: &attributes, decision_id, now, waited };
            let step = authorizer.decide(&check, record, watch);
            record.attributes = Some(attributes);
            step
        }
    };
    let response = match step {
        Step::Needs(need) => return Outgoing::Needs(need),
        Step::Answered(document) => {
            record.outcome = Outcome::Answered { http_status: document.http_status() };
            encode_document(&document, &id)
        }
        Step::Decided(decision) => {
            record.outcome = Outcome::from(&decision);
            let challenge = match &decision {
                Decision::Deny(_) => revision.rules.challenge(record.attributes.as_ref()),
                Decision::Allow(_) => Words::default(),
            };
            encode(decision, &Terms { decision_id: &id, options: call.options, challenge })
        }
    };
    watch.lap(Stage::Encode);
    Outgoing::Answer(Box::new(response))
}

fn trace_of(attributes: &Attributes) -> Option<TraceContext> {
    TraceContext::parse(attributes.http()?.single_header(TRACEPARENT).ok()??)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn j8_a_panic_is_a_denial_and_is_recorded() {
        let mut record = Record::new(Uuid::nil(), UnixTime::default());
        let Outgoing::Answer(response) = or_denied(&mut record, Options::default(), |_record| panic!("canary")) else {
            panic!("no answer")
        };
        assert_eq!(response.status.as_ref().map(|status| status.code), Some(14));
        assert!(!format!("{response:?}").contains("canary"));
        let Outcome::Denied { reason, http_status, .. } = record.outcome else { panic!("not denied") };
        assert_eq!((reason, http_status), (Reason::ServerPanic, 503));
    }
}
