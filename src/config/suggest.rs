//! "Did you mean": the known word nearest to an unknown one.

/// How alike two words are to be taken for the same: clap's own threshold is 0.7, which is kind to its long flags; keys
/// are shorter.
const ALIKE: f64 = 0.8;
/// Words longer than this are not compared; no key comes near.
const MAX_COMPARED_BYTES: usize = 64;

/// The known word that was probably meant, if one is near.
pub(crate) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_COMPARED_BYTES {
        return None;
    }
    let likeness = |candidate: &str| strsim::jaro_winkler(&word.to_ascii_lowercase(), &candidate.to_ascii_lowercase());
    known
        .into_iter()
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let known = ["checks", "reflection", "workers", "drain_delay", "max_connections", "max_connection_age"];
        for (word, meant) in [
            ("chekcs", Some("checks")),
            ("check", Some("checks")),
            ("worker", Some("workers")),
            ("drainDelay", Some("drain_delay")),
            ("max-connections", Some("max_connections")),
            ("Reflection", Some("reflection")),
            ("tls", None),
            ("", None),
        ] {
            assert_eq!(closest(word, known), meant, "{word}");
        }
        assert_eq!(closest(&"checks".repeat(100), known), None);
    }
}
