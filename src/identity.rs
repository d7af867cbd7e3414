//! The calling workload: which evidence counts.

/// Which evidence of the caller is taken.
#[derive(Debug, Clone)]
pub struct Config {
    /// The proxy's `source.principal`.
    pub principal: bool,
    /// The forwarded peer certificate, `source.certificate`.
    pub certificate: bool,
    /// The `x-forwarded-client-cert` header.
    pub xfcc: XfccMode,
}

/// How the proxy treats `x-forwarded-client-cert`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum XfccMode {
    /// The header is not looked at.
    Off,
    /// The proxy replaces the header: exactly one element.
    SanitizeSet,
    /// The proxy appends to the header: the last element counts.
    AppendForward {
        /// The identity that the element's `By` must have.
        by: Option<String>,
    },
}
