//! Percent escapes and text, as Go reads them.

use std::borrow::Cow;

use thiserror::Error;

/// A `%` without two hexadecimal digits behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("has a bad percent escape")]
pub(super) struct BadEscape;

/// What a `+` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    /// Itself: paths (`url.PathUnescape`).
    Literal,
    /// A space: queries and forms (`url.QueryUnescape`).
    Space,
}

/// Decodes each escape once. Bytes that are no UTF-8 afterwards become U+FFFD, as they do in Go's JSON.
pub(super) fn unescape(text: &str, plus: Plus) -> Result<Cow<'_, str>, BadEscape> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'%' => escaped_byte(&mut rest)?,
            b'+' if plus == Plus::Space => b' ',
            other => other,
        });
    }
    Ok(Cow::Owned(text_from(decoded)))
}

/// The byte that an escape stands for; its `%` is already taken from `rest`.
pub(super) fn escaped_byte(rest: &mut impl Iterator<Item = u8>) -> Result<u8, BadEscape> {
    let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16)).ok_or(BadEscape);
    let (high, low) = (digit()?, digit()?);
    u8::try_from(high << 4 | low).map_err(|_beyond_a_byte| BadEscape)
}

/// Text from bytes, with one U+FFFD for each byte that is no UTF-8. (`String::from_utf8_lossy` writes one for each
/// broken sequence.)
pub(super) fn text_from(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let mut text = String::with_capacity(error.as_bytes().len());
        for chunk in error.as_bytes().utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_byte| char::REPLACEMENT_CHARACTER));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_once() {
        for (text, plus, decoded) in [
            ("a%20b+c", Plus::Literal, "a b+c"),
            ("a%20b+c", Plus::Space, "a b c"),
            ("%2B", Plus::Space, "+"),
            ("%252F", Plus::Literal, "%2F"),
            ("caf%c3%A9", Plus::Literal, "café"),
            ("", Plus::Space, ""),
        ] {
            assert_eq!(unescape(text, plus).unwrap(), decoded, "{text}");
        }
    }

    #[test]
    fn each_byte_that_is_no_utf8_is_replaced() {
        assert_eq!(unescape("%ff%fe", Plus::Literal).unwrap(), "\u{fffd}\u{fffd}");
        assert_eq!(unescape("%e2%82x", Plus::Literal).unwrap(), "\u{fffd}\u{fffd}x");
        assert_eq!(unescape("%c0%af", Plus::Literal).unwrap(), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn bad_escapes_are_refused() {
        for text in ["%", "%2", "%zz", "%u0041", "a%2", "%%30", "%+1", "%é"] {
            assert_eq!(unescape(text, Plus::Literal), Err(BadEscape), "{text}");
        }
    }
}
