//! The path: as OPA-Envoy splits it, and in normal form (RFC 3986 §6.2.2) with whatever is ambiguous refused.
//!
//! Case, a slash at the end and a dot at the end are left to the policy, and so are empty segments: `//admin` is the path
//! `//admin`, never an authority.

use std::borrow::Cow;
use std::fmt::Write as _;

use thiserror::Error;

use super::escape::BadEscape;
use super::escape::Plus;
use super::escape::escaped_byte;
use super::escape::unescape;
use crate::decision::Reason;

/// OPA-Envoy's `parsed_path`: decoded first, so that `%2F` splits too, slashes at the front stripped, then split.
pub(super) fn parsed(path: &str) -> Result<Vec<String>, BadEscape> {
    let decoded = unescape(path, Plus::Literal)?;
    Ok(decoded.trim_start_matches('/').split('/').map(str::to_owned).collect())
}

/// A path in normal form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NormalPath<'a> {
    /// The normal form: unreserved characters plain, all else that needs it escaped in upper case, no dot segments.
    pub(super) text: String,
    /// As sent, without the query.
    pub(super) raw: &'a str,
    /// The segments of `text`, split before decoding and each decoded once.
    pub(super) segments: Vec<String>,
}

/// Why a path has no normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum PathError {
    /// A request has no fragment: servers differ on whether it belongs to the path.
    #[error("the path has a fragment")]
    Fragment,
    /// A control character or a space, plain or escaped.
    #[error("the path has a control character")]
    Control,
    /// A `%` without two hexadecimal digits.
    #[error("the path {0}")]
    Escape(#[from] BadEscape),
    /// The escapes decode to bytes that are no UTF-8, overlong forms of `/` and `.` among them.
    #[error("the path decodes to bytes that are no text")]
    NotText,
    /// Not a path from the root, `*` with OPTIONS, or the authority with CONNECT.
    #[error("the path does not begin with a slash")]
    Relative,
    /// A whole URI: which host and which path count is for the upstream to choose.
    #[error("the path is a whole URI")]
    AbsoluteForm,
    /// `\` or `%5C`, which some servers take for `/`.
    #[error("the path has a backslash")]
    Backslash,
    /// `%2F`, which some servers decode before they split.
    #[error("the path has an escaped slash")]
    EscapedSlash,
    /// An escaped `%`: what a server sees that decodes twice.
    #[error("the path is escaped twice")]
    DoubleEscape,
    /// A dot segment in a path with parameters (`/..;a=b/`, `/a;/../`): servers strip parameters before or after they
    /// resolve dots.
    #[error("the path has a dot segment and parameters")]
    DotsAndParameters,
    /// `//..`: servers merge slashes before or after they resolve dots.
    #[error("the path has a dot segment behind an empty one")]
    DotsBehindEmpty,
}

impl PathError {
    /// The reason to refuse the request with.
    pub(super) const fn reason(self) -> Reason {
        match self {
            Self::Fragment | Self::Control | Self::Escape(BadEscape) | Self::NotText | Self::Relative => {
                Reason::RequestPathInvalid
            }
            Self::AbsoluteForm
            | Self::Backslash
            | Self::EscapedSlash
            | Self::DoubleEscape
            | Self::DotsAndParameters
            | Self::DotsBehindEmpty => Reason::RequestPathAmbiguous,
        }
    }
}

/// Brings the path of a request target (`:path`, query and all) into normal form.
pub(super) fn normalise<'a>(target: &'a str, method: &str) -> Result<NormalPath<'a>, PathError> {
    if target.contains('#') {
        return Err(PathError::Fragment);
    }
    if target.bytes().any(|byte| byte == b' ' || byte.is_ascii_control()) {
        return Err(PathError::Control);
    }
    let raw = target.split_once('?').map_or(target, |(path, _query)| path);
    match (raw, method) {
        // No path at all: CONNECT, in HTTP/2 without and in HTTP/1.1 with its authority in the path's place.
        ("", _) => Ok(NormalPath { text: String::new(), raw, segments: Vec::new() }),
        ("*", "OPTIONS") => Ok(NormalPath { text: raw.to_owned(), raw, segments: Vec::new() }),
        _ => match raw.strip_prefix('/') {
            Some(rest) => from_root(raw, rest),
            None if raw.contains("://") => Err(PathError::AbsoluteForm),
            None if method == "CONNECT" => Ok(NormalPath { text: String::new(), raw, segments: Vec::new() }),
            None => Err(PathError::Relative),
        },
    }
}

