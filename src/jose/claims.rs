//! Single claims, read into what they mean (RFC 7519 §2 and §4.1). One that is there with another type is never taken for
//! absent: that would turn an expiry or an audience off.

use std::time::Duration;

use serde_json::Map;
use serde_json::Value as Json;
use thiserror::Error;

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const MAX_NUMERIC_DATE: u64 = 253_402_300_799;

/// Why a claim that is there cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClaimError {
    /// It is of another JSON type.
    #[error("`{0}` has the wrong type")]
    Type(&'static str),
    /// It is a number, but no time of this era.
    #[error("`{0}` is no time between 1970 and 9999")]
    Time(&'static str),
}

/// What becomes of the fraction of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounded {
    /// An end comes earlier rather than later.
    Down,
    /// A beginning comes later rather than earlier.
    Up,
}

/// A claim that is one string.
///
/// # Errors
/// [`ClaimError::Type`].
pub fn string<'c>(claims: &'c Map<String, Json>, name: &'static str) -> Result<Option<&'c str>, ClaimError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Json::String(value)) => Ok(Some(value)),
        Some(_) => Err(ClaimError::Type(name)),
    }
}

/// A claim that is a string or a list of strings, as `aud` (RFC 7519 §4.1.3); empty where it is absent.
///
/// # Errors
/// [`ClaimError::Type`], for a list with one wrong member too.
pub fn one_or_many(claims: &Map<String, Json>, name: &'static str) -> Result<Vec<String>, ClaimError> {
    match claims.get(name) {
        None => Ok(Vec::new()),
        Some(Json::String(one)) => Ok(vec![one.clone()]),
        Some(Json::Array(many)) => {
            let texts = many.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>();
            texts.ok_or(ClaimError::Type(name))
        }
        Some(_) => Err(ClaimError::Type(name)),
    }
}

/// RFC 7519 §2's NumericDate, fractions allowed, in whole seconds since 1970.
///
/// # Errors
/// [`ClaimError`].
pub fn date(claims: &Map<String, Json>, name: &'static str, rounded: Rounded) -> Result<Option<i64>, ClaimError> {
    let Some(claim) = claims.get(name) else { return Ok(None) };
    let number = claim.as_f64().ok_or(ClaimError::Type(name))?;
    let date = Duration::try_from_secs_f64(number).ok().filter(|date| date.as_secs() <= MAX_NUMERIC_DATE);
    let date = date.ok_or(ClaimError::Time(name))?;
    let is_whole = rounded == Rounded::Down || date.subsec_nanos() == 0;
    let seconds = if is_whole { date.as_secs() } else { date.as_secs().saturating_add(1) };
    Ok(Some(i64::try_from(seconds).unwrap_or(i64::MAX)))
}
