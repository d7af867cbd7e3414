//! Text from outside, fit for a log line: cut to a bound, and without a character that a terminal would act on.

use std::borrow::Cow;
use std::fmt;
use std::io;

use serde::Serialize;
use serde::Serializer;
use serde_json::ser::Formatter;

/// Methods and names are short words. (All bounds are in bytes. An ordinary line without the input document so stays
/// below the 16 KiB at which container runtimes split lines.)
pub(super) const NAME: usize = 128;
/// A DNS name has at most 253 bytes.
pub(super) const HOST: usize = 256;
/// `OpenID` Connect Core §2: a `sub` has at most 255 characters; issuers and client IDs are no longer.
pub(super) const IDENTITY: usize = 512;
/// Long enough for any path that a person wrote.
pub(super) const PATH: usize = 2048;
/// A sentence with a quoted fragment or two.
pub(super) const DETAIL: usize = 1024;
/// One string of the input document: what Envoy takes as one header line, in most installations.
pub(super) const INPUT: usize = 8192;

/// The first bytes of a text, at most so many, no character cut in two.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

/// The text, or its beginning and a mark that there was more.
pub(super) fn bounded(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit { Cow::Borrowed(text) } else { Cow::Owned(format!("{}…", cut(text, limit))) }
}

/// Writes what is `Display` as a JSON string.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<T>(pub(super) T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// JSON that also escapes what JSON allows but terminals and viewers act on.
#[derive(Debug, Clone, Copy)]
pub(super) struct SafeJson;

impl Formatter for SafeJson {
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, letter)) = rest.char_indices().find(|(_, letter)| acts(*letter)) {
            let (plain, found) = rest.split_at_checked(at).unwrap_or((rest, ""));
            writer.write_all(plain.as_bytes())?;
            write!(writer, "\\u{:04x}", u32::from(letter))?;
            rest = found.get(letter.len_utf8()..).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }
}

/// DEL and the C1 controls (U+009B begins a terminal sequence as ESC does), line and paragraph separators, and the
/// marks that turn the direction of text. JSON itself escapes the C0 controls. All are below U+10000, so that one
/// `\u` escape names them.
const fn acts(letter: char) -> bool {
    matches!(
        letter,
        '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Serializer;

    use super::*;

    fn json(text: &str) -> String {
        let mut bytes = Vec::new();
        text.serialize(&mut Serializer::with_formatter(&mut bytes, SafeJson)).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn k6_what_a_terminal_acts_on_is_escaped() {
        let hostile = "a\n\r\0\u{1b}[31m\u{7f}\u{9b}31m\u{2028}\u{202e}é\"\\";
        let line = json(hostile);
        assert_eq!(line, r#""a\n\r\u0000\u001b[31m\u007f\u009b31m\u2028\u202eé\"\\""#);
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), hostile);
    }

    #[test]
    fn k6_a_long_text_is_cut_between_characters() {
        assert_eq!(bounded("abc", 3), "abc");
        assert_eq!(bounded("abcd", 3), "abc…");
        assert_eq!(bounded("aéé", 2), "a…");
        assert_eq!(bounded("é", 0), "…");
    }
}
