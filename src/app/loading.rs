//! Settings, policy, revocations and the secret of nonces, read from the files that are watched.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Settings;
use crate::lifecycle::watch::Watched;
use crate::policy::Bundle;
use crate::policy::Compatibility;
use crate::problem::Problem;
use crate::token::KeySource;
use crate::token::NonceSecret;
use crate::token::Revoked;
use crate::token::revoked;

/// Settings, policy and revocations, as the files have them now.
pub(super) struct Loaded {
    pub(super) settings: Settings,
    pub(super) bundle: Bundle,
    pub(super) revoked: Arc<Revoked>,
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
        let crate::config::Loaded { mut settings, mut warnings } = Settings::load(path, environment)?;
        watched.follow(files(path, &settings));
        let revoked = revoked::read(&settings.revocations, &settings.token).map_err(|problems| in_file(problems, path));
        let secret = nonce_secret(&mut settings).map_err(|problems| in_file(problems, path));
        let ((bundle, (revoked, more)), ()) = both(both(Bundle::load(&settings.policy), revoked), secret)?;
        warnings.extend(in_file(more, path));
        warnings.extend_from_slice(bundle.warnings());
        if !bundle.defines(&settings.policy.entry_point) {
            let problem = nothing_there(&settings);
            if problem.is_error() {
                return Err(vec![problem]);
            }
            warnings.push(problem);
        }
        Ok(Self { settings, bundle, revoked: Arc::new(revoked), warnings })
    }
}

/// Puts the secret of nonces into its place in the settings.
fn nonce_secret(settings: &mut Settings) -> Result<(), Vec<Problem>> {
    if let Some(dpop) = &mut settings.token.dpop {
        dpop.nonce_secret = NonceSecret::read(dpop)?;
    }
    Ok(())
}

/// Both, or the problems of both.
fn both<A, B>(one: Result<A, Vec<Problem>>, other: Result<B, Vec<Problem>>) -> Result<(A, B), Vec<Problem>> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(problems), Ok(_)) | (Ok(_), Err(problems)) => Err(problems),
        (Err(mut problems), Err(more)) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

fn in_file(problems: Vec<Problem>, path: &Path) -> Vec<Problem> {
    problems.into_iter().map(|problem| problem.in_file(path.display().to_string())).collect()
}

/// The files whose change means a reload.
fn files(config: &Path, settings: &Settings) -> impl Iterator<Item = PathBuf> {
    let keys = settings.token.issuers.iter().filter_map(|issuer| match &issuer.keys {
        KeySource::File(path) => Some(path.clone()),
        KeySource::Url { .. } | KeySource::Discovery { .. } | KeySource::OauthMetadata { .. } | KeySource::Nowhere => {
            None
        }
    });
    let secret = settings.token.dpop.iter().filter_map(|dpop| dpop.nonce_secret_file.clone());
    let listed = settings.policy.paths.iter().chain(&settings.revocations).cloned();
    std::iter::once(config.to_owned()).chain(listed).chain(keys).chain(secret)
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
