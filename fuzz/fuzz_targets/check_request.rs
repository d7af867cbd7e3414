//! Whole CheckRequests, in both modes: never an allow without a policy's boolean `true`, never a panic.

#![no_main]

use std::cell::RefCell;

use countersign::app::evaluator::Evaluator;
use countersign::clock::UnixTime;
use countersign::ext_authz::Outgoing;
use libfuzzer_sys::fuzz_target;

/// The request says what the policy answers, so the fuzzer reaches every result there is. `deny_all` says no to all.
const POLICY: &str = r#"package envoy.authz

allow := json.unmarshal(input.attributes.contextExtensions.result)

nearly := "true"

also_nearly := {"allowed": 1}
"#;

struct Mode {
    echo: Evaluator,
    nearly: [Evaluator; 2],
}

thread_local! {
    static MODES: RefCell<Vec<Mode>> = RefCell::new(["strict", "opa-envoy"].map(mode).into());
}

fn mode(compatibility: &str) -> Mode {
    let load = |path: &str| {
        let config = format!(
            "compatibility: {compatibility}\nroutes: {{caller: optional, token: off}}\n\
             policy: {{paths: [policy.rego], path: envoy/authz/{path}, time_limit: 1s}}\n"
        );
        Evaluator::from_texts(&config, &[("policy.rego", POLICY)]).expect("the fuzzer's own configuration is right")
    };
    Mode { echo: load("allow"), nearly: [load("nearly"), load("also_nearly")] }
}

fuzz_target!(|bytes: &[u8]| {
    let now = UnixTime::from_seconds(1_790_000_000);
    MODES.with_borrow_mut(|modes| {
        for mode in modes {
            for evaluator in &mut mode.nearly {
                assert!(!allowed(evaluator.check(bytes, now)), "allowed without a boolean true");
            }
            if allowed(mode.echo.check(bytes, now)) {
                assert!(asks_for_true(bytes), "allowed though the policy's answer holds no boolean true");
            }
        }
    });
});

fn allowed(outgoing: Outgoing) -> bool {
    match outgoing {
        Outgoing::NeedsKeys(_) => false,
        Outgoing::Answer(answer) => answer.response.status.is_none_or(|status| status.code == 0),
    }
}

/// The oracle: somewhere in the bytes stands the text that the echo policy turns into a boolean `true`.
fn asks_for_true(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|window| window == b"true")
}
