//! An open-loop gRPC client: so many checks a second, whether answers come or not. A server that falls behind is seen
//! in the latencies, and not in fewer requests.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use envoy_types::ext_authz::v3::pb::CheckResponse;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::load;

/// What is sent, how fast, and what must come of it.
pub(crate) struct Pace<'a> {
    /// Checks a second.
    pub(crate) rate: u32,
    /// How many.
    pub(crate) count: usize,
    /// The message with this number.
    pub(crate) request: &'a (dyn Fn(usize) -> Vec<u8> + Sync),
    /// Whether each must be allowed; else each must be denied.
    pub(crate) allowed: bool,
}

/// Sends all, and waits for all answers: how long each took, from the moment when it was due or sent, whichever is later.
pub(crate) fn run(address: &str, pace: &Pace<'_>) -> Vec<Duration> {
    let (due, sending) = mpsc::unbounded_channel();
    std::thread::scope(|scope| {
        scope.spawn(move || keep_pace(pace, &due));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(send(address, sending, pace.allowed))
    })
}

/// A thread of its own: a sleeping thread wakes closer to its time than a runtime's timer.
fn keep_pace(pace: &Pace<'_>, due: &mpsc::UnboundedSender<(Instant, Bytes)>) {
    let gap = Duration::from_secs(1) / pace.rate;
    let mut next = Instant::now();
    for number in 0..pace.count {
        let frame = load::frame(&(pace.request)(number));
        next += gap;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        if due.send((Instant::now(), frame)).is_err() {
            return;
        }
    }
}

async fn send(address: &str, mut sending: mpsc::UnboundedReceiver<(Instant, Bytes)>, allowed: bool) -> Vec<Duration> {
    let uri: Arc<str> = format!("http://{address}{}", load::CHECK).into();
    let mut connections = Vec::new();
    for _ in 0..load::CONNECTIONS {
        connections.push(load::connect(address).await.unwrap());
    }
    let mut turns = connections.iter().cycle();
    let mut answers = JoinSet::new();
    while let Some((sent, frame)) = sending.recv().await {
        let (connection, uri) = (turns.next().unwrap().clone(), Arc::clone(&uri));
        answers.spawn(async move {
            let answer = load::check(connection, &uri, frame).await;
            let took = sent.elapsed();
            assert_eq!(is_allowed(&answer), allowed, "{answer:?}");
            took
        });
    }
    answers.join_all().await
}

/// Whether this check is allowed now.
pub(crate) fn allows(address: &str, request: &[u8]) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connection = load::connect(address).await.unwrap();
        is_allowed(&load::check(connection, &format!("http://{address}{}", load::CHECK), load::frame(request)).await)
    })
}

fn is_allowed(frame: &Bytes) -> bool {
    let response = CheckResponse::decode(frame.slice(5..)).unwrap();
    response.status.is_some_and(|status| status.code == 0)
}
