//! The request as the proxy describes it, free of protobuf.

use serde_json::Value as Json;

/// `envoy.service.auth.v3.AttributeContext` as plain values. Absent messages are `None`, unset scalars their zero value.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    /// The `CheckRequest` had no attributes at all: everything below is empty, and the document has no such key.
    pub absent: bool,
    /// The peer that connected to the proxy.
    pub source: Option<Peer>,
    /// The peer that the request is for: the proxy's own side.
    pub destination: Option<Peer>,
    /// The request itself.
    pub request: Option<Request>,
    /// The route's own words to the authorizer (trusted: from the proxy's configuration).
    pub context_extensions: Vec<(String, String)>,
    /// Dynamic metadata, in the shape the document shows it.
    pub metadata_context: Option<Json>,
    /// Route metadata, in the shape the document shows it.
    pub route_metadata_context: Option<Json>,
    /// Server name of the downstream TLS session; `None` where the message is absent.
    pub tls_session_sni: Option<String>,
}

/// One end of the downstream connection.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// Network address.
    pub address: Option<Address>,
    /// From `x-envoy-downstream-service-cluster`: client-supplied, never evidence.
    pub service: String,
    /// Labels, where the proxy has them.
    pub labels: Vec<(String, String)>,
    /// First URI SAN, else first DNS SAN, else the subject of the peer's certificate; empty without mTLS.
    pub principal: String,
    /// The peer's leaf certificate as URL-encoded PEM, where the proxy is told to send it.
    pub certificate: String,
}

/// A network address.
#[derive(Debug, Clone)]
pub enum Address {
    /// TCP with nothing but an address and a port: nearly every request.
    Socket {
        /// The IP address.
        address: String,
        /// The port; `None` where the `port_value` oneof is unset.
        port: Option<u32>,
    },
    /// Anything rarer (pipes, internal listeners, named ports), in the shape the document shows it.
    Other(Json),
}

/// The request's time and its HTTP part.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// When the proxy saw the first byte: seconds and nanoseconds since the epoch.
    pub time: Option<(i64, i32)>,
    /// The HTTP part.
    pub http: Option<Http>,
}

/// The HTTP request as forwarded.
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// The proxy's id for the stream.
    pub id: String,
    /// The method.
    pub method: String,
    /// One entry a name, repeated headers joined with a comma; empty where the proxy sends `header_map` instead.
    pub headers: Vec<(String, String)>,
    /// Each header for itself, as `encode_raw_headers` sends them; `None` where the message is absent.
    pub header_map: Option<Vec<RawHeader>>,
    /// Raw `:path`: path and query, not decoded.
    pub path: String,
    /// `:authority`.
    pub host: String,
    /// `:scheme`.
    pub scheme: String,
    /// Always empty from Envoy; verbatim all the same.
    pub query: String,
    /// Always empty from Envoy; verbatim all the same.
    pub fragment: String,
    /// Body size in bytes, -1 where unknown.
    pub size: i64,
    /// `HTTP/1.1`, `HTTP/2` and so on.
    pub protocol: String,
    /// The body as text.
    pub body: String,
    /// The body as bytes (`pack_as_bytes`).
    pub raw_body: Vec<u8>,
}

/// One header of `header_map`.
#[derive(Debug, Clone, Default)]
pub struct RawHeader {
    /// Name as sent.
    pub key: String,
    /// Value as text, where the proxy filled this field.
    pub value: String,
    /// Value as bytes, where the proxy filled this field.
    pub raw_value: Vec<u8>,
}

/// Why a header cannot be used as a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderProblem {
    /// More than one header of that name.
    Repeated,
    /// Its bytes are no UTF-8.
    NotText,
}

impl RawHeader {
    /// The value's bytes: `raw_value`, or `value` where that is empty.
    pub fn bytes(&self) -> &[u8] {
        if self.raw_value.is_empty() { self.value.as_bytes() } else { &self.raw_value }
    }
}

impl Http {
    /// Every value of a header, in order, names compared without case. The separate form is preferred where the
    /// proxy sends both, since only it shows what was repeated.
    pub fn header_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.header_fields().filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every header as name and value, in order.
    pub fn header_fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let separate = self.header_map.as_deref().unwrap_or_default();
        let merged = if separate.is_empty() { self.headers.as_slice() } else { &[] };
        let merged = merged.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        separate.iter().map(|header| (header.key.as_str(), header.bytes())).chain(merged)
    }

    /// The value of a header that may stand at most once.
    ///
    /// # Errors
    /// [`HeaderProblem`] where it is repeated or no text. Values that the proxy joined with a comma cannot be told
    /// from one value with a comma here: the header's own grammar decides.
    pub fn single_header<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, HeaderProblem> {
        let mut values = self.header_values(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(HeaderProblem::Repeated);
        }
        std::str::from_utf8(value).map(Some).map_err(|_not_text| HeaderProblem::NotText)
    }
}

impl Attributes {
    /// The HTTP part, where there is one.
    pub fn http(&self) -> Option<&Http> {
        self.request.as_ref()?.http.as_ref()
    }

    /// What the route says under `key`.
    pub fn extension(&self, key: &str) -> Option<&str> {
        self.context_extensions.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(key: &str, value: &[u8]) -> RawHeader {
        RawHeader { key: key.to_owned(), value: String::new(), raw_value: value.to_vec() }
    }

    #[test]
    fn a_header_is_found_without_case_and_counted() {
        let http = Http {
            header_map: Some(vec![raw("X-A", b"1"), raw("x-a", b"2"), raw("x-b", b"\xff")]),
            headers: vec![("x-c".to_owned(), "ignored".to_owned())],
            ..Http::default()
        };
        assert_eq!(http.single_header("x-a"), Err(HeaderProblem::Repeated));
        assert_eq!(http.single_header("x-b"), Err(HeaderProblem::NotText));
        assert_eq!(http.single_header("x-c"), Ok(None));
    }

    #[test]
    fn the_merged_form_is_read_where_it_is_all_there_is() {
        let http = Http { headers: vec![("X-C".to_owned(), "1".to_owned())], ..Http::default() };
        assert_eq!(http.single_header("x-c"), Ok(Some("1")));
    }
}
