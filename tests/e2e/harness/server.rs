//! The built program, as `countersign serve` runs it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::process::ExitStatus;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use serde_json::Value as Json;
use serde_json::json;

use super::super::peers::certs::Keyed;
use super::child::Child;
use super::client::Call;
use super::client::Client;
use super::client::Reply;
use super::eventually;
use super::merged;

/// A running Countersign.
pub(crate) struct Server {
    child: Child,
    checks: String,
    probes: SocketAddr,
    prober: Client,
    private: SocketAddr,
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

    /// The status that the client got, where the answer came from here.
    pub(crate) fn http_status(&self) -> Option<u64> {
        self.0["countersign"]["http_status"].as_u64()
    }

    /// The proven workload.
    pub(crate) fn caller(&self) -> Option<&str> {
        self.0["countersign"]["caller"]["spiffe_id"].as_str()
    }

    /// The policy's revision that decided.
    pub(crate) fn revision(&self) -> &str {
        self.0["countersign"]["revision"]["policy"].as_str().unwrap_or_else(|| panic!("no revision: {}", self.0))
    }

    /// Its name.
    pub(crate) fn decision_id(&self) -> &str {
        self.0["decision_id"].as_str().unwrap()
    }
}

/// A client of the probes over TLS; its certificate is not asked for.
fn prober(dir: &Path, probes: SocketAddr) -> Client {
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    let identity = Keyed { certificate: read("planner.pem"), key: read("planner.key") };
    Client::with_certificate(probes, "localhost", &read("mesh-ca.pem"), &identity)
}

impl Server {
    /// Starts it with these settings, on free ports, which it names in its log.
    pub(crate) async fn start(dir: &Path, number: usize, settings: &Json) -> Self {
        let free = "127.0.0.1:0";
        let addresses = json!({"listeners": {"checks": [free]}, "admin": {"probes": free, "private": free}});
        // JSON is YAML too.
        let config = dir.join(format!("countersign-{number}.yaml"));
        fs::write(&config, merged(addresses, settings).to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["serve", "-c"]).arg(&config);
        let child = Child::start(&format!("countersign-{number}"), &mut command, dir);
        let listening = eventually("the addresses in the log", async || {
            child.must_run();
            child.documents().into_iter().find(|line| line["message"] == "listening")
        })
        .await;
        let mut checks: Vec<String> = serde_json::from_str(listening["checks"].as_str().unwrap()).unwrap();
        let address = |name: &str| listening[name].as_str().unwrap().parse().unwrap();
        let (probes, private) = (address("probes"), address("private"));
        let tls = settings["admin"]["tls"]["enabled"] == true;
        let asking = if tls { prober(dir, probes) } else { Client::plaintext(probes) };
        Self { child, checks: checks.remove(0), probes, prober: asking, private, read: AtomicUsize::new(0) }
    }

    /// Where it takes checks: the first of its addresses, as the configuration writes it.
    pub(crate) fn checks(&self) -> &str {
        &self.checks
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
        self.prober.try_send(&Call::get(path)).await.ok()
    }

    /// Where the probes are.
    pub(crate) const fn probes(&self) -> SocketAddr {
        self.probes
    }

    /// Where the private side of the admin side listens.
    pub(crate) const fn private(&self) -> SocketAddr {
        self.private
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
        self.child.documents().into_iter().filter(|line| line.get("decision_id").is_some()).map(Record).collect()
    }

    /// All records, once there are so many: they are written beside the requests, and so a moment later.
    pub(crate) async fn records_of(&self, requests: usize) -> Vec<Record> {
        eventually("all records", async || Some(self.records()).filter(|records| records.len() >= requests)).await
    }

    /// The next record that nobody asked for yet.
    pub(crate) async fn next_record(&self) -> Record {
        let position = self.read.fetch_add(1, Ordering::Relaxed);
        eventually("the decision's record", async || self.records().into_iter().nth(position)).await
    }
}
