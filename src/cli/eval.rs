//! `countersign eval`.

use std::io::Read as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tracing::level_filters::LevelFilter;

use super::ConfigArgument;
use crate::app::App;
use crate::app::evaluator::Evaluator;
use crate::app::evaluator::Shown;
use crate::clock::UnixTime;
use crate::ext_authz::proto_json;
use crate::telemetry;

/// What `eval` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,

    /// The `CheckRequest`s: a file, or `-` for standard input.
    #[arg(long, value_name = "FILE|-")]
    check_request: PathBuf,

    /// How they are written: `json` is protobuf JSON, one document or one a line; `wire` is base64 of the bytes, one a
    /// line.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,

    /// The time at which to judge, as RFC 3339; the clock's otherwise.
    #[arg(long, value_name = "TIME", value_parser = UnixTime::parse_rfc3339)]
    now: Option<UnixTime>,

    /// Print the input document that the policy saw, unmasked.
    #[arg(long)]
    show_input: bool,

    /// Print which rules fired.
    #[arg(long)]
    explain: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Json,
    Wire,
}

/// The most that is read of requests, so that a wrong file cannot fill the memory.
const MAX_INPUT_BYTES: u64 = 256 * 1024 * 1024;

/// Decides on each request and prints one JSON object a line.
pub(super) fn run(arguments: &Arguments) -> u8 {
    // What goes wrong with asking an issuer about a token is told there.
    let _is_there_already = telemetry::log::init(LevelFilter::WARN);
    let evaluator = App::load(&arguments.config.config, &super::environment()).and_then(Evaluator::new);
    let mut evaluator = match evaluator {
        Ok(evaluator) => evaluator,
        Err(problems) => {
            super::report(&problems);
            return super::WRONG;
        }
    };
    super::report(evaluator.warnings());
    let requests = read(&arguments.check_request).and_then(|text| parse(&text, arguments.format));
    let requests = match requests {
        Ok(requests) => requests,
        Err(error) => {
            super::complain(format_args!("error: {}: {error}", arguments.check_request.display()));
            return super::WRONG;
        }
    };
    let shown = Shown { input: arguments.show_input, rules: arguments.explain };
    for wire in requests {
        let now = arguments.now.unwrap_or_else(UnixTime::now);
        super::say(evaluator.evaluate(&wire, now, shown));
    }
    super::DONE
}

fn read(path: &std::path::Path) -> Result<String, String> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(MAX_INPUT_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_INPUT_BYTES).read_to_string(&mut text))
    };
    read.map(|_bytes| text).map_err(|error| error.to_string())
}

fn parse(text: &str, format: Format) -> Result<Vec<Vec<u8>>, String> {
    match format {
        Format::Json => proto_json::check_requests_to_wire(text).map_err(|error| error.to_string()),
        Format::Wire => text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(index, line)| {
                let number = index.saturating_add(1);
                STANDARD.decode(line.trim()).map_err(|error| format!("line {number}: no base64: {error}"))
            })
            .collect(),
    }
}
