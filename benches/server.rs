//! The server against a no-op: CPU per check of `countersign serve` with everything on, over that of a tonic `ext_authz`
//! server of the same build that answers OK to everything; and with the caller's certificate verified against its trust
//! domain's bundle, over that without. Alternating in one run, since machines are noisy; the last lines are the ratios.
//!
//! `cargo bench --bench server` runs it; with `--test` each side answers a few requests, to show that it works.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a benchmark measures, and ends with a message where it cannot"
)]

mod fixture;
mod load;
mod process;

use std::path::Path;
use std::time::Instant;

use envoy_types::ext_authz::v3::pb::Authorization;
use envoy_types::ext_authz::v3::pb::AuthorizationServer;
use envoy_types::ext_authz::v3::pb::CheckRequest;
use envoy_types::ext_authz::v3::pb::CheckResponse;

use fixture::Fixture;
use process::Server;
use process::free_ports;
use process::wait_until_ready;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Checks in one round of one side.
const CHECKS: usize = 20_000;
/// Rounds; the median counts.
const ROUNDS: usize = 7;
/// First checks, which fill caches and are not counted.
const WARM_UP: usize = 4_000;
/// How this binary is told to be the no-op server.
const NO_OP: &str = "no-op-server";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, address] = arguments.as_slice()
        && role == NO_OP
    {
        return serve_no_op(address);
    }
    let quick = arguments.iter().any(|argument| argument == "--test");
    let (checks, rounds, warm_up) = if quick { (200, 1, 200) } else { (CHECKS, ROUNDS, WARM_UP) };

    let ports = free_ports(7);
    let address = |index: usize| format!("127.0.0.1:{}", ports[index]);
    let fixture = Fixture::new(&address(0), &address(1), &address(2));
    let verifying = fixture.verifying(&address(4), &address(5), &address(6));
    let serve =
        |config: &Path| Server::start(env!("CARGO_BIN_EXE_countersign"), &["serve", "-c", &config.to_string_lossy()]);
    let sides = [
        ("everything on", address(0), serve(&fixture.config)),
        ("no-op", address(3), Server::start(&arguments[0], &[NO_OP, &address(3)])),
        ("caller verified", address(4), serve(&verifying)),
    ];
    for (_, address, _) in &sides {
        wait_until_ready(address);
        load::run(address, &fixture.requests, warm_up);
    }
    let mut rounds_of = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        for ((_, address, server), rounds) in sides.iter().zip(&mut rounds_of) {
            let ([before, _], started) = (server.ran_and_waited(), Instant::now());
            load::run(address, &fixture.requests, checks);
            let [after, _] = server.ran_and_waited();
            let each = after.saturating_sub(before).as_secs_f64() * 1e6 / checks as f64;
            let rate = checks as f64 / started.elapsed().as_secs_f64();
            rounds.push((each, rate));
        }
    }
    let medians = rounds_of.map(|mut rounds| {
        rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        rounds[rounds.len() / 2]
    });
    for ((name, ..), (each, rate)) in sides.iter().zip(medians) {
        println!("{name:>15}: {each:7.2} us CPU a check, {rate:8.0} checks/s in that round");
    }
    println!("everything on / no-op: {:.2} times the CPU", medians[0].0 / medians[1].0);
    println!("caller verified / everything on: {:.2} times the CPU", medians[2].0 / medians[0].0);
}

struct NoOp;

#[tonic::async_trait]
impl Authorization for NoOp {
    async fn check(&self, _: tonic::Request<CheckRequest>) -> Result<tonic::Response<CheckResponse>, tonic::Status> {
        Ok(tonic::Response::new(CheckResponse::default()))
    }
}

fn serve_no_op(address: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let service = AuthorizationServer::new(NoOp);
    let server = tonic::transport::Server::builder().add_service(service).serve(address.parse().unwrap());
    runtime.block_on(server).unwrap();
}
