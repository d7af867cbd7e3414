//! The keys of users' tokens beyond an issuer's own: proof of possession.

use std::time::Duration;

use crate::config::checks::tokens as rules;
use crate::config::checks::workloads::service_address;
use crate::config::format::boolean;
use crate::config::format::duration::duration;
use crate::config::format::files::file;
use crate::config::format::list;
use crate::config::format::text;
use crate::config::limits;
use crate::config::walk::Section;
use crate::token::DpopConfig;

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
