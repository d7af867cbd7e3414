//! `countersign check`.

use std::path::Path;

use super::ConfigArgument;
use crate::app::App;
use crate::problem::Problem;

/// What `check` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
}

/// Loads everything that `serve` would from files, and serves nothing.
pub(super) fn run(arguments: &Arguments) -> u8 {
    match load(&arguments.config.config) {
        Err(problems) => {
            super::report(&problems);
            let errors = problems.iter().filter(|problem| problem.is_error()).count();
            super::complain(format_args!("{errors} error{}", if errors == 1 { "" } else { "s" }));
            super::WRONG
        }
        Ok((app, warnings)) => {
            super::report(&warnings);
            super::say(format_args!("ok: policy revision {}", app.policy_revision()));
            super::DONE
        }
    }
}

/// The configuration and its warnings, or everything that is wrong.
fn load(config: &Path) -> Result<(App, Vec<Problem>), Vec<Problem>> {
    let app = App::load(config, &super::environment())?;
    let mut problems = app.warnings().to_vec();
    problems.extend(app.check_key_files().map_err(|error| vec![Problem::error("", error.to_string())])?);
    if problems.iter().any(Problem::is_error) { Err(problems) } else { Ok((app, problems)) }
}
