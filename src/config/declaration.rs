//! The format: every key, how it is read, and what it is by default. What each is for says [`crate::config::about`].

pub(crate) mod answers;
pub(crate) mod tokens;
pub(crate) mod workloads;

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use tracing::level_filters::LevelFilter;

use crate::admin;
use crate::config::Settings;
use crate::config::Telemetry;
use crate::config::checks;
use crate::config::format::boolean;
use crate::config::format::choice;
use crate::config::format::claims::Claims;
use crate::config::format::claims::claim_pointer;
use crate::config::format::duration::duration;
use crate::config::format::files::file;
use crate::config::format::files::file_or_folder;
use crate::config::format::integer;
use crate::config::format::list;
use crate::config::format::network::address;
use crate::config::format::network::https_url;
use crate::config::format::network::issuer;
use crate::config::format::network::socket;
use crate::config::format::some;
use crate::config::format::text;
use crate::config::limits;
use crate::config::walk::Section;
use crate::config::words;
use crate::config::words::Xfcc;
use crate::decision_log;
use crate::identity;
use crate::identity::XfccMode;
use crate::input;
use crate::listener;
use crate::policy;
use crate::policy::BuiltinErrors;
use crate::policy::Compatibility;
use crate::policy::RegoVersion;
use crate::route;
use crate::route::Possession;
use crate::route::Requirement;
use crate::route::Resources;
use crate::route::TokenMode;
use crate::route::TxnToken;
use crate::token;
use crate::token::ActorRule;
use crate::token::ClaimPaths;
use crate::token::IssuerConfig;
use crate::token::KeySource;

/// The whole document.
pub(crate) fn settings(root: &mut Section<'_>) -> Settings {
    let mode = root.get("compatibility", choice(words::COMPATIBILITY, Compatibility::Strict), "strict");
    let revocations = root.get("revocations", list(file("JSON file")).at_most(limits::REVOCATION_FILES), "[]");
    let listeners = root.section("listeners", listeners);
    let admin = root.section("admin", admin);
    let spiffe = root.section("spiffe", workloads::spiffe);
    let caller = root.section("caller", |section| caller(section, mode));
    let issuers = root.sections("issuers", one_issuer);
    let dpop = root.section("dpop", tokens::dpop);
    let (policy, input) = root.section("policy", |section| (policy(section, mode), input(section, mode)));
    let routes = root.section("routes", |section| routes(section, mode, &policy));
    let resources = root.sections("protected_resources", answers::resource);
    checks::answers::across_sections(root, &resources, &issuers);
    let resources = Resources::new(resources.into_iter().flatten().collect());
    let decision_log = root.section("decision_log", decision_log);
    let telemetry = root.section("telemetry", telemetry);
    let token = token::Config { issuers, dpop };
    let settings = Settings {
        compatibility: mode,
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
    };
    checks::across_sections(root, &settings);
    settings
}

fn listeners(section: &mut Section<'_>) -> listener::Config {
    let config = listener::Config {
        checks: section.get("checks", some(address()), "['127.0.0.1:9191']"),
        tls: section.section("tls", |section| workloads::tls(section, "allowed_proxies")),
        reflection: section.get("reflection", boolean(), "false"),
        workers: workers(section),
        max_message_bytes: section.get("max_message_bytes", integer(limits::MESSAGE_BYTES), "16777216"),
        max_connections: section.get("max_connections", integer(limits::CONNECTIONS), "1024"),
        max_concurrent_streams: section.get("max_concurrent_streams", integer(limits::STREAMS), "1024"),
        max_connection_age: section.get("max_connection_age", duration(limits::CONNECTION_AGE), "30m"),
        drain_delay: section.get("drain_delay", duration(limits::DRAIN_DELAY), "5s"),
    };
    let accepted = section.get("insecure_plaintext_beyond_loopback", boolean(), "false");
    checks::plaintext(section, &config.checks, config.tls.is_some(), accepted);
    checks::workloads::listener_tls(section, &config.checks, config.tls.as_ref());
    config
}

