//! What must hold between keys, and the grammar of single values that the vocabulary defines.

pub(crate) mod answers;
pub(crate) mod tokens;
pub(crate) mod workloads;

use std::iter;

use crate::admin;
use crate::config::Settings;
use crate::config::format::Fault;
use crate::config::format::duration;
use crate::config::format::network;
use crate::config::walk::Section;
use crate::config::words::Xfcc;
use crate::decision::header;
use crate::decision_log;
use crate::identity;
use crate::identity::XfccMode;
use crate::listener::Address;
use crate::route;
use crate::route::Requirement;
use crate::route::TokenMode;
use crate::spiffe_id::SpiffeId;
use crate::token::IssuerConfig;

/// The longest prefix of owned headers: long enough for any name, short enough for a header with something behind it.
const MAX_PREFIX_BYTES: usize = 64;

/// A workload's SPIFFE ID.
pub(crate) fn spiffe_id(text: &str) -> Result<(), Fault> {
    let hint = "write it like `spiffe://prod.example/gateway`";
    SpiffeId::parse(text).map(drop).map_err(|error| Fault::new(error.to_string(), hint))
}

/// A rule as a slash path.
pub(crate) fn entry_point(text: &str) -> Result<(), Fault> {
    let hint = "write it like `envoy/authz/allow`";
    route::check_path(text).map_err(|fault| Fault::new(fault.to_string(), hint))
}

/// How owned headers begin: a header name in lower case that ends in a dash, so that it owns whole words.
pub(crate) fn owned_prefix(text: &str) -> Result<(), Fault> {
    let hint = "write it like `x-countersign-`";
    header::check_name(text).map_err(|fault| Fault::new(fault.to_string(), hint))?;
    let fault = match text {
        _ if text.len() > MAX_PREFIX_BYTES => "is longer than 64 bytes",
        _ if text.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'_') => "has upper case or underscores",
        _ if !text.ends_with('-') => "does not end in a dash",
        _ => return Ok(()),
    };
    Err(Fault::new(fault, hint))
}

/// What is not written cannot be required.
pub(crate) fn required_records(section: &mut Section<'_>, config: &decision_log::Config) {
    if config.required && !config.enabled {
        let message = "requires records, but none are written";
        section.refuse(&["required", "enabled"], message, "set enabled: true, or required: false");
    }
}

/// A pointer into a record (RFC 6901) that the mask understands.
pub(crate) fn json_pointer(text: &str) -> Result<(), Fault> {
    decision_log::Mask::check(text).map_err(|fault| Fault::new(fault.message, fault.hint))
}

/// Without TLS checks are answered beyond loopback only where that is said aloud.
pub(crate) fn plaintext(section: &mut Section<'_>, checks: &[Address], tls: bool, accepted: bool) {
    let key = "insecure_plaintext_beyond_loopback";
    if tls {
        if accepted {
            section.warn(
                key,
                "is of no use: with `tls.enabled` no other machine is answered in plaintext",
                "remove it",
            );
        }
        return;
    }
    let open: Vec<_> = checks.iter().filter(|address| is_beyond_loopback(address)).map(network::print).collect();
    let Some(first) = open.first() else { return };
    let message = format!("`{first}` can be reached from other machines, in plaintext");
    if accepted {
        section.warn(key, message, "see that nothing but the proxy reaches it");
    } else {
        let hint = "listen on loopback or on a Unix socket, or turn `tls` on, or set \
                    insecure_plaintext_beyond_loopback: true";
        section.refuse(&["checks", "tls.enabled", key], message, hint);
    }
}

/// Whether other machines may reach an address.
pub(crate) fn is_beyond_loopback(address: &Address) -> bool {
    matches!(address, Address::Tcp(address) if !address.ip().is_loopback())
}

/// `append_forward` needs something beside the header: a client can write the whole of it (docs/threats.md, A4).
pub(crate) fn xfcc(section: &mut Section<'_>, xfcc: Xfcc, by: Option<&str>, has_other_evidence: bool) {
    if by.is_some() && xfcc != Xfcc::AppendForward {
        let message = "is only looked at with `xfcc: append_forward`";
        section.refuse(&["xfcc_by", "xfcc"], message, "remove it, or change `xfcc`");
    }
    if xfcc == Xfcc::AppendForward && !has_other_evidence {
        let message = "`append_forward` alone proves nothing: a client can write into the header";
        section.refuse(&["xfcc", "principal", "certificate"], message, "set principal or certificate to true");
    }
}

