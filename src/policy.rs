//! The policy stage: facts in, a [`Decision`](crate::decision::Decision) out, decided by Rego.
//!
//! A [`Bundle`] is what an operator wrote, read and checked; an [`Instance`] is one engine made from it, private to a
//! worker. Only this module knows regorus, and only `unstable` its parts that may move.
//!
//! What a policy may say is in `result`, what it may call in `builtins`.

use std::path::PathBuf;
use std::time::Duration;

use crate::clock::UnixTime;
use crate::facts::Facts;
use crate::facts::User;

mod builtins;
mod bundle;
mod engine;
mod number;
mod projection;
mod result;
pub mod suite;
mod unstable;
mod value;
mod yaml;

#[cfg(test)]
mod parity;

pub use bundle::Bundle;
pub use engine::Explanation;
pub use engine::FiredRule;
pub use engine::Instance;
pub use result::decision_from_json;

/// Where the policy is and how it is evaluated.
#[derive(Debug, Clone)]
pub struct Config {
    /// Files and directories of `.rego`, `.json`, `.yaml` and `.yml`.
    pub paths: Vec<PathBuf>,
    /// The rule that decides, as a slash path below `data`; requests may name another ([`Query::entry_point`]).
    pub entry_point: String,
    /// The language version of modules that do not say it themselves.
    pub rego_version: RegoVersion,
    /// What a failing builtin function means.
    pub builtin_errors: BuiltinErrors,
    /// The longest that one evaluation may take.
    pub time_limit: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            entry_point: "envoy/authz/allow".to_owned(),
            rego_version: RegoVersion::V1,
            builtin_errors: BuiltinErrors::Deny,
            time_limit: Duration::from_millis(20),
        }
    }
}

/// The language version of modules that do not say it themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegoVersion {
    /// OPA's default before 1.0: `if` and `contains` are optional.
    V0,
    /// OPA's default since 1.0.
    V1,
}

/// What a failing builtin function means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltinErrors {
    /// The request is denied: a `not f(x)` must not open on an `x` that makes `f` fail.
    Deny,
    /// The call is undefined, as in OPA.
    Undefined,
}

/// Which of the two modes a policy's result is read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compatibility {
    /// Everything is checked that may leave.
    Strict,
    /// OPA-Envoy's reading, except that what HTTP does not allow never leaves.
    OpaEnvoy,
}

/// What may leave in a policy's result.
#[derive(Debug, Clone)]
pub struct OutputRules {
    /// How strictly the result is read.
    pub compatibility: Compatibility,
    /// The prefix of the headers that only Countersign may set; enforced in strict mode, empty for none.
    pub owned_prefix: String,
}

/// One question to the policy. The document is [`Facts`] in the service, and may be any other for tools and tests.
#[derive(Debug)]
pub struct Query<'a, D: ?Sized = Facts<'a>> {
    /// The rule that decides, as a slash path below `data`.
    pub entry_point: &'a str,
    /// What `input` is.
    pub facts: &'a D,
    /// The user in it, where there is one whose form may be kept for the next question.
    pub user: Option<&'a User>,
    /// What `time.now_ns` answers.
    pub now: UnixTime,
    /// What `rand.intn` and `uuid.rfc4122` draw from: the decision's ID as a number, so that a replay draws the same.
    pub seed: u128,
    /// What may leave.
    pub output: &'a OutputRules,
}

/// The stack that a thread needs to evaluate policies. The interpreter follows rules that depend on each other on the
/// stack, at up to 20 KiB a rule in a debug build: this is room for a chain of hundreds.
pub const STACK_BYTES: usize = 16 * 1024 * 1024;

/// The most characters of detail that go to the log: enough for a place and a sentence.
const MAX_DETAIL_CHARS: usize = 256;

/// Cuts a text for the log, at a character, with a mark where something is missing.
fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX_DETAIL_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
