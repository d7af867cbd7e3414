//! Notices that files changed, by looking at them.
//!
//! A second's look at size, time and inode through symlinks sees what a notification would miss: Kubernetes' swap of
//! `..data`, a bind mount, a network file system. The content itself is read only when something moved.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;

/// What files looked like at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fingerprint(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    /// Inode, size, modification time (seconds, nanoseconds); `None`: it is not there.
    seen: Option<(u64, u64, i64, i64)>,
}

/// Files looked at in one go: beyond any real bundle, so that a wrong path (`/`) cannot occupy the program.
const MAX_FILES: usize = 10_000;
/// Directories within directories that are followed.
const MAX_DEPTH: usize = 16;

impl Fingerprint {
    /// Looks at files and, for directories, at everything in them.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let mut entries = Vec::new();
        for path in paths {
            look(path, MAX_DEPTH, &mut entries);
        }
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
        let before = Fingerprint::of([mounted.as_path()]);
        assert_eq!(before, Fingerprint::of([mounted.as_path()]));
        std::os::unix::fs::symlink(root.join("two"), root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        assert_ne!(before, Fingerprint::of([mounted.as_path()]));
    }

    #[test]
    fn new_changed_and_missing_files_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let look = || Fingerprint::of([folder.path()]);
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
}
