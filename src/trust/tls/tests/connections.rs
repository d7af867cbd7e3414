//! Who may connect.

use rcgen::ExtendedKeyUsagePurpose;
use rcgen::KeyPair;
use rcgen::PKCS_ED25519;
use rcgen::PKCS_RSA_SHA256;

use super::*;

#[test]
fn a19_a_client_proves_to_be_on_the_list() {
    for (allowed, caller, good) in [
        (&[CLIENT][..], CLIENT, true),
        (&["spiffe://td"], CLIENT, true),
        (&["spiffe://td/other", CLIENT], CLIENT, true),
        (&[], CLIENT, false),
        (&["spiffe://td/other"], CLIENT, false),
        // Whole IDs: no prefix, no case, no longer path.
        (&[CLIENT], "spiffe://td/envoy/admin", false),
        (&[CLIENT], "spiffe://td/envo", false),
        (&[CLIENT], "spiffe://td/Envoy", false),
        (&["spiffe://td/envoy/admin"], CLIENT, false),
        (&["spiffe://t"], CLIENT, false),
        (&["spiffe://td.evil"], CLIENT, false),
    ] {
        let world = World::new(allowed);
        let outcome = world.knock(Some(&own(&world.root, caller)));
        assert_eq!(outcome.is_good(), good, "{allowed:?} {caller}");
        if good {
            assert_eq!(outcome.alpn.as_deref(), Some(b"h2".as_slice()));
        } else {
            assert_eq!(outcome.refusal(), Some(&PeerError::NotAllowed(id(caller))));
        }
    }
}

#[test]
fn j10_a_client_without_a_certificate_is_refused() {
    let outcome = World::new(&["spiffe://td"]).knock(None);
    assert!(matches!(outcome.server, Err(Error::NoCertificatesPresented)), "{outcome:?}");
}

#[test]
fn j10_whom_a_list_does_not_concern_is_asked_for_nothing() {
    let world = World::new(&[]);
    let anybody = server(&world.material, Clients::Anybody);
    for version in [&TLS12, &TLS13] {
        let outcome = handshake(&Arc::new(client(SERVER, &world.trust, version, None)), &anybody);
        assert!(outcome.is_good(), "{outcome:?}");
    }
}

#[test]
fn a17_a_client_of_another_trust_domain_is_proven_by_its_own_bundle() {
    let (partner, stranger) = (Ca::root("partner"), Ca::root("stranger"));
    let world = World::new(&["spiffe://td", "spiffe://partner", "spiffe://stranger"]);
    let material = Material {
        svid: world.material.load().svid.clone(),
        bundles: bundles(&[("td", &[&world.root]), ("partner", &[&partner])]),
    };
    world.material.store(Arc::new(material));
    assert!(world.knock(Some(&own(&partner, "spiffe://partner/a"))).is_good());
    let unknown = world.knock(Some(&own(&stranger, "spiffe://stranger/a")));
    assert_eq!(unknown.refusal(), Some(&PeerError::NoBundle("stranger".to_owned())));
    // Neither domain's authority speaks for the other.
    for (signer, caller) in [(&partner, CLIENT), (&world.root, "spiffe://partner/a"), (&stranger, CLIENT)] {
        let outcome = world.knock(Some(&own(signer, caller)));
        assert!(matches!(outcome.refusal(), Some(PeerError::Chain(ChainError::NoPath(_)))), "{caller} {outcome:?}");
    }
}

#[test]
fn a16_a_certificate_that_nobody_signed_is_refused() {
    let world = World::new(&["spiffe://td"]);
    let namesake = Ca::root("td");
    let forged = world.knock(Some(&own(&namesake, CLIENT)));
    assert!(matches!(forged.refusal(), Some(PeerError::Chain(_))), "{forged:?}");
    let signed = namesake.sign(CLIENT, |_| {});
    let with_its_root = world.knock(Some(&svid(&signed, &[&namesake])));
    assert!(matches!(with_its_root.refusal(), Some(PeerError::Chain(_))), "{with_its_root:?}");
}

