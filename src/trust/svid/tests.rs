//! What certificate and key may be, and what they tell.

use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::PKCS_ED25519;
use rcgen::PKCS_RSA_SHA256;

use crate::trust::fixtures::HOUR;
use crate::trust::fixtures::NOW;
use crate::trust::fixtures::ca::Ca;
use crate::trust::fixtures::ca::Signed;

use super::*;

const ID: &str = "spiffe://td/a";

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

fn of(certificates: &str, key: &str) -> Result<Svid, SvidError> {
    Svid::from_pem(certificates.as_bytes(), key.as_bytes())
}

#[test]
fn a_chain_and_its_key_are_read_from_pem_and_der() {
    let root = Ca::root("td");
    let intermediate = root.below("intermediate", |_| {});
    for kind in [&rcgen::PKCS_ECDSA_P256_SHA256, &PKCS_ED25519, &PKCS_RSA_SHA256] {
        let Signed { der, key } = intermediate.sign_for(ID, KeyPair::generate_for(kind).unwrap(), |_| {});
        let text = pem(&der) + &intermediate.pem();
        let svid = of(&text, &key.serialize_pem()).unwrap();
        assert_eq!(svid.spiffe_id.as_ref().map(SpiffeId::as_str), Some(ID));
        assert_eq!((svid.not_before, svid.not_after), (NOW.plus_seconds(-HOUR), NOW.plus_seconds(HOUR)));
        assert_eq!(svid.chain().collect::<Vec<_>>(), [der.clone(), intermediate.der()]);
        let same = Svid::from_der(vec![der.clone(), intermediate.der()], key.serialized_der()).unwrap();
        assert_eq!(svid, same);
        assert_ne!(svid, Svid::from_der(vec![der], key.serialized_der()).unwrap());
        for (at, valid) in [(-HOUR - 1, false), (-HOUR, true), (0, true), (HOUR, true), (HOUR + 1, false)] {
            assert_eq!(svid.is_valid_at(NOW.plus_seconds(at)), valid, "{at}");
        }
    }
}

#[test]
fn certificate_and_key_may_stand_in_one_file_with_text_and_either_line_end() {
    let root = Ca::root("td");
    let Signed { der, key } = root.sign(ID, |_| {});
    let (certificate, key) = (pem(&der), key.serialize_pem().replace("\r\n", "\n"));
    let good = of(&certificate, &key).unwrap();
    for text in [
        format!("{key}{certificate}"),
        format!("{certificate}{key}"),
        format!("Bag attributes\n{certificate}\nmore\n{key}"),
        format!("{key}{certificate}").replace('\n', "\r\n"),
    ] {
        assert_eq!(of(&text, &text).unwrap(), good, "{text}");
    }
}

#[test]
fn keys_of_openssls_older_forms_are_read() {
    // SEC1 (RFC 5915) out of PKCS#8: the inner octet string.
    let root = Ca::root("td");
    let Signed { der, key } = root.sign(ID, |_| {});
    let pkcs8 = key.serialized_der().to_vec();
    let at = pkcs8.windows(2).position(|window| window == [0x04, 0x6d]).unwrap();
    let sec1 = &pkcs8[at + 2..at + 2 + 0x6d];
    let text = pem(sec1).replace("CERTIFICATE", "EC PRIVATE KEY");
    assert!(of(&pem(&der), &text).is_ok());
    assert!(Svid::from_der(vec![der], sec1).is_ok());
}

#[test]
fn what_does_not_belong_together_or_cannot_be_read_is_refused() {
    let root = Ca::root("td");
    let Signed { der, key } = root.sign(ID, |_| {});
    let (leaf, key) = (pem(&der), key.serialize_pem());
    let stranger = KeyPair::generate().unwrap().serialize_pem();
    assert!(matches!(of(&leaf, &stranger), Err(SvidError::Mismatch)));
    // The leaf comes first.
    assert!(matches!(of(&(root.pem() + &leaf), &key), Err(SvidError::Mismatch)));
    for (certificates, key, error) in [
        (String::new(), key.clone(), SvidError::Certificate),
        (key.clone(), key.clone(), SvidError::Certificate),
        (leaf.replace("-----END", "----END"), key.clone(), SvidError::Certificate),
        (pem(b"rubbish"), key.clone(), SvidError::Certificate),
        (pem(&[der.clone(), vec![0]].concat()), key.clone(), SvidError::Certificate),
        (leaf.clone() + &pem(b"rubbish"), key.clone(), SvidError::Certificate),
        (leaf.repeat(9), key.clone(), SvidError::TooLong),
        (leaf.clone(), String::new(), SvidError::Key),
        (leaf.clone(), leaf.clone(), SvidError::Key),
        (leaf.clone(), key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), SvidError::Key),
        (leaf.clone(), key.replace("-----END", "----END"), SvidError::Key),
    ] {
        assert_eq!(of(&certificates, &key).err(), Some(error), "{certificates}");
    }
    assert!(of(&leaf.repeat(8), &key).is_ok());
    assert_eq!(Svid::from_der(vec![], &[]).err(), Some(SvidError::Key));
    assert_eq!(Svid::from_der(vec![der], b"rubbish").err(), Some(SvidError::Key));
    assert!(matches!(
        of(&leaf, &pem(b"\x30\x03\x02\x01\x00").replace("CERTIFICATE", "PRIVATE KEY")),
        Err(SvidError::UnusableKey(_))
    ));
}

#[test]
fn a_certificate_that_is_no_svid_has_no_spiffe_id() {
    let root = Ca::root("td");
    let authority = root.sign(ID, |params| params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    let nameless = root.sign(ID, |params| params.subject_alt_names.clear());
    for Signed { der, key } in [authority, nameless] {
        let svid = Svid::from_der(vec![der], key.serialized_der()).unwrap();
        assert_eq!(svid.spiffe_id, None);
    }
}

#[test]
fn k5_neither_an_svid_nor_an_error_prints_the_key() {
    let root = Ca::root("td");
    let Signed { der, key } = root.sign(ID, |_| {});
    let svid = Svid::from_der(vec![der.clone()], key.serialized_der()).unwrap();
    let wrong = Svid::from_der(vec![der], KeyPair::generate().unwrap().serialized_der()).unwrap_err();
    let shown = format!("{svid:?} {wrong:?} {wrong}");
    assert!(shown.contains(ID) && shown.len() < 400, "{shown}");
}