/// Exactly one source of keys; authorities are only for those that are fetched.
pub(crate) fn one_key_source(
    section: &mut Section<'_>,
    [file, url, discovery, oauth_metadata]: [bool; 4],
    ca_file: bool,
) {
    let hint = "write one of `file: PATH`, `url: https://…`, `discovery: true` and `oauth_metadata: true`, or, for an issuer \
                that is asked about each token, `introspection` and no `keys`";
    let given = [file, url, discovery, oauth_metadata].into_iter().filter(|given| *given).count();
    if given != 1 {
        let how_many = if given == 0 { "no" } else { "more than one" };
        section.refuse(&["", "discovery", "oauth_metadata"], format!("names {how_many} source of keys"), hint);
    } else if file && ca_file {
        section.refuse(&["ca_file"], "is of no use to a file", "remove it");
    }
}

/// Keys must be fetched again before they are too old to use; tokens count in whole seconds (RFC 7519 §2).
pub(crate) fn issuer_times(section: &mut Section<'_>, issuer: &IssuerConfig) {
    if issuer.max_stale < issuer.refresh_interval {
        let message = format!("is shorter than refresh_interval, {}", duration::print(issuer.refresh_interval));
        section.refuse(&["max_stale", "refresh_interval"], message, "let keys serve for longer");
    }
    if issuer.leeway.subsec_nanos() != 0 {
        section.refuse(&["leeway"], "is no whole number of seconds", "write it in seconds, as `30s`");
    }
}

/// What holds between sections.
pub(crate) fn across_sections(root: &mut Section<'_>, settings: &Settings) {
    let Settings { listeners, admin, caller, token, routes, .. } = settings;
    ports_differ(root, &listeners.checks, admin);
    issuers_differ(root, &token.issuers);
    tokens_can_be_verified(root, routes.token, &token.issuers);
    callers_can_be_proven(root, routes.caller, caller);
    tokens::across_sections(root, settings);
    workloads::across_sections(root, settings);
}

fn ports_differ(root: &mut Section<'_>, checks: &[Address], admin: &admin::Config) {
    let admin::Config { probes, private, tls: _ } = *admin;
    let named = |(index, address): (usize, &Address)| (format!("listeners.checks[{index}]"), address.clone());
    let mut all: Vec<(String, Address)> = checks.iter().enumerate().map(named).collect();
    all.push(("admin.probes".to_owned(), Address::Tcp(probes)));
    all.push(("admin.private".to_owned(), Address::Tcp(private)));
    // Port 0 is a new one each time.
    all.retain(|(_, address)| !matches!(address, Address::Tcp(address) if address.port() == 0));
    for (index, (path, address)) in all.iter().enumerate() {
        if let Some((first, _)) = all.iter().take(index).find(|(_, other)| other == address) {
            let message = format!("`{}` is also the address of {first}", network::print(address));
            root.refuse(&[path, first], message, "choose another port");
        }
    }
}

fn issuers_differ(root: &mut Section<'_>, issuers: &[IssuerConfig]) {
    for (index, issuer) in issuers.iter().enumerate().filter(|(_, issuer)| !issuer.issuer.is_empty()) {
        if let Some(first) = issuers.iter().take(index).position(|other| other.issuer == issuer.issuer) {
            let message = format!("is also the issuer of issuers[{first}]");
            root.refuse(&[&format!("issuers[{index}].issuer")], message, "make one entry of the two");
        }
    }
}

fn tokens_can_be_verified(root: &mut Section<'_>, token: TokenMode, issuers: &[IssuerConfig]) {
    match token {
        TokenMode::Required | TokenMode::Optional if issuers.is_empty() => {
            let message = "asks for tokens, but no issuer is configured whose tokens could be believed";
            root.refuse(
                &["routes.token", "issuers"],
                message,
                "add an issuer below `issuers`, or set routes.token: off",
            );
        }
        TokenMode::Off if !issuers.is_empty() && !root.has("routes.token") => {
            let message = "is off in opa-envoy mode, so the issuers' tokens are not looked at";
            root.warn("routes.token", message, "set it to required, optional or off");
        }
        TokenMode::Required | TokenMode::Optional | TokenMode::Off => {}
    }
}

fn callers_can_be_proven(root: &mut Section<'_>, required: Requirement, caller: &identity::Config) {
    if required == Requirement::Required && !looks_for_callers(caller) {
        let message = "is `required`, but no evidence of a caller is looked at";
        let keys = ["principal", "certificate", "xfcc", "jwt_svid.audiences", "wimse.audiences"];
        let keys = keys.map(|key| format!("caller.{key}"));
        let paths: Vec<&str> = iter::once("routes.caller").chain(keys.iter().map(String::as_str)).collect();
        root.refuse(&paths, message, "turn something on below `caller`, or set routes.caller: optional");
    }
}

/// Whether any evidence of a caller is looked at.
pub(crate) fn looks_for_callers(caller: &identity::Config) -> bool {
    let identity::Config { principal, certificate, xfcc, verify_peer_certificate: _, jwt_svid, wimse } = caller;
    *principal || *certificate || *xfcc != XfccMode::Off || jwt_svid.is_some() || wimse.is_some()
}
