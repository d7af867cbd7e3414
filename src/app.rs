//! The one place that knows all parts: load → start (bind everything, then serve) → run to the end.

pub mod cases;
pub mod evaluator;
pub mod identity;

mod loading;
mod publisher;
mod refreshing;
mod sockets;
mod triggers;
mod workers;

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::runtime::Builder;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use uuid::Uuid;

use crate::admin;
use crate::config::Settings;
use crate::decision_log;
use crate::decision_log::Recorder;
use crate::ext_authz::Health;
use crate::ext_authz::OtherServices;
use crate::lifecycle::Readiness;
use crate::lifecycle::watch::Watched;
use crate::listener;
use crate::listener::Limits;
use crate::listener::Listener;
use crate::listener::ServerTls;
use crate::listener::Terms;
use crate::policy;
use crate::policy::Bundle;
use crate::problem::Problem;
use crate::telemetry;
use crate::telemetry::Metrics;
use crate::token;
use crate::trust;
use crate::trust::Material;
use crate::trust::tls::Clients;
use crate::trust::tls::InForce;
use crate::trust::tls::server_config;

use loading::Loaded;
use publisher::Ports;
use publisher::Publisher;
use sockets::Bound;
use triggers::shutdown_signal;
use triggers::watch_files;
use triggers::watch_hangups;
use workers::WorkerThread;

/// Looks up an environment variable for the configuration.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A configuration that has been read, with its policy, and serves nothing yet.
pub struct App {
    path: PathBuf,
    environment: Environment,
    loaded: Loaded,
    watched: Watched,
}

/// Threads of the control side: it accepts, refreshes and reports, and should not compete with the workers.
const CONTROL_THREADS: usize = 1;
/// Reloads that may be asked for while one runs; further triggers then mean the same reload.
const TRIGGERS: usize = 1;
/// How long the decision log may take to write out what is queued at the end.
const LOG_DRAIN: Duration = Duration::from_secs(5);

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("path", &self.path).finish_non_exhaustive()
    }
}

