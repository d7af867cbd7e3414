//! Certificates and bundles in files, as spiffe-helper writes them.
//!
//! Looked at each second, content and all: a rename, a swapped symlink and a mount that was replaced look the same. Files
//! that belong together are taken together or not at all, so that a pair caught half-written changes nothing.

use std::future::Future;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest;
use thiserror::Error;
use tokio::time::sleep;
use tokio::time::timeout;

use super::Tuning;
use super::status::Found;
use super::status::Recorder;
use super::store::Store;
use crate::clock::UnixTime;
use crate::fetch;
use crate::fetch::FetchError;
use crate::spiffe_id::TrustDomain;
use crate::trust::Bundle;
use crate::trust::BundleConfig;
use crate::trust::CertificateFiles;
use crate::trust::Material;
use crate::trust::Origin;
use crate::trust::Svid;
use crate::trust::SvidError;
use crate::trust::bundle::BundleError;

/// Why files are of no use.
#[derive(Debug, Error)]
pub(super) enum FilesError {
    /// One cannot be read.
    #[error(transparent)]
    Read(#[from] FetchError),
    /// Certificate and key are none, or do not belong together.
    #[error(transparent)]
    Svid(#[from] SvidError),
    /// One holds no bundle.
    #[error("`{path}`: {error}")]
    Bundle {
        /// The file.
        path: String,
        /// Why.
        error: BundleError,
    },
}

/// What some files are read as.
#[derive(Debug, Clone)]
enum Kind {
    /// A certificate, then its key.
    Svid,
    /// Parts of a trust domain's bundle.
    Bundle(TrustDomain),
}

/// What was read.
enum Content {
    Svid(Svid),
    Bundle(TrustDomain, Bundle),
}

/// Keeps fresh what is in some files.
pub(super) struct FilesTask<P> {
    store: Arc<Store<P>>,
    kind: Kind,
    paths: Vec<PathBuf>,
    tuning: Tuning,
    /// The digest of what is in force.
    taken: Option<[u8; 32]>,
}

impl<P, F> FilesTask<P>
where
    P: Fn(Material) -> F,
    F: Future<Output = ()>,
{
    pub(super) fn svid(store: Arc<Store<P>>, files: &CertificateFiles, tuning: Tuning) -> Self {
        let paths = vec![files.certificate.clone(), files.key.clone()];
        Self { store, kind: Kind::Svid, paths, tuning, taken: None }
    }

    pub(super) fn bundle(store: Arc<Store<P>>, bundle: &BundleConfig, tuning: Tuning) -> Self {
        let kind = Kind::Bundle(bundle.trust_domain.clone());
        Self { store, kind, paths: bundle.files.clone(), tuning, taken: None }
    }

    /// Looks again and again.
    pub(super) async fn run(mut self) {
        loop {
            if let Err(error) = self.look().await {
                self.store.status.failed(self.domain(), &error);
            }
            sleep(self.tuning.poll).await;
        }
    }

    async fn look(&mut self) -> Result<(), FilesError> {
        let read = self.read().await?;
        let digest = digest_of(&read);
        if self.taken == Some(digest) {
            let told = |status: &Recorder| status.succeeded(self.domain(), Found::AsBefore);
            self.store.change(|material| self.kind.seen_in(material), told).await;
        } else {
            let content = self.parse(&read)?;
            let told = |status: &Recorder| status.succeeded(self.domain(), Found::Content);
            self.store.change(|material| content.put_into(material), told).await;
            self.taken = Some(digest);
        }
        Ok(())
    }

    /// Reads all files. A file system that hangs is waited for, since each attempt would cost a thread; meanwhile the
    /// status says so.
    async fn read(&self) -> Result<Vec<Vec<u8>>, FetchError> {
        let limits = self.tuning.fetch;
        let reading = read_all(&self.paths, limits.bytes);
        tokio::pin!(reading);
        loop {
            match timeout(limits.time, &mut reading).await {
                Ok(read) => return read,
                Err(_elapsed) => self.store.status.failed(self.domain(), &FetchError::TimedOut(limits.time)),
            }
        }
    }

    fn parse(&self, read: &[Vec<u8>]) -> Result<Content, FilesError> {
        match &self.kind {
            Kind::Svid => {
                let [certificate, key] = read else { return Err(SvidError::Certificate.into()) };
                Ok(Content::Svid(Svid::from_pem(certificate, key)?))
            }
            Kind::Bundle(domain) => Ok(Content::Bundle(domain.clone(), joined(&self.paths, read, domain)?)),
        }
    }

    const fn domain(&self) -> Option<&TrustDomain> {
        match &self.kind {
            Kind::Svid => None,
            Kind::Bundle(domain) => Some(domain),
        }
    }
}

impl Kind {
    /// What is in force was found again as it was.
    fn seen_in(&self, material: &mut Material) {
        if let Self::Bundle(domain) = self {
            Arc::make_mut(&mut material.bundles).seen(domain.as_str(), UnixTime::now());
        }
    }
}

impl Content {
    fn put_into(self, material: &mut Material) {
        match self {
            Self::Svid(svid) => material.svid = Some(Arc::new(svid)),
            Self::Bundle(domain, bundle) => {
                Arc::make_mut(&mut material.bundles).insert(domain, bundle, Origin::Files, UnixTime::now());
            }
        }
    }
}

/// Reads a trust domain's bundle from its files.
pub(super) async fn read_bundle(
    paths: &[PathBuf],
    domain: &TrustDomain,
    max_bytes: usize,
) -> Result<Bundle, FilesError> {
    joined(paths, &read_all(paths, max_bytes).await?, domain)
}

async fn read_all(paths: &[PathBuf], max_bytes: usize) -> Result<Vec<Vec<u8>>, FetchError> {
    let mut read = Vec::new();
    for path in paths {
        read.push(fetch::read(path, max_bytes).await?);
    }
    Ok(read)
}

fn joined(paths: &[PathBuf], read: &[Vec<u8>], domain: &TrustDomain) -> Result<Bundle, FilesError> {
    let named = |path: &Path, error| FilesError::Bundle { path: path.display().to_string(), error };
    paths.iter().zip(read).try_fold(Bundle::empty(), |bundle, (path, document)| {
        let part = Bundle::parse(document, domain).map_err(|error| named(path, error))?;
        Ok(bundle.joined(part))
    })
}

/// A digest of all files, their boundaries included. It is remembered instead of them, since one may be a key.
fn digest_of(read: &[Vec<u8>]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for document in read {
        context.update(&u64::try_from(document.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(document);
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(context.finish().as_ref());
    sha256
}
