//! An issuer's server on the loopback address: discovery and keys over HTTPS, well or badly, as it is told at the moment.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;
use serde_json::Value as Json;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

/// What is wrong with the server. Where nothing else is said, its discovery document is right and its keys are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// It takes connections and never says a word, not even of TLS.
    NoHandshake,
    /// It takes requests and never answers.
    Silent,
    /// It thinks for a second before it answers as it should.
    Late,
    /// The head, then a byte a second.
    Drip,
    /// It takes requests and closes.
    Hangup,
    /// This status.
    Status(u16),
    /// This status for the discovery document.
    DiscoveryStatus(u16),
    /// A page for people.
    Html,
    /// Half a document, and its length says so.
    HalfJson,
    /// The head promises more than comes.
    Truncated,
    /// 100 MB, and the head says so.
    Large,
    /// Bytes for ever, without a length.
    Endless,
    /// Where the keys were, a redirect to the trap: by `http`, or by `https`.
    Redirect(&'static str),
    /// Its certificate is of an authority that nobody configured.
    ForeignCertificate,
    /// Its discovery document is of another issuer.
    ForeignDiscovery,
    /// Its discovery document says that the keys are in the trap, by `http`.
    PlainJwksUri,
    /// No key in the set.
    NoKeys,
    /// Every second answer is 500.
    Flapping,
}

/// Servers with one runtime, one authority, and one trap that nobody must come to.
pub(crate) struct KeyServers {
    folder: tempfile::TempDir,
    runtime: Runtime,
    /// Trusted, and not.
    certificates: [TlsAcceptor; 2],
    trap: SocketAddr,
    trapped: Arc<AtomicUsize>,
}

/// One running server; it ends with [`KeyServers`].
pub(crate) struct KeyServer {
    /// The issuer.
    pub(crate) url: String,
    fault: watch::Sender<Fault>,
    shared: Arc<Shared>,
}

struct Shared {
    url: String,
    trap: SocketAddr,
    keys: Mutex<Json>,
    fetches: AtomicUsize,
}

impl KeyServers {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [(trusted, authority), (foreign, _)] = [certified(), certified()];
        fs::write(folder.path().join("ca.pem"), authority).unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (trap, trapped) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&trapped);
        runtime.spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { folder, runtime, certificates: [trusted, foreign], trap, trapped }
    }

    /// A server with this key set and this fault.
    pub(crate) fn start(&self, keys: Json, fault: Fault) -> KeyServer {
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (keys, fetches) = (Mutex::new(keys), AtomicUsize::new(0));
        let shared = Arc::new(Shared { url: url.clone(), trap: self.trap, keys, fetches });
        let (fault, told) = watch::channel(fault);
        self.runtime.spawn(accept(listener, self.certificates.clone(), Arc::clone(&shared), told));
        KeyServer { url, fault, shared }
    }

    /// The authority to trust.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// How many came to the trap.
    pub(crate) fn trapped(&self) -> usize {
        self.trapped.load(Ordering::Relaxed)
    }
}

impl KeyServer {
    /// From now on. Whoever waits for an answer is hung up on, as by a server that starts anew.
    pub(crate) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Publishes these keys instead.
    pub(crate) fn publish(&self, keys: Json) {
        *self.shared.keys.lock().unwrap() = keys;
    }

