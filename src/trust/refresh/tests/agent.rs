//! An agent that serves the Workload API as badly as it is told to. Real ones are asked by the end-to-end tests; this one
//! does what they never do.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use http::Request;
use http::Response;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use serde_json::Value as Json;
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::issue::Authority;
use super::issue::Issued;
use super::kept::Folder;

pub(super) const X509_SVID: &str = "/SpiffeWorkloadAPI/FetchX509SVID";
pub(super) const X509_BUNDLES: &str = "/SpiffeWorkloadAPI/FetchX509Bundles";
pub(super) const JWT_BUNDLES: &str = "/SpiffeWorkloadAPI/FetchJWTBundles";

/// What a stream does: at its beginning, and again whenever it is told to.
#[derive(Debug, Clone)]
pub(super) enum Does {
    /// Sends a message.
    Says(Vec<u8>),
    /// Ends with a gRPC status.
    Ends(u8, &'static str),
    /// Nothing.
    Waits,
}

/// gRPC status codes.
pub(super) const OK: u8 = 0;
pub(super) const INVALID_ARGUMENT: u8 = 3;
pub(super) const PERMISSION_DENIED: u8 = 7;
pub(super) const UNIMPLEMENTED: u8 = 12;

/// The agent; its socket is there while it is started.
pub(super) struct Agent {
    folder: Folder,
    streams: Arc<BTreeMap<&'static str, watch::Sender<Does>>>,
    /// The methods called, in order.
    calls: Arc<Mutex<Vec<String>>>,
    serving: JoinSet<()>,
}

impl Agent {
    /// An agent, not yet started, whose streams do nothing.
    pub(super) fn new() -> Self {
        let streams = [X509_SVID, X509_BUNDLES, JWT_BUNDLES].map(|name| (name, watch::channel(Does::Waits).0));
        Self {
            folder: Folder::new(),
            streams: Arc::new(streams.into()),
            calls: Arc::default(),
            serving: JoinSet::new(),
        }
    }

    pub(super) fn start(&mut self) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let (streams, calls) = (Arc::clone(&self.streams), Arc::clone(&self.calls));
        self.serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, Arc::clone(&streams), Arc::clone(&calls)));
            }
        });
    }

    /// Ends all connections and takes the socket away.
    pub(super) async fn stop(&mut self) {
        self.serving.shutdown().await;
        std::fs::remove_file(self.socket()).unwrap();
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("agent.sock")
    }

    pub(super) fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Tells a stream what to do from now on.
    pub(super) fn tell(&self, stream: &str, does: Does) {
        self.streams[stream].send_replace(does);
    }

    /// How often a stream was opened.
    pub(super) fn calls(&self, stream: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|call| *call == stream).count()
    }
}

type Streams = Arc<BTreeMap<&'static str, watch::Sender<Does>>>;
type Part = Result<Frame<Bytes>, Infallible>;

async fn serve(socket: UnixStream, streams: Streams, calls: Arc<Mutex<Vec<String>>>) {
    let respond = move |request: Request<Incoming>| {
        let path = request.uri().path().to_owned();
        assert_eq!(request.headers()["workload.spiffe.io"], "true");
        let does = streams[path.as_str()].subscribe();
        calls.lock().unwrap().push(path);
        let (parts, mut sent) = mpsc::channel(1);
        tokio::spawn(run(does, parts));
        let body = StreamBody::new(stream::poll_fn(move |context| sent.poll_recv(context)));
        async { Response::builder().header("content-type", "application/grpc").body(body) }
    };
    let connection = http2::Builder::new(TokioExecutor::new());
    let _ended = connection.serve_connection(TokioIo::new(socket), service_fn(respond)).await;
}

async fn run(mut does: watch::Receiver<Does>, parts: mpsc::Sender<Part>) {
    loop {
        let now = does.borrow_and_update().clone();
        match now {
            Does::Waits => {}
            Does::Says(message) => {
                if parts.send(Ok(Frame::data(framed(&message)))).await.is_err() {
                    return;
                }
            }
            Does::Ends(status, message) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", u16::from(status).into());
                trailers.insert("grpc-message", message.parse().unwrap());
                let _gone = parts.send(Ok(Frame::trailers(trailers))).await;
                return;
            }
        }
        tokio::select! {
            changed = does.changed() => if changed.is_err() { return },
            () = parts.closed() => return,
        }
    }
}

/// gRPC's five bytes before a message.
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat().into()
}

/// A length-delimited field of a protobuf message.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend_from_slice(content);
    bytes
}

/// An entry of a map from trust domains to bytes.
fn entry(number: u8, domain: &str, value: &[u8]) -> Vec<u8> {
    field(number, &[field(1, format!("spiffe://{domain}").as_bytes()), field(2, value)].concat())
}

fn certificates(authorities: &[&Authority]) -> Vec<u8> {
    authorities.iter().flat_map(|authority| authority.der()).copied().collect()
}

/// An `X509SVID`: of a trust domain with one authority.
pub(super) fn svid(authority: &Authority, path: &str, issued: &Issued) -> Vec<u8> {
    let id = format!("spiffe://{}{path}", authority.domain);
    let fields = [
        field(1, id.as_bytes()),
        field(2, &issued.der),
        field(3, &issued.key.serialize_der()),
        field(4, authority.der()),
    ];
    fields.concat()
}

/// An `X509SVIDResponse`.
pub(super) fn svids(svids: &[Vec<u8>], federated: &[&Authority]) -> Does {
    let svids = svids.iter().flat_map(|svid| field(1, svid));
    let federated = federated.iter().flat_map(|one| entry(3, one.domain.as_str(), one.der()));
    Does::Says(svids.chain(federated).collect())
}

/// An `X509BundlesResponse`.
pub(super) fn x509_bundles(bundles: &[(&str, &[&Authority])]) -> Does {
    Does::Says(bundles.iter().flat_map(|(domain, authorities)| entry(2, domain, &certificates(authorities))).collect())
}

/// A `JWTBundlesResponse`.
pub(super) fn jwt_bundles(bundles: &[(&str, Vec<Json>)]) -> Does {
    let entries =
        bundles.iter().flat_map(|(domain, keys)| entry(1, domain, json!({"keys": keys}).to_string().as_bytes()));
    Does::Says(entries.collect())
}

/// Stands before an agent until it is frozen; then it holds its connections and moves nothing.
pub(super) struct Relay {
    frozen: Arc<Notify>,
    _running: JoinSet<()>,
}

impl Relay {
    pub(super) fn start(socket: &Path, to: PathBuf) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let frozen = Arc::new(Notify::new());
        let (mut running, freeze) = (JoinSet::new(), Arc::clone(&frozen));
        running.spawn(async move {
            let mut relayed = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let (freeze, to) = (Arc::clone(&freeze), to.clone());
                relayed.spawn(async move {
                    let mut far = UnixStream::connect(to).await.unwrap();
                    tokio::select! {
                        _ended = copy_bidirectional(&mut near, &mut far) => return,
                        () = freeze.notified() => {}
                    }
                    std::future::pending::<()>().await;
                });
            }
        });
        Self { frozen, _running: running }
    }

    /// Freezes the connections that there are.
    pub(super) fn freeze(&self) {
        self.frozen.notify_waiters();
    }
}
