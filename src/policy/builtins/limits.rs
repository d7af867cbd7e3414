//! How far a builtin function may go. The engine's clock does not tick inside one, so its cost is bounded by what it
//! is given, before it runs.

use regorus::Value;

use crate::policy::number;
use crate::policy::yaml;

/// Looks at the arguments of a call. Arguments of a wrong type are the function's own affair.
///
/// The error completes the sentence that begins with the function's name.
pub(super) type Limit = fn(&[Value]) -> Result<(), &'static str>;

/// The most elements that one call makes from nothing: a /16 of addresses.
const MAX_ELEMENTS: u64 = 65_536;
/// The most bits of an address that `net.cidr_expand` counts through; 2^16 = [`MAX_ELEMENTS`].
const MAX_HOST_BITS: u8 = 16;
/// The largest shift to the left: numbers of twice the size of [`number::MAX_DIGITS`] are not needed either.
const MAX_SHIFT: u64 = 4096;
/// The most digits that the factors of a product have together: multiplying them takes milliseconds.
const MAX_PRODUCT_DIGITS: usize = 16_384;
/// The longest text that one call makes: the largest request that is taken is as long.
const MAX_TEXT_BYTES: usize = 16 * 1024 * 1024;
/// The widest field that `sprintf` fills: several screens.
const MAX_WIDTH: u32 = 1024;
/// The longest indent and prefix of JSON: they stand on every line.
const MAX_INDENT_BYTES: usize = 64;
/// The longest YAML that is read from a request: configuration in a header or a body, not a data file.
const MAX_YAML_BYTES: usize = 64 * 1024;
/// The longest pattern: far beyond what a person writes.
const MAX_PATTERN_BYTES: usize = 8 * 1024;
/// The largest product of pattern and text. Matching is linear in it, at about a nanosecond each at worst.
const MAX_PATTERN_WORK: usize = 64 * 1024 * 1024;

const TOO_MANY: &str = "would make more than 65536 elements";
const TOO_LONG: &str = "would make a text of more than 16 MiB";
const TOO_MUCH: &str = "has a pattern too long for its text";
const NUMBER: &str = "meets a number of more than 4096 digits";

fn ensure(fits: bool, excess: &'static str) -> Result<(), &'static str> {
    if fits { Ok(()) } else { Err(excess) }
}

fn text(value: Option<&Value>) -> Option<&str> {
    match value {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

pub(super) fn range(arguments: &[Value]) -> Result<(), &'static str> {
    let [Value::Number(from), Value::Number(to)] = arguments else { return Ok(()) };
    match (from.as_i64(), to.as_i64()) {
        (Some(from), Some(to)) => ensure(from.abs_diff(to) < MAX_ELEMENTS, TOO_MANY),
        _ => ensure(!from.is_integer() || !to.is_integer(), TOO_MANY),
    }
}

/// The engine divides by a step of zero, and counts away from the end with a negative one.
pub(super) fn range_step(arguments: &[Value]) -> Result<(), &'static str> {
    let [Value::Number(from), Value::Number(to), Value::Number(step)] = arguments else { return Ok(()) };
    let Some(step) = step.as_u64().filter(|&step| step > 0) else { return Err("needs a step above zero") };
    match (from.as_i64(), to.as_i64()) {
        (Some(from), Some(to)) => ensure(from.abs_diff(to).checked_div(step).unwrap_or(0) < MAX_ELEMENTS, TOO_MANY),
        _ => ensure(!from.is_integer() || !to.is_integer(), TOO_MANY),
    }
}

pub(super) fn cidr(arguments: &[Value]) -> Result<(), &'static str> {
    let Some((address, prefix)) = text(arguments.first()).and_then(|cidr| cidr.split_once('/')) else { return Ok(()) };
    let bits: u8 = if address.contains(':') { 128 } else { 32 };
    let hosts = prefix.parse::<u8>().map_or(0, |prefix| bits.saturating_sub(prefix));
    ensure(hosts <= MAX_HOST_BITS, TOO_MANY)
}

pub(super) fn shift(arguments: &[Value]) -> Result<(), &'static str> {
    let [_, Value::Number(by)] = arguments else { return Ok(()) };
    ensure(by.as_u64().map_or(!by.is_positive(), |by| by <= MAX_SHIFT), "would shift by more than 4096 bits")
}

pub(super) fn product(arguments: &[Value]) -> Result<(), &'static str> {
    let digits = |factor: &Value| if let Value::Number(number) = factor { number.format_decimal().len() } else { 0 };
    let digits: usize = match arguments {
        [Value::Array(factors)] => factors.iter().map(digits).sum(),
        [Value::Set(factors)] => factors.iter().map(digits).sum(),
        _ => 0,
    };
    ensure(digits <= MAX_PRODUCT_DIGITS, "has factors of more than 16384 digits together")
}

pub(super) fn concat(arguments: &[Value]) -> Result<(), &'static str> {
    let Some(delimiter) = text(arguments.first()) else { return Ok(()) };
    let parts = match arguments.get(1) {
        Some(Value::Array(parts)) => parts.len(),
        Some(Value::Set(parts)) => parts.len(),
        _ => 0,
    };
    ensure(delimiter.len().saturating_mul(parts) <= MAX_TEXT_BYTES, TOO_LONG)
}

