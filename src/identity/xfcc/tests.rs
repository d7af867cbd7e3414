use std::time::Duration;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

const HASH: &str = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDEF";

fn parse_one(value: &str) -> Result<Forwarded<'_>, XfccError> {
    parse([value.as_bytes()]).map(|found| found.expect("a header gives an element or an error"))
}

#[test]
fn every_key_of_envoy_is_read() {
    let header = format!(
        "By=spiffe://td/gw;Hash={HASH};Cert=\"-----BEGIN%20\";Chain=\"-----BEGIN%20-----BEGIN%20\";\
         Subject=\"CN=web,OU=frontend,O=Example\\, Inc.,C=US\";URI=spiffe://td/a;DNS=a.example;DNS=b.example"
    );
    let Forwarded { elements, last } = parse_one(&header).unwrap();
    assert_eq!(elements, 1);
    assert_eq!(last.by, San::One("spiffe://td/gw"));
    assert_eq!(last.hash.unwrap()[..2], [0x01, 0x23]);
    assert_eq!(last.certificate, Some("-----BEGIN%20"));
    assert_eq!(last.chain, Some("-----BEGIN%20-----BEGIN%20"));
    assert_eq!(last.subject, Some("CN=web,OU=frontend,O=Example\\, Inc.,C=US"));
    assert_eq!(last.uri, San::One("spiffe://td/a"));
    assert_eq!(parse(std::iter::empty()), Ok(None));
}

#[test]
fn a5_what_breaks_the_grammar_is_refused() {
    for (value, error) in [
        ("", XfccError::Key),
        (",", XfccError::Key),
        (",,", XfccError::Key),
        (";", XfccError::Key),
        ("URI=a,,URI=b", XfccError::Key),
        (",URI=a", XfccError::Key),
        ("URI=a,", XfccError::Key),
        ("URI=a;", XfccError::Key),
        ("URI=a;;DNS=b", XfccError::Key),
        ("URI=a;,URI=b", XfccError::Key),
        ("URI", XfccError::Key),
        ("URI=a;DNS", XfccError::Key),
        ("URI,URI=a", XfccError::Key),
        ("=a", XfccError::Key),
        ("URI=a;=b", XfccError::Key),
        ("Issuer=a", XfccError::Key),
        ("\"URI\"=a", XfccError::Key),
        (" URI=a", XfccError::Key),
        ("URI =a", XfccError::Key),
        ("URI=a, URI=b", XfccError::Key),
        ("{\"uri\":[\"a\"]}", XfccError::Key),
        ("Subject=\"a", XfccError::Unterminated),
        ("Subject=\"", XfccError::Unterminated),
        ("Subject=\"a\\", XfccError::Unterminated),
        ("Subject=\"a\\\"", XfccError::Unterminated),
        ("Subject=\"a\\\\\\\"", XfccError::Unterminated),
        ("Subject=\"a\"b", XfccError::AfterQuote),
        ("Subject=\"a\"\"b\"", XfccError::AfterQuote),
        ("Subject=\"a\" ;URI=b", XfccError::AfterQuote),
        ("Subject=\"a\\\\\"URI=b\"", XfccError::AfterQuote),
        ("URI=a\"b", XfccError::Unquoted),
        ("URI=a\"b\"", XfccError::Unquoted),
        ("URI=a\\", XfccError::Unquoted),
        ("URI=a\\;b", XfccError::Unquoted),
        ("URI=a=b", XfccError::Unquoted),
        ("URI=a b", XfccError::Unquoted),
        ("URI=a ", XfccError::Unquoted),
        ("URI= a", XfccError::Unquoted),
        ("URI=a\tb", XfccError::Character),
        ("URI=a\0b", XfccError::Character),
        ("URI=a\r\nb", XfccError::Character),
        ("Subject=\"é\"", XfccError::Character),
        ("URI=a\x7f", XfccError::Character),
        ("By=", XfccError::Empty),
        ("DNS=;URI=a", XfccError::Empty),
        ("Cert=\"\"", XfccError::Empty),
        ("Chain=", XfccError::Empty),
        ("Hash=;URI=a", XfccError::Empty),
    ] {
        assert_eq!(parse_one(value), Err(error), "{value:?}");
        // An earlier element that is malformed is as bad, and so is a header before a good one. (A quote that is
        // not closed swallows what follows.)
        if !matches!(error, XfccError::Unterminated) {
            assert!(parse_one(&format!("{value},URI=spiffe://td/a")).is_err(), "{value:?}");
        }
        assert_eq!(parse([value.as_bytes(), b"URI=spiffe://td/a"]), Err(error), "{value:?}");
        assert_eq!(parse([b"URI=spiffe://td/a", value.as_bytes()]), Err(error), "{value:?}");
    }
    assert_eq!(parse([b"URI=\xff".as_slice()]), Err(XfccError::Character));
}

