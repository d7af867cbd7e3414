use proptest::prelude::*;

use super::*;

/// A path that makes an ID of the trust domain `td` `bytes` long.
fn long_path(bytes: usize) -> String {
    format!("/{}", "a".repeat(bytes.saturating_sub("spiffe://td/".len())))
}

#[test]
fn b1_workload_ids_are_read_into_their_parts() {
    let longest_domain = "d".repeat(255);
    let longest_path = long_path(2048);
    for (text, domain, path) in [
        ("spiffe://td/a", "td", "/a"),
        ("spiffe://1.2.3.4/x", "1.2.3.4", "/x"),
        ("spiffe://a_b-c.d/...", "a_b-c.d", "/..."),
        ("spiffe://td/.path", "td", "/.path"),
        ("spiffe://td/..path", "td", "/..path"),
        ("spiffe://td/a/B/c-_.9", "td", "/a/B/c-_.9"),
        ("spiffe://./a", ".", "/a"),
        (&format!("spiffe://{longest_domain}/a"), &longest_domain, "/a"),
        (&format!("spiffe://td{longest_path}"), "td", &longest_path),
    ] {
        let id = SpiffeId::parse(text).unwrap();
        assert_eq!((id.as_str(), id.trust_domain(), id.path()), (text, domain, path));
        assert_eq!(id.to_string(), text);
    }
}

#[test]
fn b1_what_breaks_a_rule_is_refused_by_it() {
    for (text, error) in [
        ("", SpiffeIdError::Scheme),
        ("td/a", SpiffeIdError::Scheme),
        ("spiffe:/td/a", SpiffeIdError::Scheme),
        ("http://td/a", SpiffeIdError::Scheme),
        ("SPIFFE://td/a", SpiffeIdError::Scheme),
        (" spiffe://td/a", SpiffeIdError::Scheme),
        ("\u{455}piffe://td/a", SpiffeIdError::Scheme),
        ("spiffe://", SpiffeIdError::TrustDomainEmpty),
        ("spiffe:///a", SpiffeIdError::TrustDomainEmpty),
        ("spiffe://TD/a", SpiffeIdError::TrustDomainCharacter),
        ("spiffe://u@td/a", SpiffeIdError::TrustDomainCharacter),
        ("spiffe://td:80/a", SpiffeIdError::TrustDomainCharacter),
        ("spiffe://[::1]/a", SpiffeIdError::TrustDomainCharacter),
        ("spiffe://td\0", SpiffeIdError::TrustDomainCharacter),
        ("spiffe://tdé", SpiffeIdError::TrustDomainCharacter),
        ("spiffe://t\u{501}/a", SpiffeIdError::TrustDomainCharacter),
        ("spiffe://td?q", SpiffeIdError::TrustDomainCharacter),
        ("spiffe://td#f", SpiffeIdError::TrustDomainCharacter),
        ("spiffe://%74d/a", SpiffeIdError::TrustDomainCharacter),
        // A trust domain is no caller (X509-SVID §5.2).
        ("spiffe://td", SpiffeIdError::PathMissing),
        ("spiffe://td/", SpiffeIdError::SegmentEmpty),
        ("spiffe://td//a", SpiffeIdError::SegmentEmpty),
        ("spiffe://td/a/", SpiffeIdError::SegmentEmpty),
        ("spiffe://td/a//b", SpiffeIdError::SegmentEmpty),
        ("spiffe://td/.", SpiffeIdError::SegmentDots),
        ("spiffe://td/./a", SpiffeIdError::SegmentDots),
        ("spiffe://td/../a", SpiffeIdError::SegmentDots),
        ("spiffe://td/a/..", SpiffeIdError::SegmentDots),
        ("spiffe://td/%61", SpiffeIdError::PathCharacter),
        ("spiffe://td/a b", SpiffeIdError::PathCharacter),
        ("spiffe://td/a?q", SpiffeIdError::PathCharacter),
        ("spiffe://td/a#f", SpiffeIdError::PathCharacter),
        ("spiffe://td/\u{430}", SpiffeIdError::PathCharacter),
        (&format!("spiffe://{}/a", "d".repeat(256)), SpiffeIdError::TrustDomainLength),
        (&format!("spiffe://td{}", long_path(2049)), SpiffeIdError::Length),
    ] {
        assert_eq!(SpiffeId::parse(text), Err(error), "{text:?}");
    }
}

