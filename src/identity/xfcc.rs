//! The text form of `x-forwarded-client-cert`, exactly as Envoy writes it.
//!
//! Between commas stand elements, one for each proxy, the newest last; an element is `Key=Value` pairs between
//! semicolons. A value that holds a separator stands in double quotes, where a backslash takes the next character
//! with it: `Subject` is RFC 2253 text, so `"CN=a\\"` ends at its last quote and `"CN=a\""` does too.
//!
//! Envoy quotes `Subject`, `Cert` and `Chain` but neither quotes nor escapes SANs, so a certificate's own text may
//! look like pairs and elements. What no SPIFFE ID needs is therefore refused, in earlier elements too.

#[cfg(test)]
mod tests;

use thiserror::Error;

use crate::decision::Reason;
use crate::hex;

/// The header's name.
pub const HEADER: &str = "x-forwarded-client-cert";

/// All values together. Envoy takes 60 KiB of request headers unless told otherwise.
const MAX_BYTES: usize = 64 * 1024;
/// One element a proxy: a request that came through more has lost its way.
const MAX_ELEMENTS: usize = 32;
/// Six keys and a SAN a pair: public certificates have at most 100 names.
const MAX_PAIRS: usize = 128;

/// What the header says, all of it well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forwarded<'a> {
    /// How many elements there are.
    pub elements: usize,
    /// The last one: of the adjacent proxy, where that is Envoy.
    pub last: Element<'a>,
}

/// One proxy's words about its client. Quoted values are as they stand between the quotes, backslashes included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Element<'a> {
    /// `By`: the URI SAN of the proxy's own certificate.
    pub by: San<'a>,
    /// `Hash`: SHA-256 of the client's leaf.
    pub hash: Option<[u8; 32]>,
    /// `Cert`: the client's leaf, URL-encoded PEM, not yet read.
    pub certificate: Option<&'a str>,
    /// `Chain`: the client's chain, URL-encoded PEM, not yet read.
    pub chain: Option<&'a str>,
    /// `Subject`: of the client's leaf; often empty.
    pub subject: Option<&'a str>,
    /// `URI`: the URI SAN of the client's leaf; an empty text where the leaf has none.
    pub uri: San<'a>,
}

/// The value of a key that is written once for each SAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum San<'a> {
    /// The key does not occur.
    #[default]
    Absent,
    /// It has this value, however often.
    One(&'a str),
    /// It has values that differ.
    Several,
}

/// Why the header is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum XfccError {
    /// Envoy's JSON form, which a client can choose by beginning it.
    #[error("the header is in the JSON form")]
    Json,
    /// More bytes than are looked at.
    #[error("the header has more than 64 KiB")]
    TooLong,
    /// More elements than are looked at.
    #[error("the header has more than 32 elements")]
    TooManyElements,
    /// More pairs than are looked at.
    #[error("an element has more than 128 pairs")]
    TooManyPairs,
    /// A control character, or a byte beyond ASCII.
    #[error("the header has a character that is no printable ASCII")]
    Character,
    /// No pair where one is due: an empty header, element or pair, no `=`, or an unknown key.
    #[error("a pair does not begin with one of Envoy's keys and `=`")]
    Key,
    /// A key that may stand once in an element stands twice.
    #[error("a key is repeated that may stand once")]
    Repeated,
    /// Another key after `DNS`, which Envoy writes last: it is a SAN's own text.
    #[error("a pair follows `DNS`, which comes last")]
    AfterDns,
    /// A value without quotes has a quote, a backslash, `=` or a space.
    #[error("a value has a character that needs quotes")]
    Unquoted,
    /// The closing quote is missing.
    #[error("a quoted value does not end")]
    Unterminated,
    /// Something else than a separator follows a closing quote.
    #[error("a quoted value goes on after its quote")]
    AfterQuote,
    /// No value where Envoy always writes one.
    #[error("a key has no value")]
    Empty,
    /// `Hash` is not 64 hexadecimal digits.
    #[error("`Hash` is not 64 hexadecimal digits")]
    Hash,
}

impl XfccError {
    /// The reason that the denial gets.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Json => Reason::CallerXfccFormat,
            _ => Reason::CallerXfccMalformed,
        }
    }
}