#[test]
fn a5_the_work_is_bounded() {
    let begin = Instant::now();
    let long = |piece: &str| piece.repeat((1 << 20) / piece.len());
    for value in [long("a"), long("URI=a,"), long("URI=a;"), long(","), format!("Subject=\"{}", long("\\\""))] {
        assert_eq!(parse_one(&value), Err(XfccError::TooLong));
    }
    let half = format!("DNS={}", "a".repeat(MAX_BYTES / 2));
    assert_eq!(parse([half.as_bytes(), half.as_bytes()]), Err(XfccError::TooLong));
    assert!(begin.elapsed() < Duration::from_secs(1));

    let elements = |count: usize| vec!["URI=a"; count].join(",");
    assert_eq!(parse_one(&elements(MAX_ELEMENTS)).unwrap().elements, MAX_ELEMENTS);
    assert_eq!(parse_one(&elements(MAX_ELEMENTS + 1)), Err(XfccError::TooManyElements));
    assert_eq!(parse(vec![b"URI=a".as_slice(); MAX_ELEMENTS + 1]), Err(XfccError::TooManyElements));
    let pairs = |count: usize| vec!["DNS=a"; count].join(";");
    assert!(parse_one(&pairs(MAX_PAIRS)).is_ok());
    assert_eq!(parse_one(&pairs(MAX_PAIRS + 1)), Err(XfccError::TooManyPairs));
}

#[test]
fn a6_keys_have_no_case_and_sans_may_repeat() {
    for value in ["uri=a", "URI=a", "Uri=a", "uRi=a;URI=a", "BY=g;by=g;DNS=x;dns=y"] {
        assert!(parse_one(value).is_ok(), "{value}");
    }
    assert_eq!(parse_one("uri=a;URI=b;Uri=a").unwrap().last.uri, San::Several);
    assert_eq!(parse_one("uri=a;URI=A").unwrap().last.uri, San::Several, "values have case");
    assert_eq!(parse_one("by=a;By=b").unwrap().last.by, San::Several);
}

#[test]
fn a6_the_other_keys_may_not_repeat() {
    for (first, second) in [("Hash", "hash"), ("Cert", "CERT"), ("Chain", "chain"), ("Subject", "sUBJECT")] {
        let value = if first == "Hash" { HASH } else { "x" };
        for header in [
            format!("{first}={value};{second}={value}"),
            format!("{first}={value};URI=a;{second}={value}"),
            format!("{first}={value};{second}={value},URI=a"),
        ] {
            assert_eq!(parse_one(&header), Err(XfccError::Repeated), "{header}");
        }
        assert!(parse_one(&format!("{first}={value},{second}={value}")).is_ok());
    }
}

#[test]
fn a6_the_hash_is_64_digits() {
    assert!(parse_one(&format!("Hash={HASH}")).is_ok());
    assert!(parse_one(&format!("Hash=\"{HASH}\"")).is_ok());
    let short = HASH.strip_suffix('F').unwrap();
    for bad in ["..", "0", short, &format!("{HASH}00"), &HASH.replace('a', "g"), &HASH.replace("01", "0x")] {
        assert_eq!(parse_one(&format!("Hash={bad}")), Err(XfccError::Hash), "{bad}");
    }
}

#[test]
fn a_dns_san_cannot_go_on_as_another_pair() {
    for pair in ["URI=a", "By=a", "Cert=a", "Chain=a", "Subject=a", &format!("Hash={HASH}")] {
        assert_eq!(parse_one(&format!("DNS=x;{pair}")), Err(XfccError::AfterDns), "{pair}");
        assert!(parse_one(&format!("DNS=x,{pair}")).is_ok(), "{pair}");
    }
}