#[test]
fn a13_what_is_no_svid_that_is_valid_now_is_refused() {
    let world = World::new(&["spiffe://td"]);
    let spoilt = |change: fn(&mut rcgen::CertificateParams)| svid(&world.root.sign(CLIENT, change), &[]);
    let hour = NOW.plus_seconds(HOUR);
    for (own, error) in [
        (spoilt(|params| valid(params, -HOUR, -1)), CertificateError::Expired(NOW.plus_seconds(-1))),
        (spoilt(|params| valid(params, HOUR, 2 * HOUR)), CertificateError::NotYetValid(hour)),
        (spoilt(|params| params.subject_alt_names.clear()), CertificateError::UriMissing),
        (spoilt(|params| params.key_usages.clear()), CertificateError::KeyUsageMissing),
        (
            spoilt(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            CertificateError::ClientAuthMissing,
        ),
    ] {
        assert_eq!(world.knock(Some(&own)).refusal(), Some(&PeerError::Certificate(error)));
    }
    // An authority is nobody, though everybody trusts it.
    let authority = world.root.below("authority", |params| {
        params.subject_alt_names = vec![crate::trust::fixtures::uri(CLIENT)];
    });
    let own = Svid::from_der(vec![authority.der()], authority.key().serialized_der()).unwrap();
    let refused = world.knock(Some(&own));
    assert_eq!(refused.refusal(), Some(&PeerError::Certificate(CertificateError::Authority)));
}

#[test]
fn a16_a_client_may_bring_intermediates() {
    let world = World::new(&["spiffe://td"]);
    let upper = world.root.below("upper", |_| {});
    let lower = upper.below("lower", |_| {});
    let signed = lower.sign(CLIENT, |_| {});
    assert!(world.knock(Some(&svid(&signed, &[&lower, &upper]))).is_good());
    assert!(!world.knock(Some(&svid(&signed, &[&lower]))).is_good());
    let stale = world.root.below("stale", |params| valid(params, -HOUR, -1));
    let signed = stale.sign(CLIENT, |_| {});
    assert!(!world.knock(Some(&svid(&signed, &[&stale]))).is_good());
}

#[test]
fn j10_keys_of_every_kind_that_is_safe_will_do() {
    let world = World::new(&[CLIENT]);
    for kind in [&rcgen::PKCS_ECDSA_P384_SHA384, &PKCS_ED25519, &PKCS_RSA_SHA256] {
        let signed = world.root.sign_for(CLIENT, KeyPair::generate_for(kind).unwrap(), |_| {});
        assert!(world.knock(Some(&svid(&signed, &[]))).is_good(), "{kind:?}");
    }
}

#[test]
fn a16_a_certificate_without_its_key_is_refused() {
    let world = World::new(&[CLIENT]);
    let mut stolen = own(&world.root, CLIENT);
    let other = own(&world.root, CLIENT);
    stolen.certified = Arc::new(CertifiedKey::new(stolen.certified.cert.clone(), Arc::clone(&other.certified.key)));
    let outcome = world.knock(Some(&stolen));
    assert!(outcome.server.is_err(), "{outcome:?}");
}

#[test]
fn k10_a_refused_client_is_not_told_why() {
    let world = World::new(&["spiffe://td/other"]);
    let expired = svid(&world.root.sign(CLIENT, |params| valid(params, -HOUR, -1)), &[]);
    for own in [own(&world.root, CLIENT), own(&Ca::root("td"), CLIENT), own(&Ca::root("x"), "spiffe://x/a"), expired] {
        let outcome = world.knock(Some(&own));
        let told = Error::AlertReceived(rustls::AlertDescription::HandshakeFailure);
        assert_eq!(outcome.client, Err(told));
        let shown = outcome.server.as_ref().unwrap_err().to_string();
        assert_eq!(shown, format!("other error: {}", outcome.refusal().unwrap()));
    }
}
