//! Notices that files changed, by looking at them.
//!
//! A second's look at size, time and inode through symlinks sees what a notification would miss: Kubernetes' swap of
//! `..data`, a bind mount, a network file system. The content itself is read only when something moved.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;

/// Files and folders as they looked before they were read. What looks different now has not been read yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watched(BTreeMap<PathBuf, Fingerprint>);

/// What a file, or a folder and everything in it, looked like at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fingerprint(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    /// Inode, size, modification time (seconds, nanoseconds); `None`: it is not there.
    seen: Option<(u64, u64, i64, i64)>,
}

/// Files looked at below one path: beyond any real bundle, so that a wrong path (`/`) cannot occupy the program.
const MAX_FILES: usize = 10_000;
/// Directories within directories that are followed.
const MAX_DEPTH: usize = 16;

impl Watched {
    /// These files, as they look now.
    pub fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut watched = Self::default();
        watched.follow(paths);
        watched
    }

    /// The same files, as they look now.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::of(self.0.keys().cloned())
    }

    /// Watches these files instead. Those watched already keep their look, since they may have been read after it.
    pub fn follow(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        let looks = paths.into_iter().map(|path| {
            let look = self.0.remove(&path).unwrap_or_else(|| Fingerprint::of(&path));
            (path, look)
        });
        self.0 = looks.collect();
    }
}

impl Fingerprint {
    fn of(path: &Path) -> Self {
        let mut entries = Vec::new();
        look(path, MAX_DEPTH, &mut entries);
        Self(entries)
    }
}

fn look(path: &Path, depth: usize, entries: &mut Vec<Entry>) {
    if entries.len() >= MAX_FILES {
        return;
    }
    let found = fs::metadata(path).ok();
    let is_directory = found.as_ref().is_some_and(fs::Metadata::is_dir);
    entries.push(Entry {
        path: path.to_owned(),
        seen: found.map(|found| (found.ino(), found.len(), found.mtime(), found.mtime_nsec())),
    });
    let Some(depth) = depth.checked_sub(1).filter(|_| is_directory) else { return };
    let mut inside: Vec<_> = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    inside.sort();
    for path in inside {
        look(&path, depth, entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symlink_swap_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for version in ["one", "two"] {
            fs::create_dir(root.join(version)).unwrap();
            fs::write(root.join(version).join("policy.rego"), "package a").unwrap();
        }
        std::os::unix::fs::symlink(root.join("one"), root.join("..data")).unwrap();
        std::os::unix::fs::symlink(Path::new("..data/policy.rego"), root.join("policy.rego")).unwrap();
        let mounted = root.join("policy.rego");
        let before = Watched::of([mounted.clone()]);
        assert_eq!(before, Watched::of([mounted.clone()]));
        std::os::unix::fs::symlink(root.join("two"), root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        assert_ne!(before, Watched::of([mounted.clone()]));
    }

    #[test]
    fn new_changed_and_missing_files_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let look = || Watched::of([folder.path().to_owned()]);
        let empty = look();
        fs::write(folder.path().join("a.rego"), "package a").unwrap();
        let one = look();
        assert_ne!(empty, one);
        fs::write(folder.path().join("a.rego"), "package ab").unwrap();
        let changed = look();
        assert_ne!(one, changed);
        fs::remove_file(folder.path().join("a.rego")).unwrap();
        assert_ne!(changed, look());
    }

    #[test]
    fn a_file_that_changed_while_it_was_read_looks_different() {
        let folder = tempfile::tempdir().unwrap();
        let [config, policy] = ["config.yaml", "policy.rego"].map(|name| folder.path().join(name));
        fs::write(&config, "one").unwrap();
        let mut watched = Watched::of([config.clone()]);
        // The configuration changes after it was looked at, and before it is said what else to watch.
        fs::write(&config, "another").unwrap();
        watched.follow([config, policy.clone()]);
        assert_ne!(watched, watched.again());
        let read = watched.again();
        fs::write(policy, "package a").unwrap();
        assert_ne!(read, read.again(), "a file that was not there");
    }
}
