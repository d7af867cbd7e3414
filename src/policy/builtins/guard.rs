//! Functions that stand before the engine's own. The engine looks for an added function before its builtin of the
//! same name, so that a policy cannot go round them, `with` included.

use std::sync::Arc;

use anyhow::Error;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use regorus::Engine;
use regorus::LimitError;
use regorus::Value;

use super::Ambient;
use super::limits;
use super::limits::Limit;
use crate::policy::BuiltinErrors;
use crate::policy::unstable::Builtin;

/// Builtins whose cost or size the caller chooses, each with what holds it.
const LIMITED: &[(&str, Limit)] = &[
    ("bits.lsh", limits::shift),
    ("concat", limits::concat),
    ("glob.match", limits::glob),
    ("json.filter", limits::json_paths),
    ("json.is_valid", limits::json_text),
    ("json.marshal_with_options", limits::marshal_options),
    ("json.remove", limits::json_paths),
    ("json.unmarshal", limits::json_text),
    ("net.cidr_expand", limits::cidr),
    ("numbers.range", limits::range),
    ("numbers.range_step", limits::range_step),
    ("product", limits::product),
    ("regex.find_all_string_submatch_n", limits::regex),
    ("regex.find_n", limits::regex),
    ("regex.is_valid", limits::regex),
    ("regex.match", limits::regex),
    ("regex.replace", limits::regex_replace),
    ("regex.split", limits::regex),
    ("replace", limits::replace),
    ("sprintf", limits::sprintf),
    ("strings.replace_n", limits::replace_n),
    ("to_number", limits::json_text),
    ("units.parse", limits::json_text),
    ("units.parse_bytes", limits::json_text),
    ("yaml.is_valid", limits::yaml_text),
    ("yaml.unmarshal", limits::yaml_text),
];

/// Builtins that are ours.
const OWN: &[(&str, Own)] = &[
    ("rand.intn", |ambient, arguments| match arguments {
        [Value::String(name), Value::Number(n)] => n.as_i64().map(|n| ambient.intn(name, n)),
        _ => None,
    }),
    ("strings.count", |_, arguments| match arguments {
        [Value::String(text), Value::String(part)] => Some(Value::from(text.matches(&**part).count())),
        _ => None,
    }),
    ("time.now_ns", |ambient, _| Some(ambient.now_ns())),
    ("uuid.rfc4122", |ambient, arguments| match arguments {
        [Value::String(name)] => Some(ambient.uuid(name)),
        _ => None,
    }),
];

/// A function of ours: `None` where the arguments are none that it takes.
type Own = fn(&Ambient, &[Value]) -> Option<Value>;

/// Puts them all into an engine.
///
/// # Errors
/// When the engine has no builtin of a listed name, or has been given its functions before.
pub(in crate::policy) fn install(engine: &mut Engine, ambient: &Arc<Ambient>, errors: BuiltinErrors) -> Result<()> {
    for &(name, limit) in LIMITED {
        let builtin = builtin(name)?;
        let arity = builtin.arity();
        let ambient = Arc::clone(ambient);
        let function = move |arguments: Vec<Value>| limited(name, &builtin, limit, &ambient, &arguments, errors);
        engine.add_extension(name.to_owned(), arity, Box::new(function))?;
    }
    for &(name, own) in OWN {
        let ambient = Arc::clone(ambient);
        let function = move |arguments: Vec<Value>| {
            let answer = own(&ambient, &arguments).ok_or_else(|| anyhow!("`{name}` expects other arguments"));
            settle(answer, errors)
        };
        engine.add_extension(name.to_owned(), builtin(name)?.arity(), Box::new(function))?;
    }
    Ok(())
}

fn builtin(name: &str) -> Result<Builtin> {
    Builtin::named(name).ok_or_else(|| anyhow!("the engine has no builtin `{name}`"))
}

fn limited(
    name: &str,
    builtin: &Builtin,
    limit: Limit,
    ambient: &Ambient,
    arguments: &[Value],
    errors: BuiltinErrors,
) -> Result<Value> {
    if let Err(excess) = limit(arguments) {
        let refusal = format!("`{name}` {excess}");
        ambient.refuse(&refusal);
        bail!(refusal);
    }
    let answer = builtin.call(arguments, errors == BuiltinErrors::Deny);
    if let Some(limit) = answer.as_ref().err().and_then(|error| error.downcast_ref::<LimitError>()) {
        ambient.refuse(&format!("`{name}`: {limit}"));
    }
    if answer.as_ref().is_err_and(is_unreadable_pattern) || name == REPLACE && is_no_pattern(arguments.get(1)) {
        ambient.refuse(&format!("`{name}` has a pattern that the engine cannot read"));
    }
    settle(answer, errors)
}

/// Patterns that OPA reads may be none to the engine. If that were undefined, `not regex.match(…)` would hold for all
/// texts, those that the pattern is there to keep out among them.
fn is_unreadable_pattern(error: &Error) -> bool {
    let text = error.to_string();
    ["invalid regex", "invalid glob"].iter().any(|message| text.ends_with(message))
}

/// With a pattern that it cannot read, the engine gives back the text as it was.
const REPLACE: &str = "regex.replace";

fn is_no_pattern(pattern: Option<&Value>) -> bool {
    let Some(pattern @ Value::String(_)) = pattern else { return false };
    let valid = builtin("regex.is_valid").and_then(|builtin| builtin.call(std::slice::from_ref(pattern), true));
    valid.is_ok_and(|valid| valid == Value::Bool(false))
}

/// What a failure means: the engine takes every failure of an added function as one that ends the evaluation.
fn settle(answer: Result<Value>, errors: BuiltinErrors) -> Result<Value> {
    match (answer, errors) {
        (Err(error), BuiltinErrors::Undefined) if !error.is::<LimitError>() => Ok(Value::Undefined),
        (answer, _) => answer,
    }
}
