//! What an authority or an intermediate must be, and what it may limit.

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CustomExtension;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::GeneralSubtree;
use rcgen::IsCa;
use rcgen::KeyUsagePurpose;
use rcgen::NameConstraints;

use crate::trust::fixtures::raw_uris;
use crate::trust::fixtures::uri;

use super::*;

/// What is wrong with a certificate that `change` has spoilt: as an intermediate, and as an authority in the bundle.
fn judged(change: impl Fn(&mut CertificateParams)) -> Option<AuthorityError> {
    let root = Ca::root("td");
    let intermediate = root.below("intermediate", &change);
    let leaf = intermediate.leaf(ID);
    let as_intermediate = match check(&leaf, &[&intermediate], &bundle("td", &[&root])) {
        Ok(_) => None,
        Err(ChainError::Intermediate(error)) => Some(error),
        Err(error) => panic!("{error}"),
    };
    let in_bundle = Authority::read(&intermediate.der(), &TrustDomain::parse("td").unwrap()).err();
    assert_eq!(as_intermediate, in_bundle);
    if in_bundle.is_none() {
        assert!(check(&leaf, &[], &bundle("td", &[&intermediate])).is_ok());
    }
    in_bundle
}

fn extension(oid: &[u64], critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, vec![5, 0]);
    extension.set_criticality(critical);
    extension
}

#[test]
fn a16_only_an_authority_signs() {
    use KeyUsagePurpose::CrlSign;
    use KeyUsagePurpose::DigitalSignature;
    use KeyUsagePurpose::KeyCertSign;

    let not_authority = Some(AuthorityError::NotAuthority);
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa] {
        assert_eq!(judged(|params| params.is_ca = is_ca), not_authority);
    }
    for (usages, answer) in [
        (&[KeyCertSign][..], None),
        (&[KeyCertSign, CrlSign, DigitalSignature], None),
        (&[CrlSign], not_authority),
        (&[DigitalSignature], not_authority),
        // RFC 5280 §6.1.4 (n): where there is a key usage.
        (&[], None),
    ] {
        assert_eq!(judged(|params| params.key_usages = usages.to_vec()), answer, "{usages:?}");
    }
}

#[test]
fn a16_a_leaf_signs_nothing_and_an_authority_is_nobody() {
    let root = Ca::root("td");
    // A workload that signs for another with its own key.
    let mallory = root.below("mallory", |params| {
        params.subject_alt_names = vec![uri("spiffe://td/mallory")];
        params.is_ca = IsCa::NoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    });
    assert!(check(&mallory.der(), &[], &bundle("td", &[&root])).is_ok());
    let forged = mallory.leaf("spiffe://td/admin");
    let answer = check(&forged, &[&mallory], &bundle("td", &[&root]));
    assert_eq!(answer, Err(ChainError::Intermediate(AuthorityError::NotAuthority)));
    let authority = root.below("authority", |params| params.subject_alt_names = vec![uri(ID)]);
    assert_eq!(Leaf::from_der(&authority.der()), Err(CertificateError::Authority));
}

#[test]
fn a17_an_authority_names_its_own_trust_domain_alone() {
    let named =
        |names: &[&str]| judged(|params| params.subject_alt_names = names.iter().map(|name| uri(name)).collect());
    let other = Some(AuthorityError::OtherDomain);
    for (names, answer) in [
        (&[][..], None),
        (&["spiffe://td"][..], None),
        (&["https://ca.example/spiffe://other"], None),
        (&["spiffe://td", "https://ca.example"], None),
        (&["spiffe://other"], other),
        (&["spiffe://td.evil"], other),
        (&["spiffe://t"], other),
        (&["SPIFFE://other"], other),
        (&["Spiffe://td"], other),
        (&["spiffe:other"], other),
        (&["spiffe://td", "spiffe://other"], other),
        (&["https://ca.example", "spiffe://other"], other),
        // X509-SVID §3.2: no path.
        (&["spiffe://td/"], other),
        (&["spiffe://td/ca"], other),
    ] {
        assert_eq!(named(names), answer, "{names:?}");
    }
    let unreadable = judged(|params| {
        params.subject_alt_names.clear();
        params.custom_extensions.push(raw_uris(&[b"spiffe://other\xff"]));
    });
    assert_eq!(unreadable, Some(AuthorityError::Extension));
}

