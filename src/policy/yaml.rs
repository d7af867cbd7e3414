//! YAML as text, held to a depth before it is parsed.

/// The deepest nesting of brackets. The parser's work grows with the square of it, long before it refuses.
const MAX_BRACKETS: usize = 128;

/// Whether a YAML text nests its brackets no deeper than is looked at. Brackets in strings count as well.
pub(super) fn is_shallow(yaml: &str) -> bool {
    let mut depth: usize = 0;
    yaml.bytes().all(|byte| {
        match byte {
            b'[' | b'{' => depth = depth.saturating_add(1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth <= MAX_BRACKETS
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_counted() {
        assert!(is_shallow("a: [1, {b: 2}]\n"));
        assert!(is_shallow(&"[]\n".repeat(100_000)));
        assert!(is_shallow(&"]".repeat(200)));
        assert!(is_shallow(&"[".repeat(MAX_BRACKETS)));
        assert!(!is_shallow(&"[{".repeat(MAX_BRACKETS)));
    }
}
