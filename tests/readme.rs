//! The README does what it says: its files work as they stand there, and every command shown exists.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::iter;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use countersign::clock::UnixTime;
use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use jsonwebtoken::jwk::Jwk;
use rcgen::KeyPair;
use serde_json::Value as Json;
use serde_json::json;
use tempfile::TempDir;

/// Pages that show commands, besides those in `docs`.
const PAGES: &[&str] =
    &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "policies/README.md", "tests/cases/README.md"];
/// How long a token is good for: far longer than the test takes.
const LIFETIME_SECONDS: i64 = 300;
const COMMANDS: [&str; 5] = ["serve", "eval", "check", "identity", "test"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn countersign(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign")).current_dir(folder).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}

/// A fenced block: what stands behind its three backticks, and its text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap_or((block, ""))).collect()
}

/// The README's named files in a folder, with a key that signs tokens for them.
struct SixtySeconds {
    folder: TempDir,
    key: EncodingKey,
}

impl SixtySeconds {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let readme = fs::read_to_string(root().join("README.md")).unwrap();
        let named: BTreeMap<_, _> =
            blocks(&readme).into_iter().filter_map(|(info, text)| Some((info.split_once(' ')?.1, text))).collect();
        assert_eq!(named.keys().collect::<Vec<_>>(), [&"config.yaml", &"policy.rego"]);
        for (name, text) in named {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let key = EncodingKey::from_ec_pem(KeyPair::generate().unwrap().serialize_pem().as_bytes()).unwrap();
        let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        fs::write(folder.path().join("jwks.json"), json!({"keys": [jwk]}).to_string()).unwrap();
        Self { folder, key }
    }

    /// A GET of the planner's on behalf of a user with this scope.
    fn eval(&self, scope: &str) -> Json {
        let claims = json!({
            "iss": "https://idp.example", "sub": "alice", "aud": "orders", "scope": scope,
            "exp": UnixTime::now().plus_seconds(LIFETIME_SECONDS).seconds(),
        });
        let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.key).unwrap();
        let request = json!({"attributes": {
            "source": {"principal": "spiffe://prod.example/ns/agents/sa/planner"},
            "request": {"http": {
                "method": "GET", "path": "/orders/17", "headers": {"authorization": format!("Bearer {token}")},
            }},
        }});
        let folder = self.folder.path();
        fs::write(folder.join("request.json"), request.to_string()).unwrap();
        let output =
            countersign(folder, &["eval", "-c", "config.yaml", "--check-request", "request.json", "--explain"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn the_sixty_seconds_work() {
    let example = SixtySeconds::new();
    let output = countersign(example.folder.path(), &["check", "-c", "config.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");

    let allowed = example.eval("orders:read orders:list");
    assert_eq!(allowed["decision"], "allow", "{allowed}");
    let headers = allowed["response"]["okResponse"]["headers"].as_array().unwrap();
    let names: Vec<_> = headers.iter().map(|header| header["header"]["key"].as_str().unwrap()).collect();
    let wanted = ["caller", "user", "issuer", "decision-id"].map(|name| format!("x-countersign-{name}"));
    assert_eq!(names, wanted);
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(wanted.iter().all(|name| readme.contains(&format!("`{name}`"))));
    assert!(!allowed["rules"].as_array().unwrap().is_empty(), "{allowed}");

    let denied = example.eval("orders:list");
    assert_eq!((&denied["decision"], &denied["reason"]), (&json!("deny"), &json!("policy_denied")), "{denied}");
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<_> = PAGES.iter().map(|page| root().join(page)).collect();
    pages.extend(fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages
}

/// Every command line of the pages, in a block for the shell or between backticks, without its comment.
fn command_lines() -> Vec<String> {
    let mut lines = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(page).unwrap();
        let shell = blocks(&text).into_iter().filter(|(info, _)| *info == "sh").flat_map(|(_, block)| block.lines());
        let inline = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
        let commands = shell.chain(inline).map(|line| line.split('#').next().unwrap_or_default().trim());
        lines.extend(commands.filter(|line| line.contains(' ')).map(str::to_owned));
    }
    lines
}

#[test]
fn every_command_shown_exists() {
    let helps = COMMANDS.map(|command| {
        let output = countersign(root(), &[command, "--help"]);
        (command, stdout(&output).to_owned())
    });
    let helps = BTreeMap::from(helps);
    let mut seen = 0;
    for line in command_lines() {
        let Some(rest) = line.strip_prefix("countersign ").filter(|rest| !rest.starts_with('-')) else { continue };
        let mut words = rest.split(' ');
        let help = helps.get(words.next().unwrap_or_default()).unwrap_or_else(|| panic!("no such command: `{line}`"));
        for flag in words.filter(|word| word.starts_with('-') && *word != "-") {
            let is_known = help.lines().flat_map(|line| line.split([' ', ','])).any(|word| word == flag);
            assert!(is_known, "no such option: `{line}`");
        }
        seen += 1;
    }
    assert!(seen >= 6, "only {seen} commands found");
}

#[test]
fn every_make_target_shown_exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let mut seen = 0;
    for line in command_lines() {
        let Some(rest) = line.strip_prefix("make ") else { continue };
        for target in rest.split(' ').filter(|word| !word.contains('=')) {
            assert!(makefile.contains(&format!("\n{target}:")), "no such target: `{line}`");
            seen += 1;
        }
    }
    assert!(seen >= 6, "only {seen} targets found");
}

#[test]
fn every_help_says_what_the_exit_codes_mean() {
    let helps = COMMANDS.iter().map(|command| vec![*command, "--help"]);
    for arguments in iter::once(vec!["--help"]).chain(helps) {
        let output = countersign(root(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let text = stdout(&output);
        assert!(
            ["Usage: countersign", "Exit codes:", "\n  0 ", "\n  1 ", "\n  2 "].iter().all(|part| text.contains(part)),
            "{text}"
        );
    }
}
