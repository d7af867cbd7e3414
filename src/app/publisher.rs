//! The one place where revisions are made: built aside, numbered, handed to every worker, and only then in force.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use serde_json::Value as Json;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::task::spawn_blocking;
use tokio::time::interval;
use tokio::time::timeout;

use super::Environment;
use super::loading::Loaded;
use super::refreshing;
use super::refreshing::Issuers;
use super::refreshing::Publication;
use super::refreshing::Refreshing;
use crate::authorizer::Revision;
use crate::authorizer::Rules;
use crate::clock::UnixTime;
use crate::config::Settings;
use crate::ext_authz::Handover;
use crate::ext_authz::Health;
use crate::lifecycle::Readiness;
use crate::lifecycle::watch::Watched;
use crate::policy::Bundle;
use crate::policy::Instance;
use crate::problem::Problem;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Attempt;
use crate::token;
use crate::token::KeySets;
use crate::token::KeySource;
use crate::token::refresh::load_keys;
use crate::trust::Material;
use crate::trust::refresh::StatusHandle;
use crate::trust::report::Report;
use crate::trust::tls::InForce;

/// How often it is looked whether keys have become too old.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// How long a reload waits for its files: a policy of many megabytes is read in seconds.
const READING: Duration = Duration::from_secs(10);

/// Where a publisher gets its matter from, and whom it tells.
pub(super) struct Ports {
    pub(super) path: PathBuf,
    pub(super) environment: Environment,
    pub(super) workers: Vec<mpsc::Sender<Handover>>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) metrics: Arc<Metrics>,
    /// What `/config` shows.
    pub(super) shown: Arc<ArcSwap<Json>>,
    /// What connections are made by.
    pub(super) material: InForce,
    /// What `/identity` shows.
    pub(super) shown_identity: Arc<ArcSwap<Json>>,
    /// What `grpc.health.v1` says.
    pub(super) health: Health,
    /// The files of the last load, as it found them.
    pub(super) watched: watch::Sender<Arc<Watched>>,
}

/// Makes revisions, one at a time.
pub(super) struct Publisher {
    ports: Ports,
    number: u64,
    settings: Arc<Settings>,
    policy: Arc<str>,
    rules: Arc<Rules>,
    keys: Arc<KeySets>,
    proofs: Arc<token::Proofs>,
    material: Material,
    issuers: Refreshing<Issuers, Arc<KeySets>>,
    trust: Refreshing<StatusHandle, Material>,
    /// What a reload reads, where that has not come to its end.
    reading: Option<JoinHandle<Reading>>,
}

/// What was read, or is wrong with it, and what it looked like before.
type Reading = (Result<Loaded, Vec<Problem>>, Watched);

impl Publisher {
    /// Puts the first revision in force and starts fetching keys.
    pub(super) async fn start(ports: Ports, loaded: Loaded) -> Result<Self, Vec<Problem>> {
        let Loaded { settings, bundle, revoked, .. } = loaded;
        let (bundle, instances) = build(bundle, ports.workers.len()).await?;
        let rules = Arc::new(settings.rules(revoked));
        let keys = Arc::new(KeySets::empty(Arc::clone(&rules.token)));
        let material = Material::empty(&settings.spiffe);
        let issuers = refreshing::issuers(&rules.token, Arc::clone(&keys), &ports.metrics);
        let trust = refreshing::trust(&settings.spiffe, material.clone(), &ports.metrics);
        let (settings, policy) = (Arc::new(settings), bundle.revision().into());
        let proofs = Arc::default();
        let mut publisher =
            Self { ports, number: 0, settings, policy, rules, keys, proofs, material, issuers, trust, reading: None };
        publisher.put_policy_in_force(instances).await;
        Ok(publisher)
    }

    /// Publishes keys as they come, and everything at each trigger, until the triggers' sender is gone.
    pub(super) async fn run(mut self, mut triggers: mpsc::Receiver<&'static str>) {
        let mut looks = interval(LOOK_INTERVAL);
        loop {
            tokio::select! {
                _ = looks.tick() => self.report(UnixTime::now()).await,
                trigger = triggers.recv() => match trigger {
                    Some(trigger) => self.reload(trigger).await,
                    None => return,
                },
                Some(publication) = self.issuers.publications.recv() => self.publish_keys(publication).await,
                Some(publication) = self.trust.publications.recv() => self.publish_material(publication).await,
            }
        }
    }

    async fn publish_keys(&mut self, publication: Publication<Arc<KeySets>>) {
        let Publication { what: keys, in_force } = publication;
        let changed = keys.epoch() != self.keys.epoch();
        self.keys = keys;
        self.hand_over(self.ports.workers.iter().map(|_worker| None).collect()).await;
        let _nobody_waits = in_force.send(());
        if changed {
            tracing::info!(revision = self.number, epoch = self.keys.epoch(), "keys are in force");
        }
    }