    /// How many connections it has taken.
    pub(crate) fn fetches(&self) -> usize {
        self.shared.fetches.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, tls: [TlsAcceptor; 2], shared: Arc<Shared>, mut told: watch::Receiver<Fault>) {
    while let Ok((socket, _)) = listener.accept().await {
        let number = shared.fetches.fetch_add(1, Ordering::Relaxed);
        let fault = match *told.borrow_and_update() {
            Fault::Flapping if number.is_multiple_of(2) => Fault::DiscoveryStatus(500),
            Fault::Flapping => Fault::None,
            fault => fault,
        };
        let [trusted, foreign] = &tls;
        let acceptor = if fault == Fault::ForeignCertificate { foreign } else { trusted }.clone();
        let (shared, mut changed) = (Arc::clone(&shared), told.clone());
        tokio::spawn(async move {
            tokio::select! {
                _gone = serve(acceptor, socket, &shared, fault) => {}
                _restarted = changed.changed() => {}
            }
        });
    }
}

/// Answers what comes on one connection, until the client has enough.
async fn serve(acceptor: TlsAcceptor, socket: TcpStream, shared: &Shared, fault: Fault) -> io::Result<()> {
    if fault == Fault::NoHandshake {
        return std::future::pending().await;
    }
    let mut stream = acceptor.accept(socket).await?;
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        if head.starts_with(b"GET /.well-known/") {
            discovery(&mut stream, shared, fault).await?;
        } else {
            keys(&mut stream, shared, fault).await?;
        }
        stream.flush().await?;
    }
}

async fn discovery(stream: &mut TlsStream<TcpStream>, shared: &Shared, fault: Fault) -> io::Result<()> {
    if let Fault::DiscoveryStatus(status) = fault {
        return answer(stream, status, "", "").await;
    }
    let (own, trap) = (&shared.url, shared.trap);
    let issuer = if fault == Fault::ForeignDiscovery { "https://elsewhere.example" } else { own };
    let at = if fault == Fault::PlainJwksUri { &format!("http://{trap}") } else { own };
    answer(stream, 200, "", &json!({"issuer": issuer, "jwks_uri": format!("{at}/jwks")}).to_string()).await
}

async fn keys(stream: &mut TlsStream<TcpStream>, shared: &Shared, fault: Fault) -> io::Result<()> {
    let right = shared.keys.lock().unwrap().to_string();
    match fault {
        Fault::Silent => std::future::pending().await,
        Fault::Late => {
            tokio::time::sleep(Duration::from_secs(1)).await;
            answer(stream, 200, "", &right).await
        }
        Fault::Drip => endless(stream, &format!("Content-Length: {}", right.len()), b" ", Duration::from_secs(1)).await,
        Fault::Hangup => stream.shutdown().await,
        Fault::Status(status) => answer(stream, status, "", &right).await,
        Fault::Html => answer(stream, 200, "", "<html><h1>Under maintenance</h1></html>").await,
        Fault::HalfJson => answer(stream, 200, "", right.split_at(right.len() / 2).0).await,
        Fault::Truncated => {
            let head = format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n", right.len().saturating_add(1));
            stream.write_all((head + &right).as_bytes()).await?;
            stream.shutdown().await
        }
        Fault::Large => endless(stream, "Content-Length: 104857600", &[b' '; 8_192], Duration::ZERO).await,
        Fault::Endless => endless(stream, "Connection: close", &[b' '; 8_192], Duration::ZERO).await,
        Fault::Redirect(scheme) => {
            answer(stream, 302, &format!("Location: {scheme}://{}/jwks\r\n", shared.trap), "").await
        }
        Fault::NoKeys => answer(stream, 200, "", r#"{"keys": []}"#).await,
        _ => answer(stream, 200, "", &right).await,
    }
}

async fn answer(stream: &mut TlsStream<TcpStream>, status: u16, more: &str, body: &str) -> io::Result<()> {
    let head = format!("HTTP/1.1 {status} X\r\n{more}Content-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).await
}

/// The head, and this again and again for as long as the client takes it.
async fn endless(stream: &mut TlsStream<TcpStream>, length: &str, bytes: &[u8], pause: Duration) -> io::Result<()> {
    stream.write_all(format!("HTTP/1.1 200 X\r\n{length}\r\n\r\n").as_bytes()).await?;
    loop {
        stream.write_all(bytes).await?;
        stream.flush().await?;
        tokio::time::sleep(pause).await;
    }
}

/// A certificate for this machine, and the authority that it is from.
fn certified() -> (TlsAcceptor, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key);
    (TlsAcceptor::from(Arc::new(config.unwrap())), authority.pem())
}
