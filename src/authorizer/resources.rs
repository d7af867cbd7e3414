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
    /// The document that a request asks for, or what a browser asks about it. It is public, so nobody has to prove anything
    /// for it; a host that can be read in two ways has none.
    pub(super) fn document(&self, http: &Http) -> Option<Document> {
        let path = path(http);
        if self.resources.is_empty() || !path.starts_with(WELL_KNOWN) {
            return None;
        }
        let asked = Asked::by(http)?;
        let document = self.resources.document(&input::host(http)?, path)?;
        Some(match asked {
            Asked::Document => document.clone(),
            Asked::Preflight => Document::Preflight,
        })
    }

    /// What a challenge to a request says, as far as it was read.
    pub fn challenge(&self, attributes: Option<&Attributes>) -> Words<'_> {
        let http = attributes.and_then(Attributes::http).filter(|_| !self.resources.is_empty());
        let resource = http.and_then(|http| self.resources.resource(&input::host(http)?, path(http)));
        self.routes.challenge.words(resource.map(ProtectedResource::address))
    }
}

/// What a request at a document's place is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Document,
    Preflight,
}

impl Asked {
    /// By its method and, of a CORS preflight (Fetch, "CORS-preflight request"), its two headers. A browser says each of them
    /// once; of anything else it is not known what it asks.
    fn by(http: &Http) -> Option<Self> {
        let reads = |method: &str| matches!(method, "GET" | "HEAD");
        let one = |name| http.single_header(name).ok().flatten();
        match http.method.as_str() {
            method if reads(method) => Some(Self::Document),
            "OPTIONS" if one("origin").is_some() && one("access-control-request-method").is_some_and(reads) => {
                Some(Self::Preflight)
            }
            _ => None,
        }
    }
}

/// The path as sent.
fn path(http: &Http) -> &str {
    http.path.split('?').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::RawHeader;

    type Headers = &'static [(&'static str, &'static [u8])];

    #[test]
    fn a_preflight_asks_once_for_a_request_that_reads() {
        const ORIGIN: (&str, &[u8]) = ("origin", b"https://app.example");
        const METHOD: &str = "access-control-request-method";
        let cases: [(&str, Headers, Option<Asked>); 14] = [
            ("GET", &[], Some(Asked::Document)),
            ("HEAD", &[ORIGIN], Some(Asked::Document)),
            ("OPTIONS", &[ORIGIN, (METHOD, b"GET")], Some(Asked::Preflight)),
            ("OPTIONS", &[("origin", b"null"), (METHOD, b"HEAD")], Some(Asked::Preflight)),
            ("OPTIONS", &[("Origin", b"a"), ("Access-Control-Request-Method", b"GET")], Some(Asked::Preflight)),
            ("OPTIONS", &[], None),
            ("OPTIONS", &[ORIGIN], None),
            ("OPTIONS", &[(METHOD, b"GET")], None),
            ("OPTIONS", &[ORIGIN, (METHOD, b"POST")], None),
            ("OPTIONS", &[ORIGIN, (METHOD, b"get")], None),
            ("OPTIONS", &[ORIGIN, (METHOD, b"GET"), (METHOD, b"POST")], None),
            ("OPTIONS", &[ORIGIN, ORIGIN, (METHOD, b"GET")], None),
            ("options", &[ORIGIN, (METHOD, b"GET")], None),
            ("POST", &[ORIGIN, (METHOD, b"GET")], None),
        ];
        for (method, headers, asked) in cases {
            let header = |(name, value): &(&str, &[u8])| RawHeader {
                key: (*name).to_owned(),
                raw_value: value.to_vec(),
                ..RawHeader::default()
            };
            let header_map = Some(headers.iter().map(header).collect());
            let http = Http { method: method.to_owned(), header_map, ..Http::default() };
            assert_eq!(Asked::by(&http), asked, "{method} {:?}", http.header_map);
        }
    }
}
