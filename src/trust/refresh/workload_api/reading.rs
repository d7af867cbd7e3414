//! Reads the streams of one connection.

use std::future::Future;

use futures_util::Stream;
use futures_util::StreamExt as _;
use spiffe::WorkloadApiClient;
use spiffe::WorkloadApiError;
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;
use tokio::time::timeout;

use super::answers::JwtAnswer;
use super::answers::X509Answer;
use super::fault::Fault;
use super::wait;
use crate::spiffe_id::SpiffeId;
use crate::trust::refresh::AgentTuning;

/// What is asked of the X.509 stream.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// The own certificate, with this ID or the first, and the bundles.
    OwnSvid(Option<SpiffeId>),
    /// The bundles: no private key is asked for that is not used.
    BundlesAlone,
}

/// What a stream brought.
pub(super) enum Event {
    X509(Result<X509Answer, Fault>),
    Jwt(Result<JwtAnswer, Fault>),
}

/// How a stream went.
struct Ended {
    why: Fault,
    /// Whether something came before.
    has_answered: bool,
}

/// Reads X.509 material to the stream's end, which is the last event.
pub(super) async fn x509(client: WorkloadApiClient, wanted: Wanted, tuning: AgentTuning, events: Sender<Event>) {
    let ended = match &wanted {
        Wanted::OwnSvid(id) => {
            let read = |context| X509Answer::from_context(&context, id.as_ref()).map(|answer| Event::X509(Ok(answer)));
            follow(client.stream_x509_contexts(), tuning, read, &events).await
        }
        Wanted::BundlesAlone => {
            let read = |bundles| X509Answer::from_bundles(&bundles).map(|answer| Event::X509(Ok(answer)));
            follow(client.stream_x509_bundles(), tuning, read, &events).await
        }
    };
    let _gone = events.send(Event::X509(Err(ended.why))).await;
}

/// Reads JWT authorities for ever, opening the stream again when it ends.
pub(super) async fn jwt(client: WorkloadApiClient, tuning: AgentTuning, events: Sender<Event>) {
    let mut failures = 0_u32;
    loop {
        let read = |bundles| JwtAnswer::read(&bundles).map(|answer| Event::Jwt(Ok(answer)));
        let ended = follow(client.stream_jwt_bundles(), tuning, read, &events).await;
        failures = if ended.has_answered { 1 } else { failures.saturating_add(1) };
        let wait = wait(&ended.why, failures, tuning);
        if events.send(Event::Jwt(Err(ended.why))).await.is_err() {
            return;
        }
        sleep(wait).await;
    }
}

/// Sends what a stream brings until it ends. Its first message must come in time.
async fn follow<S, M>(
    opening: impl Future<Output = Result<S, WorkloadApiError>>,
    tuning: AgentTuning,
    read: impl Fn(M) -> Result<Event, Fault>,
    events: &Sender<Event>,
) -> Ended
where
    S: Stream<Item = Result<M, WorkloadApiError>> + Unpin,
{
    let opened = async {
        let mut stream = opening.await?;
        let first = stream.next().await;
        Ok::<_, WorkloadApiError>((stream, first))
    };
    let (mut stream, mut next) = match timeout(tuning.answer, opened).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return Ended { why: error.into(), has_answered: false },
        Err(_elapsed) => return Ended { why: Fault::Silent(tuning.answer), has_answered: false },
    };
    let mut has_answered = false;
    while let Some(message) = next {
        match message.map_err(Fault::from).and_then(&read) {
            Ok(event) => {
                if events.send(event).await.is_err() {
                    break;
                }
                has_answered = true;
            }
            Err(why) => return Ended { why, has_answered },
        }
        next = stream.next().await;
    }
    Ended { why: Fault::Ended, has_answered }
}
