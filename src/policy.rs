//! The policy: where it is and how it runs.

use std::path::PathBuf;
use std::time::Duration;

/// Where policies are and how they run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// The rule asked, as `envoy/authz/allow`.
    pub entry_point: String,
    /// The version of the language.
    pub rego_version: RegoVersion,
    /// What an error in a builtin function means.
    pub builtin_errors: BuiltinErrors,
    /// How long one evaluation may take.
    pub time_limit: Duration,
}

/// A version of Rego.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegoVersion {
    /// Before OPA 1.0.
    V0,
    /// Since OPA 1.0.
    V1,
}

/// What an error in a builtin function means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltinErrors {
    /// The request is denied.
    Deny,
    /// The expression is undefined, as in OPA.
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
