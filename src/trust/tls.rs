//! TLS between workloads: both sides prove themselves by the material in force at the handshake.
//!
//! Nothing is resumed: a resumed session would rest on a proof made earlier, with other material. TLS 1.2 stays beside
//! 1.3, since Envoy speaks no more than that to its upstreams unless told to.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ClientConfig;
use rustls::DigitallySignedStruct;
use rustls::DistinguishedName;
use rustls::Error;
use rustls::OtherError;
use rustls::ServerConfig;
use rustls::SignatureScheme;
use rustls::client::Resumption;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::verify_tls12_signature;
use rustls::crypto::verify_tls13_signature;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime as PkiTime;
use rustls::server::ClientHello;
use rustls::server::NoServerSessionStorage;
use rustls::server::ResolvesServerCert;
use rustls::server::danger::ClientCertVerified;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use thiserror::Error as ThisError;

use super::Bundles;
use super::Material;
use super::certificate::CertificateError;
use super::certificate::Leaf;
use super::chain;
use super::chain::ChainError;
use super::chain::Side;
use crate::clock::UnixTime;
use crate::spiffe_id::Peers;
use crate::spiffe_id::SpiffeId;

/// The material in force, as a handshake finds it.
pub type InForce = Arc<ArcSwap<Material>>;

/// Who may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clients {
    /// Anybody: no certificate is asked for.
    Anybody,
    /// Whoever proves to be one of these by an X509-SVID.
    Proven(Vec<Peers>),
}

/// Why a peer's certificate does not do. The peer itself is told no more than that (`handshake_failure`).
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum PeerError {
    /// No X509-SVID that is valid now.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// There is no bundle to prove it with.
    #[error("there is no bundle of the trust domain `{0}`")]
    NoBundle(String),
    /// Not signed by its trust domain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A client that is proven, and not expected.
    #[error("the client is `{0}`, whom `allowed_proxies` (or `allowed_clients`) does not name")]
    NotAllowed(SpiffeId),
    /// A server that is proven, and not the one asked for.
    #[error("the server is `{found}`, not `{wanted}`")]
    OtherServer {
        /// Who it is.
        found: SpiffeId,
        /// Who it should be.
        wanted: SpiffeId,
    },
}

impl PeerError {
    /// Why a handshake failed, where it was for the peer's certificate.
    pub fn of(error: &Error) -> Option<&Self> {
        match error {
            Error::Other(OtherError(inner)) => inner.downcast_ref(),
            _ => None,
        }
    }
}

impl From<PeerError> for Error {
    fn from(error: PeerError) -> Self {
        // Not as an invalid certificate, which would show it in the form that is for programmers.
        Self::Other(OtherError(Arc::new(error)))
    }
}

/// The server's side of connections that speak one of `protocols`.
///
/// # Errors
/// Those of the library, which none of these arguments cause.
pub fn server_config(material: &InForce, clients: Clients, protocols: &[&[u8]]) -> Result<Arc<ServerConfig>, Error> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match clients {
        Clients::Anybody => builder.with_no_client_auth(),
        Clients::Proven(allowed) => builder.with_client_cert_verifier(Arc::new(ProvenClients {
            material: Arc::clone(material),
            allowed,
            algorithms,
        })),
    };
    let mut config = builder.with_cert_resolver(Arc::new(OwnCertificate(Arc::clone(material))));
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// The client's side of a connection to the workload `id`, proven by `bundles` (SPIFFE Federation §5.2.2.4).
///
/// # Errors
/// Those of the library, which none of these arguments cause.
pub fn client_config(id: SpiffeId, bundles: Arc<Bundles>) -> Result<ClientConfig, Error> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let verifier = Arc::new(ProvenServer { id, bundles, algorithms });
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Proves a peer's X509-SVID by the bundle of its own trust domain.
fn prove(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    bundles: &Bundles,
    side: Side,
    now: PkiTime,
) -> Result<SpiffeId, PeerError> {
    let now = UnixTime::from_seconds(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let read = Leaf::from_der(leaf)?;
    read.check_validity(now)?;
    let domain = read.spiffe_id.trust_domain();
    let held = bundles.get(domain).map_err(|_none| PeerError::NoBundle(domain.to_owned()))?;
    let intermediates: Vec<Vec<u8>> = intermediates.iter().map(|der| der.to_vec()).collect();
    chain::verify(&read, leaf, &intermediates, &held.bundle, side, now)?;
    Ok(read.spiffe_id)
}

/// Presents the own certificate in force.
#[derive(Debug)]
struct OwnCertificate(InForce);

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().svid.as_ref().map(|svid| Arc::clone(&svid.certified))
    }
}

/// Lets in clients that prove to be one of a list.
struct ProvenClients {
    material: InForce,
    allowed: Vec<Peers>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for ProvenClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvenClients").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for ProvenClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: PkiTime,
    ) -> Result<ClientCertVerified, Error> {
        let id = prove(leaf, intermediates, &self.material.load().bundles, Side::Client, now)?;
        if self.allowed.iter().any(|allowed| allowed.include(&id)) {
            return Ok(ClientCertVerified::assertion());
        }
        Err(PeerError::NotAllowed(id).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Talks to one workload alone.
struct ProvenServer {
    id: SpiffeId,
    bundles: Arc<Bundles>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for ProvenServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvenServer").field("id", &self.id).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for ProvenServer {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: PkiTime,
    ) -> Result<ServerCertVerified, Error> {
        let id = prove(leaf, intermediates, &self.bundles, Side::Server, now)?;
        if id == self.id {
            return Ok(ServerCertVerified::assertion());
        }
        Err(PeerError::OtherServer { found: id, wanted: self.id.clone() }.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
