//! The engine: regorus' interpreter, one for each worker.

use std::fmt;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use regorus::Engine;
use regorus::Value;
use regorus::utils::limits::ExecutionTimerConfig;
use serde::Serialize;

use super::BuiltinErrors;
use super::Bundle;
use super::Config;
use super::Query;
use super::bounded;
use super::builtins;
use super::builtins::Ambient;
use super::bundle::Module;
use super::bundle::reparsed;
use super::projection::Projection;
use super::result;
use super::value::Names;
use super::value::ValueError;
use super::value::projected;
use super::value::to_value;
use crate::decision::Decision;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::UserView;
use crate::problem::Problem;

mod entry;
mod explain;
pub(super) mod fault;
mod rules;

pub(super) use entry::EntryPoint;
use entry::Questions;
pub use explain::Explanation;
pub use explain::FiredRule;
pub(super) use rules::Rules;

/// How many steps the interpreter takes between two looks at the clock: rarely enough to cost nothing to speak of
/// (one step is a fraction of a microsecond), often enough to stop well within a millisecond.
const STEPS_BETWEEN_CLOCK_READS: NonZeroU32 = NonZeroU32::MIN.saturating_add(63);

/// The entry of the document that is kept from one request to the next.
const USER: &str = "user";

/// The most lines of a policy's `print` that go to the log for one decision.
const MAX_PRINTS: usize = 16;

/// A policy ready to decide, for one thread.
pub struct Instance {
    /// Prepared and never run: what takes over after a panic. Cloning shares its parts within this thread.
    template: Engine,
    engine: Engine,
    ambient: Arc<Ambient>,
    names: Names,
    projection: Arc<Projection>,
    /// The projection less the user, where it is not the whole document.
    without_user: Option<Projection>,
    rules: Arc<Rules>,
    questions: Questions,
    panics: u64,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("panics", &self.panics).finish_non_exhaustive()
    }
}

impl Instance {
    pub(super) fn new(bundle: &Bundle) -> Result<Self, Problem> {
        let ambient = Arc::new(Ambient::default());
        let template = prepared(bundle.config(), bundle.evaluated(), bundle.data(), &ambient)?;
        Ok(Self {
            engine: template.clone(),
            template,
            ambient,
            names: Names::default(),
            projection: Arc::clone(bundle.projection()),
            without_user: bundle.projection().without(USER),
            rules: Arc::clone(bundle.rules()),
            questions: Questions::default(),
            panics: 0,
        })
    }

    /// Decides. Whatever happens inside is a decision: only a boolean `true` allows.
    pub fn decide<D: Serialize + ?Sized>(&mut self, query: &Query<'_, D>) -> Decision {
        let input = match self.input(query) {
            Ok(input) => input,
            Err(error) => return Decision::Deny(Denial::new(Reason::RequestTooLarge, error.to_string())),
        };
        let question = self.questions.get(query.entry_point, &self.rules);
        self.ambient.begin(query.now, query.seed);
        self.engine.set_input(input);
        let outcome = catch_unwind(AssertUnwindSafe(|| question.prepared.evaluate(&mut self.engine)));
        log_prints(&mut self.engine);
        let Ok(outcome) = outcome else {
            self.engine = self.template.clone();
            self.panics = self.panics.saturating_add(1);
            return Decision::Deny(Denial::new(Reason::PolicyPanic, question.entry.name()));
        };
        match (self.ambient.refusal(), outcome) {
            (Some(refusal), outcome) => Decision::Deny(fault::refused(&refusal, outcome.err().as_ref())),
            (None, Err(error)) => Decision::Deny(fault::denial(&error)),
            (None, Ok(Value::Undefined)) => Decision::Deny(Denial::new(Reason::PolicyUndefined, question.entry.name())),
            (None, Ok(value)) => result::decision(&value, query.output, &question.place),
        }
    }

    /// What the policies can see of the document. The user is the largest part of most, and the same for every request
    /// with the same token: its value is built once and kept with it.
    fn input<D: Serialize + ?Sized>(&mut self, query: &Query<'_, D>) -> Result<Value, ValueError> {
        let Some((user, others)) = query.user.zip(self.without_user.as_ref()) else {
            return projected(query.facts, &mut self.names, &self.projection);
        };
        let names = &mut self.names;
        let kept = user.rendered.get_or_try_init(|| to_value(&UserView(user), names))?;
        let mut input = projected(query.facts, names, others)?;
        if let Ok(entries) = input.as_object_mut() {
            entries.insert(names.name(USER), kept);
        }
        Ok(input)
    }

    /// How often the engine has panicked and was replaced: any is a defect worth an alert.
    pub const fn panics(&self) -> u64 {
        self.panics
    }
}

/// An engine with everything in it, which has looked at all modules once.
pub(super) fn prepared(
    config: &Config,
    modules: &[Module],
    data: &Value,
    ambient: &Arc<Ambient>,
) -> Result<Engine, Problem> {
    let (mut engine, problems) = reparsed(config.rego_version, modules);
    if let Some(problem) = problems.into_iter().next() {
        return Err(problem);
    }
    // Built anew, name by name, so that no two engines count references to the same data.
    let data = to_value(data, &mut Names::default()).map_err(|error| Problem::error("", error.to_string()))?;
    engine.add_data(data).map_err(|error| fault::problem(&error, None))?;
    engine.set_strict_builtin_errors(config.builtin_errors == BuiltinErrors::Deny);
    engine.set_gather_prints(true);
    let limit = config.time_limit;
    engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval: STEPS_BETWEEN_CLOCK_READS });
    let installed = builtins::install(&mut engine, ambient, config.builtin_errors);
    let looked_at = installed.and_then(|()| engine.eval_query("true".to_owned(), false));
    looked_at.map_err(|error| fault::problem(&error, None))?;
    Ok(engine)
}

/// A policy's `print` goes to the log, as in OPA-Envoy.
fn log_prints(engine: &mut Engine) {
    for line in engine.take_prints().unwrap_or_default().iter().take(MAX_PRINTS) {
        tracing::info!(line = bounded(line), "policy print");
    }
}

#[cfg(test)]
mod tests;