fn from_root<'a>(raw: &'a str, rest: &'a str) -> Result<NormalPath<'a>, PathError> {
    let segments = rest.split('/').map(Segment::read).collect::<Result<Vec<_>, _>>()?;
    let segments = without_dots(segments)?;
    let mut text = String::with_capacity(raw.len());
    for segment in &segments {
        text.push('/');
        text.push_str(&segment.normal);
    }
    Ok(NormalPath { text, raw, segments: segments.into_iter().map(|segment| segment.decoded.into_owned()).collect() })
}

/// Resolves dot segments (RFC 3986 §5.2.4).
fn without_dots(segments: Vec<Segment<'_>>) -> Result<Vec<Segment<'_>>, PathError> {
    if !segments.iter().any(Segment::is_dots) {
        return Ok(segments);
    }
    if segments.iter().any(|segment| segment.decoded.contains(';')) {
        return Err(PathError::DotsAndParameters);
    }
    let mut resolved: Vec<Segment<'_>> = Vec::with_capacity(segments.len());
    let last = segments.len().saturating_sub(1);
    for (index, segment) in segments.into_iter().enumerate() {
        match segment.decoded.as_ref() {
            "." => {}
            ".." => {
                if resolved.pop().is_some_and(|parent| parent.decoded.is_empty()) {
                    return Err(PathError::DotsBehindEmpty);
                }
            }
            _ => {
                resolved.push(segment);
                continue;
            }
        }
        // A dot segment at the end names a folder.
        if index == last {
            resolved.push(Segment::default());
        }
    }
    Ok(resolved)
}

/// One segment in both forms.
#[derive(Debug, Default)]
struct Segment<'a> {
    normal: Cow<'a, str>,
    decoded: Cow<'a, str>,
}

impl<'a> Segment<'a> {
    fn read(raw: &'a str) -> Result<Self, PathError> {
        if raw.bytes().all(is_path_character) {
            return Ok(Self { normal: Cow::Borrowed(raw), decoded: Cow::Borrowed(raw) });
        }
        let mut normal = String::with_capacity(raw.len());
        let mut decoded = Vec::with_capacity(raw.len());
        let mut rest = raw.bytes();
        while let Some(byte) = rest.next() {
            let (byte, stands_plain) = match byte {
                b'%' => {
                    let byte = escaped_byte(&mut rest)?;
                    (byte, is_unreserved(byte))
                }
                _ => (byte, is_path_character(byte)),
            };
            refuse_ambiguous(byte)?;
            decoded.push(byte);
            if stands_plain {
                normal.push(char::from(byte));
            } else {
                let _infallible = write!(normal, "%{byte:02X}");
            }
        }
        let decoded = String::from_utf8(decoded).map_err(|_not_utf8| PathError::NotText)?;
        Ok(Self { normal: Cow::Owned(normal), decoded: Cow::Owned(decoded) })
    }

    /// `.` or `..`, with or without parameters.
    fn is_dots(&self) -> bool {
        let name = self.decoded.split_once(';').map_or(self.decoded.as_ref(), |(name, _parameters)| name);
        matches!(name, "." | "..")
    }
}

/// Refuses a byte of a decoded segment that servers read differently. A plain slash cannot be among them.
const fn refuse_ambiguous(byte: u8) -> Result<(), PathError> {
    match byte {
        b'/' => Err(PathError::EscapedSlash),
        b'\\' => Err(PathError::Backslash),
        b'%' => Err(PathError::DoubleEscape),
        _ if byte.is_ascii_control() => Err(PathError::Control),
        _ => Ok(()),
    }
}

/// `unreserved` of RFC 3986 §2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `pchar` of RFC 3986 §3.3, less the escapes.
const fn is_path_character(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@')
}

#[cfg(test)]
mod tests;