    /// Connections are made by it at once, and checks by the next revision.
    async fn publish_material(&mut self, publication: Publication<Material>) {
        let Publication { what: material, in_force } = publication;
        let same_bundles = Arc::ptr_eq(&material.bundles, &self.material.bundles);
        self.material = material;
        self.ports.material.store(Arc::new(self.material.clone()));
        if same_bundles {
            self.report(UnixTime::now()).await;
        } else {
            self.hand_over(self.ports.workers.iter().map(|_worker| None).collect()).await;
        }
        let _nobody_waits = in_force.send(());
    }

    /// Loads everything anew. Whatever is wrong with it, what is in force stays in force.
    async fn reload(&mut self, trigger: &'static str) {
        match self.load().await {
            Ok(()) => {
                self.ports.readiness.reloaded();
                self.ports.metrics.reloaded(Attempt::Succeeded);
                tracing::info!(trigger, revision = self.number, policy = %self.policy, "reloaded");
            }
            Err(problems) => {
                let problems: Vec<_> = problems.iter().map(Problem::to_string).collect();
                tracing::error!(
                    trigger,
                    ?problems,
                    revision = self.number,
                    "not reloaded: the last good revision stays"
                );
                self.ports.metrics.reloaded(Attempt::Failed);
                self.ports.readiness.reload_failed(UnixTime::now(), problems);
            }
        }
    }

    async fn load(&mut self) -> Result<(), Vec<Problem>> {
        let Loaded { mut settings, bundle, revoked, warnings } = self.read().await?;
        for warning in warnings {
            tracing::warn!(%warning, "worth knowing");
        }
        let (bundle, instances) = build(bundle, self.ports.workers.len()).await?;
        keep_what_is_set_up(&mut settings, &self.settings);
        settings.check_tls().map_err(until_the_next_start)?;
        let rules = Arc::new(settings.rules(revoked));
        let keys = keys_for(&rules.token, &self.keys).await;
        if settings.spiffe != self.settings.spiffe {
            let material = Material::carried_over(&settings.spiffe, &self.material, &self.settings.spiffe);
            self.trust = refreshing::trust(&settings.spiffe, material.clone(), &self.ports.metrics);
            self.ports.material.store(Arc::new(material.clone()));
            self.material = material;
        }
        self.settings = Arc::new(settings);
        self.policy = bundle.revision().into();
        self.rules = rules;
        if keys.epoch() != self.keys.epoch() {
            self.keys = keys;
            self.issuers = refreshing::issuers(&self.rules.token, Arc::clone(&self.keys), &self.ports.metrics);
        }
        self.put_policy_in_force(instances).await;
        Ok(())
    }

    /// Reads everything aside, and tells what it looked like. A reading that hangs is given up after [`READING`], until
    /// which new keys and bundles wait too, and the next reload takes up what was begun.
    async fn read(&mut self) -> Result<Loaded, Vec<Problem>> {
        let ports = &self.ports;
        let begin = || {
            let (path, environment) = (ports.path.clone(), Arc::clone(&ports.environment));
            let mut watched = Watched::clone(&ports.watched.borrow());
            spawn_blocking(move || (Loaded::read(&path, &*environment, &mut watched), watched))
        };
        let reading = self.reading.get_or_insert_with(begin);
        let read = timeout(READING, reading).await.map_err(|_elapsed| vec![hanging()])?;
        self.reading = None;
        let (loaded, watched) = read.map_err(|error| vec![Problem::error("", error.to_string())])?;
        self.ports.watched.send_replace(Arc::new(watched));
        loaded
    }

    async fn put_policy_in_force(&mut self, instances: Vec<Instance>) {
        self.hand_over(instances.into_iter().map(Some).collect()).await;
        self.ports.metrics.policy_loaded(&self.policy, UnixTime::now());
        self.ports.shown.store(Arc::new(self.settings.redacted()));
    }

    /// Hands the next revision to every worker and waits until all have switched.
    async fn hand_over(&mut self, instances: Vec<Option<Instance>>) {
        self.number = self.number.saturating_add(1);
        let revision = Arc::new(Revision {
            number: self.number,
            policy: Arc::clone(&self.policy),
            rules: Arc::clone(&self.rules),
            keys: Arc::clone(&self.keys),
            trust: Arc::clone(&self.material.bundles),
            proofs: Arc::clone(&self.proofs),
        });
        let switching = self.ports.workers.iter().zip(instances).map(|(worker, policy)| {
            let (switched, has_switched) = oneshot::channel();
            let handover = Handover {
                revision: Arc::clone(&revision),
                policy,
                refresh: self.issuers.handle.refresh.clone(),
                introspection: self.issuers.handle.introspection.clone(),
                options: self.settings.answer_options(),
                switched,
            };
            async move {
                // A worker that has ended has nothing left to decide.
                if worker.send(handover).await.is_ok() {
                    let _ended = has_switched.await;
                }
            }
        });
        join_all(switching).await;
        self.report(UnixTime::now()).await;
    }

