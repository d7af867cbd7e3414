//! JSON of hostile origin (RFC 8259), in two dialects.
//!
//! Not `serde_json`'s own reader, for three reasons: Go replaces what is no text where `serde_json` fails, a repeated key
//! must be refused where that is asked for, and with exact numbers `serde_json` takes the object
//! `{"$serde_json::private::Number": "1"}` for a number.

use serde_json::Map;
use serde_json::Number;
use serde_json::Value as Json;
use thiserror::Error;

use super::escape::text_from;

/// How to take what RFC 8259 leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Refuse what parsers differ on: repeated keys, lone surrogates, bytes that are no UTF-8.
    Strict,
    /// As Go's `encoding/json`: the last of a key's values wins, and U+FFFD stands for what is no text.
    Go,
}

impl Dialect {
    /// How deep arrays and objects may nest. Every stage behind walks the value by recursion, so this bounds its stack.
    const fn max_depth(self) -> usize {
        match self {
            // Far beyond any protocol's messages, and less than what breaks peers that recurse.
            Self::Strict => 64,
            // Go allows 10000, which a worker's stack does not hold.
            Self::Go => 256,
        }
    }

    /// How many values and keys a body may have. A value takes up to a hundred bytes where it took two in the body.
    const fn max_values(self) -> usize {
        match self {
            Self::Strict => 100_000,
            Self::Go => 1_000_000,
        }
    }
}

/// The longest number. Its digits are kept exactly, and arithmetic on more of them is slow.
const MAX_NUMBER_BYTES: usize = 1_024;

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum JsonError {
    /// The text ends before its value does.
    #[error("ends too early")]
    End,
    /// A byte that cannot stand where it does.
    #[error("has a character that JSON does not allow there")]
    Character,
    /// Something follows the value.
    #[error("goes on behind its value")]
    Trailing,
    /// No number by the grammar, or longer than [`MAX_NUMBER_BYTES`].
    #[error("has a bad number")]
    Number,
    /// A backslash with something unknown behind it.
    #[error("has a bad escape")]
    Escape,
    /// Half of a surrogate pair.
    #[error("has a lone surrogate")]
    Surrogate,
    /// A string's bytes are no UTF-8.
    #[error("has a string that is no text")]
    NotText,
    /// An object has a key twice.
    #[error("has a repeated key")]
    RepeatedKey,
    /// Deeper than the dialect allows.
    #[error("is nested too deep")]
    TooDeep,
    /// More values than the dialect allows.
    #[error("has too many values")]
    TooMany,
}

/// Reads one JSON text.
pub(super) fn parsed(text: &[u8], dialect: Dialect) -> Result<Json, JsonError> {
    let mut reader = Reader { rest: text, dialect, values: 0 };
    let value = reader.value(0)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(JsonError::Trailing),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    dialect: Dialect,
    values: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.count()?;
        match self.peek().ok_or(JsonError::End)? {
            b'{' => self.object(self.deeper(depth)?).map(Json::Object),
            b'[' => self.array(self.deeper(depth)?).map(Json::Array),
            b'"' => self.string().map(Json::String),
            b't' => self.literal(b"true", Json::Bool(true)),
            b'f' => self.literal(b"false", Json::Bool(false)),
            b'n' => self.literal(b"null", Json::Null),
            b'-' | b'0'..=b'9' => self.number().map(Json::Number),
            _ => Err(JsonError::Character),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Map<String, Json>, JsonError> {
        let mut object = Map::new();
        self.expect(b'{')?;
        if self.skips(b'}') {
            return Ok(object);
        }
        loop {
            self.count()?;
            let key = self.string()?;
            self.expect(b':')?;
            let value = self.value(depth)?;
            if object.insert(key, value).is_some() && self.dialect == Dialect::Strict {
                return Err(JsonError::RepeatedKey);
            }
            if !self.skips(b',') {
                break;
            }
        }
        self.expect(b'}')?;
        Ok(object)
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Json>, JsonError> {
        let mut array = Vec::new();
        self.expect(b'[')?;
        if self.skips(b']') {
            return Ok(array);
        }
        loop {
            array.push(self.value(depth)?);
            if !self.skips(b',') {
                break;
            }
        }
        self.expect(b']')?;
        Ok(array)
    }

    fn literal(&mut self, word: &[u8], value: Json) -> Result<Json, JsonError> {
        self.rest = self.rest.strip_prefix(word).ok_or(JsonError::Character)?;
        Ok(value)
    }

    fn number(&mut self) -> Result<Number, JsonError> {
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let number = self.take_while(is_part);
        if number.len() > MAX_NUMBER_BYTES {
            return Err(JsonError::Number);
        }
        std::str::from_utf8(number).ok().and_then(|number| number.parse().ok()).ok_or(JsonError::Number)
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.expect(b'"')?;
        let mut bytes = Vec::new();
        loop {
            bytes.extend_from_slice(self.take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)));
            match self.next()? {
                b'"' => break,
                b'\\' => {
                    let character = self.escape()?;
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => return Err(JsonError::Character),
            }
        }
        match self.dialect {
            Dialect::Strict => String::from_utf8(bytes).map_err(|_not_utf8| JsonError::NotText),
            Dialect::Go => Ok(text_from(bytes)),
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        Ok(match self.next()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(JsonError::Escape),
        })
    }

    /// `\uXXXX`, and the second half where the first is a surrogate's.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let first = self.code_unit()?;
        if let Some(character) = char::from_u32(first.into()) {
            return Ok(character);
        }
        let behind_first = self.rest;
        if let Some(rest) = self.rest.strip_prefix(br"\u") {
            self.rest = rest;
            let second = self.code_unit()?;
            if let Some(Ok(character)) = char::decode_utf16([first, second]).next() {
                return Ok(character);
            }
            // Not its other half: a character of its own.
            self.rest = behind_first;
        }
        match self.dialect {
            Dialect::Strict => Err(JsonError::Surrogate),
            Dialect::Go => Ok(char::REPLACEMENT_CHARACTER),
        }
    }

    fn code_unit(&mut self) -> Result<u16, JsonError> {
        let (digits, rest) = self.rest.split_at_checked(4).ok_or(JsonError::End)?;
        self.rest = rest;
        digits.iter().try_fold(0_u16, |unit, &byte| {
            let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
            digit.map(|digit| unit << 4 | digit).ok_or(JsonError::Escape)
        })
    }

    fn deeper(&self, depth: usize) -> Result<usize, JsonError> {
        if depth < self.dialect.max_depth() { Ok(depth.saturating_add(1)) } else { Err(JsonError::TooDeep) }
    }

    fn count(&mut self) -> Result<(), JsonError> {
        self.values = self.values.saturating_add(1);
        if self.values > self.dialect.max_values() { Err(JsonError::TooMany) } else { Ok(()) }
    }

    /// The next byte that is no white space, left where it is.
    fn peek(&mut self) -> Option<u8> {
        self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        self.rest.first().copied()
    }

    /// Takes `wanted` if it is the next byte that is no white space.
    fn skips(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        found
    }

    fn expect(&mut self, wanted: u8) -> Result<(), JsonError> {
        if self.skips(wanted) {
            return Ok(());
        }
        Err(if self.rest.is_empty() { JsonError::End } else { JsonError::Character })
    }

    /// The next byte, white space or not.
    fn next(&mut self) -> Result<u8, JsonError> {
        let (&byte, rest) = self.rest.split_first().ok_or(JsonError::End)?;
        self.rest = rest;
        Ok(byte)
    }

    fn take_while(&mut self, is_part: impl Fn(&u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !is_part(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

#[cfg(test)]
mod tests;
