//! The Workload API's messages, in this program's terms.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use spiffe::JwtBundleSet;
use spiffe::X509BundleSet;
use spiffe::X509Context;
use spiffe::X509Svid;

use super::fault::Fault;
use crate::spiffe_id::SpiffeId;
use crate::spiffe_id::TrustDomain;
use crate::trust::Svid;

/// A trust domain federates with dozens of others. Each is a bundle in memory and some series of metrics. What they all
/// hold together is bounded by the 4 MiB that a gRPC message may have.
pub(super) const MAX_TRUST_DOMAINS: usize = 1024;

/// What the X.509 stream says.
pub(super) struct X509Answer {
    /// The own certificate, where one was asked for; or why none of those given is it.
    pub(super) svid: Option<Result<Arc<Svid>, String>>,
    /// DER certificates by trust domain.
    pub(super) bundles: BTreeMap<TrustDomain, Vec<Vec<u8>>>,
}

/// What the JWT stream says: JWKs by trust domain.
pub(super) struct JwtAnswer(pub(super) BTreeMap<TrustDomain, Vec<Json>>);

impl X509Answer {
    /// Reads a message with SVIDs: the own one is the first (Workload API §5.3), or the one with the ID `wanted`.
    pub(super) fn from_context(context: &X509Context, wanted: Option<&SpiffeId>) -> Result<Self, Fault> {
        let named = |svid: &&Arc<X509Svid>| wanted.is_none_or(|id| svid.spiffe_id().to_string() == id.as_str());
        let svid = match context.svids().iter().find(named) {
            Some(svid) => own(svid),
            None => Err(missing(context, wanted)),
        };
        Ok(Self { svid: Some(svid), ..Self::from_bundles(context.bundle_set())? })
    }

    /// Reads a message with bundles alone.
    pub(super) fn from_bundles(bundles: &X509BundleSet) -> Result<Self, Fault> {
        check_number(bundles.len())?;
        let read = bundles.iter().map(|(domain, bundle)| {
            let certificates = bundle.authorities().iter().map(|authority| authority.as_bytes().to_vec());
            Ok((trust_domain(domain.as_str())?, certificates.collect()))
        });
        Ok(Self { svid: None, bundles: read.collect::<Result<_, Fault>>()? })
    }
}

impl JwtAnswer {
    /// Reads a message.
    pub(super) fn read(bundles: &JwtBundleSet) -> Result<Self, Fault> {
        check_number(bundles.len())?;
        let read = bundles.iter().map(|(domain, bundle)| {
            let mut authorities: Vec<_> = bundle.jwt_authorities().collect();
            // The crate gives them in no order, and warnings name keys by their place.
            authorities.sort_by_key(|authority| authority.key_id());
            let keys = authorities.into_iter().map(|authority| serde_json::from_slice(authority.jwk_json()));
            let keys: Result<Vec<Json>, _> = keys.collect();
            let keys = keys.map_err(|error| Fault::Malformed(format!("a JWT authority of `{domain}`: {error}")))?;
            Ok((trust_domain(domain.as_str())?, keys))
        });
        read.collect::<Result<_, Fault>>().map(Self)
    }
}

fn own(svid: &X509Svid) -> Result<Arc<Svid>, String> {
    let chain = svid.cert_chain().iter().map(|certificate| certificate.as_bytes().to_vec()).collect();
    let read = Svid::from_der(chain, svid.private_key().as_bytes());
    read.map(Arc::new).map_err(|error| format!("the SVID `{}`: {error}", svid.spiffe_id()))
}

fn missing(context: &X509Context, wanted: Option<&SpiffeId>) -> String {
    let given: Vec<String> = context.svids().iter().map(|svid| svid.spiffe_id().to_string()).collect();
    let wanted = wanted.map(SpiffeId::as_str).unwrap_or_default();
    format!("the agent gives no SVID `{wanted}`, but `{}`", given.join("`, `"))
}

fn check_number(domains: usize) -> Result<(), Fault> {
    if domains > MAX_TRUST_DOMAINS { Err(Fault::TooManyDomains) } else { Ok(()) }
}

fn trust_domain(name: &str) -> Result<TrustDomain, Fault> {
    TrustDomain::parse(name).map_err(|error| Fault::Malformed(format!("the trust domain `{name}` {error}")))
}
