//! What a policy's value means: OPA-Envoy's reading of a boolean or an object, to the letter, and what of it may
//! leave.
//!
//! Only the boolean `true` allows. Fields that the taken branch does not use are not looked at.

use regorus::Value;
use regorus::value::Object;
use serde_json::Map;
use serde_json::Value as Json;

use super::Compatibility;
use super::OutputRules;
use super::bounded;
use super::value::Names;
use super::value::to_value;
use crate::decision::Decision;
use crate::decision::Demand;
use crate::decision::Denial;
use crate::decision::DeniedResponse;
use crate::decision::Effects;
use crate::decision::Grant;
use crate::decision::Reason;
use crate::decision::Scheme;

mod demand;
mod fields;
mod headers;

use fields::Unfit;
use headers::Direction;

/// The longest body of a refusal: it is an explanation, not a page; Envoy holds it in memory for every refusal.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// How deep dynamic metadata may nest. Protobuf readers, Envoy's too, go 100 messages deep, and an object in an object
/// takes three: what is deeper would reach the proxy as an answer that it cannot read, and so as a gRPC error.
const MAX_METADATA_DEPTH: usize = 32;

/// The decision that a policy's value stands for. `place` says where the value's rule is, for the log.
pub(super) fn decision(value: &Value, rules: &OutputRules, place: &str) -> Decision {
    let read = match value {
        Value::Bool(true) => Ok(Decision::Allow(Grant::from_policy_true(Effects::default(), Map::new()))),
        Value::Bool(false) => Ok(Decision::Deny(bare_denial())),
        Value::Object(object) => Fields::of(object, rules).decision(rules),
        other => Err(Unfit::value(fields::kind(other))),
    };
    read.unwrap_or_else(|unfit| Decision::Deny(Denial::new(unfit.reason, placed(place, &unfit.detail))))
}

/// The decision that a policy's value stands for, from the value as JSON: the same reading for tools and fuzzing.
/// `None` where the text is no JSON.
pub fn decision_from_json(json: &str, rules: &OutputRules) -> Option<Decision> {
    let json: Json = serde_json::from_str(json).ok()?;
    let value = to_value(&json, &mut Names::default()).ok()?;
    Some(decision(&value, rules, ""))
}

fn placed(place: &str, detail: &str) -> String {
    bounded(&if place.is_empty() { detail.to_owned() } else { format!("{place}: {detail}") })
}

/// A `false` says no more than no, and Envoy answers in its own words.
fn bare_denial() -> Denial {
    Denial { response: None, ..Denial::new(Reason::PolicyDenied, "") }
}

/// The fields of a result that mean something; all others are the policy's own.
#[derive(Default)]
struct Fields<'v> {
    allowed: Option<&'v Value>,
    headers: Option<&'v Value>,
    response_headers_to_add: Option<&'v Value>,
    request_headers_to_remove: Option<&'v Value>,
    query_parameters_to_set: Option<&'v Value>,
    query_parameters_to_remove: Option<&'v Value>,
    body: Option<&'v Value>,
    http_status: Option<&'v Value>,
    dynamic_metadata: Option<&'v Value>,
    reason: Option<&'v Value>,
    reasons: Option<&'v Value>,
    step_up: Option<&'v Value>,
    insufficient_scope: Option<&'v Value>,
}

impl<'v> Fields<'v> {
    /// In `opa-envoy` mode names that the plugin does not know mean nothing, as there.
    fn of(object: &'v Object, rules: &OutputRules) -> Self {
        let is_strict = rules.compatibility == Compatibility::Strict;
        let mut fields = Self::default();
        for (name, value) in object.iter() {
            let Value::String(name) = name else { continue };
            let field = match name.as_ref() {
                "allowed" => &mut fields.allowed,
                "headers" => &mut fields.headers,
                "response_headers_to_add" => &mut fields.response_headers_to_add,
                "request_headers_to_remove" => &mut fields.request_headers_to_remove,
                "query_parameters_to_set" => &mut fields.query_parameters_to_set,
                "query_parameters_to_remove" => &mut fields.query_parameters_to_remove,
                "body" => &mut fields.body,
                "http_status" => &mut fields.http_status,
                "dynamic_metadata" => &mut fields.dynamic_metadata,
                "reason" => &mut fields.reason,
                "reasons" => &mut fields.reasons,
                "step_up" if is_strict => &mut fields.step_up,
                "insufficient_scope" if is_strict => &mut fields.insufficient_scope,
                _ => continue,
            };
            *field = Some(value);
        }
        fields
    }

