//! Countersign beside OPA-Envoy's recorded answers (`tests/parity/README.md`), under `compatibility: opa-envoy`.
//!
//! What stands here compares the input document, and the 400 where there is none. The answers of whole checks, policy and
//! all, join as further tests over the same [`cases`].

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use countersign::decision::Denial;
    use countersign::ext_authz::decode::decode;
    use countersign::facts::Facts;
    use countersign::facts::Shape;
    use countersign::input;
    use serde::Deserialize;
    use serde_json::Value as Json;

    #[derive(Deserialize)]
    struct Case {
        id: String,
        group: String,
        request: Json,
        request_wire: String,
        input_json: Option<String>,
        response: Option<Json>,
    }

    impl Case {
        fn content_type(&self) -> &str {
            self.request.pointer("/attributes/request/http/headers/content-type").and_then(Json::as_str).unwrap_or("")
        }

        /// Forms, multipart and gRPC messages with a descriptor are not parsed yet.
        fn has_a_body_for_later(&self) -> bool {
            let kinds = ["application/x-www-form-urlencoded", "multipart/form-data"];
            !self.content_type().contains("application/json")
                && kinds.iter().any(|kind| self.content_type().contains(kind))
        }

        fn document(&self) -> Result<Json, Denial> {
            let attributes = decode(&STANDARD.decode(&self.request_wire).unwrap())?;
            let config = input::Config { normalise: false, parse_body: self.group != "echo-skip-body" };
            let request = input::view(&attributes, &config)?;
            let facts = Facts {
                attributes: &attributes,
                request: &request,
                caller: None,
                user: None,
                shape: Shape::OpaEnvoy { caller: false, user: false },
            };
            Ok(serde_json::to_value(facts).unwrap())
        }

        /// Whether the plugin refused the request because it could not build the input.
        fn has_no_input(&self) -> bool {
            let body = self.response.as_ref().and_then(|response| response.pointer("/deniedResponse/body"));
            body.and_then(Json::as_str).is_some_and(|body| body.starts_with("request_parse_error"))
        }

        /// Compares the document, or the refusal; false where there is nothing to compare.
        fn check_document(&self) -> bool {
            if self.has_a_body_for_later() {
                return false;
            }
            let document = self.document();
            if let Some(recorded) = &self.input_json {
                let recorded: Json = serde_json::from_str(recorded).unwrap();
                let document = document.unwrap_or_else(|denial| panic!("{}: {denial:?}", self.id));
                assert_eq!(by_value(&document), by_value(&recorded), "{}", self.id);
                return true;
            }
            if self.has_no_input() {
                let denial = document.err().unwrap_or_else(|| panic!("{}: not refused", self.id));
                assert_eq!(denial.http_status(), 400, "{}", self.id);
                assert_eq!(denial.response.unwrap().body, "", "{}: the parser's text is not the client's", self.id);
                return true;
            }
            false
        }
    }

    fn cases(topic: &str) -> Vec<Case> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(topic).with_extension("jsonl");
        let text = fs::read_to_string(file).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Compares every case of a topic, of which at least so many have something to compare.
    fn check_documents(topic: &str, at_least: usize) {
        let compared = cases(topic).iter().filter(|case| case.check_document()).count();
        assert!(compared >= at_least, "{topic}: only {compared} cases compared");
    }

    #[test]
    fn the_document_of_each_path_is_the_plugins() {
        check_documents("path", 48);
    }

    #[test]
    fn the_document_of_each_query_is_the_plugins() {
        check_documents("query", 32);
    }

    #[test]
    fn the_document_of_all_attributes_is_the_plugins() {
        check_documents("attributes", 34);
    }

    #[test]
    fn the_document_of_each_json_body_is_the_plugins() {
        check_documents("body", 127);
    }

    #[test]
    fn the_document_without_a_body_is_the_plugins() {
        check_documents("skip-body", 11);
    }

    #[test]
    fn an_input_that_cannot_be_built_is_refused_before_any_policy() {
        check_documents("result", 1);
        check_documents("mixture", 200);
    }

    /// A document with every number as its digits and exponent, so that `1`, `1.0` and `10e-1` are one.
    fn by_value(json: &Json) -> Json {
        match json {
            Json::Number(number) => Json::String(canonical(&number.to_string())),
            Json::Array(items) => items.iter().map(by_value).collect(),
            Json::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), by_value(field))).collect(),
            other => other.clone(),
        }
    }

    fn canonical(number: &str) -> String {
        let (sign, number) = number.strip_prefix('-').map_or(("", number), |number| ("-", number));
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_matches('0');
        if significant.is_empty() {
            return "0".to_owned();
        }
        let length = |text: &str| i64::try_from(text.len()).unwrap();
        let zeros = length(&digits).saturating_sub(length(digits.trim_end_matches('0')));
        let exponent = exponent.parse::<i64>().unwrap().saturating_sub(length(fraction)).saturating_add(zeros);
        format!("{sign}{significant}e{exponent}")
    }

    #[test]
    fn numbers_compare_by_value() {
        for (a, b) in
            [("1", "1.0"), ("1", "10e-1"), ("-0", "0"), ("1E5", "100000"), ("2.50", "2.5"), ("1e400", "10e399")]
        {
            assert_eq!(canonical(a), canonical(b));
        }
        for (a, b) in [("1", "10"), ("1", "-1"), ("9007199254740993", "9007199254740992"), ("0.1", "0.01")] {
            assert_ne!(canonical(a), canonical(b));
        }
    }
}
