//! Whole checks beside OPA-Envoy's recorded answers, policy and all, under `compatibility: opa-envoy`: what
//! docs/parity.md promises, with its exceptions and no others.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use countersign::app::App;
    use countersign::app::Environment;
    use countersign::app::evaluator::Evaluator;
    use countersign::app::evaluator::Shown;
    use countersign::clock::UnixTime;
    use serde::Deserialize;
    use serde_json::Value as Json;

    #[derive(Deserialize)]
    struct Case {
        id: String,
        group: String,
        request_wire: String,
        response: Option<Json>,
        grpc_error: Option<Json>,
    }

    /// What HTTP does not allow, or the proxy routes by: the plugin hands it to Envoy, Countersign denies.
    const REFUSED_HERE: &[&str] = &[
        "result/ok-headers-pseudo",
        "result/ok-headers-odd-name",
        "result/no-headers-crlf",
        "result/no-headers-odd-name",
    ];

    #[test]
    fn every_path_is_answered_as_the_plugin_answers() {
        check("path", 48);
    }

    #[test]
    fn every_query_is_answered_as_the_plugin_answers() {
        check("query", 32);
    }

    #[test]
    fn all_attributes_are_answered_as_the_plugin_answers() {
        check("attributes", 34);
    }

    #[test]
    fn every_result_is_read_as_the_plugin_reads_it() {
        check("result", 111);
    }

    #[test]
    fn every_entry_point_is_found_as_the_plugin_finds_it() {
        check("entry-point", 5);
        check("errors", 3);
    }

    fn check(topic: &str, wanted: usize) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity");
        let text = fs::read_to_string(root.join(topic).with_extension("jsonl")).unwrap();
        let cases: Vec<Case> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(cases.len(), wanted);
        let mut groups = BTreeMap::new();
        let mut wrong = Vec::new();
        for case in &cases {
            let evaluator =
                groups.entry(case.group.clone()).or_insert_with(|| evaluator(&root.join("groups"), &case.group));
            let wire = STANDARD.decode(&case.request_wire).unwrap();
            let got = evaluator.evaluate(&wire, UnixTime::now(), Shown::default());
            if let Err(difference) = compare(case, &got) {
                wrong.push(format!("{}: {difference}", case.id));
            }
        }
        assert!(wrong.is_empty(), "{} of {wanted}:\n{}", wrong.len(), wrong.join("\n"));
    }

    fn evaluator(groups: &Path, group: &str) -> Evaluator {
        let folder = groups.join(group);
        let plugin: Json = serde_json::from_str(&fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
        let config = tempfile::NamedTempFile::new().unwrap();
        let text = serde_json::json!({
            "compatibility": "opa-envoy",
            "policy": {"paths": [folder.join("policy.rego")], "path": plugin["path"], "time_limit": "1s"},
        });
        fs::write(config.path(), text.to_string()).unwrap();
        let environment: Environment = Arc::new(|_| None);
        App::load(config.path(), &environment)
            .and_then(Evaluator::new)
            .unwrap_or_else(|problems| panic!("{group}: {problems:?}"))
    }

    fn compare(case: &Case, got: &Json) -> Result<(), String> {
        if case.grpc_error.is_some() || REFUSED_HERE.contains(&case.id.as_str()) {
            let denied = got["decision"] == "deny";
            return denied.then_some(()).ok_or_else(|| format!("the plugin fails, and this allows: {got}"));
        }
        let want = plain(case.response.as_ref().unwrap());
        let got = plain(&got["response"]);
        (want == got).then_some(()).ok_or_else(|| format!("\n  want {want}\n  got  {got}"))
    }

    /// A response without what may differ: the decision's id, the echo's metadata, how "overwrite" is spelled, the order
    /// of names (the plugin's is random), the parser's text in a 400.
    fn plain(response: &Json) -> Json {
        let mut response = response.clone();
        if let Some(metadata) = response.get_mut("dynamicMetadata").and_then(Json::as_object_mut) {
            metadata.remove("decision_id");
            metadata.remove("input");
            if metadata.is_empty() {
                response.as_object_mut().unwrap().remove("dynamicMetadata");
            }
        }
        for (answer, lists) in
            [("okResponse", ["headers", "responseHeadersToAdd"]), ("deniedResponse", ["headers", ""])]
        {
            for list in lists {
                let Some(headers) = response.pointer_mut(&format!("/{answer}/{list}")).and_then(Json::as_array_mut)
                else {
                    continue;
                };
                for header in headers.iter_mut() {
                    header.as_object_mut().unwrap().retain(|key, _| key == "header");
                }
                headers.sort_by_key(|header| header["header"]["key"].as_str().unwrap_or_default().to_owned());
            }
        }
        for (place, key) in [("/deniedResponse", "body"), ("/status", "message")] {
            if let Some(fields) = response.pointer_mut(place).and_then(Json::as_object_mut)
                && fields.get(key).and_then(Json::as_str).is_some_and(|text| text.starts_with("request_parse_error"))
            {
                fields.remove(key);
            }
        }
        response
    }
}