#[test]
fn a16_extensions_of_an_authority_are_unique_readable_and_known() {
    let with = |one: CustomExtension| judged(|params| params.custom_extensions.push(one.clone()));
    assert_eq!(with(extension(&[1, 2, 3, 4], false)), None);
    assert_eq!(with(extension(&[1, 2, 3, 4], true)), Some(AuthorityError::CriticalExtension));
    // certificatePolicies and policyConstraints would limit, and are not looked at.
    assert_eq!(with(extension(&[2, 5, 29, 36], true)), Some(AuthorityError::Extension));
    assert_eq!(with(extension(&[2, 5, 29, 99], true)), Some(AuthorityError::CriticalExtension));
    for oid in [15, 17, 19] {
        let twice = with(extension(&[2, 5, 29, oid], false));
        assert_eq!(twice, Some(AuthorityError::Extension), "{oid}");
    }
    // A key usage that cannot be read must not pass for none.
    let broken = judged(|params| {
        params.key_usages.clear();
        params.custom_extensions.push(extension(&[2, 5, 29, 15], true));
    });
    assert_eq!(broken, Some(AuthorityError::Extension));
    let repeated = judged(|params| {
        params.custom_extensions = vec![extension(&[1, 2, 3, 4], false), extension(&[1, 2, 3, 4], false)];
    });
    assert_eq!(repeated, Some(AuthorityError::Extension));
}

#[test]
fn a16_what_is_no_certificate_is_no_intermediate() {
    let root = Ca::root("td");
    let leaf = root.leaf(ID);
    let read = Leaf::from_der(&leaf).unwrap();
    let trailing = [root.der(), vec![0]].concat();
    for rubbish in [vec![], b"rubbish".to_vec(), trailing] {
        let answer = verify(&read, &leaf, &[rubbish], &bundle("td", &[&root]), Side::Client, NOW);
        assert_eq!(answer, Err(ChainError::Intermediate(AuthorityError::Der)));
    }
}

#[test]
fn a16_path_lengths_are_kept_by_intermediates_and_by_the_root() {
    let limited = |length| IsCa::Ca(BasicConstraints::Constrained(length));
    for (length, intermediates, good) in
        [(0, 0, true), (0, 1, false), (1, 1, true), (1, 2, false), (2, 2, true), (255, 2, true)]
    {
        let root = Ca::root_with("td", |params| params.is_ca = limited(length));
        let chain = descent(&root, intermediates);
        let leaf = chain.last().unwrap_or(&root).leaf(ID);
        let answer = check(&leaf, &chain.iter().collect::<Vec<_>>(), &bundle("td", &[&root]));
        assert_eq!(answer, if good { Ok(in_an_hour()) } else { Err(TOO_LONG) }, "root {length} {intermediates}");
        // The same limit, of an intermediate at the top.
        let root = Ca::root("td");
        let top = root.below("top", |params| params.is_ca = limited(length));
        let chain = descent(&top, intermediates);
        let leaf = chain.last().unwrap_or(&top).leaf(ID);
        let through: Vec<&Ca> = chain.iter().chain([&top]).collect();
        let answer = check(&leaf, &through, &bundle("td", &[&root]));
        assert_eq!(answer, if good { Ok(in_an_hour()) } else { Err(TOO_LONG) }, "top {length} {intermediates}");
    }
}

