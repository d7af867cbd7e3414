//! What is held and trusted, for people.

use serde_json::Value as Json;

use super::Config;
use super::Material;
use super::refresh::Status;
use crate::clock::UnixTime;

/// What is held and trusted.
#[derive(Debug)]
pub struct Report;

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("")
    }
}

impl Report {
    /// At one moment.
    pub fn new(_config: &Config, _material: &Material, _status: &Status, _now: UnixTime) -> Self {
        Self
    }

    /// What is not as it should be, in words.
    pub fn troubles(&self) -> Vec<String> {
        Vec::new()
    }

    /// For machines.
    pub fn to_json(&self) -> Json {
        Json::Null
    }
}
