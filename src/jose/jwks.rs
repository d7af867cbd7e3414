//! An issuer's JWKS (RFC 7517 §5) as a set of verification keys.

use std::collections::BTreeMap;

use serde_json::Map;
use serde_json::Value as Json;
use thiserror::Error;

use super::algorithm::Algorithm;
use super::error::Fault;
use super::error::JoseError;
use super::json;
use super::json::JsonError;
use super::json::Limits;
use super::jwk::JwkError;
use super::jwk::VerificationKey;
use super::jws::Header;
use super::jws::is_key_id;
use super::shown;

/// Large issuers publish some ten keys; a set of more than this is a mistake or an attack, and refused whole, since
/// leaving out some would refuse some users.
const MAX_KEYS: usize = 256;
/// A set is an object with a list of flat objects, in which certificates may be listed.
const JWKS_LIMITS: Limits = Limits { depth: 8, values: 16_384 };

/// The usable keys of one issuer. Equal sets verify the same tokens.
#[derive(Debug, Clone)]
pub struct KeySet {
    named: BTreeMap<String, Named>,
    unnamed: Vec<VerificationKey>,
    warnings: Vec<String>,
}

/// What a `kid` of the set stands for.
#[derive(Debug, Clone, PartialEq)]
enum Named {
    Usable(VerificationKey),
    /// Known, but no token is verified with it. Asking for newer keys would not help.
    Unusable,
    /// Two usable keys have this `kid`: neither is used.
    Ambiguous,
}

/// Why a document is no JWKS.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeySetError {
    /// Not a JSON object, one with a repeated member name, or one too large.
    #[error("the key set {0}")]
    Json(String),
    /// No `keys`, or not a list of objects.
    #[error("the key set has no `keys` that is a list of objects")]
    NoKeys,
    /// More keys than are looked at.
    #[error("the key set has more than {MAX_KEYS} keys")]
    TooManyKeys,
}

/// Why no key of a set is the token's.
#[derive(Debug)]
pub enum NoKey {
    /// The set has no such `kid`; a newer one may.
    Unknown,
    /// The token is refused whatever newer sets hold.
    Refused(JoseError),
}

/// What the keys of a set are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Signatures of any kind: `use` is absent or `sig`.
    Signature,
    /// SVIDs of one kind, as SPIFFE bundles tell them apart (SPIFFE Trust Domain and Bundle §4.2.2): `use` is exactly this.
    Svid(&'static str),
}

impl KeyUse {
    /// Whether a key says that it is for this. Keys for something else are no part of a set, and nothing is wrong with
    /// them.
    pub(super) fn is_of(self, jwk: &Map<String, Json>) -> bool {
        match (self, jwk.get("use")) {
            (Self::Signature, stated) => stated.is_none_or(|stated| stated == "sig"),
            (Self::Svid(name), Some(stated)) => stated == name,
            (Self::Svid(_), None) => false,
        }
    }
}

impl KeySet {
    /// No keys at all.
    pub const fn empty() -> Self {
        Self { named: BTreeMap::new(), unnamed: Vec::new(), warnings: Vec::new() }
    }

