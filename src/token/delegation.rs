//! Who acts for the user: the chain of `act`, and `may_act` (RFC 8693 §4.1 and §4.4).

use serde_json::Map;
use serde_json::Value as Json;

use super::ActorRule;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Actor;
use crate::facts::Caller;
use crate::facts::Delegation;
use crate::facts::User;
use crate::jose::shown;

/// Chains in use have two or three links; each link is another party that could have lied.
const MAX_ACTORS: usize = 8;

/// The chain, outermost first, and who may act next. `subject` and `issuer` are the token's own.
pub(super) fn read(claims: &Map<String, Json>, subject: &str, issuer: &str) -> Result<Option<Delegation>, Denial> {
    let mut actors: Vec<Actor> = Vec::new();
    let mut next = claims.get("act");
    while let Some(act) = next {
        if actors.len() == MAX_ACTORS {
            return Err(denied(format!("`act` is nested more than {MAX_ACTORS} deep")));
        }
        let members = act.as_object().ok_or_else(|| bad("act", "is no object"))?;
        actors.push(actor("act", members)?);
        next = members.get("act");
    }
    refuse_circles(&actors, (subject, issuer))?;
    let may_act = match claims.get("may_act") {
        None => None,
        Some(may_act) => Some(actor("may_act", may_act.as_object().ok_or_else(|| bad("may_act", "is no object"))?)?),
    };
    Ok((!actors.is_empty() || may_act.is_some()).then_some(Delegation { actors, may_act }))
}

/// Checks a token's actors against the caller.
pub(super) fn check(user: &User, rule: ActorRule, caller: Option<&Caller>) -> Result<(), Denial> {
    if rule == ActorRule::Any {
        return Ok(());
    }
    let Some(caller) = caller else {
        return Err(Denial::new(Reason::TokenActor, "there is no caller who could be the actor"));
    };
    let is_caller = |actor: &Actor| actor.subject == caller.spiffe_id.as_str();
    let delegation = user.delegation.as_ref();
    // Of the chain the outermost acts, the others are history (§4.1). Where there is one it decides: `may_act` is then for
    // who comes next.
    if let Some(current) = delegation.and_then(|delegation| delegation.actors.first()) {
        let detail = || format!("the actor is `{}`, which is not the caller", shown(&current.subject));
        return if is_caller(current) { Ok(()) } else { Err(Denial::new(Reason::TokenActor, detail())) };
    }
    match delegation.and_then(|delegation| delegation.may_act.as_ref()) {
        Some(eligible) if !is_caller(eligible) => {
            let detail = format!("`may_act` is `{}`, which is not the caller", shown(&eligible.subject));
            Err(Denial::new(Reason::TokenMayAct, detail))
        }
        Some(_) | None => Ok(()),
    }
}

/// Nobody stands in a chain twice, nor acts for themselves: a chain that comes back says nothing of who handed what to whom.
/// Who is named without an issuer is the token's issuer's.
fn refuse_circles(actors: &[Actor], user: (&str, &str)) -> Result<(), Denial> {
    let mut known = vec![user];
    for Actor { subject, issuer } in actors {
        let party = (subject.as_str(), issuer.as_deref().unwrap_or(user.1));
        if known.contains(&party) {
            return Err(denied(format!("`{}` stands in the chain of `act` twice", shown(subject))));
        }
        known.push(party);
    }
    Ok(())
}

fn actor(claim: &str, members: &Map<String, Json>) -> Result<Actor, Denial> {
    let subject = members.get("sub").and_then(Json::as_str).filter(|subject| !subject.is_empty());
    let issuer = match members.get("iss") {
        None => None,
        Some(issuer) => Some(issuer.as_str().ok_or_else(|| bad(claim, "has an `iss` that is no string"))?.to_owned()),
    };
    Ok(Actor { subject: subject.ok_or_else(|| bad(claim, "has no `sub`"))?.to_owned(), issuer })
}

fn bad(claim: &str, why: &str) -> Denial {
    denied(format!("a `{claim}` {why}"))
}

fn denied(detail: String) -> Denial {
    Denial::new(Reason::TokenDelegation, detail)
}
