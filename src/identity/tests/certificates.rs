//! A13, A16 and A17 with certificates that are verified here.

use crate::clock::UnixTime;
use crate::decision::Reason;
use crate::facts::Attributes;
use crate::facts::Caller;
use crate::facts::Proof;
use crate::hex;
use crate::identity::Config;
use crate::identity::Resolver;
use crate::identity::XfccMode;
use crate::identity::fixtures::awaited;
use crate::identity::fixtures::bundles;
use crate::identity::fixtures::forwarded;
use crate::identity::fixtures::request;
use crate::trust::Bundles;
use crate::trust::certificate::Leaf;
use crate::trust::fixtures::HOUR;
use crate::trust::fixtures::NOW;
use crate::trust::fixtures::ca::Ca;
use crate::trust::fixtures::ca::bundle;
use crate::trust::fixtures::ca::valid;
use crate::trust::fixtures::certificate;

use super::ADMIN;
use super::ALICE;
use super::APPEND_FORWARD;
use super::HASH;

fn verifying(xfcc: XfccMode) -> Config {
    Config { xfcc, verify_peer_certificate: true, ..Config::default() }
}

fn resolve_at(
    xfcc: XfccMode,
    attributes: &Attributes,
    bundles: &Bundles,
    now: UnixTime,
) -> Result<Option<Caller>, Reason> {
    Resolver::new(verifying(xfcc)).resolve(attributes, bundles, now).map_err(|denial| denial.reason)
}

fn resolve(xfcc: XfccMode, attributes: &Attributes, bundles: &Bundles) -> Result<Option<Caller>, Reason> {
    resolve_at(xfcc, attributes, bundles, NOW)
}

/// The trust domain `td`, its root alone in the bundle.
fn td() -> (Ca, Bundles) {
    let root = Ca::root("td");
    let bundles = bundles([("td", bundle("td", &[&root]))]);
    (root, bundles)
}

#[test]
fn a16_a_leaf_must_chain_to_its_own_bundle() {
    let (root, bundles) = td();
    let genuine = root.sign(ALICE, |_| {});
    let text = forwarded(&[&genuine.der]);
    let caller = resolve(XfccMode::Off, &request(ALICE, &text, &[]), &bundles).unwrap().unwrap();
    assert_eq!((caller.spiffe_id.as_str(), caller.proof), (ALICE, Proof::VerifiedCertificate));
    assert_eq!(caller.certificate, Some(Leaf::from_der(&genuine.der).unwrap().facts));

    let forged = certificate(ADMIN, |_| {});
    let impostor = forwarded(&[&Ca::root("td").sign(ADMIN, |_| {}).der]);
    for text in [&forged, &impostor] {
        let attributes = request(ADMIN, text, &[]);
        assert_eq!(resolve(XfccMode::Off, &attributes, &bundles), Err(Reason::CallerCertificateUntrusted));
        // Without verification the proxy's word is all there is.
        let believed = Resolver::new(Config::default()).resolve(&attributes, &bundles, NOW).unwrap().unwrap();
        assert_eq!(believed.proof, Proof::PeerCertificate);
    }
}

#[test]
fn a17_trust_domains_never_share_roots() {
    let [td, other] = [Ca::root("td"), Ca::root("other")];
    let both = bundles([("td", bundle("td", &[&td])), ("other", bundle("other", &[&other]))]);
    for (signer, id, answer) in [
        (&td, ALICE, Ok(ALICE)),
        (&other, "spiffe://other/alice", Ok("spiffe://other/alice")),
        (&other, ALICE, Err(Reason::CallerCertificateUntrusted)),
        (&td, "spiffe://other/alice", Err(Reason::CallerCertificateUntrusted)),
        (&td, "spiffe://td.evil/alice", Err(Reason::CallerTrustDomainUnknown)),
        (&td, "spiffe://t/alice", Err(Reason::CallerTrustDomainUnknown)),
    ] {
        let text = forwarded(&[&signer.sign(id, |_| {}).der]);
        let found = resolve(XfccMode::Off, &request("", &text, &[]), &both);
        assert_eq!(found.map(|caller| caller.unwrap().spiffe_id.to_string()), answer.map(str::to_owned), "{id}");
    }
}

