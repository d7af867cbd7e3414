//! What a client can do about a refusal, in words that stand in a `WWW-Authenticate` header as they are.

use std::fmt;

use thiserror::Error;

/// Text between the quotes of a header's parameter: visible ASCII and spaces, without `"` and `\`, so that it is the same
/// with and without the escapes of a quoted-string (RFC 9110 §5.6.4) and can neither end it nor begin another parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotable(String);

/// What would be needed for another answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// A token of this scope (RFC 6750 §3.1, `insufficient_scope`).
    Scope(Quotable),
    /// A user who has authenticated in another way, or again (RFC 9470 §3, `insufficient_user_authentication`).
    StepUp(StepUp),
}

/// How the user has to have authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepUp {
    /// Authentication context class references with spaces between them, the preferred first.
    pub acr_values: Option<Quotable>,
    /// The most seconds since the user authenticated.
    pub max_age: Option<u32>,
    /// The scope that the new token must have, too.
    pub scope: Option<Quotable>,
}

/// Why a text may not stand in a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum QuoteFault {
    /// Nothing.
    #[error("is empty")]
    Empty,
    /// More than [`MAX_WORD_BYTES`].
    #[error("is longer than 1024 bytes")]
    TooLong,
    /// A control character, a quote, a backslash, or a character beyond ASCII.
    #[error("has a character other than visible ASCII without quotes and backslashes")]
    Character,
    /// Spaces at an end, or more than one between two words.
    #[error("has spaces that separate nothing")]
    Spaces,
}

/// The longest parameter of a challenge. Real scopes and addresses have some tens of bytes; with all parameters at this
/// length the header is still below the 8 KiB that servers and clients take.
pub const MAX_WORD_BYTES: usize = 1024;

impl Quotable {
    /// A text with spaces as it likes, for a realm.
    ///
    /// # Errors
    /// [`QuoteFault`], but for spaces.
    pub fn text(text: &str) -> Result<Self, QuoteFault> {
        if text.is_empty() {
            return Err(QuoteFault::Empty);
        }
        if text.len() > MAX_WORD_BYTES {
            return Err(QuoteFault::TooLong);
        }
        if text.bytes().all(is_quotable) { Ok(Self(text.to_owned())) } else { Err(QuoteFault::Character) }
    }

    /// Words with one space between two: a scope (RFC 6749 §3.3), or `acr_values`.
    ///
    /// # Errors
    /// [`QuoteFault`].
    pub fn words(text: &str) -> Result<Self, QuoteFault> {
        let words = Self::text(text)?;
        if text.split(' ').any(str::is_empty) { Err(QuoteFault::Spaces) } else { Ok(words) }
    }

    /// One word, as an address is.
    ///
    /// # Errors
    /// [`QuoteFault`].
    pub fn word(text: &str) -> Result<Self, QuoteFault> {
        let word = Self::text(text)?;
        if text.contains(' ') { Err(QuoteFault::Spaces) } else { Ok(word) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Quotable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `NQCHAR` of RFC 6749 appendix A, and space.
const fn is_quotable(byte: u8) -> bool {
    matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e6_nothing_ends_a_quoted_string_early() {
        for bad in ["a\"", "\"", "a\\", "a\r\nx: 1", "a\nb", "a\0", "a\tb", "\u{7f}", "é"] {
            assert_eq!(Quotable::text(bad), Err(QuoteFault::Character), "{bad:?}");
            assert_eq!(Quotable::words(bad), Err(QuoteFault::Character), "{bad:?}");
            assert_eq!(Quotable::word(bad), Err(QuoteFault::Character), "{bad:?}");
        }
        for byte in 0..=0x7f_u8 {
            let fits = Quotable::text(char::from(byte).encode_utf8(&mut [0; 4])).is_ok();
            assert_eq!(fits, (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\', "{byte}");
        }
    }

    #[test]
    fn words_have_one_space_between_them() {
        for good in ["a", "a b", "orders:read urn:x:y https://a.example/b?c=d"] {
            assert_eq!(Quotable::words(good).unwrap().as_str(), good);
        }
        for bad in [" ", "a ", " a", "a  b"] {
            assert_eq!(Quotable::words(bad), Err(QuoteFault::Spaces), "{bad:?}");
            assert!(Quotable::text(bad).is_ok(), "{bad:?}");
        }
        assert_eq!(Quotable::word("a b"), Err(QuoteFault::Spaces));
        assert!(Quotable::word("https://a.example/b?c=d").is_ok());
        assert_eq!(Quotable::words(""), Err(QuoteFault::Empty));
        assert!(Quotable::words(&"a".repeat(MAX_WORD_BYTES)).is_ok());
        assert_eq!(Quotable::words(&"a".repeat(MAX_WORD_BYTES + 1)), Err(QuoteFault::TooLong));
    }
}
