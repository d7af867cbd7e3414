//! Who calls: the workload behind the request, proven by what the adjacent proxy says of its TLS peer.
//!
//! Up to three kinds of evidence reach here: `source.principal`, `source.certificate` and the
//! `x-forwarded-client-cert` header ([`xfcc`]). A source that is configured off is ignored entirely. All that are on
//! and present must name one workload: a request whose evidence disagrees is refused, never settled by precedence.

mod certificate_cache;
pub mod xfcc;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Attributes;
use crate::facts::Caller;
use crate::facts::CertificateFacts;
use crate::facts::Peer;
use crate::facts::Proof;
use crate::spiffe_id::SpiffeId;
use crate::trust::Bundles;
use crate::trust::certificate::Leaf;

use certificate_cache::CertificateCache;
use xfcc::Element;
use xfcc::San;

/// Which evidence of the caller is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whether `source.principal` is evidence. Envoy puts a DNS SAN there where the certificate has no URI SAN, so it
    /// is worth as much as the proxy's authorities, who must sign no DNS name that reads `spiffe://…`.
    pub principal: bool,
    /// Whether a forwarded leaf certificate is evidence: `source.certificate`, and `Cert` in the header.
    pub certificate: bool,
    /// Whether and how the `x-forwarded-client-cert` header is evidence.
    pub xfcc: XfccMode,
    /// Whether the forwarded leaf must chain to the bundle of its own trust domain. A caller by a mutual-TLS peer's
    /// evidence then needs a certificate.
    pub verify_peer_certificate: bool,
    /// Whether and where a JWT-SVID is evidence.
    pub jwt_svid: Option<JwtSvidConfig>,
    /// Whether a Workload-Identity-Token with its proof is evidence.
    pub wimse: Option<WimseConfig>,
}

/// A JWT-SVID as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtSvidConfig {
    /// The header that holds it, alone, in lower case.
    pub header: String,
    /// `aud` must name one of these exactly.
    pub audiences: Vec<String>,
}

/// A Workload-Identity-Token with a Workload-Proof-Token as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WimseConfig {
    /// What a proof's `aud` may begin with: scheme, host and port of the services behind the proxy, and a path's beginning.
    pub audiences: Vec<String>,
}

/// How the adjacent proxy treats `x-forwarded-client-cert`, and so what the header is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum XfccMode {
    /// The header is ignored: a client may have written it.
    Off,
    /// The proxy replaces the header (`SANITIZE_SET`): its one element is evidence by itself. What Envoy leaves
    /// unescaped is caught as far as the text shows it; a URI SAN with a semicolon in it does not show, unless the
    /// principal or the certificate stands beside it.
    SanitizeSet,
    /// The proxy appends to the header (`APPEND_FORWARD`): its last element is believed only beside a principal or
    /// certificate that agrees. Envoy does not escape SANs, so a client's certificate can write a last element whole,
    /// its `By` included.
    AppendForward {
        /// The only SPIFFE ID that the last element's `By` may have, where set.
        by: Option<String>,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            principal: true,
            certificate: true,
            xfcc: XfccMode::Off,
            verify_peer_certificate: false,
            jwt_svid: None,
            wimse: None,
        }
    }
}

/// Finds the caller of one request after another. One for each worker, since it caches certificates without a lock.
#[derive(Debug)]
pub struct Resolver {
    config: Config,
    certificates: CertificateCache,
}

impl Resolver {
    /// A resolver with an empty cache.
    pub fn new(config: Config) -> Self {
        Self { config, certificates: CertificateCache::new() }
    }

    /// The calling workload; `None` where no evidence names one.
    ///
    /// # Errors
    /// A [`Denial`] where a piece of evidence is malformed, expired or untrustworthy, or two of them disagree.
    pub fn resolve(
        &mut self,
        attributes: &Attributes,
        _trust: &Bundles,
        now: UnixTime,
    ) -> Result<Option<Caller>, Denial> {
        let source = attributes.source.as_ref();
        let text = |on: bool, field: fn(&Peer) -> &str| source.map(field).filter(|text| on && !text.is_empty());
        let principal = text(self.config.principal, |peer| &peer.principal);
        let leaf = text(self.config.certificate, |peer| &peer.certificate);
        let element = self.trusted_element(attributes, principal.is_some() || leaf.is_some())?;

        // From the strongest proof to the weakest: the first names the caller, the others must name the same.
        let mut caller = leaf.map(|text| self.read_leaf(text, now)).transpose()?.map(Caller::from);
        if let Some(text) = principal {
            caller = Some(agree(caller, Proof::Principal, text)?);
        }
        let Some(element) = element else { return Ok(caller) };
        let caller = agree_with_uri(caller, element.uri)?;
        caller.map(|caller| self.corroborate(caller, &element, leaf, now)).transpose()
    }