/// Reads the header's values, several headers being elements in order; `None` where there is no header.
///
/// # Errors
/// [`XfccError`], naming the first rule broken.
pub fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Forwarded<'a>>, XfccError> {
    let mut forwarded: Option<Forwarded<'a>> = None;
    let mut bytes: usize = 0;
    for value in values {
        bytes = bytes.saturating_add(value.len());
        if bytes > MAX_BYTES {
            return Err(XfccError::TooLong);
        }
        for element in Elements::new(value)? {
            let elements = forwarded.map_or(0, |before| before.elements).saturating_add(1);
            if elements > MAX_ELEMENTS {
                return Err(XfccError::TooManyElements);
            }
            forwarded = Some(Forwarded { elements, last: element? });
        }
    }
    Ok(forwarded)
}

/// The elements of one value, from the left.
struct Elements<'a> {
    /// What has not been read, where another element is due.
    rest: Option<&'a str>,
}

impl<'a> Elements<'a> {
    fn new(value: &'a [u8]) -> Result<Self, XfccError> {
        if value.starts_with(b"[") {
            return Err(XfccError::Json);
        }
        let printable = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
        let text = std::str::from_utf8(value).ok().filter(|_| printable);
        Ok(Self { rest: Some(text.ok_or(XfccError::Character)?) })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, XfccError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = Element::read(self.rest.take()?);
        Some(read.map(|(element, rest)| {
            self.rest = rest;
            element
        }))
    }
}

impl<'a> Element<'a> {
    /// The first element of `text`, and what follows its comma.
    fn read(text: &'a str) -> Result<(Self, Option<&'a str>), XfccError> {
        let mut element = Self::default();
        let mut after_dns = false;
        let mut rest = text;
        for _ in 0..MAX_PAIRS {
            let (key, after) = rest.split_once('=').ok_or(XfccError::Key)?;
            let key = Key::named(key).ok_or(XfccError::Key)?;
            if after_dns && key != Key::Dns {
                return Err(XfccError::AfterDns);
            }
            after_dns = key == Key::Dns;
            let (value, after) = value(after)?;
            element.set(key, value)?;
            rest = match after.split_at_checked(1) {
                None => return Ok((element, None)),
                Some((",", after)) => return Ok((element, Some(after))),
                Some((";", after)) => after,
                Some(_) => return Err(XfccError::AfterQuote),
            };
        }
        Err(XfccError::TooManyPairs)
    }

    fn set(&mut self, key: Key, value: &'a str) -> Result<(), XfccError> {
        // Envoy writes `URI=` and `Subject=""` for a certificate that has none, and leaves the other keys away.
        if value.is_empty() && !matches!(key, Key::Uri | Key::Subject) {
            return Err(XfccError::Empty);
        }
        match key {
            Key::By => self.by = self.by.and(value),
            Key::Hash => once(&mut self.hash, digest(value).ok_or(XfccError::Hash)?)?,
            Key::Cert => once(&mut self.certificate, value)?,
            Key::Chain => once(&mut self.chain, value)?,
            Key::Subject => once(&mut self.subject, value)?,
            Key::Uri => self.uri = self.uri.and(value),
            Key::Dns => {}
        }
        Ok(())
    }
}

impl<'a> San<'a> {
    fn and(self, value: &'a str) -> Self {
        match self {
            Self::Absent => Self::One(value),
            Self::One(before) if before == value => self,
            Self::One(_) | Self::Several => Self::Several,
        }
    }
}

/// Envoy's keys. Their case does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    By,
    Hash,
    Cert,
    Chain,
    Subject,
    Uri,
    Dns,
}

impl Key {
    const NAMES: [(&'static str, Self); 7] = [
        ("By", Self::By),
        ("Hash", Self::Hash),
        ("Cert", Self::Cert),
        ("Chain", Self::Chain),
        ("Subject", Self::Subject),
        ("URI", Self::Uri),
        ("DNS", Self::Dns),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, key)| *key)
    }
}

/// The value at the front of `text`, and what follows it.
fn value(text: &str) -> Result<(&str, &str), XfccError> {
    if let Some(quoted) = text.strip_prefix('"') {
        return split_at_closing_quote(quoted).ok_or(XfccError::Unterminated);
    }
    let end = text.find([';', ',']).unwrap_or(text.len());
    let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if value.contains(['"', '\\', '=', ' ']) { Err(XfccError::Unquoted) } else { Ok((value, rest)) }
}

fn split_at_closing_quote(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })?;
    let (value, rest) = text.split_at_checked(end)?;
    Some((value, rest.strip_prefix('"')?))
}

/// Fills `slot`, which must be empty.
fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), XfccError> {
    if slot.replace(value).is_some() { Err(XfccError::Repeated) } else { Ok(()) }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let mut digest = [0; 32];
    if pairs.len() != digest.len() {
        return None;
    }
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        *byte = hex::byte(*high, *low)?;
    }
    Some(digest)
}
