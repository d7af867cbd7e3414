//! The peer of mutual TLS, by what the adjacent proxy says of it: `source.principal`, `source.certificate` and the
//! `x-forwarded-client-cert` header.

use std::sync::Arc;

use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Attributes;
use crate::facts::Caller;
use crate::facts::CertificateFacts;
use crate::facts::Peer;
use crate::facts::Proof;
use crate::trust::Bundles;
use crate::trust::certificate::Leaf;

use super::Config;
use super::XfccMode;
use super::agreement::agree;
use super::agreement::agree_with_uri;
use super::agreement::conflict;
use super::certificate_cache::CertificateCache;
use super::certificate_cache::Presented;
use super::xfcc;
use super::xfcc::Element;
use super::xfcc::San;

/// Finds the peer of one request after another.
#[derive(Debug)]
pub(super) struct PeerEvidence {
    principal: bool,
    certificate: bool,
    xfcc: XfccMode,
    verify: bool,
    certificates: CertificateCache,
}

/// What one request is judged by.
#[derive(Clone, Copy)]
struct Trust<'b> {
    bundles: &'b Bundles,
    now: UnixTime,
}

impl PeerEvidence {
    pub(super) fn new(config: &Config) -> Self {
        let Config { principal, certificate, xfcc, verify_peer_certificate, jwt_svid: _, wimse: _ } = config;
        Self {
            principal: *principal,
            certificate: *certificate,
            xfcc: xfcc.clone(),
            verify: *verify_peer_certificate,
            certificates: CertificateCache::new(),
        }
    }

    /// The peer, where it proves itself to be a workload.
    pub(super) fn resolve(
        &mut self,
        attributes: &Attributes,
        bundles: &Bundles,
        now: UnixTime,
    ) -> Result<Option<Caller>, Denial> {
        let trust = Trust { bundles, now };
        let source = attributes.source.as_ref();
        let text = |on: bool, field: fn(&Peer) -> &str| source.map(field).filter(|text| on && !text.is_empty());
        let principal = text(self.principal, |peer| &peer.principal);
        let leaf = text(self.certificate, |peer| &peer.certificate);
        let element = self.trusted_element(attributes, principal.is_some() || leaf.is_some())?;

        // From the strongest proof to the weakest: the first names the caller, the others must name the same.
        let chain = element.and_then(|element| element.chain);
        let mut caller = leaf.map(|leaf| self.by_leaf(leaf, chain, trust)).transpose()?;
        if let Some(text) = principal {
            caller = Some(agree(caller, Proof::Principal, text)?);
        }
        if let Some(element) = element {
            let named = agree_with_uri(caller, element.uri)?;
            caller = named.map(|caller| self.corroborate(caller, &element, leaf, trust)).transpose()?;
        }
        match caller {
            Some(caller) if self.verify && caller.proof != Proof::VerifiedCertificate => {
                let detail = format!("{} without a certificate that could be verified", caller.proof.name());
                Err(Denial::new(Reason::CallerCertificateMissing, detail))
            }
            caller => Ok(caller),
        }
    }

