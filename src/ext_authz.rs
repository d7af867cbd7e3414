//! The edge to Envoy's external authorization service (`envoy.service.auth.v3`): wire types stop here.
//!
//! [`decode`] makes facts of a `CheckRequest`'s bytes, [`encode`] a `CheckResponse` of a decision, [`check()`] is the whole
//! way between them, and [`Worker`] and [`Service`] the asynchronous edge around it. [`proto_json`] reads and writes both
//! messages as protobuf JSON for people and tests.

pub mod check;
pub mod decode;
pub mod encode;
pub mod proto_json;

mod codec;
mod others;
mod service;
mod worker;

pub use check::Call;
pub use check::Outgoing;
pub use check::check;
pub use encode::Options;
pub use encode::SeveralValues;
pub use others::Health;
pub use others::OtherServices;
pub use service::Service;
pub use worker::Handover;
pub use worker::Worker;
