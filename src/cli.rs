//! The command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use clap::Parser;
use clap::Subcommand;

use crate::app::Environment;
use crate::policy::STACK_BYTES;
use crate::problem::Problem;
use crate::telemetry;

mod check;
mod eval;
mod identity;
mod serve;
mod test;

/// The authorizer behind Envoy and Istio for AI agents.
///
/// SPIFFE proves which workload calls, OAuth and OIDC for which user, Rego decides, and Envoy enforces. What cannot
/// be proven is denied.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0  done: served and drained, nothing to report, all tests passed
  1  a test failed, an identity or a bundle could not be had, or serving ended with an error
  2  the command line, the configuration or a policy is wrong; every problem is printed";

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer Envoy's `ext_authz` checks.
    #[command(after_help = EXIT_CODES)]
    Serve(serve::Arguments),
    /// Decide on recorded `CheckRequest`s, one JSON object a line, exactly as the server would.
    #[command(after_help = EXIT_CODES)]
    Eval(eval::Arguments),
    /// Look for problems in configuration and policies: all of them at once.
    #[command(after_help = EXIT_CODES)]
    Check(check::Arguments),
    /// Say what this program holds and trusts: its own SVID, and the bundles of the trust domains.
    #[command(after_help = EXIT_CODES)]
    Identity(identity::Arguments),
    /// Run the policies' `test_*` rules, and request cases.
    #[command(after_help = EXIT_CODES)]
    Test(test::Arguments),
}

/// The configuration file, for every command that takes one.
#[derive(Debug, clap::Args)]
struct ConfigArgument {
    /// The configuration file (YAML). docs/configuration.md has every key.
    #[arg(short, long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    config: PathBuf,
}

/// All went well.
const DONE: u8 = 0;
/// A test failed, an identity or a bundle could not be had, or serving ended with an error.
const FAILED: u8 = 1;
/// The command line, the configuration or a policy is wrong.
const WRONG: u8 = 2;

/// Runs the program with the process's own arguments.
pub fn run() -> ExitCode {
    telemetry::log::hide_panic_messages();
    let command = Arguments::parse().command;
    // On a thread of its own, since policies are evaluated here too and the main thread's stack is not ours to size.
    let running = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || dispatch(&command));
    let code = match running.map(thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(_panicked)) => FAILED,
        Err(error) => {
            complain(format_args!("error: no thread: {error}"));
            FAILED
        }
    };
    ExitCode::from(code)
}

fn dispatch(command: &Command) -> u8 {
    match command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Eval(arguments) => eval::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Identity(arguments) => identity::run(arguments),
        Command::Test(arguments) => test::run(arguments),
    }
}

/// Writes to stdout. A reader that went away (`| head`) is no error worth a message.
fn say(text: impl std::fmt::Display) {
    let _reader_gone = writeln!(std::io::stdout(), "{text}");
}

/// Writes to stderr.
fn complain(text: impl std::fmt::Display) {
    let _nobody_listens = writeln!(std::io::stderr(), "{text}");
}

/// Prints problems, worst first, and says whether any stops the program.
fn report(problems: &[Problem]) -> bool {
    let mut sorted: Vec<_> = problems.iter().collect();
    sorted.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
    for problem in sorted {
        complain(problem);
    }
    problems.iter().any(Problem::is_error)
}

/// The environment, as configuration may name it.
#[expect(clippy::disallowed_methods, reason = "the one home of the environment")]
fn environment() -> Environment {
    Arc::new(|name| std::env::var(name).ok())
}
