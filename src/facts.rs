//! What is known about one request: the vocabulary that every stage speaks.
//!
//! [`Attributes`] is what the proxy said; [`RequestView`] what can be read from it without believing it;
//! [`Caller`] and [`User`] what has been proven. [`Facts`] borrows all of them, and its `Serialize` is the input
//! document that policies see ([`document`]).

pub mod attributes;
pub mod caller;
pub mod document;
pub mod request;
pub mod user;

pub use attributes::Address;
pub use attributes::Attributes;
pub use attributes::HeaderProblem;
pub use attributes::Http;
pub use attributes::Peer;
pub use attributes::RawHeader;
pub use attributes::Request;
pub use caller::Caller;
pub use caller::CertificateFacts;
pub use caller::Proof;
pub use document::Shape;
pub use document::UserView;
pub use request::Body;
pub use request::HttpView;
pub use request::RequestView;
pub use user::Actor;
pub use user::Delegation;
pub use user::Rendered;
pub use user::User;

/// Everything the stages before the policy have found, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What the proxy said, verbatim.
    pub attributes: &'a Attributes,
    /// Path, query and body as parsed.
    pub request: &'a RequestView,
    /// The proven workload, if one is.
    pub caller: Option<&'a Caller>,
    /// The proven user, if one is.
    pub user: Option<&'a User>,
    /// Which keys the document has beyond OPA-Envoy's.
    pub shape: Shape,
}
