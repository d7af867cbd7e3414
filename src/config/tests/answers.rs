//! What a client is told.

use super::*;

const AUTHORIZATION_SERVERS: &str = "authorization_servers: [https://idp.example]";

fn least_and(more: &str) -> Vec<String> {
    told(Folder::new().read(&format!("{LEAST}{more}")))
}

#[test]
fn challenges_and_resources_have_their_defaults() {
    let folder = Folder::new();
    let shown = folder.read(LEAST).unwrap().settings.redacted();
    assert_eq!(shown["routes"]["problem_details"], json("false"));
    assert_eq!(shown["routes"]["challenge"], json("{realm: countersign}"));
    assert_eq!(shown["protected_resources"], json("[]"));
    let text = format!("{LEAST}protected_resources: [{{resource: 'https://a/mcp', {AUTHORIZATION_SERVERS}}}]\n");
    let Loaded { settings, warnings } = folder.read(&text).unwrap();
    assert_eq!(warnings, []);
    let document = settings.resources.document("a", "/.well-known/oauth-protected-resource/mcp").unwrap();
    let expected = r#"{"resource":"https://a/mcp","authorization_servers":["https://idp.example"],"bearer_methods_supported":["header"]}"#;
    assert_eq!(document.body(), expected);
}

#[test]
fn what_is_missing_of_a_resource_is_told() {
    let problems = least_and("protected_resources: [{}]\n");
    let expected = ["resource: is missing", "authorization_servers: is missing"];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(&format!("protected_resources[0].{expected}")), "{problem}");
    }
}

#[test]
fn two_resources_have_no_document_in_one_place() {
    for second in ["https://a/mcp", "https://A/mcp", "https://a:8443/mcp"] {
        let text = format!(
            "protected_resources:\n- {{resource: 'https://a/mcp', {AUTHORIZATION_SERVERS}}}\n\
             - {{resource: '{second}', {AUTHORIZATION_SERVERS}}}\n"
        );
        let problem = "protected_resources[1].resource: has its document where protected_resources[0] has its own";
        assert!(least_and(&text)[0].contains(problem), "{second}: {:?}", least_and(&text));
    }
    let text = format!(
        "protected_resources:\n- {{resource: 'https://a/mcp', {AUTHORIZATION_SERVERS}}}\n\
         - {{resource: 'https://a', {AUTHORIZATION_SERVERS}}}\n- {{resource: 'https://b/mcp', {AUTHORIZATION_SERVERS}}}\n"
    );
    assert_eq!(least_and(&text), [""; 0]);
}

#[test]
fn a_server_whose_tokens_are_not_believed_is_warned_about() {
    let text = "protected_resources: [{resource: 'https://a', authorization_servers: ['https://idp.example/']}]\n";
    let told = least_and(text);
    let warning = "line 4: warning: protected_resources[0].authorization_servers[0]: sends clients to \
                   `https://idp.example/`, whose tokens are not believed here";
    assert!(told.len() == 1 && told[0].starts_with(warning), "{told:?}");
}

#[test]
fn documents_and_their_number_are_bounded() {
    let long = format!(
        "protected_resources: [{{resource: 'https://a', {AUTHORIZATION_SERVERS}, resource_name: '{}'}}]\n",
        "a".repeat(16 << 10)
    );
    let told = least_and(&long);
    assert!(told.len() == 1 && told[0].contains("[0]: makes a document of more than 16384 bytes"), "{told:?}");
    let one = |number| format!("{{resource: 'https://a/{number}', {AUTHORIZATION_SERVERS}}}");
    let many: Vec<_> = (0..65).map(one).collect();
    let told = least_and(&format!("protected_resources: [{}]\n", many.join(", ")));
    assert!(
        told.len() == 1 && told[0].contains("protected_resources: has 65 items (at most 64 are taken)"),
        "{told:?}"
    );
}