    /// The header's element that the proxy wrote, where the header is looked at and there.
    fn trusted_element<'a>(
        &self,
        attributes: &'a Attributes,
        has_other_evidence: bool,
    ) -> Result<Option<Element<'a>>, Denial> {
        if self.config.xfcc == XfccMode::Off {
            return Ok(None);
        }
        let values = attributes.http().into_iter().flat_map(|http| http.header_values(xfcc::HEADER));
        let Some(header) = xfcc::parse(values).map_err(|error| Denial::new(error.reason(), error.to_string()))? else {
            return Ok(None);
        };
        match &self.config.xfcc {
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

    /// Holds the header's `Cert` and `Hash` against the caller found so far.
    ///
    /// `Cert` must agree wherever it stands. It adds its facts only under `SANITIZE_SET`, where no client can have
    /// written it; it never names a caller by itself, as an element without `URI` names nobody.
    fn corroborate(
        &mut self,
        caller: Caller,
        element: &Element<'_>,
        leaf: Option<&str>,
        now: UnixTime,
    ) -> Result<Caller, Denial> {
        let second = element.certificate.filter(|text| self.config.certificate && leaf != Some(text));
        let second = second.map(|text| self.read_leaf(text, now)).transpose()?;
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
        let trusted = second.filter(|_| self.config.xfcc == XfccMode::SanitizeSet).map(|leaf| leaf.facts);
        Ok(Caller { certificate: caller.certificate.or(trusted), ..caller })
    }

    fn read_leaf(&mut self, text: &str, now: UnixTime) -> Result<Leaf, Denial> {
        self.certificates.read(text, now).map_err(|error| Denial::new(error.reason(), error.to_string()))
    }
}

impl From<Leaf> for Caller {
    fn from(leaf: Leaf) -> Self {
        Self { spiffe_id: leaf.spiffe_id, proof: Proof::PeerCertificate, certificate: Some(leaf.facts) }
    }
}

/// The caller, unchanged where `text` names the same workload, or by `text` where there is none yet.
fn agree(caller: Option<Caller>, proof: Proof, text: &str) -> Result<Caller, Denial> {
    match caller {
        // The common case needs no second parse: equal bytes are an equal ID.
        Some(caller) if caller.spiffe_id.as_str() == text => Ok(caller),
        Some(caller) => {
            spiffe_id(proof, text)?;
            Err(conflict(proof.name(), text, &caller))
        }
        None => Ok(Caller { spiffe_id: spiffe_id(proof, text)?, proof, certificate: None }),
    }
}

/// As [`agree`], for the header's element.
fn agree_with_uri(caller: Option<Caller>, uri: San<'_>) -> Result<Option<Caller>, Denial> {
    match (uri, caller) {
        (San::Several, _) => Err(Denial::new(Reason::CallerXfccUri, "the element has several URIs that differ")),
        // Envoy writes `URI=` for a certificate without a URI SAN. A principal beside it is a DNS SAN that looks like
        // a SPIFFE ID.
        (San::One(""), Some(caller)) => Err(conflict("the header's `URI`", "", &caller)),
        (San::One(""), None) => Ok(None),
        (San::Absent, caller) => Ok(caller),
        (San::One(text), caller) => agree(caller, Proof::ForwardedClientCert, text).map(Some),
    }
}

fn spiffe_id(proof: Proof, text: &str) -> Result<SpiffeId, Denial> {
    let reason = match proof {
        Proof::Principal => Reason::CallerPrincipalInvalid,
        Proof::ForwardedClientCert => Reason::CallerXfccUri,
        Proof::PeerCertificate | Proof::VerifiedCertificate | Proof::JwtSvid | Proof::WorkloadProof => {
            Reason::CallerCertificateProfile
        }
    };
    SpiffeId::parse(text).map_err(|error| Denial::new(reason, format!("`{}` {error}", excerpt(text))))
}

fn conflict(source: &str, text: &str, caller: &Caller) -> Denial {
    let (found, known) = (excerpt(text), excerpt(caller.spiffe_id.as_str()));
    let detail = format!("{source} names `{found}`, {} names `{known}`", caller.proof.name());
    Denial::new(Reason::CallerConflict, detail)
}

/// As much of a hostile text as belongs in a log.
fn excerpt(text: &str) -> String {
    /// Enough to recognise a name by; a SPIFFE ID may have 2048 bytes.
    const MAX_CHARS: usize = 64;
    text.escape_debug().take(MAX_CHARS).collect()
}
