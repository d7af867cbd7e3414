//! The SPIFFE Workload API: own certificate, and the bundles of the own and the federated trust domains, as SPIRE's agent
//! hands them out.
//!
//! Two streams on one connection, X.509 and JWT, and the last message of each: together they are what the Workload API
//! says now. The X.509 stream carries the connection; when it ends, both are opened anew. Nothing is put in force before
//! both have answered, lest JWT-SVIDs be refused for keys that are about to come. But a JWT stream that is refused, ends or
//! stays silent has answered, too: an operator may have turned that profile off (Workload API §1), and X.509 must not
//! wait for it. It is then asked again, by itself.

mod answers;
mod connection;
mod fault;
mod reading;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::answers::JwtAnswer;
use self::answers::X509Answer;
use self::fault::Fault;
use self::reading::Event;
use self::reading::Wanted;
use super::AgentTuning;
use super::status::Recorder;
use super::store::Store;
use crate::clock::UnixTime;
use crate::fetch::jittered;
use crate::spiffe_id::TrustDomain;
use crate::trust::Bundle;
use crate::trust::Config;
use crate::trust::Material;
use crate::trust::Origin;
use crate::trust::bundle::BundleError;

/// Keeps fresh what the Workload API gives.
pub(super) struct WorkloadApiTask<P> {
    store: Arc<Store<P>>,
    address: String,
    wanted: Wanted,
    /// Trust domains whose bundle comes from elsewhere.
    configured: BTreeSet<TrustDomain>,
    tuning: AgentTuning,
    x509: Option<X509Answer>,
    jwt: Jwt,
    /// What is wrong with the JWT stream.
    jwt_error: Option<String>,
    /// Whether the X.509 stream of this connection has answered: what is held may be from one before.
    has_answered: bool,
    /// Since the last answer.
    failures: u32,
}

/// What the JWT stream has brought.
enum Jwt {
    /// Nothing, and that is about to change.
    Awaited,
    /// Nothing, and that may stay so.
    Refused,
    Given(JwtAnswer),
}

/// The bundles of one moment, each good or not.
type Read = Vec<(TrustDomain, Result<Bundle, BundleError>)>;