    /// The header's element that the proxy wrote, where the header is looked at and there.
    fn trusted_element<'a>(
        &self,
        attributes: &'a Attributes,
        has_other_evidence: bool,
    ) -> Result<Option<Element<'a>>, Denial> {
        if self.xfcc == XfccMode::Off {
            return Ok(None);
        }
        let values = attributes.http().into_iter().flat_map(|http| http.header_values(xfcc::HEADER));
        let Some(header) = xfcc::parse(values).map_err(|error| Denial::new(error.reason(), error.to_string()))? else {
            return Ok(None);
        };
        match &self.xfcc {
            XfccMode::SanitizeSet if header.elements > 1 => {
                Err(Denial::new(Reason::CallerXfccElements, format!("{} elements", header.elements)))
            }
            XfccMode::AppendForward { by: Some(by) } if header.last.by != San::One(by) => {
                Err(Denial::new(Reason::CallerXfccProxy, format!("`By` is not `{by}`")))
            }
            XfccMode::AppendForward { .. } if !has_other_evidence => {
                Err(Denial::new(Reason::CallerXfccUnproven, "neither principal nor certificate is there"))
            }
            XfccMode::Off | XfccMode::SanitizeSet | XfccMode::AppendForward { .. } => Ok(Some(header.last)),
        }
    }

    /// The caller that `source.certificate` names. The header's `Chain` may help to prove it, whoever wrote it: a path
    /// to an authority of the trust domain is one.
    fn by_leaf(&mut self, leaf: &str, chain: Option<&str>, trust: Trust<'_>) -> Result<Caller, Denial> {
        let (leaf, proof) = if self.verify {
            (self.prove(Presented { leaf: Some(leaf), chain }, trust)?, Proof::VerifiedCertificate)
        } else {
            (self.read(leaf, trust)?, Proof::PeerCertificate)
        };
        Ok(Caller { spiffe_id: leaf.spiffe_id.clone(), proof, certificate: Some(leaf.facts.clone()) })
    }

    /// Holds the header's `Cert` and `Hash` against the caller found so far.
    ///
    /// `Cert` must agree wherever it stands. It adds its facts, and where certificates are verified its proof, only
    /// under `SANITIZE_SET`, where no client can have written it; it never names a caller by itself, as an element
    /// without `URI` names nobody.
    fn corroborate(
        &mut self,
        caller: Caller,
        element: &Element<'_>,
        leaf: Option<&str>,
        trust: Trust<'_>,
    ) -> Result<Caller, Denial> {
        let second = self.second_leaf(element, leaf, trust)?;
        let (proof, second) = match second {
            Some((Proof::VerifiedCertificate, leaf)) => (Proof::VerifiedCertificate, Some(leaf)),
            second => (caller.proof, second.map(|(_, leaf)| leaf)),
        };
        if let Some(leaf) = &second
            && leaf.spiffe_id != caller.spiffe_id
        {
            return Err(conflict("the header's `Cert`", leaf.spiffe_id.as_str(), &caller));
        }
        let digest = |facts: &CertificateFacts| facts.sha256;
        let of_leaf = caller.certificate.as_ref().map(digest);
        let of_second = second.as_ref().map(|leaf| digest(&leaf.facts));
        let mut digests = [of_leaf, of_second, element.hash].into_iter().flatten();
        let first = digests.next();
        if !digests.all(|digest| Some(digest) == first) {
            return Err(Denial::new(Reason::CallerConflict, "the header's `Hash` or `Cert` is another certificate's"));
        }
        let trusted = || second.filter(|_| self.xfcc == XfccMode::SanitizeSet).map(|leaf| leaf.facts.clone());
        Ok(Caller { spiffe_id: caller.spiffe_id, proof, certificate: caller.certificate.or_else(trusted) })
    }

    /// The leaf in the header, where it says more than `leaf`, and how far it is proven: `Cert`, or where it is to be
    /// proven the first of `Chain` too.
    fn second_leaf(
        &mut self,
        element: &Element<'_>,
        leaf: Option<&str>,
        trust: Trust<'_>,
    ) -> Result<Option<(Proof, Arc<Leaf>)>, Denial> {
        let Element { certificate, chain, .. } = *element;
        if !self.certificate || (certificate.is_none() && chain.is_none()) {
            return Ok(None);
        }
        if self.verify && leaf.is_none() && self.xfcc == XfccMode::SanitizeSet {
            let proven = self.prove(Presented { leaf: certificate, chain }, trust)?;
            return Ok(Some((Proof::VerifiedCertificate, proven)));
        }
        let read = certificate.filter(|text| leaf != Some(text)).map(|text| self.read(text, trust)).transpose()?;
        Ok(read.map(|leaf| (Proof::PeerCertificate, leaf)))
    }

    fn read(&mut self, text: &str, trust: Trust<'_>) -> Result<Arc<Leaf>, Denial> {
        self.certificates.read(text, trust.now)
    }

    fn prove(&mut self, presented: Presented<'_>, trust: Trust<'_>) -> Result<Arc<Leaf>, Denial> {
        self.certificates.prove(presented, trust.bundles, trust.now)
    }
}
