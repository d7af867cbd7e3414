//! One public key out of a JWK (RFC 7517, RFC 7518 §6, RFC 8037), bound to one algorithm.
//!
//! Which keys and algorithms are taken is decided here, where a set is loaded, so that a bad key is known before any
//! token comes; signatures are jsonwebtoken's affair.

use std::fmt;
use std::iter;
use std::str::FromStr as _;

use aws_lc_rs::signature;
use aws_lc_rs::signature::ParsedPublicKey;
use aws_lc_rs::signature::RsaParameters;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use aws_lc_rs::signature::VerificationAlgorithm;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::verify;
use serde_json::Map;
use serde_json::Value as Json;
use thiserror::Error;

use super::algorithm::Algorithm;
use super::jwks::KeyUse;

/// A verification key and the one algorithm that it may be used with (RFC 8725 §3.1).
#[derive(Clone)]
pub struct VerificationKey {
    algorithm: Algorithm,
    key: DecodingKey,
    /// The key's encoding, by which key sets are compared.
    encoded: Vec<u8>,
}

/// Why a JWK gives no verification key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JwkError {
    /// `use` or `key_ops` says it is for something else.
    #[error("is not for verifying signatures")]
    Purpose,
    /// A symmetric key: whoever can read the set could sign.
    #[error("is symmetric")]
    Symmetric,
    /// Private members: the key is given away, so its signatures prove nothing.
    #[error("has its private part in it")]
    Private,
    /// `kty` is missing or not supported.
    #[error("has an unsupported `kty`")]
    KeyType,
    /// `alg` is not supported or does not fit the key.
    #[error("has an `alg` that is unsupported or does not fit the key")]
    Algorithm,
    /// An RSA key without `alg`, where the issuer may use several.
    #[error("has no `alg`, and the issuer's `algorithms` has none or several that fit")]
    AlgorithmUnclear,
    /// `crv` is not supported.
    #[error("has an unsupported `crv`")]
    Curve,
    /// The RSA modulus is too short to be safe or too long to be cheap.
    #[error("has an RSA modulus of fewer than 2048 or more than 8192 bits")]
    ModulusSize,
    /// The RSA modulus is as the chips of CVE-2017-15361 make them: it can be factored.
    #[error("has an RSA modulus that can be factored (ROCA)")]
    Roca,
    /// The RSA exponent is even, below 65537 or above 32 bits.
    #[error("has an RSA exponent that is even, below 65537 or above 32 bits")]
    Exponent,
    /// A member is missing, no canonical base64url, of the wrong length, or the key is no point on its curve.
    #[error("is malformed")]
    Malformed,
}

/// NIST SP 800-131A: shorter RSA keys are disallowed.
const MIN_MODULUS_BITS: usize = 2048;
/// Verification costs grow with the square of the length; no issuer publishes longer keys.
const MAX_MODULUS_BITS: usize = 8192;
/// FIPS 186-5 §A.1.1 asks for more than 2^16, and odd.
const MIN_EXPONENT: u32 = 65_537;
/// RFC 7518 §6.2.2, §6.3.2 and §6.4.1, RFC 8037 §2: the members that only a private or symmetric key has.
const SECRET_MEMBERS: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl VerificationKey {
    /// Reads a JWK. `rsa` is the algorithm of RSA keys that name none, where the issuer has just one.
    ///
    /// # Errors
    /// [`JwkError`]; of a key for another use too, whatever else it is.
    pub fn from_jwk(jwk: &Map<String, Json>, key_use: KeyUse, rsa: Option<Algorithm>) -> Result<Self, JwkError> {
        let kty = member(jwk, "kty").map_err(|_malformed| JwkError::KeyType)?;
        if kty == "oct" {
            return Err(JwkError::Symmetric);
        }
        if SECRET_MEMBERS.iter().any(|name| jwk.contains_key(*name)) {
            return Err(JwkError::Private);
        }
        if !key_use.is_of(jwk) || !operates(jwk) {
            return Err(JwkError::Purpose);
        }
        match kty {
            "RSA" => Self::rsa(jwk, rsa),
            "EC" => Self::ec(jwk),
            "OKP" => Self::okp(jwk),
            _ => Err(JwkError::KeyType),
        }
    }

    /// The one algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature`, in canonical base64url, is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        verify(signature, message, &self.key, self.algorithm.into()).unwrap_or(false)
    }

    fn rsa(jwk: &Map<String, Json>, default: Option<Algorithm>) -> Result<Self, JwkError> {
        let algorithm = match stated_algorithm(jwk)? {
            Some(algorithm) => algorithm,
            None => default.ok_or(JwkError::AlgorithmUnclear)?,
        };
        let parameters = rsa_parameters(algorithm).ok_or(JwkError::Algorithm)?;
        let (n, e) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
        check_modulus(&n)?;
        check_exponent(&e)?;
        let key = DecodingKey::from_rsa_raw_components(&n, &e);
        let parsed = RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters);
        let encoded = parsed.map_err(|_rejected| JwkError::Malformed)?.as_ref().to_vec();
        Ok(Self { algorithm, key, encoded })
    }

    fn ec(jwk: &Map<String, Json>) -> Result<Self, JwkError> {
        let (algorithm, verification, coordinate): (_, &'static dyn VerificationAlgorithm, _) =
            match member(jwk, "crv")? {
                "P-256" => (Algorithm::Es256, &signature::ECDSA_P256_SHA256_FIXED, 32),
                "P-384" => (Algorithm::Es384, &signature::ECDSA_P384_SHA384_FIXED, 48),
                _ => return Err(JwkError::Curve),
            };
        let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
        if x.len() != coordinate || y.len() != coordinate {
            return Err(JwkError::Malformed);
        }
        let point = [[UNCOMPRESSED].as_slice(), &x, &y].concat();
        Self::on_curve(jwk, algorithm, verification, &point)
    }

    fn okp(jwk: &Map<String, Json>) -> Result<Self, JwkError> {
        if member(jwk, "crv")? != "Ed25519" {
            return Err(JwkError::Curve);
        }
        let point = bytes(jwk, "x")?;
        // The length first: the parser would also take other encodings of a key.
        if point.len() != signature::ED25519_PUBLIC_KEY_LEN {
            return Err(JwkError::Malformed);
        }
        Self::on_curve(jwk, Algorithm::EdDsa, &signature::ED25519, &point)
    }

    /// A key whose curve leaves it one algorithm.
    fn on_curve(
        jwk: &Map<String, Json>,
        algorithm: Algorithm,
        verification: &'static dyn VerificationAlgorithm,
        point: &[u8],
    ) -> Result<Self, JwkError> {
        if stated_algorithm(jwk)?.is_some_and(|stated| stated != algorithm) {
            return Err(JwkError::Algorithm);
        }
        let parsed = ParsedPublicKey::new(verification, point).map_err(|_rejected| JwkError::Malformed)?;
        let key = match algorithm {
            Algorithm::EdDsa => DecodingKey::from_ed_der(point),
            _ => DecodingKey::from_ec_der(point),
        };
        Ok(Self { algorithm, key, encoded: parsed.as_ref().to_vec() })
    }

    /// The key's encoding, which with the algorithm is all there is to it.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }
}