impl App {
    /// Reads the configuration and the policy.
    ///
    /// # Errors
    /// Every problem there is, at once.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, Vec<Problem>> {
        let mut watched = Watched::of([path.to_owned()]);
        let loaded = Loaded::read(path, &**environment, &mut watched)?;
        Ok(Self { path: path.to_owned(), environment: Arc::clone(environment), loaded, watched })
    }

    /// What works, but rarely as meant.
    pub fn warnings(&self) -> &[Problem] {
        &self.loaded.warnings
    }

    /// The policy's revision: a hash of its content.
    pub fn policy_revision(&self) -> &str {
        self.loaded.bundle.revision()
    }

    /// The policy.
    pub fn bundle(&self) -> &Bundle {
        &self.loaded.bundle
    }

    /// What is wrong with the key, certificate and bundle files that the configuration names, which serving reads again and
    /// again.
    ///
    /// # Errors
    /// Where there is no runtime to read them on.
    pub fn check_key_files(&self) -> io::Result<Vec<Problem>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let settings = &self.loaded.settings;
        let mut problems = runtime.block_on(token::refresh::check_files(&settings.token));
        problems.extend(runtime.block_on(token::introspection::check_files(&settings.token)));
        problems.extend(runtime.block_on(trust::refresh::check_files(&settings.spiffe)));
        Ok(problems.into_iter().map(|problem| problem.in_file(self.path.display().to_string())).collect())
    }

    /// Serves until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// An address that cannot be bound, a thread that cannot be started, a policy that cannot be built.
    pub fn run(self) -> anyhow::Result<()> {
        telemetry::log::init(self.loaded.settings.telemetry.log_level).context("the log")?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(CONTROL_THREADS)
            .thread_name("control")
            // Policies are built on its blocking threads.
            .thread_stack_size(policy::STACK_BYTES)
            .enable_all()
            .build()
            .context("the control runtime")?;
        let served = runtime.block_on(async {
            let delay = self.loaded.settings.listeners.drain_delay;
            let end = shutdown_signal()?;
            // From the first moment on, since by default the signal ends the process.
            let hangups = signal(SignalKind::hangup()).context("SIGHUP")?;
            let mut running = self.start(hangups).await?;
            let is_cut_short = tokio::select! {
                () = end => false,
                Some(_) = running.accepting.join_next() => true,
            };
            running.end(delay).await?;
            anyhow::ensure!(!is_cut_short, "accepting ended by itself: a worker is gone");
            Ok(())
        });
        // Not dropped, which would wait for a file that is still being read.
        runtime.shutdown_background();
        served
    }

    /// Binds everything, and only then serves.
    async fn start(self, hangups: Signal) -> anyhow::Result<Running> {
        let Self { path, environment, loaded, watched } = self;
        let listen = loaded.settings.listeners.clone();
        let Bound { checks, probes, private } = Bound::bind(&loaded.settings).await?;

        let metrics = Metrics::new();
        let readiness = Arc::new(Readiness::default());
        let (log, writer) = start_log(&loaded.settings, &metrics)?;
        let (drain, draining) = watch::channel(false);
        let (health, others) = OtherServices::new(listen.reflection).await?;
        let material: InForce = Arc::new(ArcSwap::from_pointee(Material::empty(&loaded.settings.spiffe)));
        let terms = terms(&listen, &material, &metrics)?;
        let start_worker = |index| {
            let service = workers::Parts {
                recorder: Recorder::new(log.clone(), metrics.worker()),
                others: others.clone(),
                metrics: Arc::clone(&metrics),
                terms: terms.clone(),
            };
            WorkerThread::start(index, service, &listen, draining.clone())
        };
        let workers: Vec<_> =
            (0..listen.workers.get()).map(start_worker).collect::<io::Result<_>>().context("a worker thread")?;

        let (shown, shown_identity) = (Arc::new(ArcSwap::default()), Arc::new(ArcSwap::default()));
        let admin_tls = admin_tls(&loaded.settings.admin, &material, &metrics)?;
        let sources = admin::Sources {
            readiness: Arc::clone(&readiness),
            metrics: Arc::clone(&metrics),
            config: Arc::clone(&shown),
            identity: Arc::clone(&shown_identity),
        };
        let (watched, in_force) = watch::channel(Arc::new(watched));
        let ports = Ports {
            path,
            environment,
            workers: workers.iter().map(|worker| worker.handovers.clone()).collect(),
            readiness: Arc::clone(&readiness),
            metrics: Arc::clone(&metrics),
            shown,
            shown_identity,
            material,
            health: health.clone(),
            watched,
        };
        let publisher = Publisher::start(ports, loaded).await.map_err(|problems| problems_error(&problems))?;

        let mut tasks = JoinSet::new();
        let (trigger, triggers) = mpsc::channel(TRIGGERS);
        tasks.spawn(watch_files(in_force, trigger.clone()));
        tasks.spawn(watch_hangups(hangups, trigger));
        tasks.spawn(publisher.run(triggers));
        tasks.spawn(admin::serve_probes(probes, admin_tls.probes, sources.clone(), until(draining.clone())));
        tasks.spawn(admin::serve_private(private, admin_tls.private, sources, until(draining)));
        let accepting = accept(checks, &workers, listen.max_connections);
        Ok(Running { readiness, metrics, health, drain, workers, accepting, tasks, writer })
    }
}

/// The protocol of checks (RFC 9113 §3.2) and that of the administration side.
const HTTP_2: &[&[u8]] = &[b"h2"];
const HTTP_1: &[&[u8]] = &[b"http/1.1"];

