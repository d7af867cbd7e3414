//! Whatever a policy's value is: only the boolean `true` allows, and nothing leaves that splits or misroutes a message.

#![no_main]

use countersign::decision::Decision;
use countersign::decision::HeaderField;
use countersign::policy::Compatibility;
use countersign::policy::OutputRules;
use countersign::policy::decision_from_json;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const OWNED: &str = "x-countersign-";

fuzz_target!(|json: &str| {
    let says_true = serde_json::from_str::<Value>(json).is_ok_and(|value| value == true || value["allowed"] == true);
    for compatibility in [Compatibility::Strict, Compatibility::OpaEnvoy] {
        let rules = OutputRules { compatibility, owned_prefix: OWNED.to_owned() };
        let Some(decision) = decision_from_json(json, &rules) else { continue };
        let mut headers = Vec::new();
        match decision {
            Decision::Allow(grant) => {
                assert!(says_true);
                assert!(grant.effects.headers_to_remove.iter().all(|name| !name.starts_with(':')));
                headers.extend(grant.effects.headers);
                headers.extend(grant.effects.response_headers);
            }
            Decision::Deny(denial) => headers.extend(denial.response.into_iter().flat_map(|response| response.headers)),
        }
        for header in headers {
            assert!(HeaderField::new(header.name(), header.value()).is_ok());
            let is_owned = header.name().to_ascii_lowercase().replace('_', "-").starts_with(OWNED);
            assert!(compatibility == Compatibility::OpaEnvoy || !is_owned);
        }
    }
});
