//! Countersign: the authorizer behind Envoy and Istio when AI agents call each other.
//!
//! One request goes through [`ext_authz`] (wire in), [`authorizer`] (the stages [`identity`], [`token`], [`input`] and
//! [`policy`], one screen), and back out, with one record in [`decision_log`].
//!
//! The modules below stand in order of their layers: a name may only point downwards. `tests/layers.rs` holds it.

// The program.
pub mod cli;

pub mod app;

pub mod config;

// Edges: wire types stop here.
pub mod admin;
pub mod ext_authz;

pub mod lifecycle;
pub mod listener;

// Application: synchronous, no I/O.
pub mod authorizer;

pub mod decision_log;

// Stages: siblings never name each other.
pub mod identity;
pub mod input;
pub mod policy;
pub mod token;

// Proof: what chains and signatures are verified with.
pub mod trust;

pub mod fetch;
pub mod jose;

// Vocabulary.
pub mod clock;
pub mod decision;
pub mod facts;
pub mod hex;
pub mod problem;
pub mod route;
pub mod secret;
pub mod spiffe_id;
pub mod target;
pub mod telemetry;
