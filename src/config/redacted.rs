//! The settings in the configuration's own format: what `/config` shows, and what a configuration can be made of again.
//!
//! Every struct is taken apart whole, so that a new field that is not shown does not compile.

mod answers;
mod workloads;

use std::collections::BTreeMap;

use serde_json::Value as Json;
use serde_json::json;

use crate::admin;
use crate::config::Settings;
use crate::config::Telemetry;
use crate::config::checks;
use crate::config::declaration::tokens::PROOF_AGE;
use crate::config::format::duration;
use crate::config::format::network;
use crate::config::words;
use crate::config::words::Xfcc;
use crate::config::words::word;
use crate::decision_log;
use crate::identity;
use crate::identity::XfccMode;
use crate::input;
use crate::jose::Algorithm;
use crate::listener;
use crate::policy;
use crate::route;
use crate::route::Possession;
use crate::route::Requirement;
use crate::route::TokenMode;
use crate::route::TxnToken;
use crate::token;
use crate::token::ClaimPaths;
use crate::token::ClaimPointer;
use crate::token::DpopConfig;
use crate::token::IntrospectionConfig;
use crate::token::IssuerConfig;
use crate::token::KeySource;

pub(crate) fn settings(settings: &Settings) -> Json {
    let Settings {
        compatibility,
        listeners,
        admin,
        caller,
        spiffe,
        token,
        revocations,
        input,
        policy,
        routes,
        resources,
        decision_log,
        telemetry,
    } = settings;
    let token::Config { issuers, dpop } = token;
    let Telemetry { log_level } = telemetry;
    json!({
        "compatibility": word(words::COMPATIBILITY, compatibility),
        "listeners": show_listeners(listeners),
        "admin": show_admin(admin),
        "spiffe": workloads::spiffe(spiffe),
        "caller": show_caller(caller),
        "issuers": issuers.iter().map(show_issuer).collect::<Vec<_>>(),
        "revocations": revocations,
        "dpop": show_dpop(dpop.as_ref()),
        "policy": show_policy(policy, *input),
        "routes": show_routes(routes),
        "protected_resources": resources.all().iter().map(answers::resource).collect::<Vec<_>>(),
        "decision_log": show_decision_log(decision_log),
        "telemetry": {"log_level": word(words::LOG_LEVEL, log_level)},
    })
}

fn show_listeners(config: &listener::Config) -> Json {
    let listener::Config {
        checks,
        tls,
        reflection,
        workers,
        max_message_bytes,
        max_connections,
        max_concurrent_streams,
        max_connection_age,
        drain_delay,
    } = config;
    json!({
        "checks": checks.iter().map(network::print).collect::<Vec<_>>(),
        // It was set, or the settings would not be there.
        "insecure_plaintext_beyond_loopback": tls.is_none() && checks.iter().any(checks::is_beyond_loopback),
        "tls": workloads::tls(tls.as_ref(), "allowed_proxies"),
        "reflection": reflection,
        "workers": workers,
        "max_message_bytes": max_message_bytes,
        "max_connections": max_connections,
        "max_concurrent_streams": max_concurrent_streams,
        "max_connection_age": duration::print(*max_connection_age),
        "drain_delay": duration::print(*drain_delay),
    })
}

fn show_admin(config: &admin::Config) -> Json {
    let admin::Config { probes, private, tls } = config;
    json!({
        "probes": probes,
        "private": private,
        "tls": workloads::tls(tls.as_ref(), "allowed_clients"),
        // As above.
        "insecure_plaintext_beyond_loopback": checks::workloads::is_open(config),
    })
}

fn show_caller(config: &identity::Config) -> Json {
    let identity::Config { principal, certificate, xfcc, verify_peer_certificate, jwt_svid, wimse } = config;
    let (xfcc, by) = match xfcc {
        XfccMode::Off => (Xfcc::Off, None),
        XfccMode::SanitizeSet => (Xfcc::SanitizeSet, None),
        XfccMode::AppendForward { by } => (Xfcc::AppendForward, by.as_ref()),
    };
    let xfcc = word(words::XFCC, &xfcc);
    without_nulls(json!({
        "principal": principal,
        "certificate": certificate,
        "xfcc": xfcc,
        "xfcc_by": by,
        "verify_peer_certificate": verify_peer_certificate,
        "jwt_svid": workloads::jwt_svid(jwt_svid.as_ref()),
        "wimse": workloads::wimse(wimse.as_ref()),
    }))
}

