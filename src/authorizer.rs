//! One request, on one screen.
//!
//! The stages run in the order in which they can be believed: the route says what must be proven, the caller and the
//! user are proven, the request is read, and the policy decides on all of it. Each is synchronous, takes time as a
//! value and does no I/O; the first that refuses ends the check. What only a token's issuer can tell, a new key or whether
//! the token is still good, is handed back to the edge as [`Step::Needs`]: the one thing that a check can wait for.

mod owned;
mod resources;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use uuid::Uuid;

use crate::clock::UnixTime;
use crate::decision::Decision;
use crate::decision::Denial;
use crate::decision::Document;
use crate::decision::Reason;
use crate::decision_log::Record;
use crate::facts::Attributes;
use crate::facts::Caller;
use crate::facts::Facts;
use crate::facts::Shape;
use crate::facts::User;
use crate::identity;
use crate::input;
use crate::policy;
use crate::route;
use crate::route::Defaults;
use crate::route::Requirement;
use crate::route::Resources;
use crate::route::Route;
use crate::route::TokenMode;
use crate::telemetry::Stage;
use crate::telemetry::Stopwatch;
use crate::token;
use crate::token::Waited;
use crate::trust;

/// Everything that one decision holds fixed, under one number.
#[derive(Debug)]
pub struct Revision {
    /// Counts up with every change of policy, data, keys or settings.
    pub number: u64,
    /// Hash of the policy's and data's content.
    pub policy: Arc<str>,
    /// How checks are made.
    pub rules: Arc<Rules>,
    /// The issuers' keys.
    pub keys: Arc<token::KeySets>,
    /// The trust domains' bundles.
    pub trust: Arc<trust::Bundles>,
    /// The proofs of possession that were seen: not held fixed, but one memory for all revisions of a process.
    pub proofs: Arc<token::Proofs>,
}

/// How checks are made: the part of the configuration that the path needs.
#[derive(Debug)]
pub struct Rules {
    /// What a route requires unless it says otherwise.
    pub routes: Defaults,
    /// Protected resources, whose metadata is answered from here.
    pub resources: Resources,
    /// Sources of caller identity.
    pub identity: identity::Config,
    /// Issuers of user tokens.
    pub token: Arc<token::Config>,
    /// Tokens, subjects and clients that are believed no longer.
    pub revoked: Arc<token::Revoked>,
    /// How path, query and body are read.
    pub input: input::Config,
    /// Which keys the document has.
    pub shape: Shape,
    /// Which headers a policy may touch.
    pub output: policy::OutputRules,
    /// The default entry point, for records: shared, since nearly every record has it.
    pub entry_point: Arc<str>,
}

impl Rules {
    fn entry_point(&self, path: &str) -> Arc<str> {
        if *self.entry_point == *path { Arc::clone(&self.entry_point) } else { path.into() }
    }
}

/// One worker's own: the policy instance and the caches, never shared between threads.
#[derive(Debug)]
pub struct Authorizer {
    revision: Arc<Revision>,
    policy: policy::Instance,
    identity: identity::Resolver,
    token: token::Verifier,
}

/// One request on its way through.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// What the proxy said.
    pub attributes: &'a Attributes,
    /// The decision's id, from which a policy's random numbers are drawn too, so that a replay draws the same.
    pub decision_id: Uuid,
    /// The time at which everything is judged.
    pub now: UnixTime,
    /// What the edge has waited for already.
    pub waited: &'a Waited,
}

/// Where a check has come to.
#[derive(Debug)]
pub enum Step {
    /// At its end.
    Decided(Decision),
    /// At its end, with nothing decided: the request is for a public document.
    Answered(Document),
    /// Unfinished for want of this. A check that is made again with what came of the wait does not need the same twice.
    Needs(token::Need),
}

impl Authorizer {
    /// One worker's authorizer, with empty caches.
    pub fn new(revision: Arc<Revision>, policy: policy::Instance) -> Self {
        Self {
            identity: identity::Resolver::new(revision.rules.identity.clone()),
            token: verifier(&revision.rules),
            revision,
            policy,
        }
    }

    /// The revision that decides now.
    pub fn revision(&self) -> &Arc<Revision> {
        &self.revision
    }

    /// Goes over to another revision between two requests. Where only keys changed there is no new policy instance,
    /// and the caches stay: their entries carry the key epoch.
    pub fn switch(&mut self, revision: Arc<Revision>, policy: Option<policy::Instance>) {
        if !Arc::ptr_eq(&self.revision.rules, &revision.rules) {
            self.identity = identity::Resolver::new(revision.rules.identity.clone());
            self.token = verifier(&revision.rules);
        }
        self.revision = revision;
        if let Some(policy) = policy {
            self.policy = policy;
        }
    }

