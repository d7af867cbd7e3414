//! Tests of policies: every rule whose name begins with `test_` is asked by itself, and passes where it is `true`.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use regorus::Engine;
use regorus::Value;

use super::Bundle;
use super::Config;
use super::builtins;
use super::builtins::Ambient;
use super::bundle::Checked;
use super::bundle::checked;
use super::engine::EntryPoint;
use super::engine::fault;
use super::engine::prepared;
use super::unstable::Outline;
use crate::clock::UnixTime;
use crate::problem::Problem;

mod coverage;

pub use coverage::Coverage;
pub use coverage::FileCoverage;
use coverage::Lines;

/// What to run, and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What `time.now_ns` answers.
    pub now: UnixTime,
    /// Only tests whose name, as `data.pkg.test_x`, contains this text; all, where it is empty.
    pub filter: String,
    /// Whether to gather which lines were evaluated.
    pub coverage: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// The tests, in order of files and lines.
    pub tests: Vec<TestReport>,
    /// Which lines of the policies were evaluated, where that was asked for.
    pub coverage: Option<Coverage>,
}

impl Report {
    /// Whether there were tests, and all of them passed.
    pub fn passed(&self) -> bool {
        !self.tests.is_empty() && self.tests.iter().all(|test| test.outcome == Outcome::Passed)
    }
}

/// One test.
#[derive(Debug)]
pub struct TestReport {
    /// The rule, as `data.pkg.test_x`.
    pub name: String,
    /// The file.
    pub file: String,
    /// The rule's line.
    pub line: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub duration: Duration,
    /// What it printed, each line with its place.
    pub prints: Vec<String>,
}

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is `true`.
    Passed,
    /// It is undefined, or anything but `true`.
    Failed,
    /// It could not be evaluated.
    Error(String),
}

/// The longest that one test may take: tests may do what a decision must not.
const TEST_TIME_LIMIT: Duration = Duration::from_secs(5);

/// Where chance begins in tests: anywhere, but always there.
const SEED: u128 = 0;

/// The prefix of a test's name.
const TEST_PREFIX: &str = "test_";

/// Runs the tests of a bundle: those in its `*_test.rego` files, and any beside the policies.
///
/// # Errors
/// What is wrong with the tests' own files.
pub fn run(bundle: &Bundle, options: &Options) -> Result<Report, Vec<Problem>> {
    Ok(Runner::new(bundle, options)?.report())
}

/// Tests that have the name of another: one would hide the other's failure.
fn repeated(outlines: &[Outline]) -> Vec<Problem> {
    let mut seen = BTreeMap::new();
    let mut problems = Vec::new();
    for test in tests(outlines) {
        if let Some(first) = seen.insert(test.name.clone(), (test.file, test.line)) {
            let message = format!("`{}` is a test already at {}:{}", test.name, first.0, first.1);
            problems.push(Problem::error("", message).in_file(test.file).at_line(builtins::line(test.line)));
        }
    }
    problems
}

/// A rule that is a test.
struct Test<'o> {
    name: String,
    file: &'o str,
    line: u32,
}

fn tests(outlines: &[Outline]) -> impl Iterator<Item = Test<'_>> {
    let rules = outlines.iter().flat_map(|module| module.rules.iter().map(move |rule| (module, rule)));
    let tests = rules.filter(|(module, rule)| {
        let own = rule.path.get(module.package.len()..).unwrap_or_default();
        rule.parameters.is_none()
            && rule.default.is_none()
            && own.first().is_some_and(|name| name.starts_with(TEST_PREFIX))
    });
    tests.map(|(module, rule)| Test {
        name: EntryPoint::of_names(&rule.path).name(),
        file: &module.file,
        line: rule.lines.0,
    })
}

/// An engine with policies and tests, and what it has been through.
struct Runner<'b> {
    options: &'b Options,
    /// The policies first, as in the bundle.
    outlines: Vec<Outline>,
    policies: usize,
    template: Engine,
    engine: Engine,
    ambient: Arc<Ambient>,
    coverage: Lines,
}

impl<'b> Runner<'b> {
    fn new(bundle: &Bundle, options: &'b Options) -> Result<Self, Vec<Problem>> {
        let config = Config { time_limit: TEST_TIME_LIMIT, ..bundle.config().clone() };
        let modules = [bundle.policies(), bundle.tests()].concat();
        let Checked { outlines, evaluated, mut problems } = checked(&config, &modules);
        problems.extend(repeated(&outlines));
        if !problems.is_empty() {
            return Err(problems);
        }
        let ambient = Arc::new(Ambient::default());
        let mut template = prepared(&config, &evaluated, bundle.data(), &ambient).map_err(|problem| vec![problem])?;
        template.set_enable_coverage(options.coverage);
        let engine = template.clone();
        let policies = bundle.policies().len();
        Ok(Self { options, outlines, policies, template, engine, ambient, coverage: Lines::default() })
    }

    fn report(mut self) -> Report {
        let outlines = std::mem::take(&mut self.outlines);
        let chosen = tests(&outlines).filter(|test| test.name.contains(&self.options.filter));
        let chosen: Vec<_> = chosen.collect();
        let tests = chosen.into_iter().map(|test| self.run(test)).collect();
        self.gather_coverage();
        let policies = outlines.get(..self.policies).unwrap_or_default();
        let coverage = self.options.coverage.then(|| Coverage::of(policies, &self.coverage));
        Report { tests, coverage }
    }

    fn run(&mut self, test: Test<'_>) -> TestReport {
        self.ambient.begin(self.options.now, SEED);
        let begin = Instant::now();
        let answer = catch_unwind(AssertUnwindSafe(|| self.engine.eval_rule(test.name.clone())));
        let duration = begin.elapsed();
        let prints = self.engine.take_prints().unwrap_or_default();
        let outcome = match (self.ambient.refusal(), answer) {
            (Some(refusal), _) => Outcome::Error(refusal),
            (None, Ok(Ok(Value::Bool(true)))) => Outcome::Passed,
            (None, Ok(Ok(_))) => Outcome::Failed,
            (None, Ok(Err(error))) => Outcome::Error(fault::flattened(&error)),
            (None, Err(_panic)) => {
                self.gather_coverage();
                self.engine = self.template.clone();
                Outcome::Error("the engine panicked".to_owned())
            }
        };
        TestReport { name: test.name, file: test.file.to_owned(), line: test.line, outcome, duration, prints }
    }

    fn gather_coverage(&mut self) {
        for file in self.engine.get_coverage_report().map(|report| report.files).unwrap_or_default() {
            self.coverage.add(file.path, file.covered, file.not_covered);
        }
    }
}

#[cfg(test)]
mod tests;
