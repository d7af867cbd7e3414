//! Two servers that share the secret of their DPoP nonces, and what a client with one nonce meets at each.

use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::clock::UnixTime;
use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::ThumbprintHash;
use serde_json::json;

use crate::ALLOW_GET;
use crate::client::Wire;
use crate::issuer::Issuer;
use crate::server::Server;
use crate::server::eventually;

const SECRET: &str = "c4n4ry-c4n4ry-c4n4ry-c4n4ry-c4n4ry";
const OTHER: &str = "another-another-another-another-another";

/// A client with a key, and a token that is bound to it.
struct Client {
    key: EncodingKey,
    jwk: Jwk,
    token: String,
    proofs: usize,
}

impl Client {
    fn new(issuer: &Issuer) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        let token = issuer.token_with(json!({"cnf": {"jkt": jwk.thumbprint(ThumbprintHash::SHA256).unwrap()}}));
        jwk.common.key_algorithm = None;
        Self { key, jwk, token, proofs: 0 }
    }

    fn proof(&mut self, nonce: Option<&str>) -> String {
        self.proofs = self.proofs.saturating_add(1);
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(self.jwk.clone());
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.token.as_bytes());
        let mut claims = json!({
            "jti": self.proofs.to_string(), "htm": "GET", "htu": "https://orders.example/a",
            "iat": UnixTime::now().seconds(), "ath": URL_SAFE_NO_PAD.encode(hash),
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }

    /// Asks with this nonce: nothing where it is taken, else the nonce that is asked for.
    fn ask(&mut self, server: &Server, nonce: Option<&str>) -> Option<String> {
        let http = json!({
            "method": "GET", "path": "/a", "host": "h", "scheme": "http",
            "headers": {"authorization": format!("DPoP {}", self.token), "dpop": self.proof(nonce)},
        });
        let request = json!({"attributes": {"request": {"http": http}}}).to_string();
        let request = countersign::ext_authz::proto_json::check_request_to_wire(&request).unwrap();
        let answer = Wire::connect(&server.tcp()).check(&request);
        let wanted = answer.denied_header("dpop-nonce");
        assert_eq!(answer.allowed(), Some(wanted.is_none()), "{:?}", server.records().last());
        wanted
    }
}

fn start(issuer: &Issuer, dpop: &str) -> Server {
    let dpop = format!("dpop: {{targets: ['https://orders.example'], nonce: true{dpop}}}\n");
    Server::start(&format!("{}{dpop}routes: {{caller: optional}}\n", issuer.config()), ALLOW_GET)
}

#[test]
fn l17_a_nonce_of_one_process_is_good_with_another_that_has_its_secret() {
    let issuer = Issuer::new();
    let mut client = Client::new(&issuer);
    let shared = format!(", nonce_secret_file: '{}'", issuer.file("nonce.secret", SECRET));
    let (one, another, alone) = (start(&issuer, &shared), start(&issuer, &shared), start(&issuer, ""));
    let nonce = client.ask(&one, None).expect("a challenge");
    for server in [&one, &another] {
        assert_eq!(client.ask(server, Some(&nonce)), None);
    }
    let own = client.ask(&alone, Some(&nonce)).expect("a challenge by one without the secret");
    assert_eq!(client.ask(&alone, Some(&own)), None);

    // Rotated: noticed without a signal, and one challenge more.
    issuer.file("nonce.secret", &format!("{OTHER}\n"));
    for server in [&one, &another] {
        eventually("the secret is read anew", || client.ask(server, Some(&nonce)).is_some());
    }
    let next = client.ask(&one, Some(&nonce)).expect("a challenge");
    assert_eq!(client.ask(&another, Some(&next)), None);

    // Broken: said, and the last good one stays.
    issuer.file("nonce.secret", "c4n4ry");
    eventually("it is told", || one.probe("/readyz").1.contains("dpop.nonce_secret_file"));
    assert!(one.probe("/readyz").1.contains("holds 6 bytes"), "{}", one.probe("/readyz").1);
    assert_eq!(client.ask(&one, Some(&next)), None, "the last good secret stays");
    issuer.file("nonce.secret", SECRET);
    one.hang_up();
    eventually("the first is back", || client.ask(&one, Some(&nonce)).is_none());

    let (config, records) = (one.private("/config").1, format!("{:?}", one.records()));
    assert!(config.contains("nonce.secret\""), "{config}");
    for output in [config, one.log(), records, one.probe("/metrics").1, one.probe("/readyz").1] {
        for secret in ["c4n4ry", OTHER] {
            assert!(!output.contains(secret), "K5: {output}");
        }
    }
}
