//! `countersign test`.

use std::path::PathBuf;

use super::ConfigArgument;
use crate::app::App;
use crate::app::cases;
use crate::clock::UnixTime;
use crate::policy::suite;
use crate::policy::suite::Coverage;
use crate::policy::suite::FileCoverage;
use crate::policy::suite::Outcome;
use crate::policy::suite::TestReport;
use crate::problem::Problem;

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
    match run_all(arguments) {
        Ok(tally) => {
            super::say(format_args!("{} passed, {} failed", tally.passed, tally.failed));
            if tally.failed == 0 { super::DONE } else { super::FAILED }
        }
        Err(problems) => {
            super::report(&problems);
            super::WRONG
        }
    }
}

/// How many there were.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

fn run_all(arguments: &Arguments) -> Result<Tally, Vec<Problem>> {
    let environment = super::environment();
    let app = App::load(&arguments.config.config, &environment)?;
    super::report(app.warnings());
    let options = suite::Options { now: UnixTime::now(), filter: String::new(), coverage: arguments.coverage };
    let report = suite::run(app.bundle(), &options)?;
    let mut tally = Tally::default();
    for test in &report.tests {
        let passed = test.outcome == Outcome::Passed;
        if tally.count(passed) || arguments.verbose {
            show_test(test);
        }
    }
    for folder in &arguments.cases {
        for case in cases::run(folder, &arguments.config.config, &environment)? {
            let passed = case.failures.is_empty();
            if tally.count(passed) || arguments.verbose {
                super::say(format_args!("{}: {}", case.name, if passed { "PASS" } else { "FAIL" }));
                case.failures.iter().for_each(|failure| super::say(format_args!("    {failure}")));
            }
        }
    }
    if let Some(coverage) = &report.coverage {
        show_coverage(coverage);
    }
    Ok(tally)
}

impl Tally {
    /// Counts one, and says whether it failed.
    fn count(&mut self, passed: bool) -> bool {
        let counter = if passed { &mut self.passed } else { &mut self.failed };
        *counter = counter.saturating_add(1);
        !passed
    }
}

fn show_test(test: &TestReport) {
    let TestReport { name, file, line, outcome, duration, prints } = test;
    let verdict = match outcome {
        Outcome::Passed => "PASS",
        Outcome::Failed => "FAIL",
        Outcome::Error(_) => "ERROR",
    };
    super::say(format_args!("{file}:{line}: {name}: {verdict} ({duration:.1?})"));
    if let Outcome::Error(message) = outcome {
        super::say(format_args!("    {message}"));
    }
    for print in prints {
        super::say(format_args!("    {print}"));
    }
}

fn show_coverage(coverage: &Coverage) {
    for FileCoverage { file, covered, not_covered } in &coverage.files {
        let all = covered.len().saturating_add(not_covered.len());
        super::say(format_args!("{file}: {} of {all} lines covered", covered.len()));
        if !not_covered.is_empty() {
            let lines: Vec<_> = not_covered.iter().map(u32::to_string).collect();
            super::say(format_args!("    not covered: {}", lines.join(", ")));
        }
    }
    super::say(format_args!("coverage: {:.1} %", coverage.percent()));
}
