//! The one place that knows all parts: load → start (bind everything, then serve) → run to the end.

pub mod cases;
pub mod evaluator;

mod publisher;
mod workers;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::task::spawn_blocking;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;
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
use crate::listener::Address;
use crate::listener::Listener;
use crate::policy;
use crate::policy::Bundle;
use crate::policy::Compatibility;
use crate::problem::Problem;
use crate::telemetry;
use crate::telemetry::Metrics;
use crate::token::KeySource;
use crate::token::refresh::check_files;

use publisher::Ports;
use publisher::Publisher;
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

/// Settings and policy, as the files have them now.
struct Loaded {
    settings: Settings,
    bundle: Bundle,
    warnings: Vec<Problem>,
}

/// Threads of the control side: it accepts, refreshes and reports, and should not compete with the workers.
const CONTROL_THREADS: usize = 1;
/// How often files are looked at for changes.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// Reloads that may be asked for while one runs; further triggers then mean the same reload.
const TRIGGERS: usize = 1;
/// How long the decision log may take to write out what is queued at the end.
const LOG_DRAIN: Duration = Duration::from_secs(5);

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Loaded {
    /// Reads everything. What is read, or cannot be, is in `watched` as it looked before.
    fn read(
        path: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
        watched: &mut Watched,
    ) -> Result<Self, Vec<Problem>> {
        *watched = watched.again();
        let crate::config::Loaded { settings, mut warnings } = Settings::load(path, environment)?;
        watched.follow(files(path, &settings));
        let bundle = Bundle::load(&settings.policy)?;
        warnings.extend_from_slice(bundle.warnings());
        if !bundle.defines(&settings.policy.entry_point) {
            let problem = nothing_there(&settings);
            if problem.is_error() {
                return Err(vec![problem]);
            }
            warnings.push(problem);
        }
        Ok(Self { settings, bundle, warnings })
    }
}

/// The files whose change means a reload.
fn files(config: &Path, settings: &Settings) -> impl Iterator<Item = PathBuf> {
    let keys = settings.token.issuers.iter().filter_map(|issuer| match &issuer.keys {
        KeySource::File(path) => Some(path.clone()),
        KeySource::Url { .. } | KeySource::Discovery { .. } => None,
    });
    std::iter::once(config.to_owned()).chain(settings.policy.paths.iter().cloned()).chain(keys)
}

/// An entry point without a rule denies everything. In strict mode such a policy does not come into force; OPA-Envoy
/// takes it, and so does its mode.
fn nothing_there(settings: &Settings) -> Problem {
    let message = format!("nothing is defined at `{}`: every request to it is denied", settings.policy.entry_point);
    let problem = match settings.compatibility {
        Compatibility::Strict => Problem::error("policy.path", message),
        Compatibility::OpaEnvoy => Problem::warning("policy.path", message),
    };
    problem.hint("name the rule that decides, as `envoy/authz/allow`")
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

    /// What is wrong with the key files that the configuration names, which serving reads again and again.
    ///
    /// # Errors
    /// Where there is no runtime to read them on.
    pub fn check_key_files(&self) -> io::Result<Vec<Problem>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let problems = runtime.block_on(check_files(&self.loaded.settings.token));
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
        runtime.block_on(async {
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
        })
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
        let start_worker = |index| {
            let service = workers::Parts {
                recorder: Recorder::new(log.clone(), metrics.worker()),
                others: others.clone(),
                metrics: Arc::clone(&metrics),
            };
            WorkerThread::start(index, service, &listen, draining.clone())
        };
        let workers: Vec<_> =
            (0..listen.workers.get()).map(start_worker).collect::<io::Result<_>>().context("a worker thread")?;

        let shown = Arc::new(ArcSwap::default());
        let sources = admin::Sources {
            readiness: Arc::clone(&readiness),
            metrics: Arc::clone(&metrics),
            config: Arc::clone(&shown),
        };
        let (watched, in_force) = watch::channel(Arc::new(watched));
        let ports = Ports {
            path,
            environment,
            workers: workers.iter().map(|worker| worker.handovers.clone()).collect(),
            readiness: Arc::clone(&readiness),
            metrics: Arc::clone(&metrics),
            shown,
            health: health.clone(),
            watched,
        };
        let publisher = Publisher::start(ports, loaded).await.map_err(|problems| problems_error(&problems))?;

        let mut tasks = JoinSet::new();
        let (trigger, triggers) = mpsc::channel(TRIGGERS);
        tasks.spawn(watch_files(in_force, trigger.clone()));
        tasks.spawn(watch_hangups(hangups, trigger));
        tasks.spawn(publisher.run(triggers));
        tasks.spawn(admin::serve_probes(probes, sources.clone(), until(draining.clone())));
        tasks.spawn(admin::serve_private(private, sources, until(draining)));
        let accepting = accept(checks, &workers, listen.max_connections);
        Ok(Running { readiness, metrics, health, drain, workers, accepting, tasks, writer })
    }
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

/// Every socket, bound.
struct Bound {
    checks: Vec<Listener>,
    probes: TcpListener,
    private: TcpListener,
}

impl Bound {
    async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let mut checks = Vec::new();
        for address in &settings.listeners.checks {
            checks.push(Listener::bind(address).await.with_context(|| format!("listeners.checks: {address}"))?);
        }
        let admin = &settings.admin;
        let bound = Self {
            checks,
            probes: bind_tcp(admin.probes).await.context("admin.probes")?,
            private: bind_tcp(admin.private).await.context("admin.private")?,
        };
        bound.announce()?;
        Ok(bound)
    }

    /// Logs the addresses, with the real ports where port 0 was asked for.
    fn announce(&self) -> io::Result<()> {
        let checks: Vec<_> = self.checks.iter().map(Listener::address).collect::<io::Result<_>>()?;
        let checks: Vec<_> = checks.iter().map(Address::to_string).collect();
        let (probes, private) = (self.probes.local_addr()?, self.private.local_addr()?);
        tracing::info!(?checks, %probes, %private, "listening");
        Ok(())
    }
}

async fn bind_tcp(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| address.to_string())
}

/// The decision log's ends, where it is on.
type LogEnds = (Option<decision_log::Sink>, Option<decision_log::Writer>);

fn start_log(settings: &Settings, metrics: &Arc<Metrics>) -> anyhow::Result<LogEnds> {
    let config = &settings.decision_log;
    if !config.enabled {
        return Ok((None, None));
    }
    let mask = decision_log::Mask::parse(&config.mask).map_err(|problems| problems_error(&problems))?;
    let format = decision_log::Format::new(Uuid::new_v4(), config.include_input, mask);
    let (sink, writer) = decision_log::sink::start(config.queue, format, io::stdout(), metrics.decision_log())
        .context("the decision log's thread")?;
    Ok((Some(sink), Some(writer)))
}

/// Asks for a reload whenever a watched file looks different from what was read, once it has looked the same twice: a
/// half-written file changes again.
async fn watch_files(read: watch::Receiver<Arc<Watched>>, trigger: mpsc::Sender<&'static str>) {
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

async fn watch_hangups(mut hangups: Signal, trigger: mpsc::Sender<&'static str>) {
    while hangups.recv().await.is_some() {
        if trigger.send("SIGHUP").await.is_err() {
            return;
        }
    }
}

fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn until(mut draining: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is the end too.
    let _gone = draining.wait_for(|draining| *draining).await;
}

fn problems_error(problems: &[Problem]) -> anyhow::Error {
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    anyhow::anyhow!("{}", lines.join("\n"))
}
