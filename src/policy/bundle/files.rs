//! Finds and reads the files of a bundle, by OPA's rules for files and directories.

use std::collections::BTreeSet;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use crate::problem::Problem;

/// The most files of a bundle, data included: thousands of policies are a mistake in a path more often than a wish.
const MAX_FILES: usize = 10_000;
/// The longest policy; the engine's own limit.
const MAX_POLICY_BYTES: u64 = 1024 * 1024;
/// The longest data file. Data is held in memory once for each worker, at about fourteen times its length.
const MAX_DATA_BYTES: u64 = 64 * 1024 * 1024;
/// All files together.
const MAX_TOTAL_BYTES: u64 = 256 * 1024 * 1024;
/// The deepest directory: symbolic links may make circles.
const MAX_DIRECTORY_DEPTH: usize = 32;

/// One file, read.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The path as an operator would write it, for messages.
    pub(super) name: String,
    /// The path below what was configured: what stays the same wherever the bundle lies.
    pub(super) relative: String,
    /// What it is.
    pub(super) kind: Kind,
    /// The directories between what was configured and the file: where its data has its root.
    pub(super) root: Vec<String>,
    /// Its text.
    pub(super) text: String,
}

#[cfg(test)]
impl Loaded {
    /// A file that lies nowhere.
    pub(super) fn of(path: &str, text: &str) -> Self {
        let kind = Kind::of(Path::new(path)).unwrap();
        let (root, _) = path.rsplit_once('/').unwrap_or_default();
        let root = root.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Self { name: path.to_owned(), relative: path.to_owned(), kind, root, text: text.to_owned() }
    }
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A policy.
    Rego,
    /// Rules that test policies (`*_test.rego`); never part of a decision.
    Test,
    /// JSON data.
    Json,
    /// YAML data.
    Yaml,
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "rego" if path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("_test")) => {
                Some(Self::Test)
            }
            "rego" => Some(Self::Rego),
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }

    const fn max_bytes(self) -> u64 {
        match self {
            Self::Rego | Self::Test => MAX_POLICY_BYTES,
            Self::Json | Self::Yaml => MAX_DATA_BYTES,
        }
    }
}

/// Reads every file that the paths name.
///
/// # Errors
/// Everything that is missing, unreadable or too large.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Loaded>, Vec<Problem>> {
    let mut reader = Reader::default();
    for path in paths {
        reader.named(path);
    }
    if reader.problems.is_empty() { Ok(reader.loaded) } else { Err(reader.problems) }
}

#[derive(Default)]
struct Reader {
    loaded: Vec<Loaded>,
    problems: Vec<Problem>,
    /// Where files really lie, since two paths may name one.
    seen: BTreeSet<PathBuf>,
    total_bytes: u64,
}

impl Reader {
    /// A path from the configuration: it has to be there, and of a kind that is known.
    fn named(&mut self, path: &Path) {
        match fs::metadata(path) {
            Err(error) => self.problem(path, format!("cannot be read: {error}")),
            Ok(found) if found.is_dir() => self.directory(path, &[]),
            Ok(found) if !found.is_file() => self.problem(path, "is no regular file".to_owned()),
            Ok(_) => match Kind::of(path) {
                Some(kind) => self.file(path, kind, &[]),
                None => self.problems.push(
                    Problem::error("", "is neither a policy nor data")
                        .hint("files end in .rego, .json, .yaml or .yml")
                        .in_file(path.display().to_string()),
                ),
            },
        }
    }

    /// Everything below a directory, in order of names. What is hidden stays so: Kubernetes mounts a `ConfigMap` as
    /// visible links into a hidden directory, so that each file is met once.
    fn directory(&mut self, path: &Path, root: &[String]) {
        if root.len() >= MAX_DIRECTORY_DEPTH {
            return self.problem(path, format!("is more than {MAX_DIRECTORY_DEPTH} directories deep"));
        }
        let names = fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
        let names: BTreeSet<_> = match names {
            Ok(names) => names,
            Err(error) => return self.problem(path, format!("cannot be read: {error}")),
        };
        for name in names.iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")) {
            let path = path.join(name);
            match fs::metadata(&path) {
                Err(error) => self.problem(&path, format!("cannot be read: {error}")),
                Ok(found) if found.is_dir() => {
                    self.directory(&path, &[root, &[name.to_string_lossy().into_owned()]].concat());
                }
                Ok(found) if found.is_file() => {
                    if let Some(kind) = Kind::of(&path) {
                        self.file(&path, kind, root);
                    }
                }
                Ok(_) => {}
            }
        }
    }

    fn file(&mut self, path: &Path, kind: Kind, root: &[String]) {
        if fs::canonicalize(path).is_ok_and(|place| !self.seen.insert(place)) {
            return;
        }
        if self.seen.len() > MAX_FILES {
            return self.problem(path, format!("is the first of more than {MAX_FILES} files"));
        }
        let limit = kind.max_bytes().min(MAX_TOTAL_BYTES.saturating_sub(self.total_bytes));
        let text = match read_text(path, limit) {
            Ok(Some(text)) => text,
            Ok(None) => return self.problem(path, "is too large, or makes the whole too large".to_owned()),
            Err(error) => return self.problem(path, format!("cannot be read: {error}")),
        };
        self.total_bytes = self.total_bytes.saturating_add(text.len().try_into().unwrap_or(u64::MAX));
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let relative = [root, &[file_name.into_owned()]].concat().join("/");
        self.loaded.push(Loaded { name: path.display().to_string(), relative, kind, root: root.to_vec(), text });
    }

    fn problem(&mut self, path: &Path, message: String) {
        self.problems.push(Problem::error("", message).in_file(path.display().to_string()));
    }
}

/// The text of a file, or `None` where it is longer than the limit.
fn read_text(path: &Path, limit: u64) -> io::Result<Option<String>> {
    let mut text = String::new();
    File::open(path)?.take(limit.saturating_add(1)).read_to_string(&mut text)?;
    Ok(u64::try_from(text.len()).is_ok_and(|length| length <= limit).then_some(text))
}

#[cfg(test)]
mod tests;