pub(super) fn replace(arguments: &[Value]) -> Result<(), &'static str> {
    match (text(arguments.first()), text(arguments.get(1)), text(arguments.get(2))) {
        (Some(text), Some(old), Some(new)) => ensure(replaced_fits(text, old, new), TOO_LONG),
        _ => Ok(()),
    }
}

fn replaced_fits(text: &str, old: &str, new: &str) -> bool {
    new.len() <= old.len()
        || text.matches(old).count().saturating_mul(new.len()).saturating_add(text.len()) <= MAX_TEXT_BYTES
}

/// Replaces one pattern after the other, as the engine does, since each may make work for the next.
pub(super) fn replace_n(arguments: &[Value]) -> Result<(), &'static str> {
    let [Value::Object(patterns), Value::String(text)] = arguments else { return Ok(()) };
    let mut text = text.as_ref().to_owned();
    for (old, new) in patterns.iter_sorted() {
        let (Value::String(old), Value::String(new)) = (old, new) else { return Ok(()) };
        ensure(replaced_fits(&text, old, new), TOO_LONG)?;
        text = text.replace(&**old, new);
    }
    Ok(())
}

/// Holds what the engine reads as a width: the digits after a percent sign, of which it knows only the ASCII ones.
pub(super) fn sprintf(arguments: &[Value]) -> Result<(), &'static str> {
    let Some(format) = text(arguments.first()) else { return Ok(()) };
    let mut rest = format;
    while let Some((_, verb)) = rest.split_once('%') {
        let after = verb.trim_start_matches(|digit: char| digit.is_numeric() || digit == '.');
        let width = verb.strip_suffix(after).unwrap_or_default().trim_start_matches('.');
        let width = width.split('.').next().unwrap_or_default();
        ensure(
            width.is_empty() || width.parse::<u32>().is_ok_and(|width| width <= MAX_WIDTH),
            "has a width above 1024",
        )?;
        rest = after.strip_prefix('%').unwrap_or(after);
    }
    Ok(())
}

pub(super) fn marshal_options(arguments: &[Value]) -> Result<(), &'static str> {
    let Some(Value::Object(options)) = arguments.get(1) else { return Ok(()) };
    let fits = options.values().all(|option| text(Some(option)).is_none_or(|text| text.len() <= MAX_INDENT_BYTES));
    ensure(fits, "has an indent or a prefix of more than 64 bytes")
}

/// Texts that the engine reads as JSON or as a number.
pub(super) fn json_text(arguments: &[Value]) -> Result<(), &'static str> {
    ensure(text(arguments.first()).is_none_or(number::all_bounded), NUMBER)
}

/// The parser takes time with the square of some texts.
pub(super) fn yaml_text(arguments: &[Value]) -> Result<(), &'static str> {
    let fits = |text: &str| text.len() <= MAX_YAML_BYTES && yaml::is_shallow(text);
    ensure(text(arguments.first()).is_none_or(fits), "meets YAML of more than 64 KiB or 128 levels")
}

/// Paths into a document, whose steps the engine reads as numbers where they meet an array.
pub(super) fn json_paths(arguments: &[Value]) -> Result<(), &'static str> {
    let fits = match arguments.get(1) {
        Some(Value::Array(paths)) => paths.iter().all(path_fits),
        Some(Value::Set(paths)) => paths.iter().all(path_fits),
        _ => true,
    };
    ensure(fits, NUMBER)
}

fn path_fits(path: &Value) -> bool {
    match path {
        Value::String(path) => number::all_bounded(path),
        Value::Array(steps) => steps.iter().all(|step| text(Some(step)).is_none_or(number::all_bounded)),
        _ => true,
    }
}

/// Functions whose arguments begin with a pattern and a text.
pub(super) fn regex(arguments: &[Value]) -> Result<(), &'static str> {
    pattern(text(arguments.first()), text(arguments.get(1)))
}

/// `regex.replace(text, pattern, new)`: `new` may hold references, each at least two bytes, that expand to what was
/// matched.
pub(super) fn regex_replace(arguments: &[Value]) -> Result<(), &'static str> {
    pattern(text(arguments.get(1)), text(arguments.first()))?;
    let length = |at| text(arguments.get(at)).map_or(0, str::len).saturating_add(1);
    ensure(length(0).saturating_mul(length(2)) <= MAX_TEXT_BYTES, TOO_LONG)
}

pub(super) fn glob(arguments: &[Value]) -> Result<(), &'static str> {
    pattern(text(arguments.first()), text(arguments.get(2)))
}

fn pattern(pattern: Option<&str>, text: Option<&str>) -> Result<(), &'static str> {
    let (pattern, text) = (pattern.map_or(0, str::len), text.map_or(0, str::len));
    ensure(pattern <= MAX_PATTERN_BYTES && pattern.saturating_mul(text) <= MAX_PATTERN_WORK, TOO_MUCH)
}

#[cfg(test)]
mod tests;
