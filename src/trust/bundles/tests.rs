//! Which bundle a trust domain has, and which it must not get.

use std::path::PathBuf;

use crate::trust::BundleConfig;
use crate::trust::fixtures::NOW;
use crate::trust::fixtures::ca::Ca;
use crate::trust::fixtures::ca::bundle;

use super::*;

fn domain(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

/// A configuration with these trust domains from files, and perhaps the Workload API.
fn config(configured: &[&str], workload_api: Option<&str>) -> Config {
    let bundles = configured.iter().map(|name| BundleConfig {
        trust_domain: domain(name),
        files: vec![PathBuf::from("bundle.json")],
        endpoint: None,
        optional: false,
    });
    Config { workload_api: workload_api.map(str::to_owned), bundles: bundles.collect(), ..Config::default() }
}

fn names<'b>(found: impl Iterator<Item = &'b TrustDomain>) -> Vec<&'b str> {
    found.map(TrustDomain::as_str).collect()
}

fn held(bundles: &Bundles) -> Vec<&str> {
    names(bundles.iter().map(|(domain, _)| domain))
}

#[test]
fn a17_a_bundle_is_found_by_the_whole_name_of_its_trust_domain() {
    let mut bundles = Bundles::empty(&config(&["td"], None));
    bundles.insert(domain("td"), Bundle::empty(), Origin::Files, NOW);
    assert!(bundles.get("td").is_ok());
    for other in ["td.evil", "t", "tdx", "TD", "td/", "spiffe://td", "", "td.", ".td"] {
        assert_eq!(bundles.get(other).err(), Some(NoBundle::Unknown), "{other}");
    }
}

#[test]
fn what_is_to_come_is_told_from_what_is_not_known() {
    let mut bundles = Bundles::empty(&config(&["b", "a"], Some("unix:///agent.sock")));
    assert_eq!(names(bundles.awaited()), ["a", "b"]);
    assert!(bundles.awaits_workload_api());
    assert_eq!(bundles.get("a").err(), Some(NoBundle::Awaited));
    assert_eq!(bundles.get("other").err(), Some(NoBundle::Awaited), "the Workload API may bring it");
    bundles.insert(domain("a"), Bundle::empty(), Origin::Files, NOW);
    assert_eq!(names(bundles.awaited()), ["b"]);
    assert!(!bundles.keep_from_workload_api(&BTreeSet::new()));
    assert_eq!(bundles.get("other").err(), Some(NoBundle::Unknown));
    assert_eq!(bundles.get("b").err(), Some(NoBundle::Awaited));
    assert_eq!(Bundles::default().get("a").err(), Some(NoBundle::Unknown));
}

#[test]
fn an_epoch_stands_for_one_content() {
    let (root, other) = (Ca::root("td"), Ca::root("td"));
    let mut bundles = Bundles::default();
    let mut insert = |authorities: &[&Ca], seconds| {
        let changed = bundles.insert(domain("td"), bundle("td", authorities), Origin::Files, NOW.plus_seconds(seconds));
        let held = bundles.get("td").unwrap();
        assert_eq!(held.at, NOW.plus_seconds(seconds));
        (changed, held.epoch())
    };
    let (changed, first) = insert(&[&root], 0);
    assert!(changed);
    assert_eq!(insert(&[&root], 1), (false, first));
    let (changed, second) = insert(&[&root, &other], 2);
    assert!(changed);
    assert_eq!(insert(&[&other, &root], 3), (false, second), "the order means nothing");
    let (changed, third) = insert(&[&root], 4);
    assert!(changed);
    assert!(first < second && second < third, "not even what was there before comes back under its epoch");
    let mut elsewhere = Bundles::default();
    elsewhere.insert(domain("td"), bundle("td", &[&root]), Origin::Files, NOW);
    assert!(elsewhere.get("td").unwrap().epoch() > third, "nor in another line of snapshots");
}

#[test]
fn a17_the_workload_api_has_no_say_in_a_configured_trust_domain() {
    let (own, forged) = (Ca::root("partner"), Ca::root("partner"));
    let mut bundles = Bundles::empty(&config(&["partner"], Some("unix:///agent.sock")));
    let forge = |bundles: &mut Bundles| {
        bundles.insert(domain("partner"), bundle("partner", &[&forged]), Origin::WorkloadApi, NOW)
    };
    assert!(!forge(&mut bundles));
    assert_eq!(bundles.get("partner").err(), Some(NoBundle::Awaited));
    assert!(bundles.insert(domain("partner"), bundle("partner", &[&own]), Origin::Endpoint, NOW));
    assert!(!forge(&mut bundles));
    assert_eq!(*bundles.get("partner").unwrap().bundle, bundle("partner", &[&own]));
    assert!(bundles.insert(domain("other"), Bundle::empty(), Origin::WorkloadApi, NOW));
}

#[test]
fn a_trust_domain_that_the_workload_api_names_no_longer_goes() {
    let mut bundles = Bundles::empty(&config(&["filed"], Some("unix:///agent.sock")));
    bundles.insert(domain("filed"), Bundle::empty(), Origin::Files, NOW);
    for name in ["own", "federated"] {
        bundles.insert(domain(name), Bundle::empty(), Origin::WorkloadApi, NOW);
    }
    assert!(!bundles.keep_from_workload_api(&[domain("own"), domain("federated")].into()));
    assert!(bundles.keep_from_workload_api(&[domain("own")].into()));
    assert_eq!(held(&bundles), ["filed", "own"]);
    assert_eq!(bundles.get("federated").err(), Some(NoBundle::Unknown));
}

#[test]
fn a_new_configuration_keeps_what_it_still_promises() {
    let socket = Some("unix:///agent.sock");
    let known = config(&["filed", "gone"], socket);
    let mut before = Bundles::empty(&known);
    for (name, origin) in [
        ("filed", Origin::Files),
        ("gone", Origin::Endpoint),
        ("own", Origin::WorkloadApi),
        ("now-filed", Origin::WorkloadApi),
    ] {
        before.insert(domain(name), Bundle::empty(), origin, NOW);
    }
    before.keep_from_workload_api(&[domain("own"), domain("now-filed")].into());
    let carried = |config: &Config| {
        let mut after = Bundles::empty(config);
        after.carry_over(&before, config, &known);
        after
    };
    let after = carried(&config(&["filed", "now-filed"], socket));
    assert_eq!(held(&after), ["filed", "own"]);
    assert_eq!(names(after.awaited()), ["now-filed"]);
    assert!(!after.awaits_workload_api());
    assert_eq!(after.get("own").unwrap().epoch(), before.get("own").unwrap().epoch());
    // Another socket is another agent.
    let after = carried(&config(&["filed"], Some("unix:///other.sock")));
    assert_eq!(held(&after), ["filed"]);
    assert!(after.awaits_workload_api());
    let after = carried(&config(&["filed"], None));
    assert_eq!((held(&after), after.awaits_workload_api()), (vec!["filed"], false));
    // The same trust domain, from elsewhere.
    let mut moved = config(&["filed"], socket);
    moved.bundles[0].files = vec![PathBuf::from("other.json")];
    let after = carried(&moved);
    assert_eq!((held(&after), names(after.awaited())), (vec!["now-filed", "own"], vec!["filed"]));
}
