//! Whole CheckRequests, in both modes: never an allow without a policy's boolean `true`, never a panic.

#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use countersign::app::App;
use countersign::app::Environment;
use countersign::app::evaluator::Evaluator;
use countersign::clock::UnixTime;
use countersign::decision_log::Record;
use countersign::ext_authz::Outgoing;
use libfuzzer_sys::fuzz_target;
use uuid::Uuid;

/// The request says what the policy answers, so the fuzzer reaches every result there is. `deny_all` says no to all.
const POLICY: &str = r#"package envoy.authz

allow := json.unmarshal(input.attributes.contextExtensions.result)

nearly := "true"

also_nearly := {"allowed": 1}
"#;

const NOW: UnixTime = UnixTime::from_seconds(1_790_000_000);

struct Mode {
    echo: Evaluator,
    nearly: [Evaluator; 2],
}

thread_local! {
    static MODES: RefCell<Vec<Mode>> = RefCell::new(["strict", "opa-envoy"].map(mode).into());
}

fn mode(compatibility: &str) -> Mode {
    Mode { echo: load(compatibility, "allow"), nearly: ["nearly", "also_nearly"].map(|path| load(compatibility, path)) }
}

/// Loads the policy by one of its rules. The files are read here and not kept.
fn load(compatibility: &str, path: &str) -> Evaluator {
    let folder = std::env::temp_dir().join(format!("countersign-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the policy");
    let config = format!(
        "compatibility: {compatibility}\nroutes: {{caller: optional, token: off}}\n\
         policy: {{paths: [policy.rego], path: envoy/authz/{path}, time_limit: 1s}}\n"
    );
    let files = [("policy.rego", POLICY), ("config.yaml", &config)];
    files.iter().for_each(|(name, text)| std::fs::write(folder.join(name), text).expect("a file for the policy"));
    let environment: Environment = Arc::new(|_| None);
    let app = App::load(&folder.join("config.yaml"), &environment).expect("the fuzzer's own configuration is right");
    std::fs::remove_dir_all(&folder).expect("the folder is there");
    Evaluator::new(app).expect("the fuzzer's own policy is right")
}

fuzz_target!(|bytes: &[u8]| {
    MODES.with_borrow_mut(|modes| {
        for mode in modes {
            for evaluator in &mut mode.nearly {
                assert!(!allowed(evaluator, bytes), "allowed without a boolean true");
            }
            if allowed(&mut mode.echo, bytes) {
                assert!(asks_for_true(bytes), "allowed though the policy's answer holds no boolean true");
            }
        }
    });
});

fn allowed(evaluator: &mut Evaluator, bytes: &[u8]) -> bool {
    let mut record = Record::new(Uuid::nil(), NOW);
    match evaluator.check(bytes, NOW, &mut record) {
        Outgoing::Needs(_) => false,
        Outgoing::Answer(answer) => answer.status.is_none_or(|status| status.code == 0),
    }
}

/// The oracle: somewhere in the bytes stands the text that the echo policy turns into a boolean `true`.
fn asks_for_true(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|window| window == b"true")
}
