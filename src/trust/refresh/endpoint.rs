//! Bundle endpoints (SPIFFE Federation): a trust domain's bundle, fetched again and again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::time::sleep;

use super::Tuning;
use super::files;
use super::status::Found;
use super::status::Recorder;
use super::store::Store;
use crate::clock::UnixTime;
use crate::fetch;
use crate::fetch::Backoff;
use crate::fetch::Client;
use crate::fetch::FetchError;
use crate::fetch::jittered;
use crate::spiffe_id::TrustDomain;
use crate::trust::Bundle;
use crate::trust::BundleConfig;
use crate::trust::Endpoint;
use crate::trust::Held;
use crate::trust::Material;
use crate::trust::Origin;
use crate::trust::Profile;
use crate::trust::bundle::BundleError;
use crate::trust::tls;

/// Why no bundle came from an endpoint.
#[derive(Debug, Error)]
enum EndpointError {
    /// No document came.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The library refuses what it was told to do.
    #[error("TLS cannot be configured: {0}")]
    Tls(#[from] rustls::Error),
    /// What came is no bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It is older than the one held, and the configuration refuses that.
    #[error("the bundle's sequence number {offered} is lower than {held}, which is held")]
    RolledBack {
        /// The sequence number held.
        held: u64,
        /// The one that came.
        offered: u64,
    },
}

/// Keeps one trust domain's bundle fresh from its endpoint.
pub(super) struct EndpointTask<P> {
    store: Arc<Store<P>>,
    bundle: BundleConfig,
    endpoint: Endpoint,
    tuning: Tuning,
    /// The highest sequence number ever held, as far as this process remembers.
    highest: Option<u64>,
}

impl<P, F> EndpointTask<P>
where
    P: Fn(Material) -> F,
    F: Future<Output = ()>,
{
    pub(super) fn new(store: Arc<Store<P>>, bundle: &BundleConfig, endpoint: &Endpoint, tuning: Tuning) -> Self {
        Self { store, bundle: bundle.clone(), endpoint: endpoint.clone(), tuning, highest: None }
    }

    /// Fetches again and again.
    pub(super) async fn run(mut self) {
        self.begin().await;
        let mut failures = 0_u32;
        loop {
            match self.refresh().await {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    self.store.status.failed(Some(self.domain()), &error);
                }
            }
            sleep(self.wait(failures).await).await;
        }
    }

    /// What there is to begin with: the bundle that is held already, else the one in the files.
    async fn begin(&self) {
        if self.bundle.files.is_empty() || self.held().await.is_some() {
            return;
        }
        let limits = self.tuning.fetch;
        let reading = files::read_bundle(&self.bundle.files, self.domain(), limits.bytes);
        match limits.within(reading).await {
            Ok(bundle) => self.put(bundle, Origin::Files, |_| {}).await,
            Err(error) => self.store.status.failed(Some(self.domain()), &error),
        }
    }

    async fn refresh(&mut self) -> Result<(), EndpointError> {
        let bundle = self.fetch().await?;
        self.check_sequence(&bundle).await?;
        let told = |status: &Recorder| status.succeeded(Some(self.domain()), Found::Content);
        self.put(bundle, Origin::Endpoint, told).await;
        Ok(())
    }

    async fn fetch(&self) -> Result<Bundle, EndpointError> {
        let limits = self.tuning.fetch;
        let fetching = async {
            let url = fetch::https("`endpoint`", &self.endpoint.url)?;
            let client = self.client(limits.bytes).await?;
            let document = fetch::get(&client, url, limits.bytes).await?;
            Ok::<_, EndpointError>(Bundle::parse_document(&document, self.domain())?)
        };
        limits.within(fetching).await
    }

    /// Made anew for each fetch, with the roots or bundles of this moment (§5.2.2.4: the latest must be used).
    async fn client(&self, max_bytes: usize) -> Result<Client, EndpointError> {
        match &self.endpoint.profile {
            Profile::HttpsWeb { ca_file } => Ok(fetch::web_client(ca_file.as_deref(), max_bytes).await?),
            Profile::HttpsSpiffe { id } => {
                let tls = tls::client_config(id.clone(), self.store.bundles().await)?;
                Ok(fetch::client_with(tls)?)
            }
        }
    }

    /// A lower sequence number than the one held is a bundle from the past, such as a server restored from a backup
    /// serves: authorities that were withdrawn are back in it. A bundle without a number is the newest (§4.2).
    async fn check_sequence(&mut self, bundle: &Bundle) -> Result<(), EndpointError> {
        let held = self.held().await.and_then(|held| held.bundle.sequence);
        self.highest = self.highest.max(held);
        let is_lower =
            |than: Option<u64>| bundle.sequence.is_some_and(|offered| than.is_some_and(|than| offered < than));
        self.store.status.set_rolled_back(self.domain(), is_lower(self.highest));
        if let (true, Some(highest), Some(offered)) = (self.endpoint.refuse_rollback, self.highest, bundle.sequence)
            && offered < highest
        {
            self.store.count_rollback(self.domain());
            return Err(EndpointError::RolledBack { held: highest, offered });
        }
        let (true, Some(held), Some(offered)) = (is_lower(held), held, bundle.sequence) else { return Ok(()) };
        self.store.count_rollback(self.domain());
        tracing::warn!(trust_domain = %self.domain(), held, offered, "a bundle's sequence number has gone down: taken");
        Ok(())
    }

    async fn put(&self, bundle: Bundle, origin: Origin, tell: impl FnOnce(&Recorder)) {
        let put = |material: &mut Material| {
            let bundles = Arc::make_mut(&mut material.bundles);
            bundles.insert(self.domain().clone(), bundle, origin, UnixTime::now());
        };
        self.store.change(put, tell).await;
    }

    /// Until the next fetch. §6.2: after a failure at the next interval, not sooner; but where none has succeeded yet,
    /// nobody of the trust domain is known, or only by what the files say.
    async fn wait(&self, failures: u32) -> Duration {
        let held = self.held().await;
        let has_fetched = held.as_ref().is_some_and(|held| held.origin == Origin::Endpoint);
        let interval = self.tuning.interval_by(held.and_then(|held| held.bundle.refresh_hint));
        if failures == 0 || has_fetched {
            return jittered(interval);
        }
        Backoff { first: self.tuning.first_retry.min(interval), longest: interval }.wait(failures)
    }

    async fn held(&self) -> Option<Held> {
        self.store.bundles().await.get(self.domain().as_str()).ok().cloned()
    }

    const fn domain(&self) -> &TrustDomain {
        &self.bundle.trust_domain
    }
}
