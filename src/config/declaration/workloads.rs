//! The keys of workload identity: own certificate, trust domains, who may connect, and which evidence of workloads counts.

use crate::config::checks;
use crate::config::checks::workloads as rules;
use crate::config::format::boolean;
use crate::config::format::choice;
use crate::config::format::files::file;
use crate::config::format::list;
use crate::config::format::network::https_url;
use crate::config::format::network::workload_api;
use crate::config::format::text;
use crate::config::limits;
use crate::config::walk::Section;
use crate::config::words;
use crate::config::words::Profile;
use crate::identity::JwtSvidConfig;
use crate::identity::WimseConfig;
use crate::listener::Tls;
use crate::spiffe_id::Peers;
use crate::spiffe_id::SpiffeId;
use crate::spiffe_id::TrustDomain;
use crate::trust;
use crate::trust::BundleConfig;
use crate::trust::CertificateFiles;
use crate::trust::Endpoint;

/// What `caller.jwt_svid.header` is by default.
pub(crate) const JWT_SVID_HEADER: &str = "x-spiffe-jwt-svid";

/// Where own identity and trust come from.
pub(crate) fn spiffe(section: &mut Section<'_>) -> trust::Config {
    let workload_api = section.optional("workload_api", workload_api(), "none");
    let svid_id = spiffe_id(section, "svid_id", "the first");
    let svid = section.section("svid", svid);
    let bundles = section.sections("bundles", bundle);
    rules::own_certificate(section, workload_api.is_some(), svid.is_some());
    rules::bundles(section, &bundles, workload_api.is_some());
    trust::Config { workload_api, svid_id, svid, bundles: bundles.into_iter().flatten().collect() }
}

fn svid(section: &mut Section<'_>) -> Option<CertificateFiles> {
    let certificate = section.optional("certificate", file("PEM file"), "none");
    let key = section.optional("key", file("PEM file"), "none");
    rules::both_files(section, certificate.is_some(), key.is_some());
    (certificate.is_some() || key.is_some())
        .then(|| CertificateFiles { certificate: certificate.unwrap_or_default(), key: key.unwrap_or_default() })
}

/// `None` where the trust domain cannot be read.
fn bundle(section: &mut Section<'_>) -> Option<BundleConfig> {
    let trust_domain = section.required("trust_domain", text("trust domain").checked(rules::trust_domain));
    let files = section.get("files", list(file("PEM or JSON file")).at_most(limits::BUNDLE_FILES), "[]");
    let url = section.optional("endpoint", https_url(), "none");
    let profile = section.get("profile", choice(words::PROFILE, Profile::HttpsWeb), "https_web");
    let id = spiffe_id(section, "endpoint_id", "none");
    let ca_file = section.optional("ca_file", file("PEM file"), "the system's authorities");
    let refuse_rollback = section.get("refuse_rollback", boolean(), "false");
    let optional = section.get("optional", boolean(), "false");
    rules::bundle_source(section, !files.is_empty(), url.is_some());
    rules::endpoint_profile(section, url.is_some(), profile);
    let profile = match profile {
        Profile::HttpsWeb => Some(trust::Profile::HttpsWeb { ca_file }),
        Profile::HttpsSpiffe => id.map(|id| trust::Profile::HttpsSpiffe { id }),
    };
    let endpoint = url.zip(profile).map(|(url, profile)| Endpoint { url, profile, refuse_rollback });
    let trust_domain = TrustDomain::parse(&trust_domain).ok()?;
    Some(BundleConfig { trust_domain, files, endpoint, optional })
}

fn spiffe_id(section: &mut Section<'_>, key: &'static str, absent: &'static str) -> Option<SpiffeId> {
    let written = section.optional(key, text("SPIFFE ID").checked(checks::spiffe_id), absent);
    written.and_then(|text| SpiffeId::parse(&text).ok())
}

/// TLS with the own certificate, and whom the list under `key` lets in; `None` where it is off.
pub(crate) fn tls(section: &mut Section<'_>, key: &'static str) -> Option<Tls> {
    let enabled = section.get("enabled", boolean(), "false");
    let peer = text("SPIFFE ID, or `spiffe://TRUST_DOMAIN`").checked(rules::peers);
    let allowed = section.get(key, list(peer).at_most(limits::PEERS), "[]");
    rules::peers_without_tls(section, key, enabled, !allowed.is_empty());
    enabled.then(|| Tls { allowed: allowed.iter().filter_map(|peers| Peers::parse(peers).ok()).collect() })
}

/// A JWT-SVID as evidence; `None` where it is off.
pub(crate) fn jwt_svid(section: &mut Section<'_>) -> Option<JwtSvidConfig> {
    let header = text("header name").checked(rules::jwt_svid_header);
    let header = section.get("header", header, JWT_SVID_HEADER);
    let audiences = section.get("audiences", list(text("audience")).at_most(limits::AUDIENCES), "[]");
    rules::header_without_audiences(section, audiences.is_empty());
    (!audiences.is_empty()).then_some(JwtSvidConfig { header, audiences })
}

/// A Workload-Identity-Token with its proof as evidence; `None` where it is off.
pub(crate) fn wimse(section: &mut Section<'_>) -> Option<WimseConfig> {
    let audience = text("service's address").checked(rules::service_address);
    let audiences = section.get("audiences", list(audience).at_most(limits::AUDIENCES), "[]");
    (!audiences.is_empty()).then_some(WimseConfig { audiences })
}
