//! Functions that stand before the engine's own. The engine looks for an added function before its builtin of the
//! same name, so that a policy cannot go round them, `with` included.

use std::sync::Arc;

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
    settle(answer, errors)
}

/// What a failure means: the engine takes every failure of an added function as one that ends the evaluation.
fn settle(answer: Result<Value>, errors: BuiltinErrors) -> Result<Value> {
    match (answer, errors) {
        (Err(error), BuiltinErrors::Undefined) if !error.is::<LimitError>() => Ok(Value::Undefined),
        (answer, _) => answer,
    }
}
