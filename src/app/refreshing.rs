//! What is kept fresh in the background, on its way to the publisher.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::telemetry::Metrics;
use crate::token;
use crate::token::IntrospectionHandle;
use crate::token::KeySets;
use crate::token::refresh::RefreshHandle;
use crate::trust;
use crate::trust::Material;
use crate::trust::refresh::StatusHandle;

/// News on their way: each refresher waits until its own is in force, so the queue stays short.
const PUBLICATIONS: usize = 16;

/// One configuration's refreshing, and the handle to it; dropped, it ends.
pub(super) struct Refreshing<H, T> {
    pub(super) handle: H,
    pub(super) publications: mpsc::Receiver<Publication<T>>,
    _task: JoinSet<()>,
}

/// What is new, and who waits for it to be in force.
pub(super) struct Publication<T> {
    pub(super) what: T,
    pub(super) in_force: oneshot::Sender<()>,
}

/// How issuers are asked for keys, and about tokens.
#[derive(Clone)]
pub(super) struct Issuers {
    pub(super) refresh: RefreshHandle,
    pub(super) introspection: IntrospectionHandle,
}

/// The refreshing of the issuers' keys, and the asking about their tokens.
pub(super) fn issuers(
    config: &token::Config,
    keys: Arc<KeySets>,
    metrics: &Arc<Metrics>,
) -> Refreshing<Issuers, Arc<KeySets>> {
    let (outlet, publications) = mpsc::channel(PUBLICATIONS);
    let (refresh, fetching) = token::refresh::keep_fresh(keys, metrics, move |keys| publish(outlet.clone(), keys));
    let (introspection, asking) = token::introspection::keep_asking(config, metrics);
    let handle = Issuers { refresh, introspection };
    // It ends with the last handle, and so not before those are answered who asked by an older revision.
    drop(tokio::spawn(asking));
    Refreshing::start(handle, publications, fetching)
}

/// The refreshing of own identity and of trust.
pub(super) fn trust(
    config: &trust::Config,
    material: Material,
    metrics: &Arc<Metrics>,
) -> Refreshing<StatusHandle, Material> {
    let (outlet, publications) = mpsc::channel(PUBLICATIONS);
    let publish = move |material| publish(outlet.clone(), material);
    let (handle, work) = trust::refresh::keep_fresh(Arc::new(config.clone()), material, metrics, publish);
    Refreshing::start(handle, publications, work)
}

impl<H, T> Refreshing<H, T> {
    fn start(
        handle: H,
        publications: mpsc::Receiver<Publication<T>>,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let mut task = JoinSet::new();
        task.spawn(work);
        Self { handle, publications, _task: task }
    }
}

async fn publish<T>(outlet: mpsc::Sender<Publication<T>>, what: T) {
    let (in_force, published) = oneshot::channel();
    if outlet.send(Publication { what, in_force }).await.is_ok() {
        // Given up where another configuration took over meanwhile.
        let _superseded = published.await;
    }
}
