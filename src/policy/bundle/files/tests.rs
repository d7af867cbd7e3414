use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn names(loaded: &[Loaded]) -> Vec<&str> {
    loaded.iter().map(|file| file.relative.as_str()).collect()
}

#[test]
fn a_directory_is_read_in_order_of_names() {
    let folder = folder(&[
        ("b.rego", "b"),
        ("a.rego", "a"),
        ("a_test.rego", "t"),
        ("roles/admins.json", "{}"),
        ("roles/more/x.yml", "a: 1"),
        ("README.md", "not for us"),
        (".hidden.rego", "h"),
        (".git/x.rego", "h"),
    ]);
    let loaded = read(&[folder.path().to_owned()]).unwrap();
    assert_eq!(names(&loaded), ["a.rego", "a_test.rego", "b.rego", "roles/admins.json", "roles/more/x.yml"]);
    assert_eq!(loaded[1].kind, Kind::Test);
    assert_eq!(loaded[4].root, ["roles", "more"]);
    assert!(loaded[0].name.ends_with("/a.rego"));
}

#[test]
fn a_named_file_has_its_data_at_the_root() {
    let folder = folder(&[("roles/admins.json", "{}")]);
    let loaded = read(&[folder.path().join("roles/admins.json")]).unwrap();
    assert_eq!((names(&loaded), loaded[0].root.len()), (vec!["admins.json"], 0));
}

/// Kubernetes mounts a `ConfigMap` as links to a hidden directory, which it swaps by one link.
#[test]
fn a_config_map_is_read_once() {
    let folder = folder(&[("..2026_11_24/authz.rego", "package a"), ("..2026_11_24/data.json", "{}")]);
    let at = |name| folder.path().join(name);
    symlink("..2026_11_24", at("..data")).unwrap();
    symlink("..data/authz.rego", at("authz.rego")).unwrap();
    symlink("..data/data.json", at("data.json")).unwrap();
    let loaded = read(&[folder.path().to_owned()]).unwrap();
    assert_eq!(names(&loaded), ["authz.rego", "data.json"]);
}

#[test]
fn a_file_named_twice_is_read_once() {
    let folder = folder(&[("a.rego", "a")]);
    let twice = [folder.path().join("a.rego"), folder.path().to_owned()];
    assert_eq!(read(&twice).unwrap().len(), 1);
}

#[test]
fn links_in_circles_come_to_an_end() {
    let folder = folder(&[("sub/a.rego", "a")]);
    symlink("..", folder.path().join("sub/again")).unwrap();
    let problems = read(&[folder.path().to_owned()]).unwrap_err();
    assert!(problems[0].to_string().contains("directories deep"), "{problems:?}");
}

#[test]
fn what_cannot_be_read_is_told_all_at_once() {
    let folder = folder(&[("big.rego", &"#".repeat(1024 * 1024 + 1)), ("odd.txt", "")]);
    fs::write(folder.path().join("latin1.rego"), b"package a # \xe9").unwrap();
    symlink("nowhere", folder.path().join("gone.rego")).unwrap();
    let problems = read(&[folder.path().to_owned(), folder.path().join("odd.txt"), folder.path().join("missing")]);
    let problems: Vec<_> = problems.unwrap_err().iter().map(ToString::to_string).collect();
    for (problem, expected) in problems.iter().zip([
        "big.rego: error: is too large",
        "gone.rego: error: cannot",
        "latin1.rego: error: cannot",
        "odd.txt: error: is neither",
        "missing: error: cannot",
    ]) {
        assert!(problem.contains(expected), "{problem} — {expected}");
    }
    assert_eq!(problems.len(), 5);
}