#[test]
fn a8_json_has_its_own_reason() {
    assert_eq!(parse_one("[{\"uri\":[\"spiffe://td/admin\"]}]").unwrap_err().reason(), Reason::CallerXfccFormat);
    assert_eq!(parse_one("{\"uri\":[]}").unwrap_err().reason(), Reason::CallerXfccMalformed);
}

/// An element as a proxy holds it, before it is printed.
#[derive(Debug, Clone)]
struct Owned {
    by: Option<String>,
    hash: Option<[u8; 32]>,
    certificate: Option<String>,
    subject: Option<String>,
    uri: Option<String>,
    dns: Vec<String>,
    upper: bool,
}

impl Owned {
    /// Envoy's printing, but for the case of keys.
    fn print(&self) -> String {
        let mut pairs = Vec::new();
        pairs.extend(self.by.iter().map(|value| format!("By={value}")));
        pairs.extend(self.hash.iter().map(|value| format!("Hash={}", hex::lower(value))));
        pairs.extend(self.certificate.iter().map(|value| format!("Cert=\"{value}\"")));
        pairs.extend(self.subject.iter().map(|value| format!("Subject=\"{value}\"")));
        pairs.extend(self.uri.iter().map(|value| format!("URI={value}")));
        pairs.extend(self.dns.iter().map(|value| format!("DNS={value}")));
        let upper = |pair: &String| pair.split_once('=').map(|(key, value)| format!("{}={value}", key.to_uppercase()));
        let pairs: Vec<_> = if self.upper { pairs.iter().filter_map(upper).collect() } else { pairs };
        pairs.join(";")
    }

    fn view(&self) -> Element<'_> {
        Element {
            by: self.by.as_deref().map_or(San::Absent, San::One),
            hash: self.hash,
            certificate: self.certificate.as_deref(),
            chain: None,
            subject: self.subject.as_deref(),
            uri: self.uri.as_deref().map_or(San::Absent, San::One),
        }
    }
}

fn owned() -> impl Strategy<Value = Owned> {
    let bare = "[!#-+.-:<>-\\[\\]-~-]{1,20}";
    // RFC 2253 text: a backslash never stands alone.
    let subject = "([ !#-\\[\\]-~]|\\\\[ -~]){0,20}";
    (
        prop::option::of(bare),
        prop::option::of(any::<[u8; 32]>()),
        prop::option::of("[A-Za-z0-9%-]{1,40}"),
        prop::option::of(subject),
        prop::option::of(prop_oneof![Just(String::new()), bare.prop_map(|text| text)]),
        prop::collection::vec(bare, 0..4),
        any::<bool>(),
    )
        .prop_map(|(by, hash, certificate, subject, uri, dns, upper)| Owned {
            by,
            hash,
            certificate,
            subject,
            uri,
            dns,
            upper,
        })
        .prop_filter("an element has a pair", |element| !element.print().is_empty())
}

proptest! {
    #[test]
    fn what_is_printed_is_what_is_read(elements in prop::collection::vec(owned(), 1..5)) {
        let printed: Vec<_> = elements.iter().map(Owned::print).collect();
        let wanted: Vec<_> = elements.iter().map(|element| Ok(element.view())).collect();
        let joined = printed.join(",");
        let read: Vec<_> = Elements::new(joined.as_bytes()).unwrap().collect();
        prop_assert_eq!(&read, &wanted);

        // One header or several: the same elements.
        let last = read.last().copied().unwrap().unwrap();
        let forwarded = Some(Forwarded { elements: read.len(), last });
        prop_assert_eq!(parse([joined.as_bytes()]), Ok(forwarded));
        prop_assert_eq!(parse(printed.iter().map(String::as_bytes)), Ok(forwarded));
    }

    #[test]
    fn any_bytes_get_an_answer(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4)) {
        let _answer = parse(values.iter().map(Vec::as_slice));
    }

    #[test]
    fn any_text_of_the_grammars_characters_gets_an_answer(text in "([,;=\"\\\\]|URI|By|DNS|Hash|a){0,40}") {
        if let Ok(forwarded) = parse_one(&text) {
            // Only a comma begins another element.
            prop_assert!(forwarded.elements <= text.split(',').count());
        }
    }
}
