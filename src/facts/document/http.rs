//! The normalised request, `input.http`.

use std::borrow::Cow;

use serde::Serialize;
use serde::Serializer;
use serde::ser::SerializeMap;

use super::Pairs;
use super::Sequence;
use crate::facts::Http;
use crate::facts::HttpView;

/// `input.http`: the normalised request. Header names are lower case, values always a list.
pub(super) struct RequestHttp<'a> {
    pub(super) view: &'a HttpView,
    pub(super) http: &'a Http,
    pub(super) query: &'a [(String, Vec<String>)],
}

impl Serialize for RequestHttp<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let HttpView { host, path, path_raw, segments } = self.view;
        let mut map = serializer.serialize_map(Some(8))?;
        map.serialize_entry("method", &self.http.method)?;
        map.serialize_entry("scheme", &self.http.scheme)?;
        map.serialize_entry("host", host)?;
        map.serialize_entry("path", path)?;
        map.serialize_entry("path_raw", path_raw)?;
        map.serialize_entry("segments", segments)?;
        map.serialize_entry("query", &Pairs(self.query))?;
        map.serialize_entry("headers", &HeaderLists(self.http))?;
        map.end()
    }
}

struct HeaderLists<'a>(&'a Http);

impl Serialize for HeaderLists<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Sorted with a stable order of values, so that repeated headers become one list without a hash map.
        let mut fields: Vec<_> = self.0.header_fields().map(|(name, value)| (lower_case(name), value)).collect();
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut map = serializer.serialize_map(Some(fields.len()))?;
        for group in fields.chunk_by(|(a, _), (b, _)| a == b) {
            if let Some((name, _)) = group.first() {
                map.serialize_entry(name, &Sequence(|| group.iter().map(|(_, value)| String::from_utf8_lossy(value))))?;
            }
        }
        map.end()
    }
}

fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}
