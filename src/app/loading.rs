//! Settings and policy, read from the files that are watched.

use std::path::Path;
use std::path::PathBuf;

use crate::config::Settings;
use crate::lifecycle::watch::Watched;
use crate::policy::Bundle;
use crate::policy::Compatibility;
use crate::problem::Problem;
use crate::token::KeySource;

/// Settings and policy, as the files have them now.
pub(super) struct Loaded {
    pub(super) settings: Settings,
    pub(super) bundle: Bundle,
    pub(super) warnings: Vec<Problem>,
}

impl Loaded {
    /// Reads everything. What is read, or cannot be, is in `watched` as it looked before.
    pub(super) fn read(
        path: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
        watched: &mut Watched,
    ) -> Result<Self, Vec<Problem>> {
        *watched = watched.again();
        let crate::config::Loaded { settings, mut warnings } = Settings::load(path, environment)?;
        watched.follow(files(path, &settings));
        let bundle = Bundle::load(&settings.policy)?;
        warnings.extend_from_slice(bundle.warnings());
        if !bundle.defines(&settings.policy.entry_point) {
            let problem = nothing_there(&settings);
            if problem.is_error() {
                return Err(vec![problem]);
            }
            warnings.push(problem);
        }
        Ok(Self { settings, bundle, warnings })
    }
}

/// The files whose change means a reload.
fn files(config: &Path, settings: &Settings) -> impl Iterator<Item = PathBuf> {
    let keys = settings.token.issuers.iter().filter_map(|issuer| match &issuer.keys {
        KeySource::File(path) => Some(path.clone()),
        KeySource::Url { .. } | KeySource::Discovery { .. } => None,
    });
    std::iter::once(config.to_owned()).chain(settings.policy.paths.iter().cloned()).chain(keys)
}

/// An entry point without a rule denies everything. In strict mode such a policy does not come into force; OPA-Envoy
/// takes it, and so does its mode.
fn nothing_there(settings: &Settings) -> Problem {
    let message = format!("nothing is defined at `{}`: every request to it is denied", settings.policy.entry_point);
    let problem = match settings.compatibility {
        Compatibility::Strict => Problem::error("policy.path", message),
        Compatibility::OpaEnvoy => Problem::warning("policy.path", message),
    };
    problem.hint("name the rule that decides, as `envoy/authz/allow`")
}
