//! What must hold between the keys of workload identity.
//!
//! A listener, a check or a token that nothing could ever satisfy is an error here, not a denial later.

use std::iter;

use crate::admin;
use crate::config::Settings;
use crate::config::checks::is_beyond_loopback;
use crate::config::format::Fault;
use crate::config::limits;
use crate::config::walk::Section;
use crate::config::words::Profile;
use crate::decision::header;
use crate::identity;
use crate::identity::wimse;
use crate::identity::xfcc;
use crate::listener::Address;
use crate::listener::Tls;
use crate::spiffe_id::Peers;
use crate::spiffe_id::TrustDomain;
use crate::target::Target;
use crate::trust;
use crate::trust::BundleConfig;

/// The longest name of a header with a JWT-SVID: long enough for any, short enough for a log line.
const MAX_HEADER_BYTES: usize = 64;

/// Headers that hold something else: the user's token, its proof, cookies, what the proxy says of its peer, and a WIMSE proof.
const OTHER_HEADERS: [&str; 6] =
    ["authorization", "cookie", "dpop", xfcc::HEADER, wimse::IDENTITY_TOKEN, wimse::PROOF_TOKEN];

const SOURCES_HINT: &str = "set spiffe.workload_api, or name the trust domains below spiffe.bundles";

/// A trust domain's name, alone or as a SPIFFE ID without a path.
pub(crate) fn trust_domain(text: &str) -> Result<(), Fault> {
    let hint = "write it like `prod.example`";
    TrustDomain::parse(text).map(drop).map_err(|error| Fault::new(error.to_string(), hint))
}

/// One workload, or all of a trust domain.
pub(crate) fn peers(text: &str) -> Result<(), Fault> {
    let hint = "write it like `spiffe://prod.example/gateway`, or `spiffe://prod.example` for the whole trust domain";
    Peers::parse(text).map(drop).map_err(|error| Fault::new(error.to_string(), hint))
}

/// A header that nothing else is read from, in the one spelling that all servers take for the same.
pub(crate) fn jwt_svid_header(text: &str) -> Result<(), Fault> {
    let hint = "write it like `x-spiffe-jwt-svid`";
    header::check_name(text).map_err(|fault| Fault::new(fault.to_string(), hint))?;
    let fault = match text {
        _ if text.len() > MAX_HEADER_BYTES => "is longer than 64 bytes",
        _ if text.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'_') => "has upper case or underscores",
        _ if OTHER_HEADERS.contains(&text) => "is a header that something else is read from",
        _ => return Ok(()),
    };
    Err(Fault::new(fault, hint))
}

/// Where services are reached, as a proof names its target: by HTTP, and in the one spelling that is compared.
pub(crate) fn service_address(text: &str) -> Result<(), Fault> {
    let hint = "write it like `https://orders.example` or `https://orders.example/v1`";
    Target::parse(text).map(drop).map_err(|error| Fault::new(error.to_string(), hint))
}

/// A certificate is of no use without its key, nor a key without its certificate.
pub(crate) fn both_files(section: &mut Section<'_>, certificate: bool, key: bool) {
    match (certificate, key) {
        (true, false) => section.refuse(&["key"], "is missing", "name the file with the certificate's key"),
        (false, true) => section.refuse(&["certificate"], "is missing", "name the file with the key's certificate"),
        (true, true) | (false, false) => {}
    }
}

/// `svid_id` chooses among those that the Workload API gives.
pub(crate) fn own_certificate(section: &mut Section<'_>, workload_api: bool, svid: bool) {
    if section.has("svid_id") && !workload_api {
        let message = "is only looked at with `workload_api`";
        section.refuse(&["svid_id", "workload_api"], message, "add workload_api, or remove it");
    } else if section.has("svid_id") && svid {
        section.warn(
            "svid_id",
            "is of no use: the own certificate comes from the files of `svid`",
            "remove one of the two",
        );
    }
}

/// A bundle comes from somewhere.
pub(crate) fn bundle_source(section: &mut Section<'_>, files: bool, endpoint: bool) {
    if !files && !endpoint {
        let message = "has neither `files` nor `endpoint`: its bundle comes from nowhere";
        section.refuse(&["", "files", "endpoint"], message, "write `files: [PATH]` or `endpoint: https://…`");
    }
}

