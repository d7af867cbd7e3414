//! Certificates and bundles in files: rotated, half-written, broken, gone.

use std::os::unix::fs::symlink;
use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;

use super::issue::Authority;
use super::issue::Issued;
use super::issue::document;
use super::issue::jwk;
use super::issue::jwt_bundles;
use super::kept::Folder;
use super::kept::Kept;
use super::kept::QUICK;
use crate::clock::UnixTime;
use crate::fetch::FetchLimits;
use crate::trust::Config;
use crate::trust::Material;
use crate::trust::Origin;
use crate::trust::fixtures::uri;
use crate::trust::refresh::Tuning;

const ID: &str = "/countersign";

fn write_svid(folder: &Folder, svid: &Issued) {
    folder.write("svid.pem", &svid.pem);
    folder.write("svid_key.pem", svid.key_pem());
}

fn presents(kept: &Kept, svid: &Issued) -> bool {
    kept.material().svid.is_some_and(|own| own.chain().next() == Some(&*svid.der))
}

#[tokio::test]
async fn a_certificate_and_its_key_are_taken_together_or_not_at_all() {
    let (folder, authority) = (Folder::new(), Authority::new("prod.example"));
    let [first, second] = [ID, ID].map(|path| authority.svid(path));
    write_svid(&folder, &first);
    let kept = Kept::start(folder.svid());
    kept.until("the first", |kept| presents(kept, &first)).await;
    folder.write("svid.pem", &second.pem);
    kept.fails("certificate and key do not belong together").await;
    kept.until("it stays a failure", |kept| kept.source().failures >= 3).await;
    assert!(presents(&kept, &first), "half a pair changes nothing");
    folder.write("svid_key.pem", second.key_pem());
    kept.until("the second", |kept| presents(kept, &second)).await;
    kept.until("no error", |kept| kept.error().is_empty() && kept.source().failures == 0).await;
    assert_eq!(kept.publications(), 2);
    let own = kept.material().svid.unwrap();
    assert_eq!(own.spiffe_id.as_ref().unwrap().as_str(), "spiffe://prod.example/countersign");
    assert!(kept.shows(&format!("countersign_svid_expiry_timestamp_seconds {}", own.not_after.seconds())));
    assert!(kept.shows("countersign_trust_refreshes_total{source=\"svid_files\",outcome=\"succeeded\"} 2"));
}

#[tokio::test]
async fn whatever_happens_to_the_files_the_last_good_certificate_stays() {
    let (folder, authority) = (Folder::new(), Authority::new("prod.example"));
    let svid = authority.svid(ID);
    write_svid(&folder, &svid);
    let kept = Kept::start(folder.svid());
    kept.until("the certificate", |kept| presents(kept, &svid)).await;
    let large = "x".repeat(QUICK.fetch.bytes + 1);
    for (file, content, told) in [
        ("svid.pem", "", "no readable PEM certificates"),
        ("svid.pem", "-----BEGIN CERTIFICATE-----\nAAAA", "no readable PEM certificates"),
        ("svid.pem", &*svid.pem.repeat(100), "more than"),
        ("svid.pem", &large, "more than 65536 bytes"),
        ("svid_key.pem", "", "no private key"),
        ("svid_key.pem", &svid.pem, "no private key"),
    ] {
        folder.write(file, content);
        kept.fails(told).await;
        assert!(presents(&kept, &svid), "{told}");
        write_svid(&folder, &svid);
        kept.until("no error", |kept| kept.error().is_empty()).await;
    }
    std::fs::remove_file(folder.path().join("svid_key.pem")).unwrap();
    kept.fails("svid_key.pem` cannot be read").await;
    assert!(presents(&kept, &svid));
    assert_eq!(kept.publications(), 1);
    assert!(!kept.shows("countersign_trust_refreshes_total{source=\"svid_files\",outcome=\"failed\"} 0"));
}

