//! An HTTPS server on the loopback address that answers as badly as it is told to.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;
use tempfile::NamedTempFile;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status, extra header lines, body.
    Answer(u16, String, Vec<u8>),
    /// The head, then a byte now and then, for ever.
    Drip,
    /// The head with this `Content-Length` line or none, then bytes as fast as they are taken.
    Flood(&'static str),
    /// Nothing.
    Silence,
    /// The head and half of what it promises.
    Half,
}

impl Reply {
    pub(crate) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::Answer(200, "Content-Type: application/json\r\n".to_owned(), body.into())
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::Answer(302, format!("Location: {to}\r\n"), Vec::new())
    }
}

type Respond = Arc<dyn Fn(&str) -> Reply + Send + Sync>;

/// The running server; it ends when dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    /// Where the certificate is the web's.
    ca: Option<NamedTempFile>,
    requests: Arc<Mutex<Vec<String>>>,
    _connections: JoinSet<()>,
}

impl Server {
    /// A server whose replies `respond` chooses by the path.
    pub(crate) async fn start(respond: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let (config, ca) = certified();
        Self { ca: Some(ca), ..Self::presenting(config, respond).await }
    }

    /// The same with another certificate.
    pub(crate) async fn presenting(
        config: ServerConfig,
        respond: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (respond, seen): (Respond, _) = (Arc::new(respond), Arc::clone(&requests));
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, respond, seen) = (acceptor.clone(), Arc::clone(&respond), Arc::clone(&seen));
                serving.spawn(serve(acceptor, socket, respond, seen));
            }
        });
        Self { url, ca: None, requests, _connections: connections }
    }

    /// The root that this server's certificate is from.
    pub(crate) fn ca_file(&self) -> &Path {
        self.ca.as_ref().unwrap().path()
    }

    /// The paths asked for, in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.requests().iter().map(|request| path_of(request).to_owned()).collect()
    }

    /// What was asked, heads and bodies, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Ends where the client does.
async fn serve(acceptor: TlsAcceptor, socket: TcpStream, respond: Respond, seen: Arc<Mutex<Vec<String>>>) {
    let Ok(mut stream) = acceptor.accept(socket).await else { return };
    let Some(request) = request(&mut stream).await else { return };
    seen.lock().unwrap().push(request.clone());
    let _gone = reply(&mut stream, respond(path_of(&request))).await;
}

fn path_of(request: &str) -> &str {
    request.split(' ').nth(1).unwrap_or_default()
}

fn certified() -> (ServerConfig, NamedTempFile) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key).unwrap();
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(ca.pem().as_bytes()).unwrap();
    (config, file)
}

async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let head = str::from_utf8(&bytes).ok()?.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    stream.read_exact(&mut body).await.ok()?;
    bytes.extend(body);
    String::from_utf8(bytes).ok()
}

async fn reply(stream: &mut (impl AsyncWrite + Unpin), reply: Reply) -> std::io::Result<()> {
    match reply {
        Reply::Answer(status, headers, body) => {
            let head =
                format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            stream.shutdown().await
        }
        Reply::Drip => {
            stream.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 100000\r\n\r\n").await?;
            loop {
                stream.write_all(b" ").await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Reply::Flood(length) => {
            stream.write_all(format!("HTTP/1.1 200 X\r\n{length}\r\n").as_bytes()).await?;
            loop {
                stream.write_all(&[b' '; 16 * 1024]).await?;
            }
        }
        Reply::Silence => std::future::pending().await,
        Reply::Half => {
            stream.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{\"keys\":[").await?;
            stream.shutdown().await
        }
    }
}
