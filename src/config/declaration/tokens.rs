//! The keys of users' tokens beyond where an issuer's own keys are: introspection and proof of possession.

use std::time::Duration;

use crate::config::checks::tokens as rules;
use crate::config::checks::workloads::service_address;
use crate::config::format::boolean;
use crate::config::format::choice;
use crate::config::format::duration::duration;
use crate::config::format::files::file;
use crate::config::format::list;
use crate::config::format::network::https_url;
use crate::config::format::text;
use crate::config::limits;
use crate::config::walk::Section;
use crate::config::words;
use crate::token::AskedTokens;
use crate::token::DpopConfig;
use crate::token::IntrospectionConfig;

/// What `dpop.max_age` is by default, as it is written below.
pub(crate) const PROOF_AGE: Duration = Duration::from_mins(1);

/// DPoP; `None` where it is off.
pub(crate) fn dpop(section: &mut Section<'_>) -> Option<DpopConfig> {
    let target = text("service's address").checked(service_address);
    let config = DpopConfig {
        targets: section.get("targets", list(target).at_most(limits::AUDIENCES), "[]"),
        max_age: section.get("max_age", duration(limits::PROOF_AGE), "1m"),
        nonce: section.get("nonce", boolean(), "false"),
        nonce_secret_file: section.optional("nonce_secret_file", file("secret's file"), "a key of each process's own"),
        nonce_secret: None,
    };
    rules::dpop(section, &config);
    (!config.targets.is_empty()).then_some(config)
}

/// How an issuer is asked about tokens; `None`: it is not.
pub(crate) fn introspection(section: &mut Section<'_>) -> Option<IntrospectionConfig> {
    let url = section.optional("url", https_url(), "none");
    let client_id = section.optional("client_id", text("client"), "none");
    let secret = section.optional("client_secret_file", file("text file"), "none");
    let ca_file = section.optional("ca_file", file("PEM file"), "the system's authorities");
    let cache = section.get("cache", duration(limits::INTROSPECTION_CACHE), "30s");
    let tokens = section.get("tokens", choice(words::ASKED_TOKENS, AskedTokens::Opaque), "opaque");
    rules::introspection(section, [url.is_some(), client_id.is_some(), secret.is_some()]);
    Some(IntrospectionConfig {
        url: url?,
        client_id: client_id.unwrap_or_default(),
        client_secret_file: secret.unwrap_or_default(),
        ca_file,
        cache,
        tokens,
    })
}
