//! The part that is proven: caller, user and delegation.

use serde::Serialize;
use serde::Serializer;
use serde::ser::SerializeMap;

use super::Populated;
use super::Sequence;
use crate::facts::Actor;
use crate::facts::Caller;
use crate::facts::Delegation;
use crate::facts::User;
use crate::hex;

pub(super) struct CallerView<'a>(pub(super) &'a Caller);

impl Serialize for CallerView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Caller { spiffe_id, proof, certificate } = self.0;
        let mut map = serializer.serialize_map(Some(7))?;
        map.serialize_entry("spiffe_id", spiffe_id.as_str())?;
        map.serialize_entry("trust_domain", spiffe_id.trust_domain())?;
        map.serialize_entry("path", spiffe_id.path())?;
        map.serialize_entry("segments", &Sequence(|| spiffe_id.segments()))?;
        let kubernetes =
            spiffe_id.kubernetes().map(|(namespace, account)| [("namespace", namespace), ("service_account", account)]);
        map.serialize_entry("kubernetes", &kubernetes.as_ref().map(|pairs| Populated(pairs)))?;
        map.serialize_entry("proof", proof.name())?;
        let certificate = certificate
            .as_ref()
            .map(|facts| (hex::lower(&facts.sha256), facts.serial.as_str(), facts.not_after.to_string()));
        let certificate = certificate.as_ref().map(|(sha256, serial, not_after)| {
            [("sha256", sha256.as_str()), ("serial", serial), ("not_after", not_after)]
        });
        map.serialize_entry("certificate", &certificate.as_ref().map(|pairs| Populated(pairs)))?;
        map.end()
    }
}

/// `input.user`.
#[derive(Debug)]
pub struct UserView<'a>(pub &'a User);

impl Serialize for UserView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let User {
            issuer,
            subject,
            audience,
            client_id,
            scopes,
            roles,
            groups,
            tenant,
            token_type,
            issued_at,
            expires_at,
            claims,
            delegation: _,
            rendered: _,
        } = self.0;
        let mut map = serializer.serialize_map(Some(12))?;
        map.serialize_entry("issuer", issuer)?;
        map.serialize_entry("subject", subject)?;
        map.serialize_entry("audience", audience)?;
        map.serialize_entry("client_id", client_id)?;
        map.serialize_entry("scopes", scopes)?;
        map.serialize_entry("roles", roles)?;
        map.serialize_entry("groups", groups)?;
        map.serialize_entry("tenant", tenant)?;
        map.serialize_entry("token_type", token_type)?;
        map.serialize_entry("issued_at", issued_at)?;
        map.serialize_entry("expires_at", expires_at)?;
        map.serialize_entry("claims", claims)?;
        map.end()
    }
}

pub(super) struct DelegationView<'a>(pub(super) &'a Delegation);

impl Serialize for DelegationView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Delegation { actors, may_act } = self.0;
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("actors", &Sequence(|| actors.iter().map(ActorView)))?;
        map.serialize_entry("depth", &actors.len())?;
        map.serialize_entry("may_act", &may_act.as_ref().map(ActorView))?;
        map.end()
    }
}

struct ActorView<'a>(&'a Actor);

impl Serialize for ActorView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("subject", &self.0.subject)?;
        map.serialize_entry("issuer", &self.0.issuer)?;
        map.end()
    }
}