    /// Reads a JWKS. Keys that cannot be used are left out, each with a warning; `algorithms` are the issuer's.
    ///
    /// # Errors
    /// [`KeySetError`] where the document as a whole is not one.
    pub fn parse(document: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeySetError> {
        let mut document = json::read_object(document, JWKS_LIMITS)
            .map_err(|error: JsonError| KeySetError::Json(error.to_string()))?;
        let Some(Json::Array(keys)) = document.remove("keys") else { return Err(KeySetError::NoKeys) };
        Self::from_keys(&keys, KeyUse::Signature, only_rsa(algorithms))
    }

    /// The keys of a list that are for one use, the rest left out. `rsa` is the algorithm of RSA keys that name none.
    ///
    /// # Errors
    /// [`KeySetError`] where the list is too long or holds something else than objects.
    pub fn from_keys(keys: &[Json], key_use: KeyUse, rsa: Option<Algorithm>) -> Result<Self, KeySetError> {
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys);
        }
        let mut set = Self::empty();
        for (position, key) in keys.iter().enumerate() {
            set.add(position, key.as_object().ok_or(KeySetError::NoKeys)?, key_use, rsa);
        }
        // The order of a set means nothing, so it must not make two sets differ.
        set.unnamed.sort_by(|a, b| a.encoded().cmp(b.encoded()));
        Ok(set)
    }

    /// How many keys tokens are verified with.
    pub fn usable(&self) -> usize {
        self.keys().count()
    }

    /// What was left out of the set, and why; for the log.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The key that a token with this header is verified with.
    ///
    /// # Errors
    /// [`NoKey`], which says whether newer keys may help.
    pub fn find(&self, header: &Header) -> Result<&VerificationKey, NoKey> {
        let key = match &header.key_id {
            Some(id) => self.by_id(id)?,
            None => self.only_one(header.algorithm)?,
        };
        if key.algorithm() != header.algorithm {
            let detail = format!("the token is {}, its key for {}", header.algorithm, key.algorithm());
            return Err(NoKey::Refused(JoseError::new(Fault::Algorithm, detail)));
        }
        Ok(key)
    }

    fn by_id(&self, id: &str) -> Result<&VerificationKey, NoKey> {
        let refused = |why| NoKey::Refused(JoseError::new(Fault::KeyUnknown, format!("key `{}` {why}", shown(id))));
        match self.named.get(id) {
            None => Err(NoKey::Unknown),
            Some(Named::Usable(key)) => Ok(key),
            Some(Named::Unusable) => Err(refused("cannot be used")),
            Some(Named::Ambiguous) => Err(refused("stands in the set twice")),
        }
    }

    /// A token without `kid` is not tried against several keys: which one it meets would be a matter of luck.
    fn only_one(&self, algorithm: Algorithm) -> Result<&VerificationKey, NoKey> {
        let mut fitting = self.keys().filter(|key| key.algorithm() == algorithm);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(NoKey::Refused(JoseError::new(Fault::KeyUnknown, "no `kid`, and not exactly one key fits"))),
        }
    }

    fn keys(&self) -> impl Iterator<Item = &VerificationKey> {
        let named = self.named.values().filter_map(|named| match named {
            Named::Usable(key) => Some(key),
            Named::Unusable | Named::Ambiguous => None,
        });
        named.chain(&self.unnamed)
    }

    fn add(&mut self, position: usize, jwk: &Map<String, Json>, key_use: KeyUse, rsa: Option<Algorithm>) {
        let key = VerificationKey::from_jwk(jwk, key_use, rsa);
        match &key {
            // Sets commonly hold keys for encryption too; nothing is wrong with them.
            Ok(_) | Err(JwkError::Purpose) => {}
            Err(error) => self.warnings.push(format!("key {position} {error}")),
        }
        match jwk.get("kid") {
            None => self.unnamed.extend(key.ok()),
            Some(Json::String(id)) if is_key_id(id) => self.add_named(id, key.ok()),
            Some(_) => self.warnings.push(format!("key {position} has a `kid` that is no short text")),
        }
    }

    fn add_named(&mut self, id: &str, key: Option<VerificationKey>) {
        let place = self.named.entry(id.to_owned()).or_insert(Named::Unusable);
        let Some(key) = key else { return };
        if *place == Named::Unusable {
            *place = Named::Usable(key);
        } else {
            *place = Named::Ambiguous;
            self.warnings.push(format!("several keys have the `kid` `{}`: none of them is used", shown(id)));
        }
    }
}

impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        let Self { named, unnamed, warnings: _ } = self;
        *named == other.named && *unnamed == other.unnamed
    }
}

/// The issuer's RSA algorithm, where it has exactly one.
fn only_rsa(algorithms: &[Algorithm]) -> Option<Algorithm> {
    let mut rsa = algorithms.iter().copied().filter(|algorithm| algorithm.is_rsa());
    let first = rsa.next()?;
    rsa.all(|other| other == first).then_some(first)
}
