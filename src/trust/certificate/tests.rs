use proptest::prelude::*;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CustomExtension;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::KeyUsagePurpose;
use rcgen::SanType;
use rcgen::SerialNumber;

use crate::trust::fixtures::HOUR;
use crate::trust::fixtures::NOW;
use crate::trust::fixtures::certificate;
use crate::trust::fixtures::pem;
use crate::trust::fixtures::raw_uris;
use crate::trust::fixtures::uri;
use crate::trust::fixtures::url_encode;

use super::*;

const ID: &str = "spiffe://td/a";

fn spoilt(change: impl FnOnce(&mut CertificateParams)) -> Result<Leaf, CertificateError> {
    Leaf::read(&certificate(ID, change))
}

fn with_uri_bytes(uris: &[&[u8]]) -> Result<Leaf, CertificateError> {
    spoilt(|params| {
        params.subject_alt_names.clear();
        params.custom_extensions.push(raw_uris(uris));
    })
}

#[test]
fn an_svid_is_read() {
    let serial = SerialNumber::from_slice(&[0x0a, 0xff, 0x00]);
    let pem = pem(ID, |params| {
        params.serial_number = Some(serial);
        params.subject_alt_names.push(SanType::DnsName("a.example".try_into().unwrap()));
    });
    let leaf = Leaf::read(&url_encode(&pem)).unwrap();
    assert_eq!(leaf.spiffe_id.as_str(), ID);
    assert_eq!(leaf.facts.serial, "0aff00");
    assert_eq!(leaf.facts.not_after, NOW.plus_seconds(HOUR));
    assert_eq!(leaf.not_before, NOW.plus_seconds(-HOUR));
    assert_eq!(leaf.facts.sha256, sha256(&pem_decode(pem.as_bytes()).unwrap()));
    assert_eq!(leaf.check_validity(NOW), Ok(()));
}

#[test]
fn a_profile_may_be_written_in_more_than_one_way() {
    assert!(spoilt(|params| params.extended_key_usages.clear()).is_ok());
    assert!(spoilt(|params| params.is_ca = IsCa::ExplicitNoCa).is_ok());
    assert!(spoilt(|params| params.key_usages.push(KeyUsagePurpose::KeyEncipherment)).is_ok());
    assert!(spoilt(|params| params.serial_number = Some(SerialNumber::from_slice(&[0xff; 20]))).is_ok());
}

#[test]
fn a13_another_profile_than_a_leafs_is_refused() {
    use KeyUsagePurpose::CrlSign;
    use KeyUsagePurpose::DigitalSignature;
    use KeyUsagePurpose::KeyCertSign;
    use KeyUsagePurpose::KeyEncipherment;

    let usages = |usages: &[KeyUsagePurpose]| spoilt(|params| params.key_usages = usages.to_vec());
    let extended = |usages: &[ExtendedKeyUsagePurpose]| spoilt(|params| params.extended_key_usages = usages.to_vec());
    let uris = |uris: &[&str]| spoilt(|params| params.subject_alt_names = uris.iter().map(|text| uri(text)).collect());
    let dns_only = spoilt(|params| params.subject_alt_names = vec![SanType::DnsName("a.example".try_into().unwrap())]);
    // Not critical, and digitalSignature set.
    let key_usage = CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 7, 0x80]);
    let not_critical = spoilt(|params| {
        params.key_usages.clear();
        params.custom_extensions.push(key_usage);
    });
    for (answer, error) in [
        (uris(&[]), CertificateError::UriMissing),
        (dns_only, CertificateError::UriMissing),
        (uris(&[ID, "spiffe://td/b"]), CertificateError::UriRepeated),
        (uris(&[ID, ID]), CertificateError::UriRepeated),
        (uris(&[ID, "https://example.org"]), CertificateError::UriRepeated),
        (spoilt(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), CertificateError::Authority),
        (usages(&[]), CertificateError::KeyUsageMissing),
        (not_critical, CertificateError::KeyUsageNotCritical),
        (usages(&[KeyEncipherment]), CertificateError::DigitalSignatureMissing),
        (usages(&[DigitalSignature, KeyCertSign]), CertificateError::SigningUsage),
        (usages(&[DigitalSignature, CrlSign]), CertificateError::SigningUsage),
        (extended(&[ExtendedKeyUsagePurpose::ServerAuth]), CertificateError::ClientAuthMissing),
        (extended(&[ExtendedKeyUsagePurpose::Any]), CertificateError::ClientAuthMissing),
    ] {
        assert_eq!(answer, Err(error));
        assert_eq!(error.reason(), Reason::CallerCertificateProfile, "{error}");
    }
}

#[test]
fn a13_validity_has_its_own_reasons() {
    let leaf = spoilt(|_| {}).unwrap();
    let at = |seconds: i64| leaf.check_validity(NOW.plus_seconds(seconds));
    assert_eq!(at(-HOUR), Ok(()));
    assert_eq!(at(HOUR), Ok(()));
    let early = at(-HOUR - 1).unwrap_err();
    let late = at(HOUR + 1).unwrap_err();
    assert_eq!(
        (early, early.reason()),
        (CertificateError::NotYetValid(leaf.not_before), Reason::CallerCertificateNotYetValid)
    );
    assert_eq!(
        (late, late.reason()),
        (CertificateError::Expired(leaf.facts.not_after), Reason::CallerCertificateExpired)
    );
}

