//! A client that sends what it is told, byte for byte: honest libraries would tidy hostile requests up.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value as Json;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::super::peers::certs::Keyed;

/// One request, to the byte.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    head: Vec<u8>,
    body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// The request as the upstream saw it.
#[derive(Debug)]
pub(crate) struct Seen(Json);

/// Where to connect, and as whom.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A kept connection, for one request after the other.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Call {
    /// A request without headers but `host`. The target is not touched.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self::to("accounts", method, target)
    }

    /// The same, for another host.
    pub(crate) fn to(host: &str, method: &str, target: &str) -> Self {
        Self { head: format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n").into_bytes(), body: Vec::new() }
    }

    /// A GET.
    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Adds a header, even if it is there already.
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        for part in [name.as_bytes(), b": ", value.as_ref(), b"\r\n"] {
            self.head.extend_from_slice(part);
        }
        self
    }

    /// Adds the user's token.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Adds a body of this type, and its length.
    pub(crate) fn body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let call = self.header("content-type", content_type).header("content-length", body.len().to_string());
        Self { body, ..call }
    }
}

impl Reply {
    /// All values of a header, in order.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What the upstream saw; the test fails when it saw nothing.
    pub(crate) fn seen(&self) -> Seen {
        assert_eq!((self.status, self.header("x-upstream").len()), (200, 1), "not from the upstream: {self:?}");
        Seen(serde_json::from_slice(&self.body).unwrap())
    }
}

impl Seen {
    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        self.0["target"].as_str().unwrap()
    }

    /// The body as text.
    pub(crate) fn body(&self) -> &str {
        self.0["body"].as_str().unwrap()
    }

    /// All values of a header, in order.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let all = self.0["headers"].as_array().unwrap();
        all.iter().filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap()).collect()
    }

    /// Names of the headers that contain this.
    pub(crate) fn header_names_with(&self, part: &str) -> Vec<&str> {
        let all = self.0["headers"].as_array().unwrap().iter();
        all.map(|pair| pair[0].as_str().unwrap()).filter(|name| name.contains(part)).collect()
    }
}

impl Client {
    /// Without TLS.
    pub(crate) const fn plaintext(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// With a client certificate, to the server of this name or address, for which one of the trusted authorities vouches.
    pub(crate) fn with_certificate(address: SocketAddr, name: &str, trusted: &str, identity: &Keyed) -> Self {
        let certificates = |pem: &str| CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let mut roots = RootCertStore::empty();
        for authority in certificates(trusted).unwrap() {
            roots.add(authority).unwrap();
        }
        let chain = certificates(&identity.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        Self { address, tls: Some((TlsConnector::from(Arc::new(config)), name)) }
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn send(&self, call: &Call) -> Reply {
        self.try_send(call).await.unwrap()
    }

    /// As `send`, for when the connection may fail.
    pub(crate) async fn try_send(&self, call: &Call) -> io::Result<Reply> {
        self.connect().await?.send(call).await
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> io::Result<Connection> {
        let tcp = TcpStream::connect(self.address).await?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some((tls, name)) => Box::new(tls.connect(name.clone(), tcp).await?),
            None => Box::new(tcp),
        };
        Ok(Connection { stream, unread: Vec::new() })
    }
}

impl Connection {
    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&mut self, call: &Call) -> io::Result<Reply> {
        let request = [call.head.as_slice(), b"\r\n", &call.body].concat();
        // An early answer to a large body closes the sending side; the answer is what counts.
        let sent = self.stream.write_all(&request).await.and(self.stream.flush().await);
        let reply = self.read_reply().await;
        if reply.is_err() {
            sent?;
        }
        reply
    }

    async fn read_reply(&mut self) -> io::Result<Reply> {
        let mut reply = parse_head(&self.read_until("\r\n\r\n").await?);
        if reply.header("transfer-encoding") == ["chunked"] {
            reply.body = self.read_chunks().await?;
        } else if let Some(length) = reply.header("content-length").first() {
            reply.body = self.read_bytes(length.parse().unwrap()).await?;
        }
        Ok(reply)
    }

    async fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = self.read_until("\r\n").await?;
            let chunk = self.read_bytes(usize::from_str_radix(size.trim_end(), 16).unwrap()).await?;
            self.read_until("\r\n").await?;
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend(chunk);
        }
    }

    /// The text up to and with this end.
    async fn read_until(&mut self, end: &str) -> io::Result<String> {
        let found = |text: &[u8]| text.windows(end.len()).position(|window| window == end.as_bytes());
        let length = loop {
            match found(&self.unread) {
                Some(position) => break position.saturating_add(end.len()),
                None => self.read_more().await?,
            }
        };
        Ok(String::from_utf8_lossy(&self.read_bytes(length).await?).into_owned())
    }

    async fn read_bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < length {
            self.read_more().await?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    async fn read_more(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.unread).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed within an answer"));
        }
        Ok(())
    }
}

fn parse_head(head: &str) -> Reply {
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Reply { status, headers, body: Vec::new() }
}

/// A certificate's SHA-256, base64url, as `x5t#S256` has it.
pub(crate) fn thumbprint(identity: &Keyed) -> String {
    use base64::Engine;
    let der = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest)
}

/// A query of `count` parameters.
pub(crate) fn long_query(count: usize) -> String {
    (0..count).fold(String::from("?"), |mut query, number| {
        write!(query, "p{number}=1&").unwrap();
        query
    })
}
