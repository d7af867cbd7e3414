//! Tokens, genuine and forged.

use std::fs;
use std::path::Path;

use anyhow::Context;
use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use clap::ValueEnum;
use countersign::clock::UnixTime;
use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::crypto;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::PublicKeyUse;
use jsonwebtoken::jwk::ThumbprintHash;
use rcgen::KeyPair;
use serde_json::Value as Json;
use serde_json::json;

use super::certs::write_private;

/// A token to be made.
#[derive(Debug, Clone, Args)]
pub(crate) struct TokenRequest {
    /// The user: `sub`.
    #[arg(long, default_value = "alice")]
    pub(crate) subject: String,
    /// Who the token is for: `aud`.
    #[arg(long, default_value = "accounts")]
    pub(crate) audience: String,
    /// What the user lets the agent do: `scope`, separated by spaces.
    #[arg(long, default_value = "")]
    pub(crate) scope: String,
    /// Seconds until `exp`; a negative number makes a token that has expired.
    #[arg(long, default_value_t = LIFETIME_SECONDS, allow_negative_numbers = true)]
    pub(crate) expires_in: i64,
    /// How the token lies about itself.
    #[arg(long, value_enum, default_value_t = Forgery::Genuine)]
    pub(crate) forgery: Forgery,
    /// A claim beyond these, as JSON: `--claim tenant='"acme"'`.
    #[arg(long = "claim", value_parser = parse_claim)]
    pub(crate) claims: Vec<(String, Json)>,
}

/// How long a token is good for, where nothing else is asked: short, as an agent's should be.
pub(crate) const LIFETIME_SECONDS: i64 = 300;

/// Ways to forge a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Forgery {
    /// Signed by the issuer, as it should be.
    Genuine,
    /// Signed by another key, which claims to be the issuer's.
    ForeignKey,
    /// Signed by another key, under a key ID that the issuer never had.
    UnknownKey,
    /// Not signed: `alg: none`.
    AlgNone,
    /// The issuer's public key as an HMAC secret: `alg: HS256`.
    PublicKeyAsSecret,
}

impl TokenRequest {
    /// The compact JWS.
    ///
    /// # Errors
    /// When the key does not sign.
    pub(crate) fn mint(&self, issuer: &str, key: &SigningKey) -> Result<String> {
        let now = UnixTime::now();
        let exp = now.plus_seconds(self.expires_in);
        let mut claims = json!({
            "iss": issuer,
            "sub": self.subject,
            "aud": self.audience,
            "scope": self.scope,
            "client_id": "demo",
            "iat": exp.plus_seconds(-LIFETIME_SECONDS).min(now).seconds(),
            "exp": exp.seconds(),
        });
        if let Some(claims) = claims.as_object_mut() {
            claims.extend(self.claims.iter().cloned());
        }
        let (alg, kid) = match self.forgery {
            Forgery::Genuine | Forgery::ForeignKey => ("ES256", key.kid.clone()),
            Forgery::UnknownKey => ("ES256", SigningKey::generate()?.kid),
            Forgery::AlgNone => ("none", key.kid.clone()),
            Forgery::PublicKeyAsSecret => ("HS256", key.kid.clone()),
        };
        let header = json!({"typ": "at+jwt", "alg": alg, "kid": kid});
        let signed = format!("{}.{}", segment(&header), segment(&claims));
        let signature = match self.forgery {
            Forgery::Genuine => key.sign(&signed)?,
            Forgery::ForeignKey | Forgery::UnknownKey => SigningKey::generate()?.sign(&signed)?,
            Forgery::AlgNone => String::new(),
            Forgery::PublicKeyAsSecret => {
                let secret = EncodingKey::from_secret(key.public_pem()?.as_bytes());
                crypto::sign(signed.as_bytes(), &secret, Algorithm::HS256)?
            }
        };
        Ok(format!("{signed}.{signature}"))
    }
}

/// An issuer's key: ES256, named by its thumbprint (RFC 7638).
#[derive(Debug, Clone)]
pub(crate) struct SigningKey {
    pem: String,
    kid: String,
    public: Jwk,
}

/// Where the issuer keeps the key it signs with.
const KEY_FILE: &str = "issuer-signing.key";

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// When the library can make none.
    pub(crate) fn generate() -> Result<Self> {
        Self::from_pem(KeyPair::generate()?.serialize_pem())
    }

    /// The key that the issuer of this folder signs with.
    ///
    /// # Errors
    /// When there is none, or it is no EC key.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(KEY_FILE);
        Self::from_pem(fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?)
    }

    /// Makes it the key of this folder.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        write_private(&dir.join(KEY_FILE), &self.pem)
    }

    /// The public half, as a JWK Set has it.
    pub(crate) const fn public(&self) -> &Jwk {
        &self.public
    }

    fn from_pem(pem: String) -> Result<Self> {
        let key = EncodingKey::from_ec_pem(pem.as_bytes())?;
        let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256)?;
        let kid = public.thumbprint(ThumbprintHash::SHA256)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { pem, kid, public })
    }

    fn sign(&self, text: &str) -> Result<String> {
        let key = EncodingKey::from_ec_pem(self.pem.as_bytes())?;
        Ok(crypto::sign(text.as_bytes(), &key, Algorithm::ES256)?)
    }

    fn public_pem(&self) -> Result<String> {
        Ok(KeyPair::from_pem(&self.pem)?.public_key_pem())
    }
}

fn segment(json: &Json) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

fn parse_claim(text: &str) -> Result<(String, Json)> {
    let (name, value) = text.split_once('=').context("a claim is written NAME=JSON")?;
    Ok((name.to_owned(), serde_json::from_str(value)?))
}
