use std::collections::BTreeSet;
use std::sync::Arc;

use rcgen::CertificateParams;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::SerialNumber;
use serde_json::json;
use time::OffsetDateTime;

use super::*;
use crate::trust::Bundle;
use crate::trust::BundleConfig;
use crate::trust::Bundles;
use crate::trust::Origin;
use crate::trust::fixtures::HOUR;
use crate::trust::fixtures::NOW;
use crate::trust::fixtures::uri;
use crate::trust::refresh::ConnectionStatus;

fn moment(at: UnixTime) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap()
}

/// A certificate until `end`, changed by `change`, and its key; both PEM.
fn certificate(end: UnixTime, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (moment(NOW.plus_seconds(-HOUR)), moment(end));
    params.serial_number = Some(SerialNumber::from(vec![0x1f, 0x20]));
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn own(end: UnixTime) -> Arc<Svid> {
    let (certificate, key) = certificate(end, |params| {
        params.is_ca = rcgen::IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.subject_alt_names = vec![uri("spiffe://prod.example/countersign")];
    });
    Arc::new(Svid::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap())
}

fn authority(end: UnixTime) -> String {
    let ca = |params: &mut CertificateParams| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    };
    certificate(end, ca).0
}

fn domain(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

/// Everything that there can be.
fn full() -> (Config, Material, Status) {
    let configured = |name: &str| BundleConfig {
        trust_domain: domain(name),
        files: vec!["bundle".into()],
        endpoint: None,
        optional: false,
    };
    let config = Config {
        workload_api: Some("unix:///run/spire/agent.sock".to_owned()),
        bundles: vec![configured("partner.example"), configured("missing.example")],
        ..Config::default()
    };
    let pem = [NOW.plus_seconds(2 * HOUR), NOW.plus_seconds(3 * HOUR), NOW.plus_seconds(-10)].map(authority).concat();
    let mut own_bundle = Bundle::parse(pem.as_bytes(), &domain("prod.example")).unwrap();
    own_bundle.sequence = None;
    let partner = br#"{"keys":[],"spiffe_sequence":17,"spiffe_refresh_hint":600}"#;
    let partner = Bundle::parse_document(partner, &domain("partner.example")).unwrap();
    let mut bundles = Bundles::empty(&config);
    bundles.insert(domain("prod.example"), own_bundle, Origin::WorkloadApi, NOW.plus_seconds(-60));
    bundles.insert(domain("partner.example"), partner, Origin::Endpoint, NOW.plus_seconds(-60));
    bundles.keep_from_workload_api(&BTreeSet::from([domain("prod.example")]));
    let source = |name: &str, last_success, error: &str, rolled_back| SourceStatus {
        name: name.to_owned(),
        trust_domain: Some(domain(name)),
        last_success,
        last_error: Some(error.to_owned()),
        failures: 1,
        rolled_back,
    };
    let status = Status {
        workload_api: Some(ConnectionStatus { connected: true, last_error: None, failures: 0 }),
        sources: vec![
            source("partner.example", Some(NOW.plus_seconds(-30)), "the server answered 404 Not Found", true),
            source("missing.example", None, "`bundle` cannot be read", false),
        ],
    };
    (config, Material { svid: Some(own(NOW.plus_seconds(HOUR))), bundles: Arc::new(bundles) }, status)
}

#[test]
fn json_tells_all_there_is() {
    let (config, material, status) = full();
    let report = serde_json::to_value(Report::new(&config, &material, &status, NOW)).unwrap();
    let expected = json!({
        "svid": {
            "spiffe_id": "spiffe://prod.example/countersign",
            "serial": "1f:20",
            "not_before": "2026-11-24T09:11:12Z",
            "not_after": "2026-11-24T11:11:12Z",
            "expires_in_seconds": 3600,
        },
        "svid_files": null,
        "workload_api": {
            "endpoint": "unix:///run/spire/agent.sock",
            "connected": true,
            "answered": true,
            "last_error": null,
        },
        "trust_domains": [
            {
                "trust_domain": "partner.example",
                "origin": "endpoint",
                "x509_authorities": {"valid": 0, "total": 0, "next_expiry": null},
                "jwt_authorities": 0,
                "wit_authorities": 0,
                "sequence": 17,
                "refresh_hint_seconds": 600,
                "updated_at": "2026-11-24T10:10:42Z",
                "rolled_back": true,
                "last_error": "the server answered 404 Not Found",
            },
            {
                "trust_domain": "prod.example",
                "origin": "workload_api",
                "x509_authorities": {"valid": 2, "total": 3, "next_expiry": "2026-11-24T12:11:12Z"},
                "jwt_authorities": 0,
                "wit_authorities": 0,
                "sequence": null,
                "refresh_hint_seconds": null,
                "updated_at": "2026-11-24T10:10:12Z",
                "rolled_back": false,
                "last_error": null,
            },
        ],
        "awaited": [{"trust_domain": "missing.example", "last_error": "`bundle` cannot be read"}],
    });
    assert_eq!(report, expected, "{report:#}");
}

#[test]
fn text_is_aligned() {
    let (config, material, status) = full();
    let text = Report::new(&config, &material, &status, NOW).to_string();
    let expected = "\
own certificate
  SPIFFE ID  spiffe://prod.example/countersign
  serial     1f:20
  valid      2026-11-24T09:11:12Z to 2026-11-24T11:11:12Z, 60 min left

Workload API
  endpoint  unix:///run/spire/agent.sock
  state     connected

trust domains
                   from          X.509 valid  until                 JWT  WIT  sequence  refresh  updated
  partner.example  endpoint      0 of 0       -                     0    0    17        10 min   2026-11-24T10:10:42Z
  prod.example     workload_api  2 of 3       2026-11-24T12:11:12Z  0    0    -         -        2026-11-24T10:10:12Z
  partner.example: it has no authorities: no workload is trusted
  partner.example: its sequence number has gone down
  partner.example: the server answered 404 Not Found

awaited
  missing.example  `bundle` cannot be read
";
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn an_expired_certificate_and_an_agent_that_is_away_are_said_to_be() {
    let (config, material, mut status) = full();
    let material = Material { svid: Some(own(NOW.plus_seconds(-90))), ..material };
    let error = Some("nobody there".to_owned());
    status.workload_api = Some(ConnectionStatus { connected: false, last_error: error, failures: 3 });
    let report = Report::new(&config, &material, &status, NOW);
    assert_eq!(serde_json::to_value(&report).unwrap()["svid"]["expires_in_seconds"], -90);
    let text = report.to_string();
    assert!(text.contains("2026-11-24T10:09:42Z, expired 90 s ago\n"), "{text}");
    assert!(text.contains("state       not connected; what it said before is in force\n"), "{text}");
    assert!(text.contains("last error  nobody there\n"), "{text}");
}

#[test]
fn every_trouble_is_told_and_nothing_else() {
    let (config, mut material, mut status) = full();
    let told = |material: &Material, status: &Status| Report::new(&config, material, status, NOW).troubles();
    let partner = [
        "bundle of partner.example: it has no authorities: no workload is trusted",
        "bundle of partner.example: its sequence number has gone down",
        "bundle of partner.example: the server answered 404 Not Found",
    ];
    let missing = "bundle of missing.example: `bundle` cannot be read";
    assert_eq!(told(&material, &status), [&partner[..], &[missing]].concat());
    status.sources.insert(0, SourceStatus { last_error: Some("no key".to_owned()), ..SourceStatus::default() });
    material.svid = Some(own(NOW.plus_seconds(-1)));
    let own = ["the own certificate expired at 2026-11-24T10:11:11Z", "own certificate: no key"];
    let error = Some("no JWT".to_owned());
    for (connected, last_error, api) in [
        (true, error.clone(), "Workload API: no JWT"),
        (false, error, "Workload API: no JWT"),
        (false, None, "Workload API: not connected"),
    ] {
        status.workload_api = Some(ConnectionStatus { connected, last_error, failures: 0 });
        assert_eq!(told(&material, &status), [&own[..], &[api], &partner, &[missing]].concat());
    }
    let expired = Bundle::parse(authority(NOW.plus_seconds(-10)).as_bytes(), &domain("prod.example")).unwrap();
    let mut bundles = Bundles::empty(&config);
    bundles.insert(domain("prod.example"), expired, Origin::WorkloadApi, NOW);
    let expired = Material { svid: None, bundles: Arc::new(bundles) };
    let all_is_well = Status { workload_api: None, sources: Vec::new() };
    assert_eq!(told(&expired, &all_is_well), ["bundle of prod.example: none of its X.509 authorities is valid now"]);
}

#[test]
fn before_anything_has_come_it_says_so() {
    let config = full().0;
    let status = Status { workload_api: Some(ConnectionStatus::default()), sources: Vec::new() };
    let text = Report::new(&config, &Material::empty(&config), &status, NOW).to_string();
    for line in [
        "own certificate\n  none\n",
        "not connected, and nothing is known from it\n",
        "trust domains\n  none\n",
        "  missing.example  not asked yet\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let nothing = Report::new(&Config::default(), &Material::default(), &Status::default(), NOW).to_string();
    assert_eq!(nothing, "own certificate\n  none\n\ntrust domains\n  none\n");
}

#[test]
fn k5_no_secret_is_in_it() {
    let (certificate, key) = certificate(NOW.plus_seconds(HOUR), |_| {});
    let svid = Svid::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    let material = Material { svid: Some(Arc::new(svid)), ..Material::default() };
    let report = Report::new(&Config::default(), &material, &Status::default(), NOW);
    let shown = format!("{report}{report:?}{material:?}{}", serde_json::to_string(&report).unwrap());
    for line in key.lines().filter(|line| !line.starts_with("-----")) {
        assert!(!shown.contains(line), "{shown}");
    }
    assert!(shown.contains("none: this is no X509-SVID"));
}

#[test]
fn spans_are_in_the_unit_that_one_would_say() {
    for (seconds, text) in [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 d"),
        (-90, "90 s"),
        (i64::MIN, "106751991167300 d"),
    ] {
        assert_eq!(span(seconds), text);
    }
}