fn show_issuer(config: &IssuerConfig) -> Json {
    let IssuerConfig {
        issuer,
        keys,
        introspection,
        algorithms,
        audiences,
        required_claims,
        claims,
        token_types,
        leeway,
        refresh_interval,
        refresh_cooldown,
        max_stale,
        optional,
        workload_subjects,
        proof_of_possession,
        actor,
    } = config;
    without_nulls(json!({
        "issuer": issuer,
        "keys": show_keys(keys),
        "introspection": introspection.as_ref().map(show_introspection),
        "algorithms": Some(algorithms).filter(|all| !all.is_empty()).map(|all| names_of(all)),
        "audiences": audiences,
        "required_claims": required_claims.iter().cloned().collect::<BTreeMap<_, _>>(),
        "claims": show_claim_paths(claims),
        "token_types": Some(token_types).filter(|types| !types.is_empty()),
        "leeway": duration::print(*leeway),
        "refresh_interval": duration::print(*refresh_interval),
        "refresh_cooldown": duration::print(*refresh_cooldown),
        "max_stale": duration::print(*max_stale),
        "optional": optional,
        "workload_subjects": workload_subjects,
        "proof_of_possession": word(Possession::NAMES, proof_of_possession),
        "actor": word(words::ACTOR, actor),
    }))
}

fn names_of(algorithms: &[Algorithm]) -> Vec<&'static str> {
    algorithms.iter().copied().map(Algorithm::name).collect()
}

fn show_introspection(config: &IntrospectionConfig) -> Json {
    let IntrospectionConfig { url, client_id, client_secret_file, ca_file, cache, tokens } = config;
    without_nulls(json!({
        "url": without_query(url),
        "client_id": client_id,
        "client_secret_file": client_secret_file,
        "ca_file": ca_file,
        "cache": duration::print(*cache),
        "tokens": word(words::ASKED_TOKENS, tokens),
    }))
}

fn show_dpop(config: Option<&DpopConfig>) -> Json {
    let off = DpopConfig {
        targets: Vec::new(),
        max_age: PROOF_AGE,
        nonce: false,
        nonce_secret_file: None,
        nonce_secret: None,
    };
    // Where the secret stands, and never what it is.
    let DpopConfig { targets, max_age, nonce, nonce_secret_file, nonce_secret: _ } = config.unwrap_or(&off);
    without_nulls(json!({
        "targets": targets,
        "max_age": duration::print(*max_age),
        "nonce": nonce,
        "nonce_secret_file": nonce_secret_file,
    }))
}

fn show_claim_paths(paths: &ClaimPaths) -> Json {
    let ClaimPaths { roles, groups, tenant } = paths;
    let texts = |pointers: &[ClaimPointer]| pointers.iter().map(|pointer| json!(pointer.as_str())).collect::<Json>();
    json!({"roles": texts(roles), "groups": texts(groups), "tenant": texts(tenant)})
}

fn show_keys(keys: &KeySource) -> Json {
    without_nulls(match keys {
        KeySource::File(path) => json!({"file": path}),
        KeySource::Url { url, ca_file } => json!({"url": without_query(url), "ca_file": ca_file}),
        KeySource::Discovery { ca_file } => json!({"discovery": true, "ca_file": ca_file}),
        KeySource::OauthMetadata { ca_file } => json!({"oauth_metadata": true, "ca_file": ca_file}),
        KeySource::Nowhere => Json::Null,
    })
}

fn show_policy(config: &policy::Config, input: input::Config) -> Json {
    let policy::Config { paths, entry_point, rego_version, builtin_errors, time_limit } = config;
    // `normalise` follows from the mode.
    let input::Config { normalise: _, parse_body } = input;
    json!({
        "paths": paths,
        "path": entry_point,
        "rego_version": word(words::REGO_VERSION, rego_version),
        "builtin_errors": word(words::BUILTIN_ERRORS, builtin_errors),
        "time_limit": duration::print(*time_limit),
        "parse_body": parse_body,
    })
}

fn show_routes(defaults: &route::Defaults) -> Json {
    // The path is the policy's.
    let route::Defaults {
        caller,
        token,
        txn_token,
        path: _,
        owned_header_prefix,
        reason_in_body,
        problem_details,
        challenge,
    } = defaults;
    json!({
        "caller": word(Requirement::NAMES, caller),
        "token": word(TokenMode::NAMES, token),
        "txn_token": word(TxnToken::NAMES, txn_token),
        "owned_header_prefix": owned_header_prefix,
        "reason_in_body": reason_in_body,
        "problem_details": problem_details,
        "challenge": answers::challenge(challenge),
    })
}

fn show_decision_log(config: &decision_log::Config) -> Json {
    let decision_log::Config { enabled, include_input, mask, queue, required } = config;
    json!({
        "enabled": enabled,
        "include_input": include_input,
        "mask": mask,
        "queue": queue,
        "required": required,
    })
}

/// An address without what may be a secret in it.
fn without_query(url: &str) -> String {
    url.split_once('?').map_or_else(|| url.to_owned(), |(address, _)| format!("{address}?[redacted]"))
}

/// Keys that were not set are not shown.
fn without_nulls(mut shown: Json) -> Json {
    if let Json::Object(members) = &mut shown {
        members.retain(|_, value| !value.is_null());
    }
    shown
}
