//! `countersign test`.

use std::path::PathBuf;

use super::ConfigArgument;
use crate::app::App;
use crate::app::cases;
use crate::policy::suite;

/// What `test` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,

    /// A folder of request cases, run too: each a folder with `request.json` and `want.json` (docs/testing.md).
    #[arg(long, value_name = "DIR")]
    cases: Vec<PathBuf>,

    /// Print every test, not only those that failed, and what they printed.
    #[arg(short, long)]
    verbose: bool,

    /// Print which lines of the policies the tests reached.
    #[arg(long)]
    coverage: bool,
}

/// Runs rules, then cases.
pub(super) fn run(arguments: &Arguments) -> u8 {
    let app = match App::load(&arguments.config.config, &super::environment()) {
        Ok(app) => app,
        Err(problems) => {
            super::report(&problems);
            return super::WRONG;
        }
    };
    super::report(app.warnings());
    let (mut passed, mut failed) = (0_usize, 0_usize);
    let report = match suite::run(app.bundle(), arguments.coverage) {
        Ok(report) => report,
        Err(problems) => {
            super::report(&problems);
            return super::WRONG;
        }
    };
    for test in &report.tests {
        count(&mut passed, &mut failed, test.passed());
        if arguments.verbose || !test.passed() {
            super::say(test);
        }
    }
    for folder in &arguments.cases {
        match cases::run(folder, &super::environment()) {
            Ok(results) => {
                for result in results {
                    let ok = result.failures.is_empty();
                    count(&mut passed, &mut failed, ok);
                    if arguments.verbose || !ok {
                        super::say(format_args!("{}: {}", result.name, if ok { "PASS" } else { "FAIL" }));
                    }
                    result.failures.iter().for_each(|failure| super::say(format_args!("    {failure}")));
                }
            }
            Err(problems) => {
                super::report(&problems);
                return super::WRONG;
            }
        }
    }
    if let Some(coverage) = &report.coverage {
        super::say(coverage);
    }
    super::say(format_args!("{passed} passed, {failed} failed"));
    if failed == 0 { super::DONE } else { super::FAILED }
}

fn count(passed: &mut usize, failed: &mut usize, ok: bool) {
    let counter = if ok { passed } else { failed };
    *counter = counter.saturating_add(1);
}
