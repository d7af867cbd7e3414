//! What is undefined under a negation means the same to OPA and here: by a table, and by policies made up at random.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;
use serde_json::json;
use tempfile::TempDir;

use super::harness::tool;

mod generator;

use generator::Generator;

/// The names of the rules that are true under OPA.
fn under_opa(dir: &Path, input: &Json) -> BTreeSet<String> {
    fs::write(dir.join("input.txt"), input.to_string()).unwrap();
    let mut command = Command::new(tool("OPA"));
    command.args(["eval", "--format", "json", "-d", "p.rego", "-i", "input.txt", "data.a"]).current_dir(dir);
    let answer: Json = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let rules = answer.pointer("/result/0/expressions/0/value").unwrap_or_else(|| panic!("{answer:#}"));
    let is_true = |(name, value): (&String, &Json)| (*value == json!(true)).then(|| name.clone());
    rules.as_object().unwrap().iter().filter_map(is_true).collect()
}

/// Those of the rules that are true here; what cannot be evaluated is not.
fn here(dir: &Path, input: &Json, rules: usize) -> BTreeSet<String> {
    let tests = (0..rules).map(|at| format!("test_r{at:04} if data.a.r{at:04} with input as {input}\n"));
    fs::write(dir.join("p_test.rego"), format!("package a_test\n\n{}", tests.collect::<String>())).unwrap();
    let paths = [dir.join("p.rego"), dir.join("p_test.rego")];
    let config = json!({"compatibility": "opa-envoy", "policy": {"paths": paths}});
    fs::write(dir.join("countersign.yaml"), config.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let output = command.args(["test", "-v", "-c"]).arg(dir.join("countersign.yaml")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let results = said.lines().filter(|line| line.contains("data.a_test.test_"));
    assert_eq!(results.count(), rules, "{said}{}", String::from_utf8_lossy(&output.stderr));
    let passed = said.lines().filter_map(|line| line.split_once(": PASS")?.0.rsplit_once("test_"));
    passed.map(|(_, name)| name.to_owned()).collect()
}

const RULES: &str =
    "package a\n\nimport rego.v1\nimport input.zzz as imported\n\ng(x) if x == input.one\nu := 1 if input.nope == 1\n";

#[test]
fn h13_negations_mean_what_they_mean_to_opa() {
    let dir = TempDir::new().unwrap();
    let input = json!({"one": 1, "obj": {"a": 1}, "text": "abc", "no": false, "roles": ["x", "y"]});
    let table = include_str!("../parity/negation.txt");
    let table: Vec<_> = table.lines().filter_map(|line| line.split_once('\t')).collect();
    let rules = table.iter().enumerate().map(|(at, (_, condition))| format!("r{at:04} if {{ {condition} }}\n"));
    fs::write(dir.path().join("p.rego"), RULES.to_owned() + &rules.collect::<String>()).unwrap();
    let (opa, here) = (under_opa(dir.path(), &input), here(dir.path(), &input, table.len()));
    for (at, (outcome, condition)) in table.iter().enumerate() {
        let name = format!("r{at:04}");
        let holds = (opa.contains(&name), here.contains(&name));
        assert_eq!(holds, (*outcome == "holds", *outcome == "holds"), "{condition}");
    }
    assert!(table.len() > 70);
}

/// What OPA's compiler says is wrong with the policy, by line.
fn refused_lines(dir: &Path) -> Vec<usize> {
    let mut command = Command::new(tool("OPA"));
    let output = command.args(["check", "-m", "1000", "--format", "json", "p.rego"]).current_dir(dir).output().unwrap();
    let report: Json = serde_json::from_slice(&output.stderr).unwrap_or_default();
    let errors = report["errors"].as_array().cloned().unwrap_or_default();
    errors
        .iter()
        .filter_map(|error| error.pointer("/location/row")?.as_u64())
        .map(|row| row.try_into().unwrap())
        .collect()
}

/// How often OPA is asked again, less what it refused: its checks stop at the first rule of which a type is wrong.
const MAX_ROUNDS: usize = 500;

#[test]
fn h13_no_negation_made_up_at_random_holds_here_alone() {
    let dir = TempDir::new().unwrap();
    let mut generator = Generator::new(20_261_126);
    let mut rules: Vec<_> = (0..400).map(|_| generator.rule()).collect();
    let header = generator::HEADER.lines().count() + 1;
    for _ in 0..MAX_ROUNDS {
        let numbered = rules.iter().enumerate().map(|(at, rule)| format!("r{at:04} {rule}\n"));
        fs::write(dir.path().join("p.rego"), generator::HEADER.to_owned() + &numbered.collect::<String>()).unwrap();
        let refused = refused_lines(dir.path());
        if refused.is_empty() {
            break;
        }
        let refused: BTreeSet<_> = refused.into_iter().map(|line| line - header).collect();
        rules = rules.into_iter().enumerate().filter(|(at, _)| !refused.contains(at)).map(|(_, rule)| rule).collect();
    }
    let (opa, here) = (under_opa(dir.path(), &generator::input()), here(dir.path(), &generator::input(), rules.len()));
    let rule = |name: &String| format!("{name} {}", rules[name.strip_prefix('r').unwrap().parse::<usize>().unwrap()]);
    let opened: Vec<_> = here.difference(&opa).map(rule).collect();
    assert!(opened.is_empty(), "{opened:#?}");
    // The engine ends the evaluation where arithmetic meets a wrong type: then nothing holds here that would in OPA.
    let closed: Vec<_> = opa.iter().filter(|name| name.starts_with('r')).filter(|name| !here.contains(*name)).collect();
    assert!(closed.len() * 10 < here.len(), "{:#?}", closed.into_iter().map(rule).collect::<Vec<_>>());
    assert!(rules.len() > 200 && here.len() > 50, "{} rules, {} hold", rules.len(), here.len());
}
