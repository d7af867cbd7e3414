//! Requests for the tests of this stage.

use crate::facts::Attributes;
use crate::facts::Http;
use crate::facts::Peer;
use crate::facts::RawHeader;
use crate::facts::Request;

use super::xfcc;

/// A request with this evidence. One XFCC value stands in the merged header map, several in the raw one.
pub(super) fn request(principal: &str, certificate: &str, xfcc: &[&str]) -> Attributes {
    let http = match xfcc {
        [] => Http::default(),
        [value] => Http { headers: vec![(xfcc::HEADER.to_owned(), (*value).to_owned())], ..Http::default() },
        values => Http { header_map: Some(values.iter().copied().map(raw_header).collect()), ..Http::default() },
    };
    let peer = Peer { principal: principal.to_owned(), certificate: certificate.to_owned(), ..Peer::default() };
    Attributes {
        source: Some(peer),
        request: Some(Request { http: Some(http), ..Request::default() }),
        ..Attributes::default()
    }
}

fn raw_header(value: &str) -> RawHeader {
    RawHeader {
        key: "X-Forwarded-Client-Cert".to_owned(),
        raw_value: value.as_bytes().to_vec(),
        ..RawHeader::default()
    }
}