#[test]
fn b1_every_byte_in_both_positions() {
    for byte in 0..=u8::MAX {
        let lower = matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        // A byte above 0x7f is no text by itself: as Latin-1, and as the proxy's replacement would show it.
        let character = char::from(byte);
        let domain = SpiffeId::parse(&format!("spiffe://t{character}d/a"));
        // `/` ends the domain, and `td/a` would become `t` with the path `/d/a`.
        assert_eq!(domain.is_ok(), lower || byte == b'/', "{byte:#x} in the trust domain");
        let path = SpiffeId::parse(&format!("spiffe://td/a{character}b"));
        assert_eq!(path.is_ok(), lower || byte.is_ascii_uppercase() || byte == b'/', "{byte:#x} in the path");
    }
    assert!(SpiffeId::parse("spiffe://td/a\u{fffd}b").is_err());
}

#[test]
fn b1_ids_compare_whole_and_by_their_bytes() {
    let id = |text| SpiffeId::parse(text).unwrap();
    assert_ne!(id("spiffe://td/a").trust_domain(), id("spiffe://td.evil/a").trust_domain());
    assert_ne!(id("spiffe://td/ns/a"), id("spiffe://td/ns/ab"));
    assert_ne!(id("spiffe://td/ns/a"), id("spiffe://td/ns/A"));
    assert_eq!(id("spiffe://td/ns/a"), id("spiffe://td/ns/a"));
}

#[test]
fn kubernetes_names_are_found_in_their_customary_place_alone() {
    let kubernetes = |path: &str| {
        let id = SpiffeId::parse(&format!("spiffe://td{path}")).unwrap();
        id.kubernetes().map(|(namespace, account)| format!("{namespace} {account}"))
    };
    assert_eq!(kubernetes("/ns/orders/sa/api"), Some("orders api".to_owned()));
    for other in ["/ns/orders/sa", "/ns/orders/sa/api/x", "/x/ns/orders/sa/api", "/NS/orders/sa/api", "/a"] {
        assert_eq!(kubernetes(other), None, "{other}");
    }
}

#[test]
fn b1_a_trust_domain_is_a_name_alone_or_its_own_id() {
    let longest = "d".repeat(255);
    for (text, name) in [
        ("td", "td"),
        ("spiffe://td", "td"),
        ("1.2.3.4", "1.2.3.4"),
        ("spiffe", "spiffe"),
        (&longest, &longest),
        (&format!("spiffe://{longest}"), &longest),
    ] {
        let domain = TrustDomain::parse(text).unwrap();
        assert_eq!((domain.as_str(), domain.to_string().as_str()), (name, name));
    }
    for (text, error) in [
        ("", SpiffeIdError::TrustDomainEmpty),
        ("spiffe://", SpiffeIdError::TrustDomainEmpty),
        (&"d".repeat(256), SpiffeIdError::TrustDomainLength),
        ("td/", SpiffeIdError::TrustDomainCharacter),
        ("td/a", SpiffeIdError::TrustDomainCharacter),
        ("spiffe://td/", SpiffeIdError::TrustDomainCharacter),
        ("spiffe://td/a", SpiffeIdError::TrustDomainCharacter),
        ("spiffe://spiffe://td", SpiffeIdError::TrustDomainCharacter),
        ("SPIFFE://td", SpiffeIdError::TrustDomainCharacter),
        ("https://td", SpiffeIdError::TrustDomainCharacter),
        ("TD", SpiffeIdError::TrustDomainCharacter),
        ("td:443", SpiffeIdError::TrustDomainCharacter),
        (" td", SpiffeIdError::TrustDomainCharacter),
        ("*", SpiffeIdError::TrustDomainCharacter),
        ("td\0", SpiffeIdError::TrustDomainCharacter),
    ] {
        assert_eq!(TrustDomain::parse(text), Err(error), "{text:?}");
    }
}

