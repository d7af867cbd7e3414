//! The configuration.
pub mod yaml;
