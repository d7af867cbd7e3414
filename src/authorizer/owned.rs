//! Owned headers: what an upstream may believe, because on every allow they are set here or taken away. And the credentials
//! that end here.

use std::borrow::Cow;

use percent_encoding::AsciiSet;
use percent_encoding::CONTROLS;
use percent_encoding::utf8_percent_encode;
use uuid::Uuid;

use crate::decision::Decision;
use crate::decision::Denial;
use crate::decision::Effects;
use crate::decision::Grant;
use crate::decision::HeaderField;
use crate::decision::Reason;
use crate::decision::header::begins_folded;
use crate::facts::Facts;
use crate::facts::HeaderProblem;
use crate::facts::Http;
use crate::identity;
use crate::policy::Compatibility;
use crate::route::Route;
use crate::route::TxnToken;

use super::Rules;

/// What is encoded in a value: a subject is any text, a header is visible ASCII. `%` too, so that decoding is exact.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'"').add(b',').add(b';');

/// Where a transaction token stands (draft-ietf-oauth-transaction-tokens).
const TXN_TOKEN: &str = "txn-token";

/// Sets the owned headers that have a value and removes the rest, together with everything of the owned prefix that
/// the client sent (in either spelling: servers of the CGI family read `_` as `-`), with a JWT-SVID, and with a transaction
/// token that is not to go on.
///
/// # Errors
/// A value too long for a header: refused rather than cut, since a cut subject is another subject. Several transaction
/// tokens.
pub(super) fn stamp(
    mut grant: Grant,
    facts: &Facts<'_>,
    decision_id: Uuid,
    rules: &Rules,
    route: &Route<'_>,
) -> Result<Decision, Denial> {
    if rules.output.compatibility == Compatibility::OpaEnvoy {
        return Ok(Decision::Allow(grant));
    }
    let (http, effects) = (facts.attributes.http(), &mut grant.effects);
    check_txn_token(http, route.txn_token)?;
    remove_spent(effects, &rules.identity);
    let sets_its_own = effects.headers.iter().any(|field| is_txn_token(field.name()));
    if route.txn_token == TxnToken::Remove || sets_its_own {
        remove_txn_token(effects, http);
    }
    set_owned(effects, facts, decision_id, &rules.output.owned_prefix)?;
    effects.explicit = true;
    Ok(Decision::Allow(grant))
}

/// Sets the owned headers that have a value, and removes the others and what the client sent under the prefix.
fn set_owned(effects: &mut Effects, facts: &Facts<'_>, decision_id: Uuid, prefix: &str) -> Result<(), Denial> {
    let owned = [
        ("caller", facts.caller.map(|caller| Cow::Borrowed(caller.spiffe_id.as_str()))),
        ("user", facts.user.map(|user| encoded(&user.subject))),
        ("issuer", facts.user.map(|user| encoded(&user.issuer))),
        ("decision-id", Some(decision_id.to_string().into())),
    ];
    let mut set = Vec::with_capacity(owned.len());
    for (name, value) in owned {
        let name = format!("{prefix}{name}");
        match value {
            None => effects.headers_to_remove.push(name),
            Some(value) => set.push(HeaderField::new(&name, &value).map_err(|fault| too_long(&name, fault))?),
        }
    }
    for (name, _) in facts.attributes.http().into_iter().flat_map(Http::header_fields) {
        let is_set = set.iter().any(|field| field.name().eq_ignore_ascii_case(name));
        let is_listed = effects.headers_to_remove.iter().any(|listed| listed == name);
        if begins_folded(name, prefix) && !is_set && !is_listed {
            effects.headers_to_remove.push(name.to_owned());
        }
    }
    effects.headers.append(&mut set);
    Ok(())
}

/// Nobody can say which of two transaction tokens the upstream would take, which is of interest in every spelling where they
/// go on.
fn check_txn_token(http: Option<&Http>, mode: TxnToken) -> Result<(), Denial> {
    let spellings = http.into_iter().flat_map(Http::header_fields).filter(|(name, _)| is_txn_token(name));
    if mode == TxnToken::Pass && spellings.count() > 1 {
        return Err(several());
    }
    match http.map_or(Ok(None), |http| http.single_header(TXN_TOKEN)) {
        // No token has a comma: a proxy joined several.
        Ok(Some(value)) if !value.contains(',') => Ok(()),
        Ok(Some(_)) | Err(HeaderProblem::Repeated) => Err(several()),
        Ok(None) | Err(HeaderProblem::NotText) => Ok(()),
    }
}

fn several() -> Denial {
    Denial::new(Reason::TokenRepeated, "several transaction tokens")
}

/// Takes away the header of a JWT-SVID: it was for this place, and what is used up here goes no further, or whoever gets
/// it could be the workload.
fn remove_spent(effects: &mut Effects, config: &identity::Config) {
    if let Some(config) = &config.jwt_svid {
        remove_unless_set(effects, &config.header);
    }
}

/// Takes away the transaction token that came, in every spelling that an upstream may read as its name.
fn remove_txn_token(effects: &mut Effects, http: Option<&Http>) {
    remove_unless_set(effects, TXN_TOKEN);
    for (name, _) in http.into_iter().flat_map(Http::header_fields).filter(|(name, _)| is_txn_token(name)) {
        remove_unless_set(effects, name);
    }
}

/// Whether an upstream may read a name as that of a transaction token.
fn is_txn_token(name: &str) -> bool {
    name.len() == TXN_TOKEN.len() && begins_folded(name, TXN_TOKEN)
}

/// Takes a header away, unless the policy sets it: that value is for the upstream, and stays.
fn remove_unless_set(effects: &mut Effects, header: &str) {
    let is_header = |name: &str| name.eq_ignore_ascii_case(header);
    let is_set = effects.headers.iter().any(|field| is_header(field.name()));
    if !is_set && !effects.headers_to_remove.iter().any(|name| is_header(name)) {
        effects.headers_to_remove.push(header.to_owned());
    }
}

fn encoded(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, ENCODED).into()
}

fn too_long(name: &str, fault: impl std::fmt::Display) -> Denial {
    Denial::new(Reason::TokenTooLarge, format!("`{name}` {fault}"))
}