#[test]
fn a19_a_list_names_workloads_or_whole_trust_domains() {
    let (a, b) = (SpiffeId::parse("spiffe://td/a").unwrap(), SpiffeId::parse("spiffe://td/a/b").unwrap());
    let evil = SpiffeId::parse("spiffe://td.evil/a").unwrap();
    for (text, included) in [
        ("spiffe://td", [true, true, false]),
        ("spiffe://td.evil", [false, false, true]),
        ("spiffe://t", [false, false, false]),
        ("spiffe://td/a", [true, false, false]),
        ("spiffe://td/a/b", [false, true, false]),
        ("spiffe://td/A", [false, false, false]),
    ] {
        let peers = Peers::parse(text).unwrap();
        assert_eq!([&a, &b, &evil].map(|id| peers.include(id)), included, "{text}");
        assert_eq!(peers.to_string(), text);
    }
    for (text, error) in [
        ("", SpiffeIdError::Scheme),
        ("td", SpiffeIdError::Scheme),
        ("*", SpiffeIdError::Scheme),
        ("SPIFFE://td", SpiffeIdError::Scheme),
        ("spiffe://", SpiffeIdError::TrustDomainEmpty),
        ("spiffe:///a", SpiffeIdError::TrustDomainEmpty),
        ("spiffe://*", SpiffeIdError::TrustDomainCharacter),
        // Not the whole trust domain by a slip.
        ("spiffe://td/", SpiffeIdError::SegmentEmpty),
        ("spiffe://td/*", SpiffeIdError::PathCharacter),
        ("spiffe://td/ns/*/sa/a", SpiffeIdError::PathCharacter),
    ] {
        assert_eq!(Peers::parse(text), Err(error), "{text:?}");
    }
}

/// SPIFFE-ID §2 read a second time, as an automaton: knows nothing of how the parser goes about it.
fn reference(text: &str) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum At {
        Domain,
        SegmentStart,
        OneDot,
        TwoDots,
        Segment,
    }
    let bytes = text.as_bytes();
    if bytes.len() > 2048 || bytes.len() < 9 || &bytes[..9] != b"spiffe://" {
        return false;
    }
    let mut at = At::Domain;
    for (place, byte) in bytes[9..].iter().enumerate() {
        at = match (at, byte) {
            (At::Domain, b'/') if (1..=255).contains(&place) => At::SegmentStart,
            (At::Domain, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_') => At::Domain,
            (At::Segment, b'/') => At::SegmentStart,
            (At::SegmentStart, b'.') => At::OneDot,
            (At::OneDot, b'.') => At::TwoDots,
            (At::Domain, _) | (At::SegmentStart | At::OneDot | At::TwoDots, b'/') => return false,
            (_, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_') => At::Segment,
            _ => return false,
        };
    }
    at == At::Segment
}

proptest! {
    #[test]
    fn the_parser_agrees_with_a_reference(text in prop_oneof![
        "spiffe://[a-z0-9._-]{0,6}(/[a-zA-Z0-9._-]{0,4}){0,4}",
        "spiffe://[a-cA./%:@ é_-]{0,12}",
        "spiffe://d{253,257}/a",
        "spiffe://td/[ab]{2034,2038}",
        "(spiffe|SPIFFE|http|)(:|)(//|/|)(td|)(/|)(\\.|a|)(\\.|/|)",
        "\\PC{0,30}",
    ]) {
        let parsed = SpiffeId::parse(&text);
        prop_assert_eq!(parsed.is_ok(), reference(&text));
        if let Ok(id) = parsed {
            prop_assert_eq!(id.as_str(), &text);
            prop_assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text);
            prop_assert_eq!(format!("/{}", id.segments().collect::<Vec<_>>().join("/")), id.path());
        }
    }
}
