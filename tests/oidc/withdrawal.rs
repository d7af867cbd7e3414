//! Tokens that still verify, and are good no longer.

use std::fs;
use std::path::PathBuf;

use serde_json::Value as Json;
use serde_json::json;
use tempfile::TempDir;

use super::super::harness::Setup;
use super::harness::keycloak::Realm;
use super::harness::outcome;
use super::harness::parts;
use super::harness::realm::ACCOUNTS;
use super::harness::realm::AGENT;
use super::harness::refused_at_last;
use super::harness::wanted;

/// A file of revocations, in a folder of its own.
struct Revocations(TempDir);

impl Revocations {
    /// One that revokes nothing.
    fn new() -> Self {
        let new = Self(TempDir::new().unwrap());
        new.replace(&json!([]));
        new
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("revoked.json")
    }

    /// Renames another file onto it, as whoever writes one should.
    fn replace(&self, entries: &Json) {
        let next = self.0.path().join("next");
        fs::write(&next, entries.to_string()).unwrap();
        fs::rename(next, self.file()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn k2_what_is_on_the_list_is_refused_though_it_was_verified_before() {
    let realm = Realm::new("withdrawal").await;
    let file = Revocations::new();
    let settings = json!({"revocations": [file.file()]});
    let stack = Setup { issuer: realm.issuer(&json!(null)), settings, ..Setup::default() }.start().await;
    let tokens = [(AGENT, "alice"), (AGENT, "alice"), (AGENT, "bob"), (ACCOUNTS, "bob")];
    let mut held = Vec::new();
    for (client_id, user) in tokens {
        held.push(realm.access_token(client_id, user).await);
    }
    let claim = |number: usize, name: &str| parts(&held[number])[1][name].clone();
    let own = |name: &str, value: Json| json!({"issuer": realm.url(""), name: [value]});
    let elsewhere = json!({"issuer": format!("{}/", realm.url("")), "sub": [claim(0, "sub")]});
    // Each list has one entry more, and ends one token more. That of another issuer ends none.
    let mut list = vec![elsewhere];
    for (token, entry) in
        [(0, own("jti", claim(0, "jti"))), (1, own("sub", claim(1, "sub"))), (2, own("client_id", claim(2, "azp")))]
    {
        for still_good in &held[token..] {
            assert_eq!(outcome(&stack, still_good).await, wanted(200, "policy_allowed"), "{entry}");
        }
        list.push(entry);
        file.replace(&json!(list));
        refused_at_last(&stack, &held[token], "token_revoked").await;
    }
    assert_eq!(outcome(&stack, &held[3]).await, wanted(200, "policy_allowed"), "of another user and client");
    let again = realm.access_token(AGENT, "bob").await;
    assert_eq!(outcome(&stack, &again).await, wanted(401, "token_revoked"), "a client's next token");
}
