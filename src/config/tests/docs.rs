//! What the documentation says of the format is so. (That it is current, tests/generated.rs holds.)

use super::*;
use crate::config::about::ABOUT;
use crate::config::reference;
use crate::config::walk::Absent;
use crate::config::walk::Key;
use crate::config::walk::Shape;

#[test]
fn every_key_has_a_sentence_and_every_sentence_a_key() {
    let keys: Vec<_> =
        reference::rows("", &reference::keys(Compatibility::Strict)).into_iter().map(|row| row.path).collect();
    let mut described: Vec<_> = ABOUT.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(described.len(), keys.len());
    described.retain(|path| !keys.contains(path));
    assert_eq!(described, [""; 0]);
    for (path, sentence) in ABOUT {
        assert!(sentence.ends_with('.'), "{path}");
        assert!(!sentence.contains(['|', '\n']), "{path}");
    }
}

#[test]
fn documented_defaults_are_the_defaults() {
    let folder = Folder::new();
    for (mode, name) in [(Compatibility::Strict, "strict"), (Compatibility::OpaEnvoy, "opa-envoy")] {
        let bundle = "spiffe: {bundles: [{trust_domain: partner.example, endpoint: 'https://partner.example/bundle'}]}";
        let resource = "protected_resources: [{resource: 'https://a', authorization_servers: ['https://idp.example']}]";
        let asked = ", introspection: {url: 'https://idp.example/introspect', client_id: a, client_secret_file: secret}}\npolicy";
        let least = LEAST.replace("}\npolicy", asked);
        let text = format!("compatibility: {name}\n{bundle}\n{resource}\n{least}");
        let shown = folder.read(&text).unwrap().settings.redacted();
        let compared = compare(&reference::keys(mode), &shown);
        assert!(compared > 48, "{compared}");
    }
}

/// Compares what is shown with the defaults, and counts them.
fn compare(keys: &[Key], shown: &Json) -> usize {
    let compare_key = |Key { name, shape }: &Key| match shape {
        // The mode is written out above, and the keys come from a file.
        Shape::Value { .. } if matches!(*name, "compatibility" | "discovery" | "oauth_metadata") => 0,
        Shape::Value { absent: Absent::Default(yaml), .. } => {
            assert_eq!(shown[*name], json(yaml), "{name}");
            1
        }
        Shape::Value { .. } => 0,
        Shape::Section(keys) => compare(keys, &shown[*name]),
        Shape::Sections(keys) => compare(keys, &shown[*name][0]),
    };
    keys.iter().map(compare_key).sum()
}

#[test]
fn the_examples_load_and_nothing_is_warned_about() {
    for (page, wholes, parts) in [
        (include_str!("../../../docs/configuration.md"), 4, 0),
        (include_str!("../../../docs/spiffe.md"), 0, 10),
        (include_str!("../../../docs/tokens.md"), 3, 1),
        (include_str!("../../../docs/proof-of-possession.md"), 1, 2),
        (include_str!("../../../docs/challenges.md"), 0, 2),
    ] {
        let examples: Vec<_> = page.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
        let (whole, part): (Vec<_>, Vec<_>) = examples.into_iter().partition(|example| example.contains("\npolicy:"));
        assert_eq!((whole.len(), part.len()), (wholes, parts));
        for example in whole.into_iter().map(str::to_owned).chain(part.iter().map(|part| format!("{LEAST}{part}"))) {
            let loaded = Folder::new().read(&example);
            let is_plaintext = |problem: &String| problem.contains("listeners.insecure_plaintext_beyond_loopback");
            let told: Vec<_> = told(loaded).into_iter().filter(|problem| !is_plaintext(problem)).collect();
            assert_eq!(told, [""; 0], "{example}");
        }
    }
}
