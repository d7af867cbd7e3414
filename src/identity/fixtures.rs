//! Requests, trust domains and their tokens, for the tests of this stage.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value as Json;
use serde_json::json;

use crate::facts::Attributes;
use crate::facts::Http;
use crate::facts::Peer;
use crate::facts::RawHeader;
use crate::facts::Request;
use crate::jose;
use crate::jose::fixtures::SigningKey;
use crate::jose::fixtures::changed;
use crate::spiffe_id::TrustDomain;
use crate::trust::Bundle;
use crate::trust::Bundles;
use crate::trust::Config as TrustConfig;
use crate::trust::Origin;
use crate::trust::fixtures::NOW;
use crate::trust::fixtures::url_encode;

use super::Config;
use super::JwtSvidConfig;
use super::WimseConfig;
use super::wimse::IDENTITY_TOKEN;
use super::wimse::PROOF_TOKEN;
use super::xfcc;

pub(super) const JWT_SVID: &str = "x-spiffe-jwt-svid";
pub(super) const OURS: &str = "spiffe://td/orders";
pub(super) const TARGET: &str = "https://orders.example";
/// [`NOW`], as claims say it.
pub(super) const SECONDS: i64 = NOW.seconds();
pub(super) const PATH: &str = "/orders/42";

/// A request with this evidence. One XFCC value stands in the merged header map, several in the raw one.
pub(super) fn request(principal: &str, certificate: &str, xfcc: &[&str]) -> Attributes {
    let http = match xfcc {
        [] => Http::default(),
        [value] => Http { headers: vec![(xfcc::HEADER.to_owned(), (*value).to_owned())], ..Http::default() },
        values => {
            let raw = |value: &&str| raw_header("X-Forwarded-Client-Cert", value.as_bytes());
            Http { header_map: Some(values.iter().map(raw).collect()), ..Http::default() }
        }
    };
    let peer = Peer { principal: principal.to_owned(), certificate: certificate.to_owned(), ..Peer::default() };
    Attributes {
        source: Some(peer),
        request: Some(Request { http: Some(http), ..Request::default() }),
        ..Attributes::default()
    }
}

fn raw_header(key: &str, value: &[u8]) -> RawHeader {
    RawHeader { key: key.to_owned(), raw_value: value.to_vec(), ..RawHeader::default() }
}

/// A request for [`PATH`] with these headers, each for itself, and no peer.
pub(super) fn with_headers(headers: &[(&str, &str)]) -> Attributes {
    let bytes: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    with_raw_headers(&bytes)
}

pub(super) fn with_raw_headers(headers: &[(&str, &[u8])]) -> Attributes {
    let raw = headers.iter().map(|(name, value)| raw_header(name, value)).collect();
    let http = Http { path: format!("{PATH}?verbose=1"), header_map: Some(raw), ..Http::default() };
    Attributes { request: Some(Request { http: Some(http), ..Request::default() }), ..Attributes::default() }
}

/// The same request by a peer with this principal.
pub(super) fn by_principal(attributes: Attributes, principal: &str) -> Attributes {
    Attributes { source: Some(Peer { principal: principal.to_owned(), ..Peer::default() }), ..attributes }
}

