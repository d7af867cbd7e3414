//! Durations: a whole number and its unit, as `30s`.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::json;

use crate::config::format::Fault;
use crate::config::format::Scalar;
use crate::config::format::or_variable;

/// Each unit and its milliseconds, the longest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A duration within bounds, both included.
pub(crate) fn duration(bounds: RangeInclusive<Duration>) -> Scalar<Duration> {
    let words = format!("duration from {} to {}", print(*bounds.start()), print(*bounds.end()));
    Scalar {
        name: words.clone(),
        schema: or_variable(&json!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"})),
        placeholder: *bounds.start(),
        parse: Box::new(move |text, _| {
            let fault = || Fault::new(format!("is no {words}"), "write a whole number and its unit: ms, s, m or h");
            parse(text).filter(|duration| bounds.contains(duration)).ok_or_else(fault)
        }),
    }
}

fn parse(text: &str) -> Option<Duration> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*milliseconds).map(Duration::from_millis)
}

/// Prints a duration as it would be written: in the longest unit that holds it whole.
pub(crate) fn print(duration: Duration) -> String {
    let total = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let whole = UNITS.iter().find(|(_, milliseconds)| total.checked_rem(*milliseconds) == Some(0));
    match whole {
        Some((unit, milliseconds)) if total > 0 => {
            format!("{}{unit}", total.checked_div(*milliseconds).unwrap_or(total))
        }
        _ => "0s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_number_and_its_unit() {
        for (text, milliseconds) in
            [("20ms", 20), ("5s", 5000), ("5m", 300_000), ("24h", 86_400_000), ("0s", 0), ("007ms", 7)]
        {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "5S",
            "-5s",
            "1.5s",
            "1h30m",
            "5d",
            "5sec",
            "٣s",
            "99999999999999999999h",
            "9999999999999999999h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn prints_what_it_reads() {
        for text in ["0s", "20ms", "1500ms", "5s", "90s", "5m", "24h"] {
            assert_eq!(print(parse(text).unwrap()), text);
        }
    }
}