/// Each profile of an endpoint has keys of its own (SPIFFE Federation §5.2).
pub(crate) fn endpoint_profile(section: &mut Section<'_>, endpoint: bool, profile: Profile) {
    if !endpoint {
        let message = "is only looked at with `endpoint`";
        for key in ["profile", "endpoint_id", "ca_file", "refuse_rollback"] {
            if section.has(key) {
                section.refuse(&[key, "endpoint"], message, "add the endpoint, or remove it");
            }
        }
        return;
    }
    let (foreign, other) = match profile {
        Profile::HttpsWeb => ("endpoint_id", "https_spiffe"),
        Profile::HttpsSpiffe => ("ca_file", "https_web"),
    };
    if section.has(foreign) {
        let message = format!("is only looked at with `profile: {other}`");
        section.refuse(&[foreign, "profile"], message, "remove it, or change `profile`");
    }
    if profile == Profile::HttpsSpiffe && !section.has("endpoint_id") {
        let message = "is missing: `https_spiffe` believes a server by its SPIFFE ID";
        section.refuse(&["endpoint_id", "profile"], message, "add it, as `spiffe://partner.example/spire/server`");
    }
}

/// What holds between bundles; one whose trust domain cannot be read is `None`.
pub(crate) fn bundles(section: &mut Section<'_>, bundles: &[Option<BundleConfig>], workload_api: bool) {
    if bundles.len() > limits::BUNDLES {
        let hint = format!("at most {} are taken", limits::BUNDLES);
        section.refuse(&["bundles"], format!("has {} items", bundles.len()), hint);
        return;
    }
    for (index, bundle) in bundles.iter().enumerate().filter_map(|(index, bundle)| Some((index, bundle.as_ref()?))) {
        let is_same = |other: &Option<BundleConfig>| {
            other.as_ref().is_some_and(|other| other.trust_domain == bundle.trust_domain)
        };
        if let Some(first) = bundles.iter().take(index).position(is_same) {
            let message = format!("is also the trust domain of spiffe.bundles[{first}]");
            section.refuse(&[&format!("bundles[{index}].trust_domain")], message, "make one entry of the two");
        }
    }
    if bundles.iter().all(Option::is_some) {
        servers_can_be_proven(section, bundles, workload_api);
    }
}

/// A server that proves itself by an X509-SVID needs a bundle of its trust domain before the first is fetched from it
/// (SPIFFE Federation §5.2.2).
fn servers_can_be_proven(section: &mut Section<'_>, bundles: &[Option<BundleConfig>], workload_api: bool) {
    for (index, bundle) in bundles.iter().flatten().enumerate() {
        let Some(domain) = server_domain(bundle) else { continue };
        if !is_obtainable(domain, bundles, workload_api) {
            let message =
                format!("could never be proven: there is no bundle of the trust domain `{domain}` to begin with");
            let hint = if domain == bundle.trust_domain.as_str() {
                "name it below `files`"
            } else {
                "add an entry for the server's trust domain, with `files` or `profile: https_web`"
            };
            // Files that cannot be read are told already.
            let mut paths = vec![format!("bundles[{index}].endpoint_id")];
            paths.extend((0..bundles.len()).map(|index| format!("bundles[{index}].files")));
            section.refuse(&paths.iter().map(String::as_str).collect::<Vec<_>>(), message, hint);
        }
    }
}

/// Whether a trust domain's bundle comes from somewhere, in the end. Servers that prove each other in a circle leave none
/// to begin with.
fn is_obtainable(domain: &str, bundles: &[Option<BundleConfig>], workload_api: bool) -> bool {
    let mut domain = domain;
    for _ in 0..=bundles.len() {
        let of_domain = |bundle: &&BundleConfig| bundle.trust_domain.as_str() == domain;
        let Some(bundle) = bundles.iter().flatten().find(of_domain) else { return workload_api };
        match server_domain(bundle) {
            Some(server) if bundle.files.is_empty() => domain = server,
            Some(_) | None => return true,
        }
    }
    false
}

