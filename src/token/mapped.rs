//! Roles, groups and tenant: claims that no standard names alike, found where an issuer's configuration says.

use serde_json::Map;
use serde_json::Value as Json;

use super::ClaimPointer;
use crate::decision::Denial;
use crate::decision::Reason;

/// Where an issuer's tokens have roles, groups and tenant. Of each list, the first pointer at which something stands
/// counts, and the others are not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimPaths {
    /// A string, or a list of strings.
    pub roles: Vec<ClaimPointer>,
    /// A string, or a list of strings.
    pub groups: Vec<ClaimPointer>,
    /// A string.
    pub tenant: Vec<ClaimPointer>,
}

/// Roles, or groups, of one user. Directories put at most some hundred into a token; each is kept twice with the user.
const MAX_MEMBERS: usize = 1024;

/// The strings that stand at the first of `pointers` at which anything does; none where nothing does.
///
/// A string is one member, not split: names may hold spaces and commas. Anything else there, null too, refuses the token.
/// It is never taken for absent, since a policy may deny because of a group.
pub(super) fn members(
    claims: &Map<String, Json>,
    pointers: &[ClaimPointer],
    what: &str,
) -> Result<Vec<String>, Denial> {
    let Some((pointer, found)) = first(claims, pointers) else { return Ok(Vec::new()) };
    let members = match found {
        Json::String(one) => vec![one.clone()],
        Json::Array(many) if many.len() > MAX_MEMBERS => {
            let detail = format!("`{}` has more than {MAX_MEMBERS} {what}", pointer.as_str());
            return Err(Denial::new(Reason::TokenTooLarge, detail));
        }
        Json::Array(many) => {
            let texts = many.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>();
            texts.ok_or_else(|| invalid(pointer, what))?
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => return Err(invalid(pointer, what)),
    };
    Ok(members)
}

/// The string at the first of `pointers` at which anything stands.
pub(super) fn tenant(claims: &Map<String, Json>, pointers: &[ClaimPointer]) -> Result<Option<String>, Denial> {
    match first(claims, pointers) {
        None => Ok(None),
        Some((_, Json::String(tenant))) => Ok(Some(tenant.clone())),
        Some((pointer, _)) => Err(invalid(pointer, "tenant")),
    }
}

fn first<'c, 'p>(claims: &'c Map<String, Json>, pointers: &'p [ClaimPointer]) -> Option<(&'p ClaimPointer, &'c Json)> {
    pointers.iter().find_map(|pointer| Some((pointer, pointer.find(claims)?)))
}

fn invalid(pointer: &ClaimPointer, what: &str) -> Denial {
    Denial::new(Reason::TokenClaimInvalid, format!("what `{}` points at is no {what}", pointer.as_str()))
}