    async fn report(&self, now: UnixTime) {
        let names = |keep: fn(&token::IssuerKeys<'_>) -> bool| -> BTreeSet<String> {
            self.keys.issuers(now).filter(keep).map(|issuer| issuer.issuer.to_owned()).collect()
        };
        let waited_for = names(|issuer| !issuer.serve() && !issuer.optional);
        let unavailable = names(|issuer| !issuer.serve());
        let fetching = self.issuers.handle.refresh.status().into_iter();
        let troubles = fetching.filter_map(|of| Some(format!("{}: {}", of.issuer, of.last_error?))).collect();
        self.ports.readiness.keys(waited_for, unavailable, troubles);
        let identity = Report::new(&self.settings.spiffe, &self.material, &self.trust.handle.status(), now);
        self.ports.readiness.trust(self.material.waited_for(&self.settings.spiffe, now), identity.troubles());
        self.ports.shown_identity.store(Arc::new(serde_json::to_value(&identity).unwrap_or_default()));
        self.ports.readiness.in_force(self.number);
        let ready = self.ports.readiness.is_ready();
        self.ports.metrics.set_ready(ready);
        if ready {
            self.ports.health.serving().await;
            // The end may have begun meanwhile, and has the last word.
            if !self.ports.readiness.is_ready() {
                self.ports.health.not_serving().await;
            }
        }
    }
}

fn hanging() -> Problem {
    let message = format!("the files could not be read within {} s", READING.as_secs());
    Problem::error("", message).hint("look for a pipe, or a file system that hangs")
}

/// What is set up once stays as it is until the next start, and is shown as it is.
fn keep_what_is_set_up(settings: &mut Settings, started: &Settings) {
    let mut waiting = Vec::new();
    keep("listeners", &mut settings.listeners, &started.listeners, &mut waiting);
    keep("admin", &mut settings.admin, &started.admin, &mut waiting);
    keep("decision_log", &mut settings.decision_log, &started.decision_log, &mut waiting);
    keep("telemetry", &mut settings.telemetry, &started.telemetry, &mut waiting);
    if !waiting.is_empty() {
        tracing::warn!(sections = ?waiting, "changes in these sections take effect at the next start");
    }
}

fn keep<T: Clone + PartialEq>(section: &'static str, wanted: &mut T, started: &T, waiting: &mut Vec<&'static str>) {
    if wanted != started {
        wanted.clone_from(started);
        waiting.push(section);
    }
}

/// TLS that is set up goes on, and without what it rests on no proxy could connect, which is an error to Envoy and so a
/// possible allow.
fn until_the_next_start(problems: Vec<Problem>) -> Vec<Problem> {
    let hint = "TLS stays as it is until the next start: restart with this configuration, or keep what TLS needs";
    problems.into_iter().map(|problem| problem.hint(hint)).collect()
}

/// The keys that a reload begins with: those known already, with files read anew, so that a key that was taken out of
/// one is gone when the reload is; and with the keys of new issuers, so that the change does not deny their tokens for
/// a moment. Where nothing differs they are those known, epoch and all.
async fn keys_for(config: &Arc<token::Config>, known: &Arc<KeySets>) -> Arc<KeySets> {
    let now = UnixTime::now();
    let same_issuers = known.are_of(config);
    let carried = if same_issuers { KeySets::clone(known) } else { KeySets::carried_over(Arc::clone(config), known) };
    let wanted = |issuer: &token::IssuerConfig, usable: bool| {
        matches!(issuer.keys, KeySource::File(_)) || (!usable && !same_issuers)
    };
    let (keys, problems) = load_keys(carried, wanted, now).await;
    for problem in problems {
        tracing::warn!(%problem, "keys are not as they should be");
    }
    if keys.epoch() == known.epoch() { Arc::clone(known) } else { Arc::new(keys) }
}

/// Parses the policy once for each worker, on a thread where that disturbs nobody.
async fn build(bundle: Bundle, workers: usize) -> Result<(Bundle, Vec<Instance>), Vec<Problem>> {
    let building = spawn_blocking(move || {
        let instances: Result<Vec<_>, _> = (0..workers).map(|_worker| bundle.instance()).collect();
        instances.map(|instances| (bundle, instances))
    });
    building.await.map_err(|error| vec![Problem::error("policy", error.to_string())])?
}