/// The trust domain by whose bundle an endpoint's server is proven.
fn server_domain(bundle: &BundleConfig) -> Option<&str> {
    match &bundle.endpoint.as_ref()?.profile {
        trust::Profile::HttpsSpiffe { id } => Some(id.trust_domain()),
        trust::Profile::HttpsWeb { .. } => None,
    }
}

/// Whom to let in is a question only where it can be proven.
pub(crate) fn peers_without_tls(section: &mut Section<'_>, key: &str, enabled: bool, peers: bool) {
    if peers && !enabled {
        section.warn(key, "is only looked at with `enabled: true`", "turn TLS on, or remove it");
    }
}

/// A name says nothing where no audience turns the header on.
pub(crate) fn header_without_audiences(section: &mut Section<'_>, no_audiences: bool) {
    if no_audiences && section.has("header") {
        section.warn("header", "is only looked at with `audiences`", "say for whom JWT-SVIDs are issued, or remove it");
    }
}

/// Mutual TLS that lets nobody in is a mistake, and so is one that no connection speaks.
pub(crate) fn listener_tls(section: &mut Section<'_>, checks: &[Address], tls: Option<&Tls>) {
    let Some(tls) = tls else { return };
    if tls.allowed.is_empty() {
        let message = "is empty: no proxy could connect";
        let hint = "name the proxies' SPIFFE IDs, or `spiffe://TRUST_DOMAIN` for all of one";
        section.refuse(&["tls.allowed_proxies", "tls.enabled"], message, hint);
    }
    if !checks.iter().any(|address| matches!(address, Address::Tcp(_))) {
        let message = "is of no use: `checks` has Unix sockets alone, which their files' permissions guard";
        section.warn("tls.enabled", message, "remove it, or listen on an IP address");
    }
}

/// The private port shows how the authorizer is set up: beyond loopback for those alone who prove who they are.
pub(crate) fn private_port(section: &mut Section<'_>, config: &admin::Config, accepted: bool) {
    let key = "insecure_plaintext_beyond_loopback";
    let message = format!("`{}` can be reached from other machines, in plaintext", config.private);
    match &config.tls {
        Some(tls) => {
            if accepted {
                section.warn(key, "is of no use: with `tls.enabled` nothing is answered in plaintext", "remove it");
            }
            if tls.allowed.is_empty() {
                nobody_may_use_it(section, config);
            }
        }
        None if !is_open(config) => {}
        None if accepted => section.warn(key, message, "see that nobody else reaches it"),
        None => {
            let hint = "listen on loopback, where a port-forward reaches it; or turn `tls` on and name its \
                        allowed_clients; or set insecure_plaintext_beyond_loopback: true";
            section.refuse(&["private", "tls.enabled", key], message, hint);
        }
    }
}

/// On loopback that may be meant: the probes' port has its TLS.
fn nobody_may_use_it(section: &mut Section<'_>, config: &admin::Config) {
    let path = "tls.allowed_clients";
    let message = format!("is empty: nobody could use `private`, `{}`", config.private);
    let hint = "name the SPIFFE IDs of who may, or `spiffe://TRUST_DOMAIN` for all of one";
    if is_beyond_loopback(&Address::Tcp(config.private)) {
        section.refuse(&[path, "tls.enabled", "private"], message, hint);
    } else {
        section.warn(path, message, hint);
    }
}

/// Whether other machines may use the private port without proving who they are.
pub(crate) fn is_open(config: &admin::Config) -> bool {
    config.tls.is_none() && is_beyond_loopback(&Address::Tcp(config.private))
}

/// Verifying a certificate takes a certificate; those in `x-forwarded-client-cert` are off with the others.
pub(crate) fn certificates_arrive(section: &mut Section<'_>, config: &identity::Config) {
    if config.verify_peer_certificate && !config.certificate {
        let message = "has no certificate to verify: `certificate` is off, and with it those in the header";
        let hint = "set certificate to true, and include_peer_certificate in the proxy";
        section.refuse(&["verify_peer_certificate", "certificate"], message, hint);
    }
}

