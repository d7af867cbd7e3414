//! What a refusal asks of the client: another scope (RFC 6750 §3.1), or another authentication (RFC 9470 §3).
//!
//! A name that is not known is refused here, unlike elsewhere in a result: a misspelt `max_age` would send the client away
//! with less than the policy wants, and back again for ever.

use regorus::Value;

use super::fields;
use super::fields::Unfit;
use crate::decision::Demand;
use crate::decision::DeniedResponse;
use crate::decision::Quotable;
use crate::decision::Reason;
use crate::decision::StepUp;

/// The most seconds that a client's own integer takes: 68 years, so that nobody misses more.
const MAX_AGE: u32 = i32::MAX.unsigned_abs();

/// Reads the two fields, of which one at most may be there.
pub(super) fn read(step_up: Option<&Value>, scope: Option<&Value>) -> Result<Option<Demand>, Unfit> {
    match (step_up, scope) {
        (None, None) => Ok(None),
        (None, Some(scope)) => words("insufficient_scope", scope).map(Demand::Scope).map(Some),
        (Some(value), None) => read_step_up(value).map(Demand::StepUp).map(Some),
        (Some(_), Some(_)) => Err(Unfit::field("step_up", "and `insufficient_scope` ask for different things")),
    }
}

/// A challenge goes with its own status, and comes from here alone.
pub(super) fn check_response(response: &DeniedResponse, reason: Reason) -> Result<(), Unfit> {
    if response.http_status != reason.http_status() {
        let message = format!("is not {}, which goes with what the refusal asks for", reason.http_status());
        return Err(Unfit::field("http_status", message));
    }
    if response.headers.iter().any(|field| field.name().eq_ignore_ascii_case("www-authenticate")) {
        return Err(Unfit::field("headers", "has a challenge beside the one that the refusal asks for"));
    }
    Ok(())
}

fn read_step_up(value: &Value) -> Result<StepUp, Unfit> {
    let Value::Object(object) = value else { return Err(Unfit::kind("step_up", "an object", value)) };
    let mut step_up = StepUp { acr_values: None, max_age: None, scope: None };
    for (name, value) in object.iter() {
        match name {
            Value::String(name) if name.as_ref() == "acr_values" => step_up.acr_values = Some(acr_values(value)?),
            Value::String(name) if name.as_ref() == "max_age" => step_up.max_age = Some(max_age(value)?),
            Value::String(name) if name.as_ref() == "scope" => step_up.scope = Some(words("step_up.scope", value)?),
            _ => return Err(Unfit::field("step_up", "has a key other than `acr_values`, `max_age` and `scope`")),
        }
    }
    if step_up.acr_values.is_none() && step_up.max_age.is_none() {
        return Err(Unfit::field("step_up", "has neither `acr_values` nor `max_age`"));
    }
    Ok(step_up)
}

fn acr_values(value: &Value) -> Result<Quotable, Unfit> {
    let field = "step_up.acr_values";
    let values = fields::texts(field, Some(value))?;
    for value in &values {
        Quotable::word(value).map_err(|fault| Unfit::field(field, format!("has a value that {fault}")))?;
    }
    Quotable::words(&values.join(" ")).map_err(|fault| Unfit::field(field, fault))
}

fn max_age(value: &Value) -> Result<u32, Unfit> {
    let field = "step_up.max_age";
    let Value::Number(number) = value else { return Err(Unfit::kind(field, "a number of seconds", value)) };
    let seconds = number.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
    let message = format!("is no whole number of seconds up to {MAX_AGE}");
    seconds.filter(|seconds| *seconds <= MAX_AGE).ok_or_else(|| Unfit::field(field, message))
}

/// Words with one space between two.
fn words(field: &str, value: &Value) -> Result<Quotable, Unfit> {
    let Value::String(text) = value else { return Err(Unfit::kind(field, "a string", value)) };
    Quotable::words(text).map_err(|fault| Unfit::field(field, fault))
}
