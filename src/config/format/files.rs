//! Paths of files that must be there when the configuration is read.

use std::fs::Metadata;
use std::io::Error;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde_json::json;

use crate::config::format::Fault;
use crate::config::format::Scalar;
use crate::config::walk::Surroundings;

/// A file; `what` is what people call it.
pub(crate) fn file(what: &str) -> Scalar<PathBuf> {
    path(
        what,
        |found| {
            if found.is_dir() { Err(Fault::new("is a folder, not a file", "name the file in it")) } else { Ok(()) }
        },
    )
}

/// A file or a folder.
pub(crate) fn file_or_folder() -> Scalar<PathBuf> {
    path("file or folder", |_| Ok(()))
}

fn path(what: &str, check: fn(&Metadata) -> Result<(), Fault>) -> Scalar<PathBuf> {
    Scalar {
        name: what.to_owned(),
        schema: json!({"type": "string", "minLength": 1}),
        placeholder: PathBuf::new(),
        parse: Box::new(move |text, Surroundings { directory, .. }| {
            if text.is_empty() {
                return Err(Fault::new("is empty", HINT));
            }
            let path = directory.join(text);
            let found = path.metadata().map_err(|error| unreachable(&error))?;
            check(&found).map(|()| path)
        }),
    }
}

const HINT: &str = "relative paths start at the configuration's folder";

fn unreachable(error: &Error) -> Fault {
    match error.kind() {
        ErrorKind::NotFound => Fault::new("does not exist", HINT),
        other => Fault::new(format!("cannot be looked at: {other}"), HINT),
    }
}