/// What holds between sections.
pub(crate) fn across_sections(root: &mut Section<'_>, settings: &Settings) {
    for TlsFault { path, message, others, hint } in faults_of_tls(settings) {
        let paths: Vec<&str> = iter::once(path.as_str()).chain(others.iter().copied()).collect();
        root.refuse(&paths, message, hint);
    }
    evidence_can_be_proven(root, settings);
    headers_do_not_meet(root, settings);
}

/// TLS that no handshake could ever come through.
pub(crate) struct TlsFault {
    pub(crate) path: String,
    pub(crate) message: String,
    /// What else has a say in it.
    others: &'static [&'static str],
    hint: &'static str,
}

/// Why TLS that is on could not work.
pub(crate) fn faults_of_tls(settings: &Settings) -> Vec<TlsFault> {
    let Settings { listeners, admin, spiffe, .. } = settings;
    let sides = [("listeners.tls", "allowed_proxies", &listeners.tls), ("admin.tls", "allowed_clients", &admin.tls)];
    let sides = || sides.into_iter().filter_map(|(path, key, tls)| Some((path, key, tls.as_ref()?)));
    let without_certificate = sides().filter(|_| !spiffe.has_svid()).map(|(path, _, _)| TlsFault {
        path: format!("{path}.enabled"),
        message: "needs a certificate of its own, and none is configured".to_owned(),
        others: &["spiffe.workload_api"],
        hint: "set spiffe.workload_api, or spiffe.svid",
    });
    let unproven = sides().flat_map(|(path, key, tls)| {
        let unproven =
            tls.allowed.iter().enumerate().filter_map(|(index, peers)| Some((index, unproven(peers, spiffe)?)));
        unproven.map(move |(index, domain)| TlsFault {
            path: format!("{path}.{key}[{index}]"),
            message: format!("could never be proven: there is no bundle of the trust domain `{domain}`"),
            others: &["spiffe.workload_api", "spiffe.bundles"],
            hint: "add it below spiffe.bundles, or set spiffe.workload_api",
        })
    });
    without_certificate.chain(unproven).collect()
}

/// The trust domain of peers who could never prove who they are. Which bundles the Workload API brings is not known here.
fn unproven<'p>(peers: &'p Peers, spiffe: &trust::Config) -> Option<&'p str> {
    let domain = match peers {
        Peers::Workload(id) => id.trust_domain(),
        Peers::Domain(domain) => domain.as_str(),
    };
    let is_configured = spiffe.bundles.iter().any(|bundle| bundle.trust_domain.as_str() == domain);
    (spiffe.workload_api.is_none() && !is_configured).then_some(domain)
}

fn evidence_can_be_proven(root: &mut Section<'_>, settings: &Settings) {
    let Settings { caller, spiffe, .. } = settings;
    if !spiffe.bundles.is_empty() {
        return;
    }
    if spiffe.workload_api.is_some() {
        if caller.wimse.is_some() {
            let message = "can never be proven: the Workload API gives no keys of Workload-Identity-Tokens";
            let hint = "name the trust domains below spiffe.bundles, with `files` or `endpoint`";
            root.refuse(&["caller.wimse.audiences", "spiffe.bundles"], message, hint);
        }
        return;
    }
    for (path, on) in [
        ("caller.verify_peer_certificate", caller.verify_peer_certificate),
        ("caller.jwt_svid.audiences", caller.jwt_svid.is_some()),
        ("caller.wimse.audiences", caller.wimse.is_some()),
    ] {
        if on {
            let message = "could never be proven: no trust domain's bundle is configured";
            root.refuse(&[path, "spiffe.workload_api", "spiffe.bundles"], message, SOURCES_HINT);
        }
    }
}

/// Headers of the owned prefix are taken from every request, so nothing is read from them.
fn headers_do_not_meet(root: &mut Section<'_>, settings: &Settings) {
    let prefix = &settings.routes.owned_header_prefix;
    let Some(jwt_svid) = &settings.caller.jwt_svid else { return };
    if header::begins_folded(&jwt_svid.header, prefix) {
        let message = format!("begins like Countersign's own headers, `{prefix}`, which no client may send");
        root.refuse(&["caller.jwt_svid.header", "routes.owned_header_prefix"], message, "choose another name");
    }
}
