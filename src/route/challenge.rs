//! What every challenge says beside its error: where the service is, what it asks for, and where to read on.

use crate::decision::Quotable;

/// `routes.challenge` of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// The protection space (RFC 9110 §11.5); [`REALM`] where there is none.
    pub realm: Option<Quotable>,
    /// The scope that a token needs (RFC 6750 §3), where a policy does not name another.
    pub scope: Option<Quotable>,
    /// The address of the resource's metadata (RFC 9728 §5.1), in place of the protected resource's own.
    pub resource_metadata: Option<Quotable>,
}

/// The realm unless another is configured.
pub const REALM: &str = "countersign";

/// The same for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words<'a> {
    /// `realm`.
    pub realm: &'a str,
    /// `scope`.
    pub scope: Option<&'a Quotable>,
    /// `resource_metadata`.
    pub resource_metadata: Option<&'a Quotable>,
}

impl Challenge {
    /// The words for a request to a resource whose metadata is at this address.
    pub fn words<'a>(&'a self, metadata: Option<&'a Quotable>) -> Words<'a> {
        Words {
            realm: self.realm.as_ref().map_or(REALM, Quotable::as_str),
            scope: self.scope.as_ref(),
            resource_metadata: self.resource_metadata.as_ref().or(metadata),
        }
    }
}

impl Default for Words<'_> {
    fn default() -> Self {
        Self { realm: REALM, scope: None, resource_metadata: None }
    }
}
