//! Certificates for tests.

pub(crate) mod ca;

use rcgen::CertificateParams;
use rcgen::CustomExtension;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::SanType;
use time::OffsetDateTime;

use crate::clock::UnixTime;

/// When the tests take place.
pub(crate) const NOW: UnixTime = UnixTime::from_seconds(1_795_515_072);
pub(crate) const HOUR: i64 = 3600;
const SAN_OID: &[u64] = &[2, 5, 29, 17];
const URI_TAG: u8 = 0x86;

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// An SVID for `id`, an hour on both sides of [`NOW`], spoilt by `change`; its PEM.
pub(crate) fn pem(id: &str, change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = params(id);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem().replace("\r\n", "\n")
}

/// What an SVID for `id` says, an hour on both sides of [`NOW`].
fn params(id: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = OffsetDateTime::from_unix_timestamp(NOW.plus_seconds(-HOUR).seconds()).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(NOW.plus_seconds(HOUR).seconds()).unwrap();
    params.subject_alt_names = vec![uri(id)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// The same as Envoy forwards it.
pub(crate) fn certificate(id: &str, change: impl FnOnce(&mut CertificateParams)) -> String {
    url_encode(&pem(id, change))
}

/// What Envoy escapes in PEM, and nothing else.
pub(crate) fn url_encode(pem: &str) -> String {
    let escapes = [("\n", "%0A"), (" ", "%20"), ("+", "%2B"), ("/", "%2F"), ("=", "%3D")];
    escapes.into_iter().fold(pem.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// A subjectAltName extension of URIs whose bytes rcgen would not write.
pub(crate) fn raw_uris(uris: &[&[u8]]) -> CustomExtension {
    let names = uris.iter().flat_map(|uri| tlv(URI_TAG, uri)).collect::<Vec<_>>();
    CustomExtension::from_oid_content(SAN_OID, tlv(0x30, &names))
}

/// DER with a definite length below 65536.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut der = match (high, low) {
        (0, low) if low < 0x80 => vec![tag, low],
        (0, low) => vec![tag, 0x81, low],
        (high, low) => vec![tag, 0x82, high, low],
    };
    der.extend_from_slice(content);
    der
}
