//! One decision outside the server, through exactly the server's path: `eval`, the request cases, the benches and the
//! fuzzer.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::App;
use super::loading::Loaded;
use crate::authorizer::Authorizer;
use crate::authorizer::Revision;
use crate::authorizer::Rules;
use crate::clock::UnixTime;
use crate::decision::Reason;
use crate::decision::reason::ALLOWED;
use crate::decision::reason::ANSWERED;
use crate::decision_log::Outcome;
use crate::decision_log::Record;
use crate::ext_authz::Call;
use crate::ext_authz::Options;
use crate::ext_authz::Outgoing;
use crate::ext_authz::check;
use crate::ext_authz::proto_json;
use crate::facts::Facts;
use crate::policy::Bundle;
use crate::problem::Problem;
use crate::telemetry::Metrics;
use crate::telemetry::Stopwatch;
use crate::token;
use crate::token::IntrospectionHandle;
use crate::token::KeySets;
use crate::token::Need;
use crate::token::Waited;
use crate::trust;
use crate::trust::Bundles;

/// A loaded configuration, ready to decide.
#[derive(Debug)]
pub struct Evaluator {
    authorizer: Authorizer,
    options: Options,
    warnings: Vec<Problem>,
    introspection: IntrospectionHandle,
    /// Where issuers are asked about tokens.
    runtime: Runtime,
}

/// What is printed beside the decision.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown {
    /// The input document.
    pub input: bool,
    /// The rules that fired.
    pub rules: bool,
}

impl Evaluator {
    /// Fetches every issuer's keys and every trust domain's bundle once. One that cannot be reached is a warning: its tokens
    /// or callers are denied, as the server denies them.
    ///
    /// # Errors
    /// A policy that cannot be built.
    pub fn new(app: App) -> Result<Self, Vec<Problem>> {
        let Loaded { settings, bundle, revoked, mut warnings } = app.loaded;
        let rules = Arc::new(settings.rules(revoked));
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| vec![Problem::error("", format!("no runtime: {error}"))])?;
        let (keys, mut problems) =
            runtime.block_on(token::refresh::load_once(Arc::clone(&rules.token), UnixTime::now()));
        let (material, more) = runtime.block_on(trust::refresh::load_once(&settings.spiffe));
        problems.extend(more);
        warnings.extend(
            problems.into_iter().map(|problem| Problem { severity: crate::problem::Severity::Warning, ..problem }),
        );
        let (introspection, asking) = token::introspection::keep_asking(&rules.token, &Metrics::new());
        drop(runtime.spawn(asking));
        let authorizer = authorizer(&bundle, rules, keys, material.bundles)?;
        Ok(Self { authorizer, options: settings.answer_options(), warnings, introspection, runtime })
    }

    /// What works, but rarely as meant.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Decides, and leaves in `record` what was found. Every key was fetched already; an issuer that must be asked about
    /// the token is asked.
    pub fn check(&mut self, wire: &[u8], now: UnixTime, record: &mut Record) -> Outgoing {
        let mut waited = Waited { keys: Some(Reason::TokenKeyUnknown), answer: None };
        loop {
            let call = Call { wire, now, waited: &waited, options: self.options };
            match check(&mut self.authorizer, &call, record, &mut Stopwatch::start()) {
                Outgoing::Needs(Need::Answer(question)) if waited.answer.is_none() => {
                    waited.answer = Some(self.runtime.block_on(self.introspection.ask(question)));
                }
                outgoing @ (Outgoing::Answer(_) | Outgoing::Needs(_)) => return outgoing,
            }
        }
    }

    /// Decides, and shows the decision as one JSON object.
    pub fn evaluate(&mut self, wire: &[u8], now: UnixTime, shown: Shown) -> Json {
        let mut record = Record::new(Uuid::new_v4(), now);
        let response = match self.check(wire, now, &mut record) {
            Outgoing::Answer(response) => proto_json::check_response_to_json(&response).unwrap_or(Json::Null),
            Outgoing::Needs(_) => Json::Null,
        };
        let mut answer = outcome(&record.outcome);
        answer.insert("decision_id".to_owned(), json!(record.decision_id.to_string()));
        let revision = record.revision.as_ref();
        answer.insert("revision".to_owned(), json!(revision.map(|revision| &*revision.policy)));
        let document = document(&record);
        for key in ["caller", "user"] {
            answer.insert(key.to_owned(), document.get(key).cloned().unwrap_or_default());
        }
        answer.insert("response".to_owned(), response);
        if shown.rules {
            answer.insert("rules".to_owned(), self.rules(&record, now));
        }
        if shown.input {
            answer.insert("input".to_owned(), document);
        }
        Json::Object(answer)
    }

    /// Which rules fired, found by an evaluation aside.
    fn rules(&self, record: &Record, now: UnixTime) -> Json {
        let Some(facts) = facts(record) else { return Json::Null };
        let explained = self.authorizer.explain(&record.entry_point, &facts, record.decision_id, now);
        explained.rules.iter().map(|fired| json!(format!("{}:{}: {}", fired.file, fired.line, fired.rule))).collect()
    }
}

fn authorizer(
    bundle: &Bundle,
    rules: Arc<Rules>,
    keys: KeySets,
    trust: Arc<Bundles>,
) -> Result<Authorizer, Vec<Problem>> {
    let instance = bundle.instance()?;
    let (policy, keys) = (bundle.revision().into(), Arc::new(keys));
    let revision = Revision { number: 1, policy, rules, keys, trust, proofs: Arc::default() };
    Ok(Authorizer::new(Arc::new(revision), instance))
}

fn outcome(outcome: &Outcome) -> Map<String, Json> {
    let (decision, reason, status, detail) = match outcome {
        Outcome::Allowed => ("allow", ALLOWED, Json::Null, Json::Null),
        Outcome::Denied { reason, detail, http_status } => ("deny", reason.name(), json!(http_status), text(detail)),
        Outcome::Answered { http_status } => ("answer", ANSWERED, json!(http_status), Json::Null),
        Outcome::Cancelled => ("deny", Reason::ServerPanic.name(), Json::Null, Json::Null),
    };
    let mut answer = Map::new();
    answer.insert("decision".to_owned(), json!(decision));
    answer.insert("reason".to_owned(), json!(reason));
    answer.insert("http_status".to_owned(), status);
    answer.insert("detail".to_owned(), detail);
    answer
}

/// A text, or null where there is none.
fn text(text: &str) -> Json {
    if text.is_empty() { Json::Null } else { json!(text) }
}

/// The facts as far as the stages came; `None` where not even the request could be read.
fn facts(record: &Record) -> Option<Facts<'_>> {
    Some(Facts {
        attributes: record.attributes.as_ref()?,
        request: record.request.as_ref()?,
        caller: record.caller.as_ref(),
        user: record.user.as_deref(),
        shape: record.revision.as_ref()?.shape,
    })
}

/// The input document; of a check that was denied before there was one, the caller and the user found until then.
fn document(record: &Record) -> Json {
    let nothing = crate::facts::RequestView::default();
    let Some((attributes, revision)) = record.attributes.as_ref().zip(record.revision.as_ref()) else {
        return Json::Null;
    };
    let facts = Facts {
        attributes,
        request: record.request.as_ref().unwrap_or(&nothing),
        caller: record.caller.as_ref(),
        user: record.user.as_deref(),
        shape: revision.shape,
    };
    serde_json::to_value(facts).unwrap_or_default()
}