#[tokio::test]
async fn an_expired_certificate_is_taken_and_shown_as_such() {
    let (folder, authority) = (Folder::new(), Authority::new("prod.example"));
    let svid = authority.issue(|params| {
        params.subject_alt_names = vec![uri("spiffe://prod.example/countersign")];
        params.not_after = OffsetDateTime::from_unix_timestamp(1_000_000_000).unwrap();
    });
    write_svid(&folder, &svid);
    let kept = Kept::start(folder.svid());
    kept.until("the certificate", |kept| presents(kept, &svid)).await;
    assert!(!kept.material().svid.unwrap().is_valid_at(UnixTime::now()));
    assert!(kept.shows("countersign_svid_expiry_timestamp_seconds 1000000000"));
}

#[tokio::test]
async fn a_bundle_is_joined_from_its_files_and_follows_each() {
    let (folder, old) = (Folder::new(), Authority::new("partner.example"));
    let (domain, new) = (&old.domain, Authority::new("partner.example"));
    folder.write("bundle.pem", old.pem());
    folder.write("jwt.json", jwt_bundles(domain, &[jwk("one")]));
    let kept = Kept::start(folder.bundle(domain, &["bundle.pem", "jwt.json"]));
    let counts = |kept: &Kept| {
        let bundle = kept.held(domain)?.bundle;
        Some((bundle.x509_authorities().len(), bundle.jwt_authorities().usable()))
    };
    kept.until("both parts", |kept| counts(kept) == Some((1, 1))).await;
    assert_eq!(kept.held(domain).unwrap().origin, Origin::Files);
    assert!(kept.material().bundles.awaited().next().is_none());
    assert!(kept.status_at_publication().of_bundle(domain).unwrap().last_success.is_some());
    folder.write("bundle.pem", format!("{}{}", old.pem(), new.pem()));
    kept.until("two authorities", |kept| counts(kept) == Some((2, 1))).await;
    folder.write("jwt.json", jwt_bundles(domain, &[jwk("one"), jwk("two")]));
    kept.until("two keys", |kept| counts(kept) == Some((2, 2))).await;
    assert!(kept.shows("countersign_trust_bundle_authorities{trust_domain=\"partner.example\",kind=\"jwt\"} 2"));
    assert!(kept.shows("countersign_trust_refreshes_total{source=\"partner.example\",outcome=\"succeeded\"} 3"));
}

#[tokio::test]
async fn a_broken_part_leaves_the_whole_bundle_as_it_was() {
    let (folder, authority) = (Folder::new(), Authority::new("partner.example"));
    let domain = &authority.domain;
    let good = document(&[&authority], json!({"spiffe_sequence": 4}));
    folder.write("bundle.json", &good);
    folder.write("jwt.json", jwt_bundles(domain, &[jwk("one")]));
    let kept = Kept::start(folder.bundle(domain, &["bundle.json", "jwt.json"]));
    kept.until("the bundle", |kept| kept.held(domain).is_some()).await;
    let epoch = kept.held(domain).unwrap().epoch();
    for (content, told) in [
        ("", "neither PEM certificates nor a JSON object"),
        ("{\"keys\":[", "bundle.json`: the bundle"),
        ("<html>", "neither PEM"),
        ("{\"other.example\":\"e30=\"}", "no bundle of the trust domain"),
        ("{\"keys\":[],\"spiffe_sequence\":\"4\"}", "spiffe_sequence"),
    ] {
        folder.write("bundle.json", content);
        kept.fails(told).await;
        assert_eq!(kept.held(domain).unwrap().epoch(), epoch, "{told}");
    }
    std::fs::remove_file(folder.path().join("jwt.json")).unwrap();
    kept.fails("cannot be read").await;
    folder.write("bundle.json", &good);
    kept.fails("jwt.json` cannot be read").await;
    assert_eq!((kept.held(domain).unwrap().epoch(), kept.publications()), (epoch, 1));
}

