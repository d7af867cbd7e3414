//! A bundle endpoint that lies and stalls on request, which no real peer does.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::super::super::peers::certs::Authority;
use super::super::super::peers::certs::Keyed;

/// How the endpoint behaves.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// This document.
    Bundle(Json),
    /// A page for people, status 200.
    Html,
    /// An answer that does not begin.
    Silence,
    /// An answer that begins and goes on byte by byte, without end.
    Drip,
}

/// A running endpoint, as long as the runtime that started it.
#[derive(Clone)]
pub(crate) struct BundleEndpoint(Arc<Shared>);

struct Shared {
    url: String,
    state: Mutex<(Answer, Arc<ServerConfig>)>,
    asked: AtomicUsize,
}

impl BundleEndpoint {
    /// Serves with this certificate.
    pub(crate) async fn start(identity: &Keyed, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Self(Arc::new(Shared {
            url: format!("https://{}/bundle", listener.local_addr().unwrap()),
            state: Mutex::new((answer, server_config(identity))),
            asked: AtomicUsize::new(0),
        }));
        let shared = Arc::clone(&endpoint.0);
        tokio::spawn(async move {
            loop {
                let (tcp, _peer) = listener.accept().await.unwrap();
                let shared = Arc::clone(&shared);
                // A client that hangs up is none of the endpoint's business.
                tokio::spawn(async move { shared.serve(tcp).await.ok() });
            }
        });
        endpoint
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    /// Answers like this from now on.
    pub(crate) fn set_answer(&self, answer: Answer) {
        self.0.state.lock().unwrap().0 = answer;
    }

    /// Proves itself by this certificate from now on.
    pub(crate) fn set_identity(&self, identity: &Keyed) {
        self.0.state.lock().unwrap().1 = server_config(identity);
    }

    /// How many connections were made to it.
    pub(crate) fn asked(&self) -> usize {
        self.0.asked.load(Ordering::Relaxed)
    }
}

impl Shared {
    async fn serve(&self, tcp: TcpStream) -> io::Result<()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (answer, config) = self.state.lock().unwrap().clone();
        let mut stream = TlsAcceptor::from(config).accept(tcp).await?;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        match answer {
            Answer::Bundle(bundle) => stream.write_all(&response("application/json", &bundle.to_string())).await?,
            Answer::Html => stream.write_all(&response("text/html", "<h1>Under maintenance</h1>")).await?,
            Answer::Silence => pending().await,
            Answer::Drip => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{").await?;
                loop {
                    stream.write_all(b" ").await?;
                    stream.flush().await?;
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        stream.shutdown().await
    }
}

fn response(content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n");
    format!("{head}connection: close\r\n\r\n{body}").into_bytes()
}

/// A bundle with these authorities (SPIFFE Trust Domain and Bundle §4), fetched again as soon as the client may.
pub(crate) fn bundle(authorities: &[&Authority], sequence: u64) -> Json {
    let key = |authority: &&Authority| {
        let pem = authority.pem();
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        json!({"use": "x509-svid", "kty": "EC", "crv": "P-256", "x5c": [STANDARD.encode(der)]})
    };
    let keys: Vec<_> = authorities.iter().map(key).collect();
    json!({"keys": keys, "spiffe_sequence": sequence, "spiffe_refresh_hint": 1})
}

fn server_config(identity: &Keyed) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    // A client that resumes would not look at the certificate again.
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
