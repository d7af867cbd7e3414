//! What a flood does to ordinary traffic. One client asks at a moderate rate, with tokens that are in the cache, and its
//! latencies are what is measured. A second client sends beside it at twice that rate: as the control, more of the same;
//! then tokens with invented `kid`s; valid tokens of which each is new; tokens with a bad signature. Rounds alternate, and the
//! median counts. Then millions of new tokens without a network, to see what stays of them in memory.
//!
//! `cargo bench --bench flood` runs it; `--rounds-only` leaves out the millions, `--millions-only` all else; with `--test`
//! everything is small, to show that it works.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark measures, and ends with a message where it cannot"
)]

mod fixture;
#[path = "flood/issuer.rs"]
mod issuer;
mod load;
#[path = "flood/memory.rs"]
mod memory;
#[path = "flood/paced.rs"]
mod paced;
mod process;
#[path = "flood/soak.rs"]
mod soak;
#[path = "flood/tokens.rs"]
mod tokens;

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use fixture::Fixture;
use issuer::Issuer;
use memory::Memory;
use memory::mib;
use paced::Pace;
use process::Server;
use tokens::Forge;
use tokens::Kind;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How much of everything.
struct Size {
    /// Ordinary checks a second.
    ordinary: u32,
    /// Checks a second of the client beside it.
    beside: u32,
    /// New valid tokens in all rounds.
    new_tokens: usize,
    /// Checks of each other kind in one round.
    others: usize,
    rounds: usize,
    /// New tokens without a network.
    millions: usize,
}

/// Together a sixth of what one core answers, so that what is measured is the flood and not a full queue.
const FULL: Size =
    Size { ordinary: 500, beside: 1_000, new_tokens: 100_000, others: 5_000, rounds: 5, millions: 10_000_000 };
/// For an unoptimised build on a busy machine.
const QUICK: Size = Size { ordinary: 50, beside: 100, new_tokens: 100, others: 100, rounds: 1, millions: 200 };

/// What the second client sends.
const KINDS: [(&str, Option<Kind>); 4] = [
    ("control: ordinary", None),
    ("unknown kids", Some(Kind::UnknownKey)),
    ("new valid tokens", Some(Kind::Valid)),
    ("bad signatures", Some(Kind::BadSignature)),
];

fn main() {
    let is_asked = |option: &str| std::env::args().any(|argument| argument == option);
    let size = if is_asked("--test") { QUICK } else { FULL };
    let ports = process::free_ports(6);
    let address = |index: usize| format!("127.0.0.1:{}", ports[index]);
    let fixture = Fixture::new(&address(0), &address(1), &address(2));
    let forge = Forge::new(&fixture.requests[0]);
    let folder = fixture.config.parent().unwrap();
    let key_set = forge.published_in(&std::fs::read_to_string(folder.join("jwks.json")).unwrap()).to_string();
    std::fs::write(folder.join("jwks.json"), &key_set).unwrap();
    if !is_asked("--millions-only") {
        let issuer = Issuer::start(&key_set, &folder.join("web-ca.pem"));
        let verifying = fixture.verifying(&address(3), &address(4), &address(5));
        // The shortest cooldown that may be set: the most fetches that a flood can cause.
        let from_there = format!("url: \"{}\", ca_file: web-ca.pem}}\n    refresh_cooldown: 1s", issuer.url);
        let config = rewritten(&verifying, "file: jwks.json}", &from_there);
        let server = Server::start(env!("CARGO_BIN_EXE_countersign"), &["serve", "-c", &config.to_string_lossy()]);
        let bench =
            Bench { address: address(3), server, issuer, forge: &forge, ordinary: &fixture.requests, size: &size };
        bench.run();
    }
    if !is_asked("--rounds-only") {
        // The policy is the same for all tokens, and most of a check's cost: a constant one leaves more time for tokens.
        std::fs::write(folder.join("allow.rego"), "package envoy.authz\n\nallow := true\n").unwrap();
        let (from, to) = ("paths: [rbac.rego, data.json], path: envoy/authz/result", "paths: [allow.rego]");
        soak::run(&rewritten(&fixture.config, from, to), &forge, size.millions);
    }
}

/// The configuration with a part replaced.
fn rewritten(config: &Path, from: &str, to: &str) -> PathBuf {
    let text = std::fs::read_to_string(config).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    std::fs::write(config, text.replace(from, to)).unwrap();
    config.to_owned()
}

/// All that one round needs.
struct Bench<'a> {
    address: String,
    server: Server,
    issuer: Issuer,
    forge: &'a Forge,
    ordinary: &'a [Vec<u8>],
    size: &'a Size,
}

/// What one round of one kind came to.
struct Round {
    /// Of the ordinary traffic.
    p50: Duration,
    p99: Duration,
    /// The server's, for all checks of the round.
    cpu: Duration,
    /// How long it was ready and had no core.
    waited: Duration,
    before: Memory,
    after: Memory,
    fetches: usize,
}