#[test]
fn a17_a_bundle_that_is_not_there_yet_is_not_the_callers_fault() {
    let text = forwarded(&[&Ca::root("td").sign(ALICE, |_| {}).der]);
    let attributes = request(ALICE, &text, &[]);
    assert_eq!(resolve(XfccMode::Off, &attributes, &awaited()), Err(Reason::CallerTrustUnavailable));
    assert_eq!(Reason::CallerTrustUnavailable.http_status(), 503);
    assert_eq!(resolve(XfccMode::Off, &attributes, &Bundles::default()), Err(Reason::CallerTrustDomainUnknown));
}

#[test]
fn a13_profile_and_validity_keep_their_reasons() {
    let (root, bundles) = td();
    let below = root.below("issuing", |params| valid(params, -HOUR, 60));
    let text = |der: &[u8]| forwarded(&[der]);
    let authority = text(&root.below("no leaf", |_| {}).der());
    let two_uris = root.sign(ALICE, |params| params.subject_alt_names.push(crate::trust::fixtures::uri(ADMIN)));
    let short = root.sign(ALICE, |params| valid(params, -10, 10));
    let by_below = below.sign(ALICE, |_| {});
    let chain = format!("Chain=\"{}\"", forwarded(&[&by_below.der, &below.der()]));
    for (text, header, seconds, answer) in [
        (authority, None, 0, Err(Reason::CallerCertificateProfile)),
        (text(&two_uris.der), None, 0, Err(Reason::CallerCertificateProfile)),
        (text(&short.der), None, 10, Ok(())),
        (text(&short.der), None, 11, Err(Reason::CallerCertificateExpired)),
        (text(&short.der), None, -11, Err(Reason::CallerCertificateNotYetValid)),
        (text(&by_below.der), Some(chain.as_str()), 60, Ok(())),
        (text(&by_below.der), Some(&chain), 61, Err(Reason::CallerCertificateUntrusted)),
        ("rubbish".to_owned(), None, 0, Err(Reason::CallerCertificateMalformed)),
    ] {
        let headers: Vec<&str> = header.into_iter().collect();
        let attributes = request("", &text, &headers);
        let found = resolve_at(APPEND_FORWARD, &attributes, &bundles, NOW.plus_seconds(seconds));
        assert_eq!(found.map(|caller| assert!(caller.is_some())), answer, "{seconds}");
    }
}

#[test]
fn an_intermediate_comes_from_the_chain_whoever_wrote_it() {
    let (root, bundles) = td();
    let (outer, foreign) = (root.below("outer", |_| {}), Ca::root("other").below("foreign", |_| {}));
    let inner = outer.below("inner", |_| {});
    let leaf = inner.sign(ALICE, |_| {}).der;
    let [inner, outer, foreign, root] = [&inner, &outer, &foreign, &root].map(Ca::der);
    let other_leaf = Ca::root("td").sign(ADMIN, |_| {}).der;
    let untrusted = Err(Reason::CallerCertificateUntrusted);
    let cases: [(Vec<&[u8]>, _); 8] = [
        (vec![&leaf, &inner, &outer], Ok(())),
        (vec![&leaf, &inner, &outer, &root], Ok(())),
        (vec![&outer, &inner], Ok(())),
        (vec![&leaf, &inner], untrusted),
        (vec![&leaf], untrusted),
        (vec![&leaf, &inner, &outer, &foreign], untrusted),
        (vec![&other_leaf, &inner, &outer], untrusted),
        (vec![&leaf; 9], Err(Reason::CallerCertificateMalformed)),
    ];
    let text = forwarded(&[&leaf]);
    for (chain, answer) in cases {
        let header = format!("Chain=\"{}\";URI={ALICE}", forwarded(&chain));
        for mode in [XfccMode::SanitizeSet, APPEND_FORWARD] {
            let found = resolve(mode.clone(), &request(ALICE, &text, &[&header]), &bundles);
            assert_eq!(found.map(|caller| assert!(caller.is_some())), answer, "{mode:?} {}", chain.len());
        }
        // Not looked at, and so of no help.
        let found = resolve(XfccMode::Off, &request(ALICE, &text, &[&header]), &bundles);
        assert_eq!(found, Err(Reason::CallerCertificateUntrusted));
    }
    let broken = format!("Chain=\"{text}%0Ax\";URI={ALICE}");
    let found = resolve(APPEND_FORWARD, &request(ALICE, &text, &[&broken]), &bundles);
    assert_eq!(found, Err(Reason::CallerCertificateMalformed));
}

