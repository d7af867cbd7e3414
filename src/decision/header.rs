//! Headers that may leave: names and values that HTTP allows, so that nothing a policy says splits a request.

use thiserror::Error;

/// A header fit to be sent (RFC 9110 §5): a token as name, a value without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderField {
    name: String,
    value: String,
}

/// Why a header may not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderFault {
    /// The name is empty or has a character that is no token character.
    #[error("is no HTTP header name")]
    Name,
    /// A pseudo-header, or `host`: the proxy routes by it.
    #[error("is a header that the proxy routes by")]
    Routing,
    /// A control character (CR, LF, NUL …) in the value, or bytes beyond what HTTP allows.
    #[error("has a value with control characters")]
    Value,
    /// The value is longer than [`MAX_VALUE_BYTES`].
    #[error("has a value of more than 8192 bytes")]
    TooLong,
}

/// The longest value sent. Common servers refuse header lines above 8 KiB, so a longer one would break the request
/// behind the proxy.
pub const MAX_VALUE_BYTES: usize = 8192;

impl HeaderField {
    /// A header from a policy or from a verified fact.
    ///
    /// # Errors
    /// [`HeaderFault`], where HTTP or the proxy would not take it.
    pub fn new(name: &str, value: &str) -> Result<Self, HeaderFault> {
        check_name(name)?;
        if value.len() > MAX_VALUE_BYTES {
            return Err(HeaderFault::TooLong);
        }
        if !value.bytes().all(is_field_byte) {
            return Err(HeaderFault::Value);
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }

    /// The name, as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Name and value.
    pub fn into_parts(self) -> (String, String) {
        (self.name, self.value)
    }
}

/// Checks the name of a header that is to be set or removed.
///
/// # Errors
/// [`HeaderFault::Routing`] or [`HeaderFault::Name`].
pub fn check_name(name: &str) -> Result<(), HeaderFault> {
    if name.starts_with(':') || name.eq_ignore_ascii_case("host") {
        return Err(HeaderFault::Routing);
    }
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return Err(HeaderFault::Name);
    }
    Ok(())
}

/// Whether a name begins with `prefix` as servers behind a proxy may see it: case is lost, and those of the CGI family
/// read `_` as `-`.
pub fn begins_folded(name: &str, prefix: &str) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(|(byte, wanted)| fold(byte) == fold(wanted))
}

/// `tchar` of RFC 9110 §5.6.2.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// `field-vchar`, space and tab of RFC 9110 §5.5; bytes above 0x7f are `obs-text`, which Envoy passes.
const fn is_field_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..=0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens() {
        for good in ["x-a", "X-A_b.c", "a1!#$%&'*+-.^_`|~"] {
            assert!(HeaderField::new(good, "v").is_ok(), "{good}");
        }
        for (bad, fault) in [
            ("", HeaderFault::Name),
            ("a b", HeaderFault::Name),
            ("a:b", HeaderFault::Name),
            ("x\r\n", HeaderFault::Name),
            ("é", HeaderFault::Name),
            (":path", HeaderFault::Routing),
            ("Host", HeaderFault::Routing),
        ] {
            assert_eq!(HeaderField::new(bad, "v"), Err(fault), "{bad:?}");
        }
    }

    #[test]
    fn e4_a_name_is_owned_in_every_spelling() {
        for owned in ["x-countersign-user", "X-Countersign-User", "x_countersign_user", "X-COUNTERSIGN_"] {
            assert!(begins_folded(owned, "x-countersign-"), "{owned}");
        }
        for other in ["x-countersign", "x-countersigns-a", "", "ax-countersign-a"] {
            assert!(!begins_folded(other, "x-countersign-"), "{other}");
        }
    }

    #[test]
    fn e6_values_cannot_split_a_request() {
        for bad in ["alice\r\nx-admin: 1", "a\rb", "a\nb", "a\0b", "\x0b", "\x1b[31m", "\x7f"] {
            assert_eq!(HeaderField::new("x", bad), Err(HeaderFault::Value), "{bad:?}");
        }
        assert!(HeaderField::new("x", "").is_ok());
        assert!(HeaderField::new("x", "é\t ok").is_ok());
        assert_eq!(HeaderField::new("x", &"a".repeat(MAX_VALUE_BYTES + 1)), Err(HeaderFault::TooLong));
    }
}
