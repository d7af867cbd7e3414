//! Why the Workload API gives nothing.

use std::time::Duration;

use spiffe::WorkloadApiError;
use spiffe::transport::GrpcStatusCode;
use spiffe::transport::TransportError;
use thiserror::Error;

use super::answers::MAX_TRUST_DOMAINS;
use crate::trust::refresh::status::told;

/// Why a connection or a stream is of no use.
#[derive(Debug, Error)]
pub(super) enum Fault {
    /// No `unix:` address.
    #[error("`{0}` is no address of a Unix socket, as unix:///run/spire/agent.sock")]
    Address(String),
    /// Nobody there.
    #[error("the socket cannot be connected to: {0}")]
    Connect(#[source] tonic::transport::Error),
    /// A status of the agent's, or a message that breaks its rules.
    #[error(transparent)]
    Api(#[from] WorkloadApiError),
    /// No first message.
    #[error("the agent did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// The end of a stream that ought to have none.
    #[error("the agent ended the stream")]
    Ended,
    /// More than can be meant.
    #[error("the agent named more than {MAX_TRUST_DOMAINS} trust domains")]
    TooManyDomains,
    /// A trust domain's name, or a key, that cannot be read.
    #[error("the agent's message cannot be read: {0}")]
    Malformed(String),
}

impl Fault {
    /// Whether asking again gets the same answer (Workload Endpoint, appendix A: `InvalidArgument` and `Unimplemented`).
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Api(WorkloadApiError::Transport(TransportError::Status(status))) => {
                matches!(status.code(), GrpcStatusCode::InvalidArgument | GrpcStatusCode::Unimplemented)
            }
            Self::Address(_) => true,
            Self::Api(_)
            | Self::Connect(_)
            | Self::Silent(_)
            | Self::Ended
            | Self::TooManyDomains
            | Self::Malformed(_) => false,
        }
    }

    /// As an operator is told.
    pub(super) fn told(&self) -> String {
        told(self)
    }
}
