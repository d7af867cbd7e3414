//! The configuration: YAML in, validated settings of every stage out, or every problem at once.
//!
//! `declaration` is the format, key by key; docs/configuration.md and docs/config.schema.json are generated from it.

mod about;
mod checks;
mod declaration;
mod format;
mod limits;
mod redacted;
pub mod reference;
mod rules;
mod suggest;
mod walk;
mod words;
mod yaml;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value as Json;
use tracing::level_filters::LevelFilter;

use crate::admin;
use crate::config::walk::Surroundings;
use crate::decision_log;
use crate::identity;
use crate::input;
use crate::listener;
use crate::policy;
use crate::policy::Compatibility;
use crate::problem::Problem;
use crate::route;
use crate::token;
use crate::trust;

/// Everything that can be set, validated and with its defaults filled in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose answers are given.
    pub compatibility: Compatibility,
    /// Where checks are answered.
    pub listeners: listener::Config,
    /// Where the administration side is.
    pub admin: admin::Config,
    /// Which evidence of the caller is taken.
    pub caller: identity::Config,
    /// Where own identity and trust in workloads come from.
    pub spiffe: trust::Config,
    /// Whose tokens are believed.
    pub token: token::Config,
    /// Files that list tokens, subjects and clients that are believed no longer.
    pub revocations: Vec<PathBuf>,
    /// How the request is read for the policy.
    pub input: input::Config,
    /// Where the policy is and how it runs.
    pub policy: policy::Config,
    /// What holds for routes that do not say otherwise.
    pub routes: route::Defaults,
    /// Whose metadata is answered from here.
    pub resources: route::Resources,
    /// What is recorded.
    pub decision_log: decision_log::Config,
    /// What the program says of itself.
    pub telemetry: Telemetry,
}

/// What the program says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// The least that is logged.
    pub log_level: LevelFilter,
}

/// A configuration that was read.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub settings: Settings,
    /// What works, but is worth knowing.
    pub warnings: Vec<Problem>,
}

impl Settings {
    /// Reads a configuration file. `environment` is asked for the variables that it names.
    ///
    /// # Errors
    /// Everything that is wrong with it, by line; warnings among it.
    pub fn load(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Vec<Problem>> {
        let text = text_of(path).map_err(|problem| vec![problem.in_file(path.display().to_string())])?;
        Self::read(&text, path, environment)
    }

    /// Reads a configuration's text as if it stood in the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it, by line; warnings among it.
    pub fn read(text: &str, path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Vec<Problem>> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let (root, mut problems) = yaml::parse(text);
        let settings = root.map(|root| {
            let surroundings = Surroundings { directory, environment };
            let (settings, found, _keys) = walk::read(&root, surroundings, declaration::settings);
            problems.extend(found);
            settings
        });
        problems.sort_by_key(|problem| problem.line);
        let problems: Vec<_> =
            problems.into_iter().map(|problem| problem.in_file(path.display().to_string())).collect();
        match settings {
            Some(settings) if !problems.iter().any(Problem::is_error) => Ok(Loaded { settings, warnings: problems }),
            _ => Err(problems),
        }
    }

    /// What would keep every connection by TLS from being made. Settings that were read are checked; those put together from
    /// several may not be.
    ///
    /// # Errors
    /// Each as a problem.
    pub fn check_tls(&self) -> Result<(), Vec<Problem>> {
        let faults = checks::workloads::faults_of_tls(self);
        let problems: Vec<_> = faults.into_iter().map(|fault| Problem::error(fault.path, fault.message)).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// The settings in the configuration's own format, defaults filled in and nothing secret in them.
    pub fn redacted(&self) -> Json {
        redacted::settings(self)
    }
}

fn text_of(path: &Path) -> Result<String, Problem> {
    let cannot =
        |error| Problem::error("", format!("cannot be read: {error}")).hint("name the configuration with --config");
    let mut bytes = Vec::new();
    // One byte more than is read, so that a text that is too long is seen to be.
    let bound = u64::try_from(yaml::MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).and_then(|file| file.take(bound).read_to_end(&mut bytes)).map_err(cannot)?;
    String::from_utf8(bytes).map_err(|_| Problem::error("", "is no UTF-8").hint("save it as UTF-8"))
}
