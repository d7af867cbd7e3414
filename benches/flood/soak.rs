//! Millions of distinct valid tokens through `ext_authz::check`, without a network: what stays of them in memory.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use countersign::app::App;
use countersign::app::Environment;
use countersign::app::evaluator::Evaluator;
use countersign::clock::UnixTime;
use countersign::decision_log::Record;
use countersign::ext_authz::Outgoing;
use uuid::Uuid;

use super::memory::Memory;
use super::memory::mib;
use super::tokens::Forge;
use super::tokens::Kind;

/// As many as the machine that the figures are from has cores. Each has its evaluator, and so its cache, as a worker has.
const THREADS: usize = 2;

/// Checks so many, and prints on the way what they cost and what memory the process has.
pub(crate) fn run(config: &Path, forge: &Forge, tokens: usize) {
    let environment: Environment = Arc::new(|_| None);
    let evaluator = || Evaluator::new(App::load(config, &environment).unwrap()).unwrap();
    let mut evaluators: [Evaluator; THREADS] = std::array::from_fn(|_| evaluator());
    println!("{:>12}  {:>10}  {:>10}", "tokens", "checks/s", "RSS, MiB");
    let mut done = 0;
    for part in [100, 10, 5, 2, 1] {
        let (upto, started) = (tokens / part, Instant::now());
        std::thread::scope(|scope| {
            for (thread, evaluator) in evaluators.iter_mut().enumerate() {
                scope.spawn(move || (done + thread..upto).step_by(THREADS).for_each(|n| check(evaluator, forge, n)));
            }
        });
        let rate = (upto - done) as f64 / started.elapsed().as_secs_f64();
        println!("{upto:12}  {rate:10.0}  {:10.1}", mib(Memory::of(std::process::id()).now));
        done = upto;
    }
}

fn check(evaluator: &mut Evaluator, forge: &Forge, number: usize) {
    let now = UnixTime::now();
    let mut record = Record::new(Uuid::nil(), now);
    let outgoing = evaluator.check(&forge.request(Kind::Valid, number), now, &mut record);
    let Outgoing::Answer(response) = outgoing else { panic!("the keys are there") };
    assert_eq!(response.status.map(|status| status.code), Some(0), "{:?}", record.outcome);
}