#[test]
fn a14_a_san_with_hostile_text_is_refused() {
    let nul = with_uri_bytes(&[b"spiffe://td/admin\0.evil"]);
    assert_eq!(nul, Err(CertificateError::Uri(SpiffeIdError::PathCharacter)));
    let long = format!("spiffe://td/{}", "a".repeat(2048 - 11));
    assert_eq!(with_uri_bytes(&[long.as_bytes()]), Err(CertificateError::Uri(SpiffeIdError::Length)));
    assert!(with_uri_bytes(&[&long.as_bytes()[1..]]).is_err());
    let longest = long.strip_suffix('a').unwrap();
    assert_eq!(with_uri_bytes(&[longest.as_bytes()]).unwrap().spiffe_id.as_str(), longest);
    let accent = with_uri_bytes(&["spiffe://td/é".as_bytes()]);
    assert_eq!(accent, Err(CertificateError::Uri(SpiffeIdError::PathCharacter)));
    assert_eq!(with_uri_bytes(&[b"spiffe://td/\xe9"]), Err(CertificateError::Extension));
    assert_eq!(with_uri_bytes(&[ID.as_bytes(), b"\xe9"]), Err(CertificateError::Extension));
    assert_eq!(with_uri_bytes(&[b"spiffe://td"]), Err(CertificateError::Uri(SpiffeIdError::PathMissing)));
    assert_eq!(with_uri_bytes(&[b""]), Err(CertificateError::Uri(SpiffeIdError::Scheme)));
}

#[test]
fn a14_extensions_are_unique_and_whole() {
    let twice = spoilt(|params| params.custom_extensions.push(raw_uris(&[b"spiffe://td/admin"])));
    assert_eq!(twice, Err(CertificateError::Extension));
    for oid in [15, 17, 19, 37] {
        let broken = spoilt(|params| {
            let extension = CustomExtension::from_oid_content(&[2, 5, 29, oid], vec![0x30, 0x05, 0x01]);
            params.custom_extensions.push(extension);
            params.key_usages.retain(|_| oid != 15);
            params.subject_alt_names.retain(|_| oid != 17);
            params.extended_key_usages.retain(|_| oid != 37);
        });
        assert_eq!(broken, Err(CertificateError::Extension), "{oid}");
    }
    let serial = spoilt(|params| params.serial_number = Some(SerialNumber::from_slice(&[0x7f; 22])));
    assert_eq!(serial, Err(CertificateError::Serial));
}

#[test]
fn a15_what_is_not_one_url_encoded_certificate_is_refused() {
    let pem = pem(ID, |_| {});
    let good = url_encode(&pem);
    let der = pem_decode(pem.as_bytes()).unwrap();
    let of_der = |der: &[u8]| {
        url_encode(&format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der)))
    };
    let trailing_der = [&der, &b"\0"[..]].concat();
    let pem_error = |text: String| (text, CertificateError::Pem);
    for (text, error) in [
        (pem.clone(), CertificateError::UrlEncoding),
        (format!("{good}%"), CertificateError::UrlEncoding),
        (format!("{good}%0"), CertificateError::UrlEncoding),
        (format!("{good}%zz"), CertificateError::UrlEncoding),
        (good.replace("%20", " "), CertificateError::UrlEncoding),
        (good.replace("%0A", "\n"), CertificateError::UrlEncoding),
        (format!("{good}é"), CertificateError::UrlEncoding),
        pem_error(String::new()),
        pem_error("rubbish".to_owned()),
        pem_error(good.repeat(2)),
        pem_error(format!("{good}%0A")),
        pem_error(format!("{good}x")),
        pem_error(format!("x{good}")),
        pem_error(format!("%0A{good}")),
        pem_error(format!("Subject:%20x%0A{good}")),
        pem_error(good.replace("CERTIFICATE", "X509%20CERTIFICATE")),
        pem_error(good.replace("CERTIFICATE", "certificate")),
        pem_error(good.replace("-----END", "----END")),
        pem_error(good.replace("%0A", "%0D%0A")),
        pem_error(good.replacen("%0AMII", "%0A%00MII", 1)),
        pem_error(good.replacen("%0AMII", "%0AM*I", 1)),
        pem_error(good.replacen("%0A-----END", "A%0A-----END", 1)),
        (of_der(b""), CertificateError::Der),
        (of_der(b"rubbish"), CertificateError::Der),
        (of_der(&der[..der.len() - 1]), CertificateError::Der),
        (of_der(&trailing_der), CertificateError::Der),
        (of_der(&[&der[..], &der].concat()), CertificateError::Der),
        ("a".repeat(10 << 20), CertificateError::TooLong),
        (good.repeat(100), CertificateError::TooLong),
    ] {
        let shown: String = text.chars().take(80).collect();
        assert_eq!(Leaf::read(&text), Err(error), "{shown}");
        assert_eq!(error.reason(), Reason::CallerCertificateMalformed, "{shown}");
    }
    assert!(Leaf::read(&of_der(&der)).is_ok(), "one long line is PEM too");
    assert!(Leaf::read(good.strip_suffix("%0A").unwrap()).is_ok());
    assert!(Leaf::read(&good.to_lowercase()).is_err());
    assert!(Leaf::read(&good.replace("%2B", "%2b")).is_ok());
}

proptest! {
    #[test]
    fn any_text_gets_an_answer(text in "\\PC{0,200}") {
        prop_assert!(Leaf::read(&text).is_err());
    }

    #[test]
    fn a_spoilt_byte_gets_an_answer(at: prop::sample::Index, byte: u8) {
        let mut der = pem_decode(pem(ID, |_| {}).as_bytes()).unwrap();
        let at = at.index(der.len());
        der[at] = byte;
        let text = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----", STANDARD.encode(der));
        let _answer = Leaf::read(&url_encode(&text));
    }
}