fn workers(section: &mut Section<'_>) -> NonZeroUsize {
    let written = section.optional("workers", integer(limits::WORKERS), "the number of cores");
    written.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

fn admin(section: &mut Section<'_>) -> admin::Config {
    let config = admin::Config {
        probes: section.get("probes", socket(), "0.0.0.0:8282"),
        private: section.get("private", socket(), "127.0.0.1:8283"),
        tls: section.section("tls", |section| workloads::tls(section, "allowed_clients")),
    };
    let accepted = section.get("insecure_plaintext_beyond_loopback", boolean(), "false");
    checks::workloads::private_port(section, &config, accepted);
    config
}

fn caller(section: &mut Section<'_>, mode: Compatibility) -> identity::Config {
    let principal = section.get("principal", boolean(), pick(mode, "true", "false"));
    let certificate = section.get("certificate", boolean(), pick(mode, "true", "false"));
    let xfcc = section.get("xfcc", choice(words::XFCC, Xfcc::Off), "off");
    let by = section.optional("xfcc_by", text("SPIFFE ID").checked(checks::spiffe_id), "any");
    checks::xfcc(section, xfcc, by.as_deref(), principal || certificate);
    let xfcc = match xfcc {
        Xfcc::Off => XfccMode::Off,
        Xfcc::SanitizeSet => XfccMode::SanitizeSet,
        Xfcc::AppendForward => XfccMode::AppendForward { by },
    };
    let config = identity::Config {
        principal,
        certificate,
        xfcc,
        verify_peer_certificate: section.get("verify_peer_certificate", boolean(), "false"),
        jwt_svid: section.section("jwt_svid", workloads::jwt_svid),
        wimse: section.section("wimse", workloads::wimse),
    };
    checks::workloads::certificates_arrive(section, &config);
    config
}

fn one_issuer(section: &mut Section<'_>) -> IssuerConfig {
    let issuer = section.required("issuer", issuer());
    let introspection = section.section("introspection", tokens::introspection);
    // Where `introspection` itself is wrong, that is told, and not that keys are missing.
    let is_keyless = section.has("introspection") && !section.has("keys");
    let keys = section.section("keys", |section| keys(section, is_keyless));
    let algorithms = section.optional("algorithms", some(words::algorithm()), "none");
    checks::tokens::algorithms(section, &keys, algorithms.as_deref());
    let config = IssuerConfig {
        issuer,
        keys,
        introspection,
        algorithms: algorithms.unwrap_or_default(),
        audiences: section.required("audiences", some(text("audience"))),
        required_claims: section.get("required_claims", Claims, "{}"),
        claims: section.section("claims", claim_paths),
        token_types: section.optional("token_types", some(text("type")), "JWT, at+jwt or none").unwrap_or_default(),
        leeway: section.get("leeway", duration(limits::LEEWAY), "30s"),
        refresh_interval: section.get("refresh_interval", duration(limits::REFRESH_INTERVAL), "5m"),
        refresh_cooldown: section.get("refresh_cooldown", duration(limits::REFRESH_COOLDOWN), "10s"),
        max_stale: section.get("max_stale", duration(limits::MAX_STALE), "24h"),
        optional: section.get("optional", boolean(), "false"),
        workload_subjects: section.get("workload_subjects", boolean(), "false"),
        proof_of_possession: section.get(
            "proof_of_possession",
            choice(Possession::NAMES, Possession::Optional),
            "optional",
        ),
        actor: section.get("actor", choice(words::ACTOR, ActorRule::Any), "any"),
    };
    checks::issuer_times(section, &config);
    config
}

fn claim_paths(section: &mut Section<'_>) -> ClaimPaths {
    let mut pointers = |key| section.get(key, list(claim_pointer()).at_most(limits::CLAIM_POINTERS), "[]");
    ClaimPaths { roles: pointers("roles"), groups: pointers("groups"), tenant: pointers("tenant") }
}

fn keys(section: &mut Section<'_>, is_keyless: bool) -> KeySource {
    let file_path = section.optional("file", file("JWKS file"), "none");
    let url = section.optional("url", https_url(), "none");
    let discovery = section.get("discovery", boolean(), "false");
    let oauth_metadata = section.get("oauth_metadata", boolean(), "false");
    let ca_file = section.optional("ca_file", file("PEM file"), "the system's authorities");
    if is_keyless {
        return KeySource::Nowhere;
    }
    checks::one_key_source(section, [file_path.is_some(), url.is_some(), discovery, oauth_metadata], ca_file.is_some());
    match (file_path, url) {
        (Some(path), _) => KeySource::File(path),
        (None, Some(url)) => KeySource::Url { url, ca_file },
        (None, None) if oauth_metadata => KeySource::OauthMetadata { ca_file },
        (None, None) => KeySource::Discovery { ca_file },
    }
}

fn policy(section: &mut Section<'_>, mode: Compatibility) -> policy::Config {
    let errors = pick(mode, "deny", "undefined");
    policy::Config {
        paths: section.required("paths", some(file_or_folder())),
        entry_point: section.get("path", text("rule as slash path").checked(checks::entry_point), "envoy/authz/allow"),
        rego_version: section.get("rego_version", choice(words::REGO_VERSION, RegoVersion::V1), "v1"),
        builtin_errors: section.get("builtin_errors", choice(words::BUILTIN_ERRORS, BuiltinErrors::Deny), errors),
        time_limit: section.get("time_limit", duration(limits::TIME_LIMIT), "20ms"),
    }
}

fn input(section: &mut Section<'_>, mode: Compatibility) -> input::Config {
    input::Config { normalise: mode == Compatibility::Strict, parse_body: section.get("parse_body", boolean(), "true") }
}

fn routes(section: &mut Section<'_>, mode: Compatibility, policy: &policy::Config) -> route::Defaults {
    let caller = choice(Requirement::NAMES, Requirement::Required);
    let token = choice(TokenMode::NAMES, TokenMode::Required);
    let txn_token = choice(TxnToken::NAMES, TxnToken::Remove);
    let prefix = text("header name's beginning").checked(checks::owned_prefix);
    route::Defaults {
        caller: section.get("caller", caller, pick(mode, "required", "optional")),
        token: section.get("token", token, pick(mode, "required", "off")),
        txn_token: section.get("txn_token", txn_token, pick(mode, "remove", "pass")),
        path: policy.entry_point.clone(),
        owned_header_prefix: section.get("owned_header_prefix", prefix, "x-countersign-"),
        reason_in_body: section.get("reason_in_body", boolean(), "false"),
        problem_details: section.get("problem_details", boolean(), "false"),
        challenge: section.section("challenge", answers::challenge),
    }
}

fn decision_log(section: &mut Section<'_>) -> decision_log::Config {
    let config = decision_log::Config {
        enabled: section.get("enabled", boolean(), "true"),
        include_input: section.get("include_input", boolean(), "false"),
        mask: section.get("mask", list(text("JSON pointer").checked(checks::json_pointer)), "[]"),
        queue: section.get("queue", integer(limits::LOG_QUEUE), "8192"),
        required: section.get("required", boolean(), "false"),
    };
    checks::required_records(section, &config);
    config
}

fn telemetry(section: &mut Section<'_>) -> Telemetry {
    Telemetry { log_level: section.get("log_level", choice(words::LOG_LEVEL, LevelFilter::INFO), "info") }
}

/// A default that depends on the mode.
const fn pick(mode: Compatibility, strict: &'static str, opa_envoy: &'static str) -> &'static str {
    match mode {
        Compatibility::Strict => strict,
        Compatibility::OpaEnvoy => opa_envoy,
    }
}
