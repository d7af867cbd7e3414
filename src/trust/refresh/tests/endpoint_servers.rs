//! I8: bundle endpoints whose server is somebody else, or answers something else.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use serde_json::json;
use time::OffsetDateTime;
use tokio::net::TcpListener;

use super::endpoint::Presented;
use super::endpoint::Replies;
use super::endpoint::at;
use super::endpoint::numbered;
use super::endpoint::sequence;
use super::endpoint::spiffe;
use super::endpoint::web;
use super::issue::Authority;
use super::issue::document;
use super::kept::Folder;
use super::kept::Kept;
use crate::fetch::server::Reply;
use crate::fetch::server::Server;
use crate::trust::Endpoint;
use crate::trust::Profile;
use crate::trust::fixtures::uri;

const SERVER: &str = "/spire/server";

#[tokio::test]
async fn i8_whatever_else_an_endpoint_answers_the_last_good_bundle_stays() {
    let authority = Authority::new("partner.example");
    let (domain, replies) = (&authority.domain, Replies::new(numbered(&authority, 7)));
    let server = Server::start(replies.respond()).await;
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = Server::start(|_path| Reply::json("{\"keys\":[]}")).await;
    let kept = Kept::start(at(domain, vec![], web(&server)));
    kept.until("the bundle", |kept| kept.held(domain).is_some()).await;
    let epoch = kept.held(domain).unwrap().epoch();
    let redirect = Reply::redirect(&format!("http://{}/bundle", plain.local_addr().unwrap()));
    for (reply, told) in [
        (Reply::Answer(404, String::new(), Vec::new()), "the server answered 404"),
        (Reply::Answer(500, String::new(), numbered(&authority, 8)), "the server answered 500"),
        (redirect, "the server answered 302"),
        (Reply::redirect(&elsewhere.url), "the server answered 302"),
        (Reply::json("<!DOCTYPE html><title>Sign in</title>"), "the bundle"),
        (Reply::json(authority.pem()), "the bundle"),
        (Reply::json("{}"), "`keys`"),
        (Reply::json("{\"keys\":{}}"), "`keys`"),
        (Reply::json("{\"keys\":[],\"keys\":[]}"), "twice"),
        (Reply::Half, "the request failed"),
        (Reply::Flood("Content-Length: 104857600\r\n"), "more than 65536 bytes"),
        (Reply::Flood(""), "more than 65536 bytes"),
        (Reply::Drip, "the fetch took longer than 500 ms"),
        (Reply::Silence, "the fetch took longer than 500 ms"),
    ] {
        replies.set(reply);
        kept.fails(told).await;
        assert_eq!(kept.held(domain).unwrap().epoch(), epoch, "{told}");
    }
    assert!(elsewhere.paths().is_empty() && kept.publications() == 1);
    replies.set(Reply::json(numbered(&authority, 8)));
    kept.until("the next good one", |kept| sequence(kept, domain) == Some(8)).await;
    assert_eq!(kept.source().last_error, None);
}

#[tokio::test]
async fn i8_https_web_believes_the_configured_roots_and_the_name_alone() {
    let authority = Authority::new("partner.example");
    let body = numbered(&authority, 2);
    let server = Server::start(move |_path| Reply::json(body.clone())).await;
    let other = Server::start(|_path| Reply::Silence).await;
    let folder = Folder::new();
    folder.write("bundle.json", numbered(&authority, 1));
    let url = |endpoint: Endpoint, url: String| Endpoint { url, ..endpoint };
    let by_name = url(web(&server), server.url.replace("127.0.0.1", "localhost"));
    let by_others_root = url(web(&other), server.url.clone());
    let by_the_systems = Endpoint { profile: Profile::HttpsWeb { ca_file: None }, ..web(&server) };
    let without_tls = url(web(&server), server.url.replace("https", "http"));
    let no_root = Endpoint { profile: Profile::HttpsWeb { ca_file: Some(PathBuf::from("/missing")) }, ..web(&server) };
    for (endpoint, told) in [
        (by_name, "certificate"),
        (by_others_root, "certificate"),
        (by_the_systems, "certificate"),
        (without_tls, "`endpoint` is no https URL"),
        (no_root, "`/missing` cannot be read"),
    ] {
        let kept = Kept::start(at(&authority.domain, vec![folder.path().join("bundle.json")], endpoint));
        kept.fails(told).await;
        kept.fails(told).await;
        assert_eq!(sequence(&kept, &authority.domain), Some(1), "{told}");
    }
    assert!(server.paths().is_empty());
}

