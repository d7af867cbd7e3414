//! `countersign serve`.

use super::ConfigArgument;
use crate::app::App;

/// What `serve` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
}

/// Serves until SIGTERM or SIGINT.
pub(super) fn run(arguments: &Arguments) -> u8 {
    let app = match App::load(&arguments.config.config, &super::environment()) {
        Ok(app) => app,
        Err(problems) => {
            super::report(&problems);
            return super::WRONG;
        }
    };
    super::report(app.warnings());
    match app.run() {
        Ok(()) => super::DONE,
        Err(error) => {
            super::complain(format_args!("error: {error:#}"));
            super::FAILED
        }
    }
}
