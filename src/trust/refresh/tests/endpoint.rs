//! A bundle endpoint's server, and a configuration that names it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use rustls::server::ClientHello;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;
use serde_json::json;

use super::issue::Authority;
use super::issue::Issued;
use super::issue::document;
use super::kept::Kept;
use crate::fetch::server::Reply;
use crate::fetch::server::Server;
use crate::spiffe_id::SpiffeId;
use crate::spiffe_id::TrustDomain;
use crate::trust::BundleConfig;
use crate::trust::Config;
use crate::trust::Endpoint;
use crate::trust::Profile;

/// What a server answers now.
#[derive(Clone)]
pub(super) struct Replies(Arc<Mutex<Reply>>);

impl Replies {
    pub(super) fn new(body: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Reply::json(body))))
    }

    pub(super) fn set(&self, reply: Reply) {
        *self.0.lock().unwrap() = reply;
    }

    pub(super) fn respond(&self) -> impl Fn(&str) -> Reply + Send + Sync + 'static {
        let reply = Arc::clone(&self.0);
        move |_path| reply.lock().unwrap().clone()
    }
}

/// What a server presents now.
#[derive(Debug, Clone)]
pub(super) struct Presented(Arc<Mutex<Arc<CertifiedKey>>>);

impl Presented {
    pub(super) fn new(issued: &Issued) -> Self {
        Self(Arc::new(Mutex::new(issued.certified())))
    }

    pub(super) fn set(&self, issued: &Issued) {
        *self.0.lock().unwrap() = issued.certified();
    }
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.lock().unwrap()))
    }
}

pub(super) fn web(server: &Server) -> Endpoint {
    let profile = Profile::HttpsWeb { ca_file: Some(server.ca_file().to_owned()) };
    Endpoint { url: format!("{}/bundle", server.url), profile, refuse_rollback: false }
}

pub(super) fn spiffe(server: &Server, id: &str) -> Endpoint {
    let profile = Profile::HttpsSpiffe { id: SpiffeId::parse(id).unwrap() };
    Endpoint { url: format!("{}/bundle", server.url), profile, refuse_rollback: false }
}

pub(super) fn at(domain: &TrustDomain, files: Vec<PathBuf>, endpoint: Endpoint) -> Config {
    let bundle = BundleConfig { trust_domain: domain.clone(), files, endpoint: Some(endpoint), optional: false };
    Config { bundles: vec![bundle], ..Config::default() }
}

pub(super) fn sequence(kept: &Kept, domain: &TrustDomain) -> Option<u64> {
    kept.held(domain)?.bundle.sequence
}

pub(super) fn numbered(authority: &Authority, number: u64) -> Vec<u8> {
    document(&[authority], json!({"spiffe_sequence": number}))
}
