use super::*;
use crate::token::AskedTokens;

#[test]
fn k2_an_answer_does_not_outlast_a_machine_that_slept() {
    let config = IntrospectionConfig {
        url: "https://idp.example/introspect".to_owned(),
        client_id: String::new(),
        client_secret_file: "secret".into(),
        ca_file: None,
        cache: Duration::from_secs(30),
        tokens: AskedTokens::Opaque,
    };
    for (ago, holds) in [(0, true), (20, true), (31, false), (-60, false)] {
        let (_questions, asked) = mpsc::channel(1);
        let mut asking = Asking::new("i".to_owned(), config.clone(), LIMITS, asked, Metrics::new());
        let at = UnixTime::now().plus_seconds(-ago);
        let answer = Arc::new(Answer { issuer: "i".to_owned(), at, claims: Some(serde_json::Map::new()) });
        asking.keep([0; 32], Kept { answer, since: Instant::now() });
        assert_eq!(asking.kept(&[0; 32]).is_some(), holds, "{ago}");
    }
}
