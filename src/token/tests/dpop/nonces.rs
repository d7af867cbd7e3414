//! L17: nonces of one process and of replicas that share a secret.

use std::fs;

use super::*;
use crate::token::NonceSecret;
use crate::token::Proofs;

/// One replica: a memory of its own, and the secret that its file holds.
fn replica(client: &mut Client, secret: Option<&str>) {
    let mut config = DpopConfig { nonce: true, ..dpop() };
    if let Some(secret) = secret {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nonce.secret");
        fs::write(&path, secret).unwrap();
        config.nonce_secret_file = Some(path);
        config.nonce_secret = NonceSecret::read(&config).unwrap();
        assert!(config.nonce_secret.is_some());
    }
    client.world.proofs = Proofs::new();
    client.configured(Some(config));
}

/// The nonce of a challenge.
fn challenged(client: &mut Client) -> String {
    let token = client.token();
    let proof = client.proof(&token, json!({}));
    let denial = client.ask(&token, &[proof.as_bytes()]).unwrap_err();
    assert_eq!(denial.reason, Reason::TokenDpopNonce);
    denial.response.unwrap().headers[0].value().to_owned()
}

#[test]
fn l17_replicas_with_one_secret_take_one_anothers_nonces_and_no_others_do() {
    let (secret, other) = ("s".repeat(32), "t".repeat(32));
    let refused = Some(Reason::TokenDpopNonce);
    for (one, another, answer) in [
        (Some(secret.as_str()), Some(format!("{secret}\n")), None),
        (Some(&secret), Some(other.clone()), refused),
        (Some(&secret), Some(format!("{secret}t")), refused),
        (Some(&secret), None, refused),
        (None, Some(secret.clone()), refused),
        (None, None, refused),
    ] {
        let mut client = Client::new();
        replica(&mut client, one);
        let nonce = challenged(&mut client);
        assert_eq!(client.claims(json!({"nonce": nonce})), None, "{one:?}: its own");
        replica(&mut client, another.as_deref());
        assert_eq!(client.claims(json!({"nonce": nonce})), answer, "{one:?} {another:?}");
        // One more challenge, and no lasting failure.
        let nonce = challenged(&mut client);
        assert_eq!(client.claims(json!({"nonce": nonce, "jti": "p2"})), None, "{one:?} {another:?}");
    }
}

#[test]
fn k5_no_verifier_prints_the_secret_of_its_nonces() {
    let mut client = Client::new();
    replica(&mut client, Some(&"c4n4ry".repeat(6)));
    let printed = format!("{:?}", client.world.verifier);
    assert!(printed.contains("nonce_secret: Some(NonceSecret([secret]))") && !printed.contains("c4n4ry"), "{printed}");
    let bytes = "99, 52, 110, 52, 114, 121";
    assert!(!printed.contains(bytes), "{printed}");
}