impl PartialEq for VerificationKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.encoded() == other.encoded()
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// SEC 1 §2.3.3: the first byte of a point written as both its coordinates.
const UNCOMPRESSED: u8 = 0x04;

/// RFC 7517 §4.3: `key_ops` may not speak against it.
fn operates(jwk: &Map<String, Json>) -> bool {
    jwk.get("key_ops").is_none_or(|operations| {
        operations.as_array().is_some_and(|list| list.iter().any(|operation| operation == "verify"))
    })
}

fn stated_algorithm(jwk: &Map<String, Json>) -> Result<Option<Algorithm>, JwkError> {
    let Some(stated) = jwk.get("alg") else { return Ok(None) };
    let name = stated.as_str().ok_or(JwkError::Algorithm)?;
    Algorithm::from_str(name).map(Some).map_err(|_unknown| JwkError::Algorithm)
}

const fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}

/// `n` has no leading zero, or the key is refused where it is built.
fn check_modulus(n: &[u8]) -> Result<(), JwkError> {
    let unused = n.first().map_or(0, |byte| byte.leading_zeros());
    let bits = n.len().saturating_mul(8).saturating_sub(usize::try_from(unused).unwrap_or(usize::MAX));
    if !(MIN_MODULUS_BITS..=MAX_MODULUS_BITS).contains(&bits) {
        return Err(JwkError::ModulusSize);
    }
    if is_roca(n) { Err(JwkError::Roca) } else { Ok(()) }
}

/// The primes below 168 without 2: what ROCA's moduli are made from, and enough that no other is mistaken for one.
const SMALL_PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether `n` is a power of 65537 modulo every small prime (Nemec and others, The Return of Coppersmith's Attack, §2).
/// Of sound moduli fewer than one in a hundred million are.
fn is_roca(n: &[u8]) -> bool {
    SMALL_PRIMES.iter().all(|&prime| {
        let rest = |number: u32| number.checked_rem(prime).unwrap_or_default();
        let residue =
            n.iter().fold(0, |left: u32, byte| rest(left.saturating_mul(256).saturating_add(u32::from(*byte))));
        let next = |power: &u32| Some(rest(power.saturating_mul(rest(65_537)))).filter(|next| *next != 1);
        iter::successors(Some(1), next).any(|power| power == residue)
    })
}

fn check_exponent(e: &[u8]) -> Result<(), JwkError> {
    let mut padded = [0; size_of::<u32>()];
    let tail = padded.len().checked_sub(e.len()).and_then(|from| padded.get_mut(from..));
    tail.ok_or(JwkError::Exponent)?.copy_from_slice(e);
    let exponent = u32::from_be_bytes(padded);
    if exponent >= MIN_EXPONENT && exponent % 2 == 1 { Ok(()) } else { Err(JwkError::Exponent) }
}

fn member<'j>(jwk: &'j Map<String, Json>, name: &str) -> Result<&'j str, JwkError> {
    jwk.get(name).and_then(Json::as_str).ok_or(JwkError::Malformed)
}

fn bytes(jwk: &Map<String, Json>, name: &str) -> Result<Vec<u8>, JwkError> {
    URL_SAFE_NO_PAD.decode(member(jwk, name)?).map_err(|_which_byte| JwkError::Malformed)
}
