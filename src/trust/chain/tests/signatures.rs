//! With what certificates may be signed.

use std::slice;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::KeyPair;
use rcgen::PKCS_ECDSA_P256_SHA256;
use rcgen::PKCS_ECDSA_P384_SHA384;
use rcgen::PKCS_ECDSA_P521_SHA512;
use rcgen::PKCS_ED25519;
use rcgen::PKCS_RSA_SHA256;
use rcgen::PKCS_RSA_SHA384;
use rcgen::PKCS_RSA_SHA512;

use super::*;

#[test]
fn authorities_and_leaves_may_have_keys_of_every_kind_that_is_safe() {
    for kind in [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ECDSA_P521_SHA512,
        &PKCS_ED25519,
        &PKCS_RSA_SHA256,
        &PKCS_RSA_SHA384,
        &PKCS_RSA_SHA512,
    ] {
        let root = Ca::root_of("td", kind, |_| {});
        let leaf = root.sign_for(ID, KeyPair::generate_for(kind).unwrap(), |_| {}).der;
        assert_eq!(check(&leaf, &[], &bundle("td", &[&root])), Ok(in_an_hour()), "{kind:?}");
    }
}

/// A leaf and its authority, made by OpenSSL: no library at hand would sign so.
fn recorded(pem: &str) -> Result<UnixTime, ChainError> {
    /// Within the hundred years that they are valid.
    const LATER: UnixTime = UnixTime::from_seconds(2_000_000_000);
    let blocks: Vec<Vec<u8>> = pem.split("-----END CERTIFICATE-----").filter_map(body).collect();
    let [leaf, authority] = blocks.as_slice() else { panic!("two certificates") };
    let bundle =
        Bundle::from_workload_api(&TrustDomain::parse("td").unwrap(), slice::from_ref(authority), &[]).unwrap();
    assert_eq!(bundle.x509_authorities().len(), 1);
    verify(&Leaf::from_der(leaf).unwrap(), leaf, &[], &bundle, Side::Client, LATER)
}

fn body(block: &str) -> Option<Vec<u8>> {
    let (_, base64) = block.split_once("-----BEGIN CERTIFICATE-----")?;
    Some(STANDARD.decode(base64.replace('\n', "")).unwrap())
}

#[test]
fn a16_weak_signatures_prove_nothing() {
    let refused = Err(ChainError::NoPath("a signature's algorithm or key is not accepted"));
    assert_eq!(recorded(include_str!("rsa2048_sha1.pem")), refused);
    // A key of 1024 bits is refused as the signature is checked.
    assert_eq!(recorded(include_str!("rsa1024.pem")), Err(BAD_SIGNATURE));
    assert!(recorded(include_str!("rsa2048_sha256.pem")).is_ok());
}
