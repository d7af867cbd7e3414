//! The workload that calls, once proven.

use crate::clock::UnixTime;
use crate::spiffe_id::SpiffeId;

/// A proven workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who it is.
    pub spiffe_id: SpiffeId,
    /// Which evidence carried the proof; where several agree, the strongest.
    pub proof: Proof,
    /// Its leaf certificate, where the proxy forwarded it.
    pub certificate: Option<CertificateFacts>,
}

/// The evidence that a caller rests on, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// A JWT-SVID in a header: a bearer token, which whoever holds it can present.
    JwtSvid,
    /// A Workload-Identity-Token with a proof of possession of its key (WIMSE).
    WorkloadProof,
    /// The `x-forwarded-client-cert` header of the adjacent proxy.
    ForwardedClientCert,
    /// `source.principal`: the proxy's own reading of the mTLS peer.
    Principal,
    /// `source.certificate`: the leaf itself, read here.
    PeerCertificate,
    /// The leaf itself, and that an authority of its trust domain signed it, proven here.
    VerifiedCertificate,
}

impl Proof {
    /// The name in the document and the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JwtSvid => "jwt_svid",
            Self::WorkloadProof => "workload_proof",
            Self::ForwardedClientCert => "forwarded_client_cert",
            Self::Principal => "principal",
            Self::PeerCertificate => "peer_certificate",
            Self::VerifiedCertificate => "verified_certificate",
        }
    }
}

/// What a policy may want to know of the leaf certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// SHA-256 of the DER.
    pub sha256: [u8; 32],
    /// Serial number, lower-case hex.
    pub serial: String,
    /// End of validity.
    pub not_after: UnixTime,
}
