//! `countersign identity`.

use serde_json::json;

use super::ConfigArgument;
use crate::app::identity;
use crate::app::identity::Found;
use crate::problem::Problem;

/// What `identity` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,

    /// How it is printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Gets everything once and prints it.
pub(super) fn run(arguments: &Arguments) -> u8 {
    let Found { report, problems } = match identity::look(&arguments.config.config, &super::environment()) {
        Ok(found) => found,
        Err(problems) => {
            super::report(&problems);
            return super::WRONG;
        }
    };
    super::report(&problems);
    match arguments.format {
        Format::Text => super::say(&report),
        Format::Json => super::say(json!(report)),
    }
    if problems.iter().any(Problem::is_error) { super::FAILED } else { super::DONE }
}