#[test]
fn a16_of_two_authorities_with_one_key_the_one_that_allows_the_path_proves_it() {
    // Which of them comes first in the bundle is a matter of their digests: both orders are met.
    for _ in 0..16 {
        let strict = Ca::root_with("td", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
        let lax = strict.below_with_key("root", strict.key(), |params| valid(params, -HOUR, 60));
        let intermediate = strict.below("intermediate", |_| {});
        let leaf = intermediate.leaf(ID);
        assert_eq!(check(&leaf, &[&intermediate], &bundle("td", &[&strict])), Err(TOO_LONG));
        let end = check(&leaf, &[&intermediate], &bundle("td", &[&strict, &lax]));
        assert_eq!(end, Ok(NOW.plus_seconds(60)), "and it is that one's end that counts");
    }
}

#[test]
fn a16_an_extended_key_usage_limits_all_below_it() {
    use ExtendedKeyUsagePurpose::ClientAuth;
    use ExtendedKeyUsagePurpose::ServerAuth;
    use ExtendedKeyUsagePurpose::TimeStamping;

    for (usages, client, server) in [
        (&[][..], true, true),
        (&[ClientAuth, ServerAuth], true, true),
        (&[ClientAuth], true, false),
        (&[ServerAuth], false, true),
        (&[TimeStamping], false, false),
    ] {
        let limit = |params: &mut CertificateParams| params.extended_key_usages = usages.to_vec();
        let root = Ca::root("td");
        let intermediate = root.below("intermediate", limit);
        let leaf = intermediate.leaf(ID);
        let limited_root = Ca::root_with("td", limit);
        let middle = limited_root.below("intermediate", |_| {});
        let below = middle.leaf(ID);
        for (side, good) in [(Side::Client, client), (Side::Server, server)] {
            let answer = at(&leaf, &[&intermediate], &bundle("td", &[&root]), side, NOW);
            assert_eq!(answer.is_ok(), good, "intermediate {usages:?} {side:?}");
            let answer = at(&below, &[&middle], &bundle("td", &[&limited_root]), side, NOW);
            assert_eq!(answer.is_ok(), good, "root {usages:?} {side:?}");
        }
    }
}

#[test]
fn a17_name_constraints_are_kept_or_the_path_is_refused() {
    let dns = |name: &str| GeneralSubtree::DnsName(name.to_owned());
    let permitted = |tree| NameConstraints { permitted_subtrees: vec![tree], excluded_subtrees: vec![] };
    let forbidden = |tree| NameConstraints { permitted_subtrees: vec![], excluded_subtrees: vec![tree] };
    let refused = Err(ChainError::NoPath("name constraints exclude it, or cannot be checked"));
    for (constraints, answer) in [
        (permitted(dns("example")), Ok(in_an_hour())),
        (permitted(dns("elsewhere")), refused),
        (forbidden(dns("example")), refused),
        (forbidden(dns("elsewhere")), Ok(in_an_hour())),
        // Directory names are not compared: whatever is bound is refused.
        (permitted(GeneralSubtree::DirectoryName(rcgen::DistinguishedName::new())), refused),
    ] {
        let limit = |params: &mut CertificateParams| params.name_constraints = Some(constraints.clone());
        let add = |params: &mut CertificateParams| {
            params.subject_alt_names.push(rcgen::SanType::DnsName("a.example".try_into().unwrap()));
        };
        let root = Ca::root("td");
        let intermediate = root.below("intermediate", limit);
        let leaf = intermediate.sign(ID, add).der;
        assert_eq!(check(&leaf, &[&intermediate], &bundle("td", &[&root])), answer);
        let root = Ca::root_with("td", limit);
        let leaf = root.sign(ID, add).der;
        assert_eq!(check(&leaf, &[], &bundle("td", &[&root])), answer);
    }
}

#[test]
fn a17_constraints_on_uris_refuse_all_and_the_operator_is_told() {
    // NameConstraints with permittedSubtrees of one URI, `td` (RFC 5280 §4.2.1.10).
    let content = vec![0x30, 0x08, 0xa0, 0x06, 0x30, 0x04, 0x86, 0x02, b't', b'd'];
    let mut constraints = CustomExtension::from_oid_content(&[2, 5, 29, 30], content);
    constraints.set_criticality(true);
    let root = Ca::root_with("td", |params| params.custom_extensions = vec![constraints]);
    let domain = TrustDomain::parse("td").unwrap();
    let bundle = Bundle::from_workload_api(&domain, &[root.der()], &[]).unwrap();
    assert!(bundle.warnings().any(|warning| warning.contains("constrains URIs")));
    assert_eq!(bundle.x509_authorities().len(), 1);
    let answer = check(&root.leaf(ID), &[], &bundle);
    assert_eq!(answer, Err(ChainError::NoPath("name constraints exclude it, or cannot be checked")));
}

#[test]
fn a16_a_leaf_with_a_critical_extension_that_is_not_known_is_refused() {
    let root = Ca::root("td");
    let with = |critical| root.sign(ID, |params| params.custom_extensions = vec![extension(&[1, 2, 3, 4], critical)]);
    let refused = Leaf::from_der(&with(true).der);
    assert_eq!(refused, Err(CertificateError::CriticalExtension));
    assert!(check(&with(false).der, &[], &bundle("td", &[&root])).is_ok());
}
