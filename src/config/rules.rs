//! What the check path needs of the settings.

use std::sync::Arc;

use super::Settings;
use crate::authorizer::Rules;
use crate::config::checks::looks_for_callers;
use crate::ext_authz::Options;
use crate::ext_authz::SeveralValues;
use crate::facts::Shape;
use crate::policy::Compatibility;
use crate::policy::OutputRules;
use crate::token::Revoked;

impl Settings {
    /// How checks are made. `revoked` is what the files in `revocations` list.
    pub fn rules(&self, revoked: Arc<Revoked>) -> Rules {
        Rules {
            routes: self.routes.clone(),
            resources: self.resources.clone(),
            identity: self.caller.clone(),
            token: Arc::new(self.token.clone()),
            revoked,
            input: self.input,
            shape: self.shape(),
            output: OutputRules {
                compatibility: self.compatibility,
                owned_prefix: self.routes.owned_header_prefix.clone(),
            },
            entry_point: self.routes.path.as_str().into(),
        }
    }

    /// How answers are written.
    pub fn answer_options(&self) -> Options {
        Options {
            reason_in_body: self.routes.reason_in_body,
            problem_details: self.routes.problem_details,
            several_values: match self.compatibility {
                Compatibility::Strict => SeveralValues::Joined,
                Compatibility::OpaEnvoy => SeveralValues::Last,
            },
        }
    }

    /// In `opa-envoy` mode a policy that echoes or counts its input sees what OPA-Envoy showed it, unless an operator
    /// asked for more.
    fn shape(&self) -> Shape {
        match self.compatibility {
            Compatibility::Strict => Shape::Strict,
            Compatibility::OpaEnvoy => {
                Shape::OpaEnvoy { caller: looks_for_callers(&self.caller), user: !self.token.issuers.is_empty() }
            }
        }
    }
}
