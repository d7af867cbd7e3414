use super::*;
use crate::spiffe_id::SpiffeId;
use crate::spiffe_id::TrustDomain;
use crate::trust::Bundle;
use crate::trust::BundleConfig;
use crate::trust::CertificateFiles;
use crate::trust::Endpoint;
use crate::trust::Origin;
use crate::trust::Profile;
use crate::trust::fixtures::pem;

fn files(name: &str) -> CertificateFiles {
    CertificateFiles { certificate: name.into(), key: format!("{name}.key").into() }
}

fn agent(name: &str) -> String {
    format!("unix:///run/{name}.sock")
}

fn svid() -> Arc<Svid> {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    assert!(Svid::from_pem(pem("spiffe://prod.example/a", |_| {}).as_bytes(), key.serialize_pem().as_bytes()).is_err());
    Arc::new(Svid::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap())
}

#[test]
fn the_own_certificate_serves_until_another_comes() {
    let id = |path: &str| Some(SpiffeId::parse(&format!("spiffe://prod.example/{path}")).unwrap());
    let from_agent = |name: &str, svid_id| Config { workload_api: Some(agent(name)), svid_id, ..Config::default() };
    let from_files = |name: &str, workload_api| Config { svid: Some(files(name)), workload_api, ..Config::default() };
    for (known, config, stays) in [
        (from_agent("a", None), from_agent("a", None), true),
        (from_agent("a", None), from_agent("b", None), true),
        (from_agent("a", None), from_agent("a", id("x")), true),
        (from_agent("a", id("x")), from_agent("a", id("x")), true),
        (from_agent("a", None), from_files("f", Some(agent("a"))), true),
        (from_files("f", None), from_files("f", Some(agent("a"))), true),
        (from_files("f", None), from_files("g", None), true),
        (from_files("f", Some(agent("a"))), from_agent("a", None), true),
        (from_agent("a", None), Config::default(), false),
        (Config::default(), Config::default(), false),
    ] {
        let previous = Material { svid: Some(svid()), ..Material::empty(&known) };
        let carried = Material::carried_over(&config, &previous, &known);
        assert_eq!(carried.svid.is_some(), stays, "{known:?}\n{config:?}");
    }
}

#[test]
fn bundles_are_carried_over_and_what_is_new_is_awaited() {
    let domain = |name: &str| TrustDomain::parse(name).unwrap();
    let bundle = |name: &str, file: &str| BundleConfig {
        trust_domain: domain(name),
        files: vec![file.into()],
        endpoint: None,
        optional: false,
    };
    let known = Config {
        workload_api: Some(agent("a")),
        bundles: vec![bundle("same.example", "a"), bundle("moved.example", "b")],
        ..Config::default()
    };
    let mut bundles = Bundles::empty(&known);
    for (name, origin) in
        [("same.example", Origin::Files), ("moved.example", Origin::Files), ("prod.example", Origin::WorkloadApi)]
    {
        bundles.insert(domain(name), Bundle::empty(), origin, UnixTime::default());
    }
    bundles.keep_from_workload_api(&[domain("prod.example")].into());
    let previous = Material { svid: None, bundles: Arc::new(bundles) };
    let config = Config {
        bundles: vec![bundle("same.example", "a"), bundle("moved.example", "c"), bundle("new.example", "d")],
        ..known.clone()
    };
    let carried = Material::carried_over(&config, &previous, &known).bundles;
    assert_eq!(carried.iter().map(|(domain, _)| domain.as_str()).collect::<Vec<_>>(), ["prod.example", "same.example"]);
    let awaited: Vec<_> = carried.awaited().map(TrustDomain::as_str).collect();
    assert_eq!((awaited, carried.awaits_workload_api()), (vec!["moved.example", "new.example"], false));
    let epoch = |bundles: &Bundles| bundles.get("same.example").unwrap().epoch();
    assert_eq!(epoch(&carried), epoch(&previous.bundles));
}

#[test]
fn i7_what_is_not_where_a_bundle_comes_from_does_not_lose_it() {
    let domain = TrustDomain::parse("partner.example").unwrap();
    let config = |url: &str, optional, refuse_rollback| Config {
        bundles: vec![BundleConfig {
            trust_domain: domain.clone(),
            files: Vec::new(),
            endpoint: Some(Endpoint {
                url: url.to_owned(),
                profile: Profile::HttpsWeb { ca_file: None },
                refuse_rollback,
            }),
            optional,
        }],
        ..Config::default()
    };
    let known = config("https://partner.example/", false, false);
    let mut bundles = Bundles::empty(&known);
    bundles.insert(domain.clone(), Bundle::empty(), Origin::Endpoint, UnixTime::default());
    let previous = Material { svid: None, bundles: Arc::new(bundles) };
    for (wanted, stays) in [
        (config("https://partner.example/", true, false), true),
        (config("https://partner.example/", false, true), true),
        (config("https://other.example/", false, false), false),
    ] {
        let carried = Material::carried_over(&wanted, &previous, &known).bundles;
        assert_eq!(carried.get("partner.example").is_ok(), stays, "{wanted:?}");
        assert_eq!(carried.awaited().count(), usize::from(!stays));
    }
}

#[test]
fn readiness_waits_for_a_certificate_that_is_valid() {
    let config = Config { svid: Some(files("f")), ..Config::default() };
    let own = svid();
    let (begin, end) = (own.not_before, own.not_after);
    let waited_for = |svid, now| Material { svid, ..Material::empty(&config) }.waited_for(&config, now);
    assert_eq!(waited_for(None, begin), ["own certificate".to_owned()].into());
    let valid = "own certificate that is valid".to_owned();
    for now in [UnixTime::from_seconds(begin.seconds() - 1), end.plus_seconds(1)] {
        assert_eq!(waited_for(Some(Arc::clone(&own)), now), [valid.clone()].into());
    }
    assert!(waited_for(Some(Arc::clone(&own)), begin).is_empty());
    assert!(waited_for(Some(own), end).is_empty());
}
