use serde_json::json;

use super::*;

const REQUEST: &str = r#"{"attributes": {
    "source": {"address": {"socketAddress": {"address": "10.0.0.1", "portValue": 41000}}},
    "request": {"time": "2026-11-24T10:11:12.5Z", "http": {"path": "/a", "size": "-1", "rawBody": "/w=="}},
    "metadataContext": {"filterMetadata": {"f": {"a": 1, "b": 2.50, "c": 1e3, "d": [null, true]}}}
}}"#;

#[test]
fn a_request_comes_back_as_it_went() {
    let wire = check_request_to_wire(REQUEST).unwrap();
    let mut expected: Json = serde_json::from_str(REQUEST).unwrap();
    expected["attributes"]["request"]["time"] = json!("2026-11-24T10:11:12.500Z");
    expected["attributes"]["metadataContext"]["filterMetadata"]["f"] =
        json!({"a": 1.0, "b": 2.5, "c": 1000.0, "d": [null, true]});
    assert_eq!(check_request_to_json(&wire).unwrap(), expected);
}

#[test]
fn numbers_may_be_written_either_way() {
    for size in ["41", "\"41\"", "41.0", "4.1e1"] {
        let json = format!(r#"{{"attributes": {{"request": {{"http": {{"size": {size}}}}}}}}}"#);
        let wire = check_request_to_wire(&json).unwrap();
        let size = check_request_to_json(&wire).unwrap()["attributes"]["request"]["http"]["size"].clone();
        assert_eq!(size, "41", "{json}");
    }
}

#[test]
fn errors_say_what_is_wrong() {
    for (json, expected) in [
        ("{", "is no JSON: "),
        ("[]", "is no `envoy.service.auth.v3.CheckRequest` as protobuf JSON: "),
        (r#"{"atributes": {}}"#, "atributes"),
        (r#"{"attributes": {"request": {"http": {"size": "x"}}}}"#, "protobuf JSON: "),
    ] {
        let error = check_request_to_wire(json).unwrap_err().to_string();
        assert!(error.contains(expected), "{json}: {error}");
    }
    let error = check_request_to_json(b"\xff").unwrap_err().to_string();
    assert!(error.starts_with("is no `envoy.service.auth.v3.CheckRequest` in protobuf: "), "{error}");
}

#[test]
fn the_descriptors_are_of_the_service_that_is_spoken() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let service = pool.get_service_by_name("envoy.service.auth.v3.Authorization").unwrap();
    let methods: Vec<_> = service.methods().map(|method| method.full_name().to_owned()).collect();
    assert_eq!(methods, ["envoy.service.auth.v3.Authorization.Check"]);
}