#[tokio::test]
async fn i8_https_spiffe_believes_the_configured_id_and_its_trust_domains_bundle_alone() {
    let (authority, other) = (Authority::new("partner.example"), Authority::new("other.example"));
    let id = "spiffe://partner.example/spire/server";
    let named = |authority: &Authority, id: &str| authority.issue(|params| params.subject_alt_names = vec![uri(id)]);
    let expired = authority.issue(|params| {
        params.subject_alt_names = vec![uri(id)];
        params.not_after = OffsetDateTime::from_unix_timestamp(1_000_000_000).unwrap();
    });
    let dns = authority.issue(|params| {
        params.subject_alt_names = vec![
            rcgen::SanType::IpAddress([127, 0, 0, 1].into()),
            rcgen::SanType::DnsName("localhost".try_into().unwrap()),
        ];
    });
    let folder = Folder::new();
    folder.write("bundle.json", numbered(&authority, 1));
    folder.write("other.json", numbered(&other, 1));
    for (presented, told) in [
        (authority.svid("/spire/server2"), "the server is `spiffe://partner.example/spire/server2`"),
        (authority.svid("/spire"), "the server is `spiffe://partner.example/spire`"),
        (named(&other, id), "does not chain to the bundle of its trust domain"),
        (other.svid(SERVER), "the server is `spiffe://other.example/spire/server`"),
        (named(&authority, "spiffe://unknown.example/spire/server"), "no bundle of the trust domain `unknown.example`"),
        (dns, "certificate"),
        (expired, "expired"),
    ] {
        let body = numbered(&authority, 2);
        let server = Server::presenting(presented.server_config(), move |_path| Reply::json(body.clone())).await;
        let mut config = at(&authority.domain, vec![folder.path().join("bundle.json")], spiffe(&server, id));
        config.bundles.push(folder.bundle_config(&other.domain, &["other.json"]));
        let kept = Kept::start(config);
        kept.until("the other's bundle", |kept| kept.held(&other.domain).is_some()).await;
        kept.fails("").await;
        kept.fails(told).await;
        assert_eq!(sequence(&kept, &authority.domain), Some(1), "{told}");
        assert!(server.paths().is_empty(), "{told}");
    }
}

#[tokio::test]
async fn i8_https_spiffe_follows_a_rotation_with_the_latest_bundle() {
    let (old, new) = (Authority::new("partner.example"), Authority::new("partner.example"));
    let (domain, folder) = (&old.domain, Folder::new());
    folder.write("bundle.json", document(&[&old], json!({"spiffe_sequence": 1})));
    let presented = Presented::new(&old.svid(SERVER));
    let replies = Replies::new(document(&[&old, &new], json!({"spiffe_sequence": 2})));
    let resolver = Arc::new(presented.clone());
    let tls = ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver);
    let server = Server::presenting(tls, replies.respond()).await;
    let endpoint = spiffe(&server, "spiffe://partner.example/spire/server");
    let kept = Kept::start(at(domain, vec![folder.path().join("bundle.json")], endpoint));
    kept.until("both authorities", |kept| sequence(kept, domain) == Some(2)).await;
    presented.set(&new.svid(SERVER));
    replies.set(Reply::json(document(&[&new], json!({"spiffe_sequence": 3}))));
    kept.until("the new authority", |kept| sequence(kept, domain) == Some(3)).await;
    presented.set(&old.svid(SERVER));
    replies.set(Reply::json(document(&[&old], json!({"spiffe_sequence": 4}))));
    kept.fails("does not chain to the bundle of its trust domain").await;
    assert_eq!(sequence(&kept, domain), Some(3));
}

#[tokio::test]
async fn i8_another_trust_domains_server_is_proven_by_that_domains_bundle() {
    let (authority, host) = (Authority::new("partner.example"), Authority::new("host.example"));
    let folder = Folder::new();
    let body = numbered(&authority, 1);
    let server = Server::presenting(host.svid(SERVER).server_config(), move |_path| Reply::json(body.clone())).await;
    let mut config = at(&authority.domain, vec![], spiffe(&server, "spiffe://host.example/spire/server"));
    config.bundles.push(folder.bundle_config(&host.domain, &["host.pem"]));
    let kept = Kept::start(config);
    kept.fails("no bundle of the trust domain `host.example`").await;
    folder.write("host.pem", host.pem());
    kept.until("the bundle", |kept| sequence(kept, &authority.domain) == Some(1)).await;
}
