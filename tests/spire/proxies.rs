//! Who may ask Countersign: proxies that prove to be one of `listeners.tls.allowed_proxies`, and nobody else.

use std::io;
use std::sync::Arc;

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::super::harness::client::Call;
use super::super::harness::client::Client;
use super::super::harness::envoy::Envoy;
use super::super::harness::eventually;
use super::super::harness::server::Server;
use super::super::peers::certs::Keyed;
use super::super::peers::certs::Leaf;
use super::harness::Domains;
use super::harness::Lifetimes;
use super::harness::PARTNER_AGENT;
use super::harness::PLAINTEXT;
use super::harness::PROD_AGENT;
use super::harness::SERVER_NAME;
use super::harness::envoy::Asker;
use super::harness::envoy::Door;
use super::harness::envoy::GATEWAY;
use super::harness::envoy::TlsVersions;
use super::harness::envoy::Transport;
use super::harness::metric;

const ANOTHER_GATEWAY: &str = "spiffe://prod.example/another-gateway";
const PARTNERS_GATEWAY: &str = "spiffe://partner.example/gateway";

/// The connections that Envoy makes, besides the gateway's.
const ASKERS: [Asker; 4] = [
    Asker { name: "another", identity: Some((PROD_AGENT, ANOTHER_GATEWAY)), tls: TlsVersions::Usual },
    Asker { name: "partner", identity: Some((PARTNER_AGENT, PARTNERS_GATEWAY)), tls: TlsVersions::Usual },
    Asker { name: "nobody", identity: None, tls: TlsVersions::Usual },
    Asker { name: "old-tls", identity: Some((PROD_AGENT, GATEWAY)), tls: TlsVersions::OnlyOneDotOne },
];

const fn door(name: &'static str) -> Door {
    Door { name, transport: Transport::Plaintext, asks_as: name }
}

const DOORS: [Door; 5] = [PLAINTEXT, door("another"), door("partner"), door("nobody"), door("old-tls")];

/// What a client sees whose request Countersign has looked at, here one without a caller, and one whose it has not.
const ASKED: (u16, &str) = (403, "asked");
const NOT_ASKED: (u16, &str) = (503, "not asked");

async fn outcome(server: &Server, envoy: &Envoy, door: &Door) -> (u16, &'static str) {
    let before = checks(server).await;
    let reply = Client::plaintext(envoy.listener(door.name)).send(&Call::get("/")).await;
    (reply.status, if checks(server).await == before { "not asked" } else { "asked" })
}

/// How many checks were answered: counted with the answer, and not a moment later.
async fn checks(server: &Server) -> i64 {
    metric(server, "countersign_checks_total", &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a19_j10_only_an_allowed_proxy_gets_a_connection() {
    let domains = Domains::start(Lifetimes::ORDINARY).await;
    let server = domains.countersign(0, &json!({})).await;
    let envoy = domains.envoy(&DOORS, &ASKERS, server.checks()).await;
    for (door, wanted) in DOORS.iter().zip([ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED]) {
        assert_eq!(outcome(&server, &envoy, door).await, wanted, "{}", door.name);
    }
    drop(envoy);

    // A whole trust domain: its proxy may ask, and the one that might before may not.
    let allowed = json!({"listeners": {"tls": {"allowed_proxies": ["spiffe://partner.example"]}}});
    let server = domains.countersign(1, &allowed).await;
    let envoy = domains.envoy(&DOORS, &ASKERS, server.checks()).await;
    for (door, wanted) in DOORS.iter().zip([NOT_ASKED, NOT_ASKED, ASKED, NOT_ASKED, NOT_ASKED]) {
        assert_eq!(outcome(&server, &envoy, door).await, wanted, "{}", door.name);
    }
}

/// How an HTTP/2 connection begins: the client's preface (RFC 9113 §3.4) with empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What the server says first to a client with this certificate; nothing when it hangs up.
async fn greeting(server: &Server, trusted: &str, identity: Option<&Keyed>) -> io::Result<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(trusted.as_bytes()) {
        roots.add(authority.unwrap()).unwrap();
    }
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Keyed { certificate, key }) => {
            let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>().unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(server.checks()).await?;
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    stream.write_all(PREFACE).await?;
    let mut said = Vec::new();
    stream.read_buf(&mut said).await?;
    Ok(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a19_j10_a_client_that_proves_nothing_gets_no_word() {
    let domains = Domains::start(Lifetimes::ORDINARY).await;
    let ledger = "spiffe://prod.example/ledger";
    let allowed = json!({"listeners": {"tls": {"allowed_proxies": [ledger]}}});
    let server = domains.countersign(0, &allowed).await;
    let svid_of = async |path| domains.prod.x509_svid(path).await.unwrap();
    let (genuine, planner) = (svid_of("/ledger").await, svid_of("/planner").await);
    let seller = domains.partner.x509_svid("/seller").await.unwrap();
    let forged = domains.partner_root.issue(&Leaf::svid(ledger)).unwrap();

    let said = greeting(&server, &genuine.bundle, Some(&genuine.keyed)).await.unwrap();
    assert_eq!(said.get(3), Some(&4), "a SETTINGS frame, as HTTP/2 servers begin: {said:?}");
    for (what, identity) in [
        ("no certificate", None),
        ("of the domain, but not allowed", Some(&planner.keyed)),
        ("of another domain", Some(&seller.keyed)),
        ("the allowed name, signed by another domain's root", Some(&forged)),
    ] {
        let said = greeting(&server, &genuine.bundle, identity).await.unwrap_or_default();
        assert!(said.is_empty(), "{what}: {said:?}");
    }
    let handshakes = async |outcome| metric(&server, "countersign_tls_handshakes_total", &[outcome]).await;
    eventually("each in the counters", async || {
        ((handshakes("completed").await, handshakes("failed").await) == (1, 4)).then_some(())
    })
    .await;

    let mut plaintext = TcpStream::connect(server.checks()).await.unwrap();
    plaintext.write_all(PREFACE).await.unwrap();
    let mut said = Vec::new();
    // A TLS alert is an answer too; HTTP/2 is not.
    let _hung_up = plaintext.read_to_end(&mut said).await;
    assert_ne!(said.get(3), Some(&4), "{said:?}");
}
