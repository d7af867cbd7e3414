//! The edge to Envoy's external authorization service (`envoy.service.auth.v3`): wire types stop here.
//!
//! [`decode`] makes facts of a `CheckRequest`'s bytes, [`encode`] a `CheckResponse` of a decision, and [`proto_json`] reads
//! and writes both as protobuf JSON for people and tests.

pub mod decode;
pub mod encode;
pub mod proto_json;