    /// Says why the policy answers as it does: an evaluation aside, for people.
    pub fn explain(
        &self,
        entry_point: &str,
        facts: &Facts<'_>,
        decision_id: Uuid,
        now: UnixTime,
    ) -> policy::Explanation {
        let output = &self.revision.rules.output;
        self.policy.explain(&policy::Query {
            entry_point,
            facts,
            user: facts.user,
            now,
            seed: decision_id.as_u128(),
            output,
        })
    }

    /// Decides on one request. What the stages find goes into `record` as they find it, so that a denial's record says
    /// how far the request came.
    pub fn decide(&mut self, check: &Check<'_>, record: &mut Record, watch: &mut Stopwatch) -> Step {
        // Who has no token yet reads here where to get one, so this comes before anything must be proven.
        if let Some(document) = check.attributes.http().and_then(|http| self.revision.rules.document(http)) {
            return Step::Answered(document);
        }
        match self.run_stages(check, record, watch) {
            Ok(decision) => Step::Decided(decision),
            Err(token::Refusal::Denied(denial)) => Step::Decided(Decision::Deny(denial)),
            Err(token::Refusal::Needs(need)) => match (&need, check.waited.keys) {
                (token::Need::Keys(_), Some(reason)) => {
                    Step::Decided(Decision::Deny(Denial::new(reason, "the issuer has no key for this token")))
                }
                (token::Need::Keys(_) | token::Need::Answer(_), _) => Step::Needs(need),
            },
        }
    }

    fn run_stages(
        &mut self,
        check: &Check<'_>,
        record: &mut Record,
        watch: &mut Stopwatch,
    ) -> Result<Decision, token::Refusal> {
        let revision = Arc::clone(&self.revision);
        let rules = &*revision.rules;
        let Check { attributes, now, .. } = *check;

        let route = rules.routes.route(attributes)?;
        check_issuers(&route, &rules.token)?;
        record.entry_point = rules.entry_point(route.path);

        record.caller = self.identity.resolve(attributes, &revision.trust, now)?;
        if record.caller.is_none() && route.caller == Requirement::Required {
            return Err(Denial::new(Reason::CallerMissing, "no evidence of a workload that is looked at").into());
        }
        watch.lap(Stage::Identity);

        record.user = self.user(&revision, check, &route, record.caller.as_ref())?;
        watch.lap(Stage::Token);

        let request = record.request.insert(input::view(attributes, &rules.input)?);
        watch.lap(Stage::Input);

        let facts = Facts {
            attributes,
            request,
            caller: record.caller.as_ref(),
            user: record.user.as_deref(),
            shape: rules.shape,
        };
        let query = policy::Query {
            entry_point: route.path,
            facts: &facts,
            user: facts.user,
            now,
            seed: check.decision_id.as_u128(),
            output: &rules.output,
        };
        let decision = match self.policy.decide(&query) {
            Decision::Allow(grant) => owned::stamp(grant, &facts, check.decision_id, rules, &route)?,
            denied @ Decision::Deny(_) => denied,
        };
        watch.lap(Stage::Policy);
        Ok(decision)
    }

    /// The user's token, as the route wants it.
    fn user(
        &mut self,
        revision: &Revision,
        check: &Check<'_>,
        route: &Route<'_>,
        caller: Option<&Caller>,
    ) -> Result<Option<Arc<User>>, token::Refusal> {
        if route.token == TokenMode::Off {
            return Ok(None);
        }
        let required = route.token == TokenMode::Required;
        let Some(http) = check.attributes.http() else {
            return if required { Err(incomplete().into()) } else { Ok(None) };
        };
        match token::credential(http)? {
            Some(credential) => {
                let presented = token::Presented {
                    credential,
                    http,
                    caller,
                    proof: route.proof,
                    issuers: route.issuers,
                    proofs: &revision.proofs,
                    answer: check.waited.answer.as_ref(),
                };
                self.token.verify(&presented, &revision.keys, check.now).map(Some)
            }
            None if required => {
                let missing = Denial::new(Reason::TokenMissing, "no authorization header");
                Err(Denial { scheme: route.proof.scheme(), ..missing }.into())
            }
            None => Ok(None),
        }
    }
}

fn verifier(rules: &Rules) -> token::Verifier {
    token::Verifier::new(Arc::clone(&rules.token)).revoking(Arc::clone(&rules.revoked))
}

/// A misspelt issuer must not leave a route with fewer issuers than its author meant.
fn check_issuers(route: &Route<'_>, config: &token::Config) -> Result<(), Denial> {
    let unknown = |names: &&str| config.index_of(names).is_none();
    match route.issuers.and_then(|names| names.split(' ').find(unknown)) {
        Some("") => Err(route::invalid("countersign.issuers has a space that separates nothing", "")),
        Some(unknown) => Err(route::invalid("countersign.issuers names an issuer that is not configured", unknown)),
        None => Ok(()),
    }
}

fn incomplete() -> Denial {
    Denial::new(Reason::RequestIncomplete, "no attributes.request.http")
}