    fn decision(&self, rules: &OutputRules) -> Result<Decision, Unfit> {
        match self.allowed {
            Some(Value::Bool(true)) => self.grant(rules).map(Decision::Allow),
            Some(Value::Bool(false)) => self.denial(rules).map(Decision::Deny),
            Some(other) => Err(Unfit::value(&format!("an object whose `allowed` is {}", fields::kind(other)))),
            None => Err(Unfit::value("an object without `allowed`")),
        }
    }

    fn grant(&self, rules: &OutputRules) -> Result<Grant, Unfit> {
        for (name, demand) in [("step_up", self.step_up), ("insufficient_scope", self.insufficient_scope)] {
            if demand.is_some() {
                // Who wrote it meant that something is missing, which an allow would give away.
                return Err(Unfit::field(name, "is for refusals, and `allowed` is true"));
            }
        }
        let effects = Effects {
            headers: headers::fields("headers", self.headers, Direction::Upstream, rules)?,
            headers_to_remove: headers::removed("request_headers_to_remove", self.request_headers_to_remove, rules)?,
            response_headers: headers::fields(
                "response_headers_to_add",
                self.response_headers_to_add,
                Direction::Downstream,
                rules,
            )?,
            query_to_set: headers::query_pairs("query_parameters_to_set", self.query_parameters_to_set, rules)?,
            query_to_remove: fields::texts("query_parameters_to_remove", self.query_parameters_to_remove)?,
            explicit: true,
        };
        Ok(Grant::from_policy_true(effects, self.metadata()?))
    }

    fn denial(&self, rules: &OutputRules) -> Result<Denial, Unfit> {
        let body = fields::text("body", self.body)?.unwrap_or_default();
        if body.len() > MAX_BODY_BYTES {
            return Err(Unfit::field("body", "is longer than 64 KiB"));
        }
        let demand = demand::read(self.step_up, self.insufficient_scope)?;
        let reason = match &demand {
            None => Reason::PolicyDenied,
            Some(Demand::Scope(_)) => Reason::PolicyInsufficientScope,
            Some(Demand::StepUp(_)) => Reason::PolicyStepUp,
        };
        let response = DeniedResponse {
            http_status: fields::status("http_status", self.http_status)?.unwrap_or(reason.http_status()),
            headers: headers::fields("headers", self.headers, Direction::Downstream, rules)?,
            body: body.to_owned(),
        };
        if demand.is_some() {
            demand::check_response(&response, reason)?;
        }
        let detail = bounded(&self.stated_reasons().join("; "));
        Ok(Denial {
            reason,
            detail,
            response: Some(response),
            demand: demand.map(Box::new),
            dynamic_metadata: self.metadata()?,
            scheme: Scheme::default(),
        })
    }

    fn metadata(&self) -> Result<Map<String, Json>, Unfit> {
        match self.dynamic_metadata.map(|value| (value, serde_json::to_value(value))) {
            None => Ok(Map::new()),
            Some((_, Ok(map @ Json::Object(_)))) if is_deeper(&map, MAX_METADATA_DEPTH) => {
                Err(Unfit::field("dynamic_metadata", "is nested more than 32 deep"))
            }
            Some((_, Ok(Json::Object(map)))) => Ok(map),
            Some((other, _)) => Err(Unfit::kind("dynamic_metadata", "an object", other)),
        }
    }

    /// A policy's own words. They explain, and so are taken where they are text and left where they are not.
    fn stated_reasons(&self) -> Vec<&'v str> {
        let listed = self.reasons.map(fields::elements).unwrap_or_default();
        let texts = self.reason.into_iter().chain(listed).filter_map(|reason| match reason {
            Value::String(text) => Some(text.as_ref()),
            _ => None,
        });
        texts.collect()
    }
}

/// Whether lists and objects nest more than `depth` deep. Looks no further than that.
fn is_deeper(json: &Json, depth: usize) -> bool {
    let Some(inner) = depth.checked_sub(1) else { return json.is_array() || json.is_object() };
    match json {
        Json::Array(items) => items.iter().any(|item| is_deeper(item, inner)),
        Json::Object(fields) => fields.values().any(|field| is_deeper(field, inner)),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
