//! Clients that ask without pause and look at every answer.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use tokio::task::JoinHandle;

use super::harness::client::Call;
use super::harness::client::Client;
use super::harness::client::Reply;
use super::harness::eventually;

/// How many connections ask at once: more than the workers of proxy and server together.
const CLIENTS: usize = 8;

/// A request, and what must be true of its answer.
pub(super) struct Probe {
    pub(super) call: Call,
    pub(super) check: fn(&Reply) -> Result<(), String>,
}

/// Running clients.
pub(super) struct Load {
    progress: Arc<Progress>,
    clients: Vec<JoinHandle<Vec<Reply>>>,
}

#[derive(Default)]
struct Progress {
    stop: AtomicBool,
    answered: AtomicUsize,
}

impl Load {
    /// Starts the clients, each with a connection of its own that must stay open.
    pub(super) fn start(client: &Client, probes: Vec<Probe>) -> Self {
        let (probes, progress) = (Arc::new(probes), Arc::new(Progress::default()));
        let one = |number| run(client.clone(), Arc::clone(&probes), Arc::clone(&progress), number);
        let clients = (0..CLIENTS).map(|number| tokio::spawn(one(number))).collect();
        Self { progress, clients }
    }

    /// Waits until so many more answers have come, however long that takes.
    pub(super) async fn answers(&self, more: usize) {
        let wanted = self.progress.answered.load(Ordering::Relaxed).saturating_add(more);
        eventually("answers under load", async || {
            let failed = self.clients.iter().any(JoinHandle::is_finished);
            (failed || self.progress.answered.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    /// Stops and gives back all answers; the test fails when one was wrong or did not come.
    pub(super) async fn stop(self) -> Vec<Reply> {
        self.progress.stop.store(true, Ordering::Relaxed);
        let mut replies = Vec::new();
        for client in self.clients {
            replies.extend(client.await.unwrap());
        }
        replies
    }
}

async fn run(client: Client, probes: Arc<Vec<Probe>>, progress: Arc<Progress>, number: usize) -> Vec<Reply> {
    let mut connection = client.connect().await.unwrap();
    let mut replies = Vec::new();
    for probe in probes.iter().cycle().skip(number) {
        if progress.stop.load(Ordering::Relaxed) {
            break;
        }
        let reply = connection.send(&probe.call).await.unwrap();
        if let Err(problem) = (probe.check)(&reply) {
            panic!("answer {} of client {number} is wrong: {problem}: {reply:?}", replies.len());
        }
        replies.push(reply);
        progress.answered.fetch_add(1, Ordering::Relaxed);
    }
    replies
}
