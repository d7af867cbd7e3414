//! `countersign check`.

use super::ConfigArgument;
use crate::app::App;

/// What `check` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
}

/// Loads everything that `serve` would, and serves nothing.
pub(super) fn run(arguments: &Arguments) -> u8 {
    match App::load(&arguments.config.config, &super::environment()) {
        Err(problems) => {
            super::report(&problems);
            super::complain(format_args!("{} problems", problems.len()));
            super::WRONG
        }
        Ok(app) => {
            super::report(app.warnings());
            super::say(format_args!("ok: policy revision {}", app.policy_revision()));
            super::DONE
        }
    }
}
