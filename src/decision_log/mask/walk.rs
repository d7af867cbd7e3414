//! One walk through the input document that masks every secret in it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value as Json;

use super::MASKED;
use super::MAX_LISTED;
use super::escape;
use super::names::Names;
use super::redact;
use crate::decision_log::text;

/// Verified claims say who somebody is. They are what the log is for, so only the operator's pointers mask them.
const USER: &str = "/input/user";
/// Headers in the form of `encode_raw_headers`: a list of names and base64 values.
const HEADER_MAP: &str = "/input/attributes/request/http/headerMap/headers/";
/// URL-encoded PEM where it is text; the facts about it (`caller.certificate`) are an object.
const CERTIFICATE: &str = "certificate";

/// Masks the document, and says where.
pub(super) fn mask_input(input: &mut Json, names: &Names) -> Vec<String> {
    let mut walk = Walk { names, at: "/input".to_owned(), masked: Vec::new() };
    walk.value(input);
    walk.masked
}

struct Walk<'a> {
    names: &'a Names,
    /// The pointer to where the walk is.
    at: String,
    masked: Vec<String>,
}

impl Walk<'_> {
    fn value(&mut self, value: &mut Json) {
        match value {
            Json::Object(_) if self.at == USER => {}
            Json::Object(members) if self.at.starts_with(HEADER_MAP) => self.raw_header(members),
            Json::Object(members) => self.members(members),
            Json::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.enter(&index.to_string(), |walk| walk.value(item));
                }
            }
            Json::String(text) => self.text(text),
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }

    fn members(&mut self, members: &mut Map<String, Json>) {
        for (name, value) in members {
            let secret = self.names.is_secret(name) || (name == CERTIFICATE && value.is_string());
            self.enter(name, |walk| if secret { walk.blank(value) } else { walk.value(value) });
        }
    }

    fn raw_header(&mut self, header: &mut Map<String, Json>) {
        let name = header.get("key").and_then(Json::as_str).unwrap_or_default();
        let secret = self.names.is_secret(name);
        for (field, value) in header.iter_mut().filter(|(field, _)| *field != "key") {
            self.enter(field, |walk| match value {
                _ if secret => walk.blank(value),
                Json::String(encoded) if field == "rawValue" => walk.encoded(encoded),
                _ => walk.value(value),
            });
        }
    }

    fn enter(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        let outside = self.at.len();
        self.at.push('/');
        self.at.push_str(&escape(text::cut(name, text::NAME)));
        inside(self);
        self.at.truncate(outside);
    }

    /// Masks every leaf, so that the document keeps its shape.
    fn blank(&mut self, value: &mut Json) {
        blank(value);
        self.list();
    }

    fn text(&mut self, value: &mut String) {
        if let Cow::Owned(cut) = text::bounded(value, text::INPUT) {
            *value = cut;
        }
        if let Cow::Owned(redacted) = redact(value, self.names) {
            *value = redacted;
            self.list();
        }
    }

    /// Text in base64: looked at in the clear, and encoded again only where something was masked.
    fn encoded(&mut self, value: &mut String) {
        let bytes = STANDARD.decode(value.as_bytes()).unwrap_or_default();
        let clear = String::from_utf8_lossy(&bytes);
        let mut kept = clear.clone().into_owned();
        self.text(&mut kept);
        if kept != clear {
            *value = STANDARD.encode(kept);
        }
    }

    fn list(&mut self) {
        if self.masked.len() < MAX_LISTED {
            self.masked.push(self.at.clone());
        }
    }
}

fn blank(value: &mut Json) {
    match value {
        Json::Null => {}
        Json::Array(items) => items.iter_mut().for_each(blank),
        Json::Object(members) => members.values_mut().for_each(blank),
        Json::Bool(_) | Json::Number(_) | Json::String(_) => *value = Json::from(MASKED),
    }
}
