//! Revocation files: a JSON object, or a list of them, each with an issuer and what is revoked of it.

use std::path::Path;
use std::path::PathBuf;

use serde_json::Map;
use serde_json::Value as Json;
use thiserror::Error;

use super::Lists;
use super::Revoked;
use crate::fetch;
use crate::fetch::FetchError;
use crate::jose::json;
use crate::jose::json::JsonError;
use crate::jose::json::Limits;
use crate::problem::Problem;
use crate::token::Config;

/// The longest file: [`MAX_ENTRIES`] of UUIDs and a margin.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Tokens, subjects and clients of all files together, some 30 MB in memory. A list that grows beyond is a sign that
/// tokens live for too long.
const MAX_ENTRIES: usize = 256 * 1024;
/// The longest `jti`, `sub` or client: no token is longer than this (`jose::MAX_TOKEN_BYTES`).
const MAX_ENTRY_BYTES: usize = 16 * 1024;
/// A list of objects of lists of strings. Objects and names count too, so there is room for as many again.
const LIMITS: Limits = Limits { depth: 3, values: 2 * MAX_ENTRIES };

/// Why a file is not taken. Nothing of it is, then: half a list would let the other half through.
#[derive(Debug, Error)]
enum FileError {
    #[error(transparent)]
    Read(#[from] FetchError),
    #[error("the file is no JSON object or list of objects")]
    Malformed,
    #[error("the file {0}")]
    Json(JsonError),
    #[error("entry {0} has no `issuer`")]
    Issuer(usize),
    #[error("entry {0} has a member other than `issuer`, `jti`, `sub` and `client_id`")]
    Member(usize),
    #[error("`{1}` of entry {0} is no list of strings that are not empty")]
    List(usize, &'static str),
    #[error("more than {MAX_ENTRIES} tokens, subjects and clients are revoked")]
    Entries,
}

/// Reads every file, and says what is wrong with them; an issuer that is not configured is a warning.
///
/// # Errors
/// Every file that cannot be read or understood whole.
pub fn read(paths: &[PathBuf], config: &Config) -> Result<(Revoked, Vec<Problem>), Vec<Problem>> {
    let (mut revoked, mut left, mut problems) = (Revoked::default(), MAX_ENTRIES, Vec::new());
    for (position, path) in paths.iter().enumerate() {
        let place = format!("revocations[{position}]");
        match read_one(path, &mut revoked, &mut left) {
            Err(error) => {
                let hint = "the last good revocations stay until it is mended; docs/tokens.md has the format";
                problems.push(Problem::error(&place, format!("`{}`: {error}", path.display())).hint(hint));
            }
            Ok(issuers) => {
                let strangers = issuers.into_iter().filter(|issuer| config.index_of(issuer).is_none());
                problems.extend(strangers.map(|issuer| {
                    let message = format!("`{}`: the issuer `{issuer}` is not configured", path.display());
                    Problem::warning(&place, message).hint("write it as in `issuers[].issuer`, byte for byte")
                }));
            }
        }
    }
    if problems.iter().any(Problem::is_error) { Err(problems) } else { Ok((revoked, problems)) }
}

/// Adds one file's entries, of which `left` says how many more there may be, and returns whose they are.
fn read_one(path: &Path, revoked: &mut Revoked, left: &mut usize) -> Result<Vec<String>, FileError> {
    let text = fetch::read_now(path, MAX_BYTES)?;
    let entries = match json::read_value(&text, LIMITS) {
        Ok(Json::Array(entries)) => entries,
        Ok(entry @ Json::Object(_)) => vec![entry],
        Ok(_) | Err(JsonError::Malformed) => return Err(FileError::Malformed),
        Err(error) => return Err(FileError::Json(error)),
    };
    let mut issuers = Vec::new();
    for (position, entry) in entries.into_iter().enumerate() {
        let Json::Object(mut members) = entry else { return Err(FileError::Malformed) };
        let Some(Json::String(issuer)) = members.remove("issuer") else { return Err(FileError::Issuer(position)) };
        add(members, position, revoked.issuers.entry(issuer.clone()).or_default(), left)?;
        issuers.push(issuer);
    }
    Ok(issuers)
}

/// An unknown member is refused: it is a misspelt list, and what stands in it would not be revoked.
fn add(mut members: Map<String, Json>, position: usize, lists: &mut Lists, left: &mut usize) -> Result<(), FileError> {
    let Lists { tokens, subjects, clients } = lists;
    for (name, list) in [("jti", tokens), ("sub", subjects), ("client_id", clients)] {
        let wrong = || FileError::List(position, name);
        let texts = match members.remove(name) {
            None => continue,
            Some(Json::Array(texts)) => texts,
            Some(_) => return Err(wrong()),
        };
        *left = left.checked_sub(texts.len()).ok_or(FileError::Entries)?;
        for text in texts {
            match text {
                Json::String(text) if !text.is_empty() && text.len() <= MAX_ENTRY_BYTES => list.insert(text),
                _ => return Err(wrong()),
            };
        }
    }
    if members.is_empty() { Ok(()) } else { Err(FileError::Member(position)) }
}
