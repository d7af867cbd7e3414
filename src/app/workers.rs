//! The worker threads: each with its own current-thread runtime, authorizer and connections.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::task::JoinSet;
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::decision_log::Recorder;
use crate::ext_authz::Handover;
use crate::ext_authz::OtherServices;
use crate::ext_authz::Service;
use crate::ext_authz::Worker;
use crate::listener;
use crate::listener::Ended;
use crate::listener::Socket;
use crate::listener::Terms;
use crate::listener::serve_connection;
use crate::policy::STACK_BYTES;
use crate::telemetry::Metrics;

/// Sockets on their way to one worker: a few, since each worker takes them at once.
const SOCKET_QUEUE: usize = 64;
/// Revisions on their way to one worker: the builder waits for each to be taken.
const HANDOVER_QUEUE: usize = 1;
/// After accepting has ended, what runs may finish; Envoy's checks take well under a second.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two refused connections that are logged.
const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// What a worker needs from the process.
pub(super) struct Parts {
    /// Where its checks are recorded.
    pub(super) recorder: Recorder,
    /// Health and reflection.
    pub(super) others: OtherServices,
    /// Where its connections are counted.
    pub(super) metrics: Arc<Metrics>,
    /// On what terms they are served.
    pub(super) terms: Terms,
}

/// The control side of one worker.
#[derive(Debug)]
pub(super) struct WorkerThread {
    /// Where accepted sockets go.
    pub sockets: mpsc::Sender<Socket>,
    /// Where revisions go.
    pub handovers: mpsc::Sender<Handover>,
    thread: thread::JoinHandle<()>,
}

impl WorkerThread {
    /// Starts one worker. It ends when `drain` is true and its connections are done.
    pub(super) fn start(
        index: usize,
        parts: Parts,
        listen: &listener::Config,
        drain: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let Parts { recorder, others, metrics, terms } = parts;
        let max_message_bytes = listen.max_message_bytes;
        let (sockets, incoming) = mpsc::channel(SOCKET_QUEUE);
        let (handovers, revisions) = mpsc::channel(HANDOVER_QUEUE);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name(format!("worker-{index}")).stack_size(STACK_BYTES);
        let thread = thread.spawn(move || {
            let worker = Worker::new(recorder);
            let service = Rc::new(Service::new(Rc::clone(&worker), others, max_message_bytes));
            let serving = Serving { worker, service, metrics, terms, drain, refusals: Refusals::default() };
            LocalSet::new().block_on(&runtime, serving.run(incoming, revisions));
        })?;
        Ok(Self { sockets, handovers, thread })
    }

    /// Waits for the thread's end.
    pub(super) fn join(self) {
        let Self { sockets, handovers, thread } = self;
        drop((sockets, handovers));
        if thread.join().is_err() {
            tracing::error!("a worker thread panicked");
        }
    }
}

/// The worker's side of one worker.
struct Serving {
    worker: Rc<Worker>,
    service: Rc<Service>,
    metrics: Arc<Metrics>,
    terms: Terms,
    drain: watch::Receiver<bool>,
    refusals: Refusals,
}

impl Serving {
    async fn run(self, mut sockets: mpsc::Receiver<Socket>, mut revisions: mpsc::Receiver<Handover>) {
        let mut connections = JoinSet::new();
        let mut ending = self.drain.clone();
        loop {
            tokio::select! {
                Some(handover) = revisions.recv() => self.worker.switch(handover),
                Some(socket) = sockets.recv() => self.take(socket, &mut connections),
                Some(ended) = connections.join_next() => self.log_end(ended),
                _ = ending.wait_for(|draining| *draining) => break,
                else => break,
            }
        }
        // Sockets accepted before the listener closed are still answered.
        sockets.close();
        while let Some(socket) = sockets.recv().await {
            self.take(socket, &mut connections);
        }
        let finish = async { while connections.join_next().await.is_some() {} };
        if timeout(DRAIN_TIMEOUT, finish).await.is_err() {
            tracing::warn!("connections were still open after the drain timeout");
        }
    }

    fn take(&self, socket: Socket, connections: &mut JoinSet<Result<(), Ended>>) {
        let service = Rc::clone(&self.service);
        let handle = move |request| Rc::clone(&service).call(request);
        let serving = serve_connection(socket, self.terms.clone(), self.drain.clone(), handle);
        let open = self.metrics.connection();
        connections.spawn_local(async move {
            let _counted_while_open = open;
            serving.await
        });
    }

    fn log_end(&self, ended: Result<Result<(), Ended>, JoinError>) {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(Ended::Handshake(error))) => self.refusals.log(&error),
            Ok(Err(error)) => tracing::debug!(%error, "a connection ended with an error"),
            Err(error) => tracing::error!(%error, "a connection's task failed"),
        }
    }
}

/// Logs refused connections, but not each of them: whoever can connect could fill the log.
#[derive(Debug, Default)]
struct Refusals {
    last: Cell<Option<Instant>>,
    unsaid: Cell<u64>,
}

impl Refusals {
    fn log(&self, error: &io::Error) {
        if self.last.get().is_some_and(|last| last.elapsed() < REFUSAL_LOG_INTERVAL) {
            self.unsaid.set(self.unsaid.get().saturating_add(1));
            return;
        }
        tracing::warn!(%error, more_before = self.unsaid.replace(0), "a connection was refused in its TLS handshake");
        self.last.set(Some(Instant::now()));
    }
}
