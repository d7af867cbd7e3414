//! X.509 extensions as a whole: what cannot be read, or must be understood and is not, is no certificate of use.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::OID_X509_EXT_BASIC_CONSTRAINTS;
use x509_parser::oid_registry::OID_X509_EXT_EXTENDED_KEY_USAGE;
use x509_parser::oid_registry::OID_X509_EXT_KEY_USAGE;
use x509_parser::oid_registry::OID_X509_EXT_NAME_CONSTRAINTS;
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use x509_parser::oid_registry::Oid;

/// What is understood in a leaf.
pub(super) const OF_LEAF: &[Oid<'static>] = &[
    OID_X509_EXT_BASIC_CONSTRAINTS,
    OID_X509_EXT_EXTENDED_KEY_USAGE,
    OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_SUBJECT_ALT_NAME,
];
/// What is understood in an authority's certificate.
pub(super) const OF_AUTHORITY: &[Oid<'static>] = &[
    OID_X509_EXT_BASIC_CONSTRAINTS,
    OID_X509_EXT_EXTENDED_KEY_USAGE,
    OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_NAME_CONSTRAINTS,
    OID_X509_EXT_SUBJECT_ALT_NAME,
];

/// What is wrong with a certificate's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// One cannot be read, or stands there twice.
    Malformed,
    /// RFC 5280 §4.2: one is critical and not understood.
    Critical,
}

/// Whether all can be read and every critical one is among those `understood`.
///
/// The library's accessors take an extension that cannot be read for one that is not there, so this comes before them.
pub(super) fn check(certificate: &X509Certificate<'_>, understood: &[Oid<'_>]) -> Result<(), Fault> {
    let extensions = certificate.extensions();
    if extensions.iter().any(|extension| extension.parsed_extension().error().is_some()) {
        return Err(Fault::Malformed);
    }
    if extensions.iter().any(|extension| extension.critical && !understood.contains(&extension.oid)) {
        return Err(Fault::Critical);
    }
    certificate.extensions_map().map(|_each_once| ()).map_err(|_repeated| Fault::Malformed)
}

/// The URIs among the names of subjectAltName. Fails where a name of any kind cannot be read.
pub(super) fn uri_names<'c>(certificate: &'c X509Certificate<'_>) -> Result<Vec<&'c str>, Fault> {
    let extension = certificate.subject_alternative_name().map_err(|_repeated| Fault::Malformed)?;
    let names = extension.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let mut uris = Vec::with_capacity(1);
    for name in names {
        match name {
            GeneralName::URI(text) => uris.push(*text),
            // Bytes that are no UTF-8, in a URI or elsewhere.
            GeneralName::Invalid(..) => return Err(Fault::Malformed),
            _ => {}
        }
    }
    Ok(uris)
}
