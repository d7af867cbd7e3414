//! The request as policies see it.

/// What is read from the request.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whether ambiguous paths and hosts are denied and `http` is made.
    pub normalise: bool,
    /// Whether the body is parsed.
    pub parse_body: bool,
}