#[test]
fn the_headers_leaf_proves_a_caller_only_where_the_proxy_alone_writes_it() {
    let (root, bundles) = td();
    let below = root.below("issuing", |_| {});
    let leaf = below.sign(ALICE, |_| {}).der;
    let digest = hex::lower(&Leaf::from_der(&leaf).unwrap().facts.sha256);
    let (cert, chain) = (forwarded(&[&leaf]), forwarded(&[&leaf, &below.der()]));
    let missing = Err(Reason::CallerCertificateMissing);
    let untrusted = Err(Reason::CallerCertificateUntrusted);
    for (principal, header, sanitize_set, append_forward) in [
        (ALICE, format!("Cert=\"{cert}\";Chain=\"{chain}\";URI={ALICE}"), Ok(Some(ALICE)), missing),
        (
            "",
            format!("Cert=\"{cert}\";Chain=\"{chain}\";URI={ALICE}"),
            Ok(Some(ALICE)),
            Err(Reason::CallerXfccUnproven),
        ),
        (ALICE, format!("Hash={digest};Chain=\"{chain}\";URI={ALICE}"), Ok(Some(ALICE)), missing),
        (ALICE, format!("Chain=\"{chain}\""), Ok(Some(ALICE)), missing),
        (ALICE, format!("Cert=\"{cert}\";URI={ALICE}"), untrusted, missing),
        (ALICE, format!("Chain=\"{cert}\";URI={ALICE}"), untrusted, missing),
        (ALICE, format!("By=spiffe://td/gw;URI={ALICE}"), missing, missing),
        (ADMIN, format!("Chain=\"{chain}\""), Err(Reason::CallerConflict), missing),
        (ALICE, format!("Hash={HASH};Chain=\"{chain}\""), Err(Reason::CallerConflict), missing),
        // An element without a URI names nobody, proven or not.
        ("", format!("Chain=\"{chain}\""), Ok(None), Err(Reason::CallerXfccUnproven)),
    ] {
        for (mode, answer) in [(XfccMode::SanitizeSet, sanitize_set), (APPEND_FORWARD, append_forward)] {
            let found = resolve(mode.clone(), &request(principal, "", &[&header]), &bundles);
            let found = found.map(|caller| {
                caller.map(|caller| {
                    assert_eq!(caller.proof, Proof::VerifiedCertificate);
                    assert_eq!(hex::lower(&caller.certificate.unwrap().sha256), digest);
                    caller.spiffe_id.to_string()
                })
            });
            assert_eq!(found, answer.map(|id| id.map(str::to_owned)), "{mode:?} {header:.40}");
        }
    }
}

#[test]
fn a16_the_proxys_word_needs_a_certificate() {
    let (root, bundles) = td();
    let text = forwarded(&[&root.sign(ALICE, |_| {}).der]);
    let missing = Err(Reason::CallerCertificateMissing);
    let uri = format!("URI={ALICE}");
    assert_eq!(resolve(XfccMode::Off, &request(ALICE, "", &[]), &bundles), missing);
    assert_eq!(resolve(XfccMode::SanitizeSet, &request("", "", &[&uri]), &bundles), missing);
    assert_eq!(resolve(XfccMode::SanitizeSet, &request(ALICE, "", &[&uri]), &bundles), missing);
    assert_eq!(resolve(XfccMode::Off, &request("", "", &[]), &bundles), Ok(None));
    // A certificate that is not looked at is none.
    let blind = Config { certificate: false, ..verifying(XfccMode::SanitizeSet) };
    let header = format!("Cert=\"{text}\";URI={ALICE}");
    let found = Resolver::new(blind).resolve(&request(ALICE, &text, &[&header]), &bundles, NOW);
    assert_eq!(found.map_err(|denial| denial.reason), missing);
}

#[test]
fn a12_proven_evidence_must_agree_all_the_same() {
    let (root, bundles) = td();
    let [leaf, twin] = [root.sign(ALICE, |_| {}), root.sign(ALICE, |_| {})].map(|leaf| forwarded(&[&leaf.der]));
    for (principal, header) in [
        (ADMIN, format!("URI={ALICE}")),
        (ALICE, format!("URI={ADMIN}")),
        (ALICE, "URI=".to_owned()),
        (ALICE, format!("Hash={HASH};URI={ALICE}")),
        (ALICE, format!("Cert=\"{twin}\";URI={ALICE}")),
    ] {
        for mode in [XfccMode::SanitizeSet, APPEND_FORWARD] {
            let found = resolve(mode, &request(principal, &leaf, &[&header]), &bundles);
            assert_eq!(found, Err(Reason::CallerConflict), "{principal} {header:.40}");
        }
    }
}
