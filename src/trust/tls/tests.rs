//! Whole handshakes in memory: who gets in, by which material, and what is never spoken.

mod connections;
mod raw;
mod servers;

use std::io;

use rustls::ClientConnection;
use rustls::HandshakeKind;
use rustls::ProtocolVersion;
use rustls::ServerConnection;
use rustls::SupportedProtocolVersion;
use rustls::sign::SingleCertAndKey;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS12;
use rustls::version::TLS13;

use crate::spiffe_id::TrustDomain;
use crate::trust::Origin;
use crate::trust::Svid;
use crate::trust::fixtures::HOUR;
use crate::trust::fixtures::NOW;
use crate::trust::fixtures::ca::Ca;
use crate::trust::fixtures::ca::Signed;
use crate::trust::fixtures::ca::bundle;
use crate::trust::fixtures::ca::valid;

use super::*;

const SERVER: &str = "spiffe://td/countersign";
const CLIENT: &str = "spiffe://td/envoy";

/// The tests' clock: every handshake takes place [`NOW`].
#[derive(Debug)]
struct Still;

impl TimeProvider for Still {
    fn current_time(&self) -> Option<PkiTime> {
        Some(PkiTime::since_unix_epoch(NOW.since(UnixTime::default())))
    }
}

fn id(text: &str) -> SpiffeId {
    SpiffeId::parse(text).unwrap()
}

fn svid(signed: &Signed, intermediates: &[&Ca]) -> Svid {
    let chain = [signed.der.clone()].into_iter().chain(intermediates.iter().map(|one| one.der()));
    Svid::from_der(chain.collect(), signed.key.serialized_der()).unwrap()
}

fn own(root: &Ca, id: &str) -> Svid {
    svid(&root.sign(id, |_| {}), &[])
}

fn bundles(of: &[(&str, &[&Ca])]) -> Arc<Bundles> {
    let mut bundles = Bundles::default();
    for (domain, authorities) in of {
        bundles.insert(TrustDomain::parse(domain).unwrap(), bundle(domain, authorities), Origin::Files, NOW);
    }
    Arc::new(bundles)
}

fn in_force(svid: Option<Svid>, bundles: Arc<Bundles>) -> InForce {
    Arc::new(ArcSwap::from_pointee(Material { svid: svid.map(Arc::new), bundles }))
}

/// What [`server_config`] makes, at the tests' time.
fn server(material: &InForce, clients: Clients) -> ServerConfig {
    let mut config = ServerConfig::clone(&server_config(material, clients, &[b"h2"]).unwrap());
    config.time_provider = Arc::new(Still);
    config
}

/// What [`client_config`] makes, for one version, at the tests' time, perhaps with a certificate.
fn client(
    wanted: &str,
    bundles: &Arc<Bundles>,
    version: &'static SupportedProtocolVersion,
    own: Option<&Svid>,
) -> ClientConfig {
    let whole = client_config(id(wanted), Arc::clone(bundles)).unwrap();
    let verifier = ProvenServer {
        id: id(wanted),
        bundles: Arc::clone(bundles),
        algorithms: provider().signature_verification_algorithms,
    };
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[version]).unwrap();
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = builder.with_no_client_auth();
    config.resumption = whole.resumption;
    config.time_provider = Arc::new(Still);
    config.alpn_protocols = vec![b"h2".to_vec()];
    if let Some(own) = own {
        let resolver = SingleCertAndKey::from(CertifiedKey::clone(&own.certified));
        config.client_auth_cert_resolver = Arc::new(resolver);
    }
    config
}

/// How a handshake ended, on either side.
#[derive(Debug)]
struct Outcome {
    server: Result<(), Error>,
    client: Result<(), Error>,
    version: Option<ProtocolVersion>,
    kind: Option<HandshakeKind>,
    presented: Option<Vec<u8>>,
    alpn: Option<Vec<u8>>,
}

impl Outcome {
    fn is_good(&self) -> bool {
        self.server.is_ok() && self.client.is_ok()
    }

    /// Why the server let nobody in.
    fn refusal(&self) -> Option<&PeerError> {
        self.server.as_ref().err().and_then(PeerError::of)
    }
}

fn handshake(client: &Arc<ClientConfig>, server: &ServerConfig) -> Outcome {
    let name = ServerName::try_from("bundle.example").unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server.clone())).unwrap();
    let (mut client_says, mut server_says) = (Ok(()), Ok(()));
    // Longer than any handshake, tickets and alerts included.
    for _ in 0..10 {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).unwrap();
        }
        deliver(&flight, |bytes| server.read_tls(bytes));
        server_says = server_says.and_then(|()| server.process_new_packets().map(|_| ()));
        let mut flight = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut flight).unwrap();
        }
        deliver(&flight, |bytes| client.read_tls(bytes));
        client_says = client_says.and_then(|()| client.process_new_packets().map(|_| ()));
    }
    let refused = server_says.is_err() || client_says.is_err();
    assert!(refused || (!client.is_handshaking() && !server.is_handshaking()), "the handshake hangs");
    Outcome {
        version: server.protocol_version(),
        kind: client.handshake_kind(),
        presented: client.peer_certificates().and_then(|chain| chain.first()).map(|leaf| leaf.to_vec()),
        alpn: server.alpn_protocol().map(<[u8]>::to_vec),
        server: server_says,
        client: client_says,
    }
}

fn deliver(mut flight: &[u8], mut read: impl FnMut(&mut &[u8]) -> io::Result<usize>) {
    while !flight.is_empty() {
        read(&mut flight).unwrap();
    }
}

/// A server of `td` that lets in `allowed`, and what its clients trust.
struct World {
    root: Ca,
    material: InForce,
    trust: Arc<Bundles>,
    allowed: Vec<Peers>,
}

impl World {
    fn new(allowed: &[&str]) -> Self {
        let root = Ca::root("td");
        let trust = bundles(&[("td", &[&root])]);
        let material = in_force(Some(own(&root, SERVER)), Arc::clone(&trust));
        let allowed = allowed.iter().map(|text| Peers::parse(text).unwrap()).collect();
        Self { root, material, trust, allowed }
    }

    fn server(&self) -> ServerConfig {
        server(&self.material, Clients::Proven(self.allowed.clone()))
    }

    /// A client with this certificate knocks, by both versions of TLS, which must answer alike.
    fn knock(&self, own: Option<&Svid>) -> Outcome {
        let [one, other] = [&TLS12, &TLS13]
            .map(|version| handshake(&Arc::new(client(SERVER, &self.trust, version, own)), &self.server()));
        assert_eq!(one.is_good(), other.is_good());
        assert_eq!(one.refusal(), other.refusal());
        one
    }
}
