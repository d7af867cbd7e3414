//! The trace that a request belongs to, as W3C Trace Context (`traceparent`) carries it.

use opentelemetry::trace::SpanId;
use opentelemetry::trace::TraceId;

/// Name of the header, in gRPC metadata and in the request.
pub const TRACEPARENT: &str = "traceparent";

/// Trace Context §3.2: `00-` 32 hex digits `-` 16 hex digits `-` 2 hex digits.
const VERSION_0_BYTES: usize = 55;

/// A trace and the span in it that asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The caller's span.
    pub span_id: SpanId,
}

impl TraceContext {
    /// The first valid `traceparent`: give the proxy's own (gRPC metadata) before the request's, which its client chose.
    pub fn first<'a>(headers: impl IntoIterator<Item = Option<&'a str>>) -> Option<Self> {
        headers.into_iter().flatten().find_map(Self::parse)
    }

    /// Reads one `traceparent` (Trace Context §3.2). An invalid one is as if it were absent: it says nothing about the
    /// request, so it is no reason to deny.
    pub fn parse(header: &str) -> Option<Self> {
        // §3.2.4: a higher version may go on after another dash; version 0 ends here, and ff is no version.
        let (known, rest) = header.split_at_checked(VERSION_0_BYTES)?;
        let mut fields = known.split('-');
        let version = hex_field(fields.next()?, 2)?;
        let trace_id = hex_field(fields.next()?, 32)?;
        let span_id = hex_field(fields.next()?, 16)?;
        let _flags = hex_field(fields.next()?, 2)?;
        let ends_well = rest.is_empty() || (version != "00" && rest.starts_with('-'));
        if version == "ff" || !ends_well {
            return None;
        }
        let trace_id = TraceId::from_hex(trace_id).ok().filter(|id| *id != TraceId::INVALID)?;
        let span_id = SpanId::from_hex(span_id).ok().filter(|id| *id != SpanId::INVALID)?;
        Some(Self { trace_id, span_id })
    }
}

/// Lower-case hex digits only (§3.2.2), exactly so many.
fn hex_field(field: &str, digits: usize) -> Option<&str> {
    let well_formed = field.len() == digits && field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    well_formed.then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn reads_the_specifications_example() {
        let context = TraceContext::parse(GOOD).unwrap();
        assert_eq!(context.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.span_id.to_string(), "b7ad6b7169203331");
    }

    #[test]
    fn a_later_version_may_say_more() {
        assert!(TraceContext::parse(&format!("{}-more", GOOD.replacen("00", "01", 1))).is_some());
        assert!(TraceContext::parse(&GOOD.replacen("00", "01", 1)).is_some());
    }

    #[test]
    fn what_is_not_well_formed_is_ignored() {
        let bad = [
            String::new(),
            "00".to_owned(),
            format!("{GOOD}-more"),
            format!("{}more", GOOD.replacen("00", "01", 1)),
            GOOD.replacen("00", "ff", 1),
            GOOD.to_uppercase(),
            GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            GOOD.replace('-', "_"),
            GOOD.replace("0af7", "+af7"),
            GOOD.replace("-01", "-0é"),
            "é".repeat(60),
            "-".repeat(55),
        ];
        for header in bad {
            assert_eq!(TraceContext::parse(&header), None, "{header}");
        }
    }

    #[test]
    fn the_proxys_trace_comes_first() {
        let other = GOOD.replace("0af7", "1af7");
        let first = |proxy, request| TraceContext::first([proxy, request]).map(|context| context.trace_id.to_string());
        assert!(first(Some(&other), Some(GOOD)).unwrap().starts_with("1af7"));
        assert!(first(Some("junk"), Some(GOOD)).unwrap().starts_with("0af7"));
        assert_eq!(first(None, None), None);
    }
}