/// Certificates as Envoy forwards them: one, or a chain.
pub(super) fn forwarded(ders: &[&[u8]]) -> String {
    let pem = |der: &&[u8]| {
        let base64 = STANDARD.encode(der);
        let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    url_encode(&ders.iter().map(pem).collect::<String>())
}

/// The bundles of trust domains, and no others.
pub(super) fn bundles<const N: usize>(held: [(&str, Bundle); N]) -> Bundles {
    let mut bundles = Bundles::default();
    for (domain, bundle) in held {
        bundles.insert(TrustDomain::parse(domain).unwrap(), bundle, Origin::Files, NOW);
    }
    bundles
}

/// No bundle, and one still to come of every trust domain.
pub(super) fn awaited() -> Bundles {
    Bundles::empty(&TrustConfig { workload_api: Some("unix:///agent.sock".to_owned()), ..TrustConfig::default() })
}

/// A trust domain whose authorities sign tokens.
pub(super) struct Domain {
    pub(super) name: &'static str,
    pub(super) jwt: SigningKey,
    pub(super) wit: SigningKey,
}

impl Domain {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, jwt: SigningKey::es256("jwt-1"), wit: SigningKey::es256("wit-1") }
    }

    /// Its bundle, in the SPIFFE format.
    pub(super) fn bundle(&self) -> Bundle {
        self.bundle_of(&[("jwt-svid", &self.jwt), ("wit-svid", &self.wit)])
    }

    pub(super) fn bundle_of(&self, keys: &[(&str, &SigningKey)]) -> Bundle {
        let keys: Vec<Json> = keys.iter().map(|(named, key)| changed(key.jwk.clone(), json!({"use": named}))).collect();
        self.bundle_with(&json!(keys))
    }

    pub(super) fn bundle_with(&self, keys: &Json) -> Bundle {
        let document = json!({"keys": keys}).to_string();
        Bundle::parse(document.as_bytes(), &TrustDomain::parse(self.name).unwrap()).unwrap()
    }

    pub(super) fn id(&self) -> String {
        format!("spiffe://{}/agent", self.name)
    }

    /// The claims of a JWT-SVID, some of them replaced; null removes.
    pub(super) fn svid_claims(&self, changes: Json) -> Json {
        changed(json!({"sub": self.id(), "aud": [OURS], "exp": SECONDS + 300, "iat": SECONDS - 10}), changes)
    }

    pub(super) fn svid_header(&self) -> Json {
        self.jwt.typed("JWT")
    }

    pub(super) fn jwt_svid(&self, changes: Json) -> String {
        self.jwt.sign(&self.svid_header(), &self.svid_claims(changes))
    }

    /// The claims of a Workload-Identity-Token for `key`, some of them replaced; null removes.
    pub(super) fn wit_claims(&self, key: &SigningKey, changes: Json) -> Json {
        let jwk = changed(key.jwk.clone(), json!({"kid": null, "use": null}));
        changed(json!({"sub": self.id(), "exp": SECONDS + 3600, "jti": "w1", "cnf": {"jwk": jwk}}), changes)
    }

    pub(super) fn wit(&self, key: &SigningKey, changes: Json) -> String {
        self.wit.sign(&self.wit.typed("wit+jwt"), &self.wit_claims(key, changes))
    }
}

/// base64url of SHA-256, as a proof names other tokens.
pub(super) fn hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(jose::sha256(token.as_bytes()))
}

/// The claims of a Workload-Proof-Token beside `wit`, some of them replaced; null removes.
pub(super) fn wpt_claims(wit: &str, changes: Json) -> Json {
    let aud = format!("{TARGET}{PATH}");
    changed(json!({"aud": aud, "exp": SECONDS + 60, "jti": "p1", "wth": hash(wit)}), changes)
}

pub(super) fn wpt(key: &SigningKey, wit: &str, changes: Json) -> String {
    key.sign(&changed(key.typed("wpt+jwt"), json!({"kid": null})), &wpt_claims(wit, changes))
}

/// A request with these two tokens.
pub(super) fn with_proof(wit: &str, wpt: &str) -> Attributes {
    with_headers(&[(IDENTITY_TOKEN, wit), (PROOF_TOKEN, wpt)])
}

/// All evidence that tokens give, and the proxy's principal.
pub(super) fn tokens() -> Config {
    Config {
        jwt_svid: Some(JwtSvidConfig { header: JWT_SVID.to_owned(), audiences: vec![OURS.to_owned()] }),
        wimse: Some(WimseConfig { audiences: vec![TARGET.to_owned()] }),
        ..Config::default()
    }
}