impl<P, F> WorkloadApiTask<P>
where
    P: Fn(Material) -> F,
    F: Future<Output = ()>,
{
    pub(super) fn new(store: Arc<Store<P>>, config: &Config, address: &str, tuning: AgentTuning) -> Self {
        let wanted = match &config.svid {
            Some(_files) => Wanted::BundlesAlone,
            None => Wanted::OwnSvid(config.svid_id.clone()),
        };
        Self {
            store,
            address: address.to_owned(),
            wanted,
            configured: config.bundles.iter().map(|bundle| bundle.trust_domain.clone()).collect(),
            tuning,
            x509: None,
            jwt: Jwt::Awaited,
            jwt_error: None,
            has_answered: false,
            failures: 0,
        }
    }

    /// Connects again and again.
    pub(super) async fn run(mut self) {
        loop {
            let fault = self.connection().await;
            self.failures = self.failures.saturating_add(1);
            self.store.status.disconnected(fault.told(), fault.is_final());
            sleep(wait(&fault, self.failures, self.tuning)).await;
        }
    }

    /// Takes in what comes by one connection, until it ends.
    async fn connection(&mut self) -> Fault {
        let client = match connection::open(&self.address, self.tuning).await {
            Ok(client) => client,
            Err(fault) => return fault,
        };
        if matches!(self.jwt, Jwt::Refused) {
            self.jwt = Jwt::Awaited;
        }
        self.jwt_error = None;
        self.has_answered = false;
        // Reading is apart from taking in, so that nothing that is being put in force is cut off when a stream ends. One
        // message waits at most: a flood is slowed down.
        let (events, mut incoming) = mpsc::channel(1);
        let mut readers = JoinSet::new();
        readers.spawn(reading::x509(client.clone(), self.wanted.clone(), self.tuning, events.clone()));
        readers.spawn(reading::jwt(client, self.tuning, events));
        loop {
            let event = tokio::select! {
                biased;
                Some(event) = incoming.recv() => event,
                _a_reader_has_ended = readers.join_next() => return Fault::Ended,
            };
            match event {
                Event::X509(Err(fault)) => return fault,
                Event::X509(Ok(answer)) => self.take_x509(answer),
                Event::Jwt(Ok(answer)) => self.take_jwt(answer),
                Event::Jwt(Err(fault)) => self.miss_jwt(&fault),
            }
            self.put().await;
        }
    }

    fn take_x509(&mut self, answer: X509Answer) {
        self.store.status.count_message();
        self.failures = 0;
        self.has_answered = true;
        self.x509 = Some(answer);
    }

    fn take_jwt(&mut self, answer: JwtAnswer) {
        self.store.status.count_message();
        self.jwt_error = None;
        self.jwt = Jwt::Given(answer);
    }

    /// What the JWT stream brought before stays.
    fn miss_jwt(&mut self, fault: &Fault) {
        self.store.status.count_failure();
        self.jwt_error = Some(format!("JWT bundles: {}", fault.told()));
        if matches!(self.jwt, Jwt::Awaited) {
            self.jwt = Jwt::Refused;
        }
    }

    /// Puts in force what both streams brought last.
    async fn put(&self) {
        let Some(x509) = &self.x509 else { return };
        let jwt = match &self.jwt {
            Jwt::Awaited => return,
            Jwt::Refused => None,
            Jwt::Given(answer) => Some(answer),
        };
        let read = self.read(x509, jwt);
        let (svid, wrong_svid) = match &x509.svid {
            None => (None, None),
            Some(Ok(svid)) => (Some(Arc::clone(svid)), None),
            Some(Err(error)) => (None, Some(error.clone())),
        };
        let wrong_bundles = read.iter().filter_map(|(domain, read)| complaint(domain, read));
        let wrong: Vec<String> = wrong_svid.into_iter().chain(wrong_bundles).chain(self.jwt_error.clone()).collect();
        let put = |material: &mut Material| {
            put_bundles(material, read);
            // One that is redacted is kept until it ends, as the other implementations do: an agent that takes a
            // workload for somebody else for a moment must not take down its listeners.
            if svid.is_some() {
                material.svid = svid;
            }
        };
        let has_answered = self.has_answered;
        let tell = |status: &Recorder| {
            if has_answered {
                status.connected(&wrong);
            }
        };
        self.store.change(put, tell).await;
    }

    fn read(&self, x509: &X509Answer, jwt: Option<&JwtAnswer>) -> Read {
        let none = BTreeMap::new();
        let jwt = jwt.map_or(&none, |answer| &answer.0);
        let named: BTreeSet<&TrustDomain> = x509.bundles.keys().chain(jwt.keys()).collect();
        let read = |domain: &TrustDomain| {
            let certificates = x509.bundles.get(domain).map(Vec::as_slice).unwrap_or_default();
            let keys = jwt.get(domain).map(Vec::as_slice).unwrap_or_default();
            Bundle::from_workload_api(domain, certificates, keys)
        };
        let named = named.into_iter().filter(|domain| !self.configured.contains(*domain));
        named.map(|domain| (domain.clone(), read(domain))).collect()
    }
}

fn complaint(domain: &TrustDomain, read: &Result<Bundle, BundleError>) -> Option<String> {
    read.as_ref().err().map(|error| format!("trust domain `{domain}`: {error}"))
}

/// A bundle that is none leaves the one before; a trust domain that is not named any more is not trusted any more
/// (Workload API §4.4).
fn put_bundles(material: &mut Material, read: Read) {
    let bundles = Arc::make_mut(&mut material.bundles);
    let named = read.iter().map(|(domain, _)| domain.clone()).collect();
    for (domain, bundle) in read {
        if let Ok(bundle) = bundle {
            bundles.insert(domain, bundle, Origin::WorkloadApi, UnixTime::now());
        }
    }
    bundles.keep_from_workload_api(&named);
}

/// How long to leave the agent alone after `failures` failures in a row.
fn wait(fault: &Fault, failures: u32, tuning: AgentTuning) -> Duration {
    if fault.is_final() { jittered(tuning.refused) } else { tuning.backoff.wait(failures) }
}
