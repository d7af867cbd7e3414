//! What asks for a reload, and for the end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;

use crate::lifecycle::watch::Watched;

/// How often files are looked at for changes.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Asks for a reload whenever a watched file looks different from what was read, once it has looked the same twice: a
/// half-written file changes again.
pub(super) async fn watch_files(read: watch::Receiver<Arc<Watched>>, trigger: mpsc::Sender<&'static str>) {
    let mut ticks = interval(WATCH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Watched::clone(&read.borrow());
    let mut asked = None;
    loop {
        ticks.tick().await;
        let before = Arc::clone(&read.borrow());
        let files = Arc::clone(&before);
        // Aside, since a file system may hang.
        let Ok(now) = spawn_blocking(move || files.again()).await else { return };
        if now != *before && now == last && asked.as_ref() != Some(&now) {
            if trigger.send("file").await.is_err() {
                return;
            }
            asked = Some(now.clone());
        }
        last = now;
    }
}

pub(super) async fn watch_hangups(mut hangups: Signal, trigger: mpsc::Sender<&'static str>) {
    while hangups.recv().await.is_some() {
        if trigger.send("SIGHUP").await.is_err() {
            return;
        }
    }
}

pub(super) fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
