//! Protected resources in a request: their documents, and what a challenge says of them.

use crate::decision::Document;
use crate::facts::Attributes;
use crate::facts::Http;
use crate::input;
use crate::route::ProtectedResource;
use crate::route::WELL_KNOWN;
use crate::route::Words;

use super::Rules;

impl Rules {
    /// The document that a request asks for. It is public, so nobody has to prove anything for it; a host that can be read
    /// in two ways has none.
    pub(super) fn document(&self, http: &Http) -> Option<Document> {
        let path = path(http);
        if self.resources.is_empty() || !matches!(http.method.as_str(), "GET" | "HEAD") || !path.starts_with(WELL_KNOWN)
        {
            return None;
        }
        self.resources.document(&input::host(http)?, path).cloned()
    }

    /// What a challenge to a request says, as far as it was read.
    pub fn challenge(&self, attributes: Option<&Attributes>) -> Words<'_> {
        let http = attributes.and_then(Attributes::http).filter(|_| !self.resources.is_empty());
        let resource = http.and_then(|http| self.resources.resource(&input::host(http)?, path(http)));
        self.routes.challenge.words(resource.map(ProtectedResource::address))
    }
}

/// The path as sent.
fn path(http: &Http) -> &str {
    http.path.split('?').next().unwrap_or_default()
}
