//! What is said about files before anything is served.

use serde_json::json;
use time::OffsetDateTime;

use super::issue::Authority;
use super::issue::document;
use super::kept::Folder;
use crate::trust::BundleConfig;
use crate::trust::Config;
use crate::trust::Endpoint;
use crate::trust::Profile;
use crate::trust::fixtures::uri;
use crate::trust::refresh::check_files;

async fn told(config: &Config) -> Vec<String> {
    check_files(config).await.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn good_files_have_no_problems() {
    let (folder, authority) = (Folder::new(), Authority::new("partner.example"));
    let svid = authority.svid("/countersign");
    folder.write("svid.pem", &svid.pem);
    folder.write("svid_key.pem", svid.key_pem());
    folder.write("bundle.pem", authority.pem());
    folder.write("bundle.json", document(&[&authority], json!({})));
    let bundles = folder.bundle(&authority.domain, &["bundle.pem", "bundle.json"]).bundles;
    // The socket need not be there.
    let workload_api = Some("unix:///missing/agent.sock".to_owned());
    assert_eq!(told(&Config { workload_api, bundles, ..folder.svid() }).await, [""; 0]);
}

#[tokio::test]
async fn each_file_that_is_no_good_is_told_by_its_path() {
    let (folder, authority) = (Folder::new(), Authority::new("partner.example"));
    let [svid, other] = ["/countersign", "/other"].map(|path| authority.svid(path));
    let expired = authority.issue(|params| {
        params.subject_alt_names = vec![uri("spiffe://partner.example/old")];
        params.not_after = OffsetDateTime::from_unix_timestamp(1_000_000_000).unwrap();
    });
    let dns = authority.issue(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("countersign.example".try_into().unwrap())];
    });
    for (certificate, key, expected) in [
        ("", svid.key_pem(), "error: spiffe.svid.certificate: the certificate file holds no readable PEM"),
        (&*svid.pem.repeat(100), svid.key_pem(), "error: spiffe.svid.certificate: the certificate file has more than"),
        (&svid.pem, svid.pem.clone(), "error: spiffe.svid.key: the key file holds no private key"),
        (&svid.pem, other.key_pem(), "error: spiffe.svid: certificate and key do not belong together"),
        (&expired.pem, expired.key_pem(), "warning: spiffe.svid.certificate: the certificate is valid from"),
        (&dns.pem, dns.key_pem(), "warning: spiffe.svid.certificate: the certificate is no X509-SVID"),
    ] {
        folder.write("svid.pem", certificate);
        folder.write("svid_key.pem", key);
        let told = told(&folder.svid()).await;
        assert!(matches!(&told[..], [one] if one.starts_with(expected)), "{told:?}\n{expected}");
    }
    std::fs::remove_file(folder.path().join("svid.pem")).unwrap();
    std::fs::remove_file(folder.path().join("svid_key.pem")).unwrap();
    let told = told(&folder.svid()).await;
    assert!(
        told[0].starts_with("error: spiffe.svid.certificate: `") && told[1].starts_with("error: spiffe.svid.key: `")
    );
}

#[tokio::test]
async fn each_part_of_a_bundle_is_looked_at() {
    let (folder, authority) = (Folder::new(), Authority::new("partner.example"));
    let foreign = Authority::new("other.example").svid("/workload");
    folder.write("good.pem", authority.pem());
    folder.write("leaf.pem", &foreign.pem);
    folder.write("broken.json", "{");
    folder.write("empty.json", "{\"keys\":[]}");
    let check = async |names: &[&str]| {
        let mut config = folder.bundle(&Authority::new("first.example").domain, &["good.pem"]);
        config.bundles.push(folder.bundle_config(&authority.domain, names));
        told(&config).await
    };
    for (names, expected) in [
        (
            &["good.pem", "missing.pem", "broken.json"][..],
            &["error: spiffe.bundles[1].files[1]: `", "error: spiffe.bundles[1].files[2]: the bundle"][..],
        ),
        (&["good.pem", "leaf.pem"], &["warning: spiffe.bundles[1].files[1]: X.509 authority 0 lacks the CA flag"]),
        (&["empty.json"], &["error: spiffe.bundles[1].files: the bundle has no authority that could be used"]),
        (&["empty.json", "good.pem"], &[]),
    ] {
        let told = check(names).await;
        assert_eq!(told.len(), expected.len(), "{told:?}");
        assert!(told.iter().zip(expected).all(|(told, expected)| told.starts_with(expected)), "{told:?}");
    }
}

#[tokio::test]
async fn an_endpoints_roots_are_looked_at_and_nothing_is_fetched() {
    let (folder, authority) = (Folder::new(), Authority::new("partner.example"));
    folder.write("roots.pem", authority.pem());
    folder.write("empty.pem", "no certificates");
    for (name, expected) in [
        ("roots.pem", None),
        ("empty.pem", Some("error: spiffe.bundles[0].ca_file: the `ca_file` holds no PEM certificates")),
        ("missing.pem", Some("error: spiffe.bundles[0].ca_file: `")),
    ] {
        let profile = Profile::HttpsWeb { ca_file: Some(folder.path().join(name)) };
        let url = "https://127.0.0.1:1/bundle".to_owned();
        let endpoint = Some(Endpoint { url, profile, refuse_rollback: false });
        let bundle = BundleConfig { endpoint, ..folder.bundle_config(&authority.domain, &[]) };
        let told = told(&Config { bundles: vec![bundle], ..Config::default() }).await;
        assert_eq!(told.len(), usize::from(expected.is_some()), "{told:?}");
        assert!(told.iter().zip(expected).all(|(told, expected)| told.starts_with(expected)), "{told:?}");
    }
}