#[tokio::test]
async fn i6_a_bundle_file_without_authorities_is_taken_as_it_stands() {
    let (folder, authority) = (Folder::new(), Authority::new("partner.example"));
    folder.write("bundle.json", document(&[&authority], json!({})));
    let kept = Kept::start(folder.bundle(&authority.domain, &["bundle.json"]));
    let is_empty = |kept: &Kept| kept.held(&authority.domain).map(|held| held.bundle.is_empty());
    kept.until("the bundle", |kept| is_empty(kept) == Some(false)).await;
    folder.write("bundle.json", "{\"keys\":[]}");
    kept.until("nobody is trusted", |kept| is_empty(kept) == Some(true)).await;
}

#[tokio::test]
async fn what_has_not_changed_is_seen_but_not_published() {
    let (folder, authority) = (Folder::new(), Authority::new("partner.example"));
    folder.write("bundle.json", document(&[&authority], json!({})));
    let kept = Kept::start(folder.bundle(&authority.domain, &["bundle.json"]));
    kept.until("the bundle", |kept| kept.held(&authority.domain).is_some()).await;
    kept.looked_again(3).await;
    folder.write("bundle.json", document(&[&authority, &authority], json!({})));
    kept.until("a second content", |kept| {
        kept.shows("countersign_trust_refreshes_total{source=\"partner.example\",outcome=\"succeeded\"} 2")
    })
    .await;
    assert_eq!(kept.publications(), 1, "an authority that stands twice makes no other bundle");
    // What is carried over from before a reload is not published again either.
    let again = Kept::start_tuned(folder.bundle(&authority.domain, &["bundle.json"]), kept.material(), QUICK);
    again.until("a look", |kept| kept.source().last_success.is_some()).await;
    assert_eq!(again.publications(), 0);
}

#[tokio::test]
async fn a_swapped_link_is_followed() {
    let (folder, authority) = (Folder::new(), Authority::new("prod.example"));
    let [first, second] = [ID, ID].map(|path| authority.svid(path));
    for (version, svid) in [("one", &first), ("two", &second)] {
        let directory = folder.path().join(version);
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("svid.pem"), &svid.pem).unwrap();
        std::fs::write(directory.join("svid_key.pem"), svid.key_pem()).unwrap();
    }
    symlink("one", folder.path().join("..data")).unwrap();
    for name in ["svid.pem", "svid_key.pem"] {
        symlink(format!("..data/{name}"), folder.path().join(name)).unwrap();
    }
    let kept = Kept::start(folder.svid());
    kept.until("the first", |kept| presents(kept, &first)).await;
    symlink("two", folder.path().join("..data_tmp")).unwrap();
    std::fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
    kept.until("the second", |kept| presents(kept, &second)).await;
}

#[tokio::test]
async fn one_places_trouble_is_not_anothers() {
    let (folder, authority) = (Folder::new(), Authority::new("partner.example"));
    folder.write("bundle.pem", authority.pem());
    let missing = Authority::new("missing.example").domain;
    let bundles = [&missing, &authority.domain].map(|domain| folder.bundle_config(domain, &["bundle.pem"])).to_vec();
    let mut config = Config { bundles, ..folder.svid() };
    config.bundles[0].files = vec![folder.path().join("missing.pem")];
    let limits = FetchLimits { time: Duration::from_secs(5), ..QUICK.fetch };
    let kept = Kept::start_tuned(config.clone(), Material::empty(&config), Tuning { fetch: limits, ..QUICK });
    kept.until("the one that is there", |kept| kept.held(&authority.domain).is_some()).await;
    kept.fails("svid.pem` cannot be read").await;
    let names: Vec<_> = kept.status().sources.into_iter().map(|source| source.name).collect();
    assert_eq!(names, ["svid_files", "missing.example", "partner.example"]);
    assert_eq!(kept.material().bundles.awaited().collect::<Vec<_>>(), [&missing]);
    assert!(kept.status().of_bundle(&missing).unwrap().last_success.is_none());
}