impl Bench<'_> {
    fn run(&self) {
        process::wait_until_ready(&self.address);
        self.warm_up();
        let mut rounds = KINDS.map(|_| Vec::new());
        for number in 0..self.size.rounds {
            for ((_, kind), rounds) in KINDS.iter().zip(&mut rounds) {
                rounds.push(self.round(*kind, number));
            }
        }
        self.print(&rounds);
    }

    /// Until the keys are there, and then until every ordinary token is in the cache.
    fn warm_up(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        while !paced::allows(&self.address, &self.ordinary[0]) {
            assert!(Instant::now() < until, "the keys do not come");
            std::thread::sleep(Duration::from_millis(50));
        }
        load::run(&self.address, self.ordinary, self.ordinary.len() * 2);
    }

    /// How many checks the second client sends in one round.
    fn count(&self, kind: Option<Kind>) -> usize {
        if kind == Some(Kind::Valid) { self.size.new_tokens / self.size.rounds } else { self.size.others }
    }

    /// How many the first sends meanwhile.
    fn ordinary_count(&self, kind: Option<Kind>) -> usize {
        self.count(kind) * self.size.ordinary as usize / self.size.beside as usize
    }

    fn round(&self, kind: Option<Kind>, number: usize) -> Round {
        let (count, ordinary) = (self.count(kind), |number: usize| self.ordinary[number % self.ordinary.len()].clone());
        let of_kind = |n: usize| kind.map_or_else(|| ordinary(n), |kind| self.forge.request(kind, number * count + n));
        let beside = Pace {
            rate: self.size.beside,
            count,
            request: &of_kind,
            allowed: kind.is_none_or(|kind| kind == Kind::Valid),
        };
        let measured =
            Pace { rate: self.size.ordinary, count: self.ordinary_count(kind), request: &ordinary, allowed: true };
        memory::forget_peak(self.server.id());
        let (before, [ran, waited]) = (Memory::of(self.server.id()), self.server.ran_and_waited());
        let fetches = self.issuer.fetches();
        let mut latencies = std::thread::scope(|scope| {
            scope.spawn(|| paced::run(&self.address, &beside));
            paced::run(&self.address, &measured)
        });
        latencies.sort();
        let [ran_until, waited_until] = self.server.ran_and_waited();
        Round {
            p50: latencies[latencies.len() / 2],
            p99: latencies[latencies.len() * 99 / 100],
            cpu: ran_until.saturating_sub(ran),
            waited: waited_until.saturating_sub(waited),
            before,
            after: Memory::of(self.server.id()),
            fetches: self.issuer.fetches() - fetches,
        }
    }

    fn print(&self, rounds: &[Vec<Round>; KINDS.len()]) {
        let [control, ..] = rounds;
        let (p50, p99) = (median(control, |round| round.p50), median(control, |round| round.p99));
        let ordinary = median(control, |round| round.cpu) / (self.count(None) + self.ordinary_count(None)) as f64;
        println!(
            "{} ordinary checks a second, whose latencies these are; beside them {} of",
            self.size.ordinary, self.size.beside
        );
        println!(
            "{:18}  {:^15}  {:^15}  CPU, us  no core  {:^22}  fetches",
            "", "p50, us", "p99, us", "RSS, MiB (peak)"
        );
        for ((name, kind), rounds) in KINDS.iter().zip(rounds) {
            let (own50, own99) = (median(rounds, |round| round.p50), median(rounds, |round| round.p99));
            let cpu = median(rounds, |round| round.cpu);
            // What one check beside costs, when the ordinary ones are paid at the control's price.
            let beside = (cpu - ordinary * self.ordinary_count(*kind) as f64) / self.count(*kind) as f64;
            println!(
                "{name:18}  {own50:6.0} ({:6.2})  {own99:6.0} ({:6.2})  {beside:7.1}  {:5.0} %  {}  {:7}",
                own50 / p50,
                own99 / p99,
                100.0 * median(rounds, |round| round.waited) / cpu,
                memory_of(rounds),
                rounds.iter().map(|round| round.fetches).sum::<usize>(),
            );
        }
        println!(
            "no core: how long the server waited for one, of its CPU time. Where it is much, p99 is the machine's."
        );
    }
}

/// In microseconds.
fn median(rounds: &[Round], of: fn(&Round) -> Duration) -> f64 {
    let mut all: Vec<_> = rounds.iter().map(of).collect();
    all.sort();
    all[all.len() / 2].as_secs_f64() * 1e6
}

/// Before the first round, after the last, and the most.
fn memory_of(rounds: &[Round]) -> String {
    let peak = rounds.iter().map(|round| round.after.peak).max().unwrap_or_default();
    let (before, after) = (rounds[0].before.now, rounds[rounds.len() - 1].after.now);
    format!("{:5.1} to {:5.1} ({:5.1})", mib(before), mib(after), mib(peak))
}
