//! The built program, as `countersign serve` runs it.

use std::fs;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::process::ExitStatus;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use serde_json::Value as Json;
use serde_json::json;

use super::child::Child;
use super::client::Call;
use super::client::Client;
use super::client::Reply;
use super::eventually;
use super::merged;

/// A running Countersign.
pub(crate) struct Server {
    child: Child,
    checks: SocketAddr,
    probes: SocketAddr,
    read: AtomicUsize,
}

/// A line of the decision log.
#[derive(Debug, Clone)]
pub(crate) struct Record(pub(crate) Json);

impl Record {
    /// Why, for machines.
    pub(crate) fn reason(&self) -> &str {
        self.0["countersign"]["reason"].as_str().unwrap_or_else(|| panic!("no reason: {}", self.0))
    }

    /// The proven workload.
    pub(crate) fn caller(&self) -> Option<&str> {
        self.0["countersign"]["caller"]["spiffe_id"].as_str()
    }

    /// The revision it was decided by.
    pub(crate) fn revision(&self) -> &str {
        self.0["countersign"]["revision"].as_str().unwrap_or_else(|| panic!("no revision: {}", self.0))
    }

    /// Its name.
    pub(crate) fn decision_id(&self) -> &str {
        self.0["decision_id"].as_str().unwrap()
    }
}

impl Server {
    /// Starts it with these settings, and with addresses of its own.
    pub(crate) fn start(dir: &Path, number: usize, settings: &Json) -> Self {
        let (checks, probes, private) = (free_address(), free_address(), free_address());
        let addresses = json!({
            "listeners": {"checks": [checks.to_string()]},
            "admin": {"probes": probes.to_string(), "private": private.to_string()},
        });
        // JSON is YAML too.
        let config = dir.join(format!("countersign-{number}.yaml"));
        fs::write(&config, merged(addresses, settings).to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["serve", "-c"]).arg(&config);
        let child = Child::start(&format!("countersign-{number}"), &mut command, dir);
        Self { child, checks, probes, read: AtomicUsize::new(0) }
    }

    /// Where it takes checks.
    pub(crate) const fn checks(&self) -> SocketAddr {
        self.checks
    }

    /// Waits until it says it is ready.
    pub(crate) async fn ready(&self) {
        eventually("readiness", async || {
            self.child.must_run();
            self.probe("/readyz").await.filter(|reply| reply.status == 200)
        })
        .await;
    }

    /// Asks the admin side; nothing while it does not listen.
    pub(crate) async fn probe(&self, path: &str) -> Option<Reply> {
        Client::plaintext(self.probes).try_send(&Call::get(path)).await.ok()
    }

    /// The sum of a metric's series whose labels contain all of these texts.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let metrics = self.probe("/metrics").await.unwrap().text();
        let of_this_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let series =
            metrics.lines().filter(of_this_name).filter(|line| labels.iter().all(|label| line.contains(label)));
        series.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        self.child.signal(name);
    }

    /// Waits for its end.
    pub(crate) async fn end(&self) -> ExitStatus {
        eventually("the end", async || self.child.ended()).await
    }

    /// Everything it wrote.
    pub(crate) fn output(&self) -> String {
        self.child.output()
    }

    /// All records written so far.
    pub(crate) fn records(&self) -> Vec<Record> {
        let lines = self.child.lines();
        let documents = lines.iter().filter_map(|line| serde_json::from_str::<Json>(line).ok());
        documents.filter(|document| document.get("decision_id").is_some()).map(Record).collect()
    }

    /// The next record that nobody asked for yet.
    pub(crate) async fn next_record(&self) -> Record {
        let position = self.read.fetch_add(1, Ordering::Relaxed);
        eventually("the decision's record", async || self.records().into_iter().nth(position)).await
    }
}

/// A loopback address that nobody listens on: below the range from which the system picks ports for outgoing
/// connections, and from another start in each test process, so that it stays free until it is used.
fn free_address() -> SocketAddr {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(97);
    loop {
        let number = start.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % 15_000;
        let port = u16::try_from(number).unwrap().saturating_add(15_000);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
