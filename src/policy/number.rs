//! Numbers as text, held to a size before they become numbers.
//!
//! The engine computes `1e999999999` to its last digit, which takes minutes and gigabytes. Every text that a client
//! sends and that may become a number is looked at here first.

use regorus::Value;

/// The most digits, and the largest power of ten, of a number that is looked at. Far beyond money, times and hashes
/// written as decimals; arithmetic on numbers of this size takes microseconds.
pub(super) const MAX_DIGITS: usize = 4096;

/// The number that a JSON number's text stands for: integers exactly, others as the nearest double.
///
/// `None` where it is no number, or larger than is looked at.
pub(super) fn parse(text: &str) -> Option<Value> {
    if let Ok(small) = text.parse::<i64>() {
        return Some(Value::from(small));
    }
    if is_bounded(text) { Value::from_numeric_string(text).ok() } else { None }
}

/// Whether every number in a JSON text, outside its strings, is of a size that is looked at. The text need not be
/// valid JSON.
pub(super) fn all_bounded(json: &str) -> bool {
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        let token = match byte {
            b'"' => string_length(rest),
            b'0'..=b'9' | b'.' => rest.iter().take_while(|&&byte| is_number_byte(byte)).count(),
            _ => 1,
        };
        let end = at.saturating_add(token);
        if byte != b'"' && token > 1 && !json.get(at..end).is_some_and(is_bounded) {
            return false;
        }
        at = end;
    }
    true
}

/// Whether one number's text is of a size that is looked at. A negative exponent makes small numbers, at no cost.
fn is_bounded(number: &str) -> bool {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, ""));
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let exponent = exponent.trim_start_matches('+');
    digits <= MAX_DIGITS
        && (exponent.is_empty()
            || exponent.starts_with('-')
            || exponent.parse::<usize>().is_ok_and(|power| power <= MAX_DIGITS))
}

/// The length of the JSON string at the beginning, quotes included; the rest, where it does not end.
fn string_length(text: &[u8]) -> usize {
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at.saturating_add(1),
            _ => {}
        }
    }
    text.len()
}

const fn is_number_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        for text in
            ["0", "-1", "9223372036854775807", "18446744073709551615", "123456789012345678901234567890", "1e300"]
        {
            let value = parse(text).unwrap();
            assert_eq!(value, Value::from_json_str(text).unwrap(), "{text}");
        }
        assert_eq!(parse("1.5"), Some(Value::from(1.5)));
        assert_eq!(parse("-0"), Some(Value::from(0)));
        assert_eq!(parse("1e-999999999"), Some(Value::from(0.0)));
        assert_eq!(parse("x"), None);
    }

    #[test]
    fn a_huge_number_is_never_computed() {
        let long = "9".repeat(MAX_DIGITS + 1);
        for huge in ["1e999999999", "-1E+999999999", "1.5e4097", "1e99999999999999999999", long.as_str()] {
            assert_eq!(parse(huge), None, "{huge:.20}");
            for json in [huge.to_owned(), format!("[1, {huge}]"), format!(r#"{{"a\"": {huge}}}"#)] {
                assert!(!all_bounded(&json), "{json:.40}");
            }
        }
    }

    #[test]
    fn what_stands_in_strings_is_no_number() {
        for json in [r#""1e999999999""#, r#"{"a\\": "\"1e999999999"}"#, "10E", "1.2.3", "", "\"", "é1"] {
            assert!(all_bounded(json), "{json}");
        }
    }
}
