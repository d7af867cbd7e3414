//! Certificates and requests for the tests of this stage.

use rcgen::CertificateParams;
use rcgen::CustomExtension;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::SanType;
use time::OffsetDateTime;

use crate::clock::UnixTime;
use crate::facts::Attributes;
use crate::facts::Http;
use crate::facts::Peer;
use crate::facts::RawHeader;
use crate::facts::Request;

use super::xfcc;

/// When the tests take place.
pub(super) const NOW: UnixTime = UnixTime::from_seconds(1_795_515_072);
pub(super) const HOUR: i64 = 3600;
const SAN_OID: &[u64] = &[2, 5, 29, 17];
const URI_TAG: u8 = 0x86;

pub(super) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// An SVID for `id`, an hour on both sides of [`NOW`], spoilt by `change`; its PEM.
pub(super) fn pem(id: &str, change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = CertificateParams::default();
    params.not_before = OffsetDateTime::from_unix_timestamp(NOW.plus_seconds(-HOUR).seconds()).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(NOW.plus_seconds(HOUR).seconds()).unwrap();
    params.subject_alt_names = vec![uri(id)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem().replace("\r\n", "\n")
}

/// The same as Envoy forwards it.
pub(super) fn certificate(id: &str, change: impl FnOnce(&mut CertificateParams)) -> String {
    url_encode(&pem(id, change))
}

/// What Envoy escapes in PEM, and nothing else.
pub(super) fn url_encode(pem: &str) -> String {
    let escapes = [("\n", "%0A"), (" ", "%20"), ("+", "%2B"), ("/", "%2F"), ("=", "%3D")];
    escapes.into_iter().fold(pem.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// A subjectAltName extension of URIs whose bytes rcgen would not write.
pub(super) fn raw_uris(uris: &[&[u8]]) -> CustomExtension {
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

/// A request with this evidence. One XFCC value stands in the merged header map, several in the raw one.
pub(super) fn request(principal: &str, certificate: &str, xfcc: &[&str]) -> Attributes {
    let http = match xfcc {
        [] => Http::default(),
        [value] => Http { headers: vec![(xfcc::HEADER.to_owned(), (*value).to_owned())], ..Http::default() },
        values => Http { header_map: Some(values.iter().copied().map(raw_header).collect()), ..Http::default() },
    };
    let peer = Peer { principal: principal.to_owned(), certificate: certificate.to_owned(), ..Peer::default() };
    Attributes {
        source: Some(peer),
        request: Some(Request { http: Some(http), ..Request::default() }),
        ..Attributes::default()
    }
}

fn raw_header(value: &str) -> RawHeader {
    RawHeader {
        key: "X-Forwarded-Client-Cert".to_owned(),
        raw_value: value.as_bytes().to_vec(),
        ..RawHeader::default()
    }
}