/// On what terms proxies are served.
fn terms(listen: &listener::Config, material: &InForce, metrics: &Arc<Metrics>) -> anyhow::Result<Terms> {
    let limits = Limits { max_concurrent_streams: listen.max_concurrent_streams, max_age: listen.max_connection_age };
    let proxies = |tls: &listener::Tls| server_config(material, Clients::Proven(tls.allowed.clone()), HTTP_2);
    let config = listen.tls.as_ref().map(proxies).transpose().context("listeners.tls")?;
    Ok(Terms { limits, tls: config.map(|config| ServerTls::new(config, metrics)) })
}

/// TLS of the administration side, where it is on.
#[derive(Default)]
struct AdminTls {
    probes: Option<ServerTls>,
    private: Option<ServerTls>,
}

/// Whoever probes and scrapes has no certificate; whoever sees the configuration needs one.
fn admin_tls(admin: &admin::Config, material: &InForce, metrics: &Arc<Metrics>) -> anyhow::Result<AdminTls> {
    let Some(tls) = &admin.tls else { return Ok(AdminTls::default()) };
    let config = |clients| {
        let config = server_config(material, clients, HTTP_1).context("admin.tls")?;
        anyhow::Ok(ServerTls::new(config, metrics))
    };
    let private = Clients::Proven(tls.allowed.clone());
    Ok(AdminTls { probes: Some(config(Clients::Anybody)?), private: Some(config(private)?) })
}

/// A serving program.
struct Running {
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    health: Health,
    drain: watch::Sender<bool>,
    workers: Vec<WorkerThread>,
    accepting: JoinSet<()>,
    tasks: JoinSet<()>,
    writer: Option<decision_log::Writer>,
}

impl Running {
    /// Ends without losing a check: says that it is not serving, gives the proxy time to notice, stops accepting,
    /// finishes what runs, writes out the log.
    async fn end(mut self, delay: Duration) -> anyhow::Result<()> {
        tracing::info!(?delay, "shutting down: not serving, draining");
        self.readiness.drain();
        self.metrics.set_ready(false);
        self.health.not_serving().await;
        sleep(delay).await;
        self.accepting.shutdown().await;
        self.drain.send_replace(true);
        for worker in self.workers {
            spawn_blocking(move || worker.join()).await.context("a worker's end")?;
        }
        self.tasks.shutdown().await;
        if let Some(writer) = self.writer
            && !spawn_blocking(move || writer.close(LOG_DRAIN)).await.context("the decision log's end")?
        {
            tracing::warn!("the decision log was not written out in time");
        }
        tracing::info!("ended");
        Ok(())
    }
}

/// Accepts on every listener, into all workers, under one limit.
fn accept(listeners: Vec<Listener>, workers: &[WorkerThread], max_connections: usize) -> JoinSet<()> {
    let limit = Arc::new(Semaphore::new(max_connections));
    let sockets = || workers.iter().map(|worker| worker.sockets.clone()).collect();
    listeners.into_iter().map(|listener| listener.accept_into(sockets(), Arc::clone(&limit))).collect()
}

/// The decision log's ends, where it is on.
type LogEnds = (Option<decision_log::Sink>, Option<decision_log::Writer>);

fn start_log(settings: &Settings, metrics: &Arc<Metrics>) -> anyhow::Result<LogEnds> {
    let config = &settings.decision_log;
    if !config.enabled {
        return Ok((None, None));
    }
    let mask = decision_log::Mask::parse(&config.mask).map_err(|problems| problems_error(&problems))?;
    let mask = match &settings.caller.jwt_svid {
        Some(jwt_svid) => mask.with_credential(&jwt_svid.header),
        None => mask,
    };
    let format = decision_log::Format::new(Uuid::new_v4(), config.include_input, mask);
    let (sink, writer) = decision_log::sink::start(config, format, io::stdout(), metrics.decision_log())
        .context("the decision log's thread")?;
    Ok((Some(sink), Some(writer)))
}

async fn until(mut draining: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is the end too.
    let _gone = draining.wait_for(|draining| *draining).await;
}

fn problems_error(problems: &[Problem]) -> anyhow::Error {
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    anyhow::anyhow!("{}", lines.join("\n"))
}
