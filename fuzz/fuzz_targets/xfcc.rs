//! The `x-forwarded-client-cert` header: any bytes get an answer, and only a well-formed last element names anybody.
#![no_main]

use countersign::clock::UnixTime;
use countersign::facts::Attributes;
use countersign::facts::Http;
use countersign::facts::RawHeader;
use countersign::facts::Request;
use countersign::identity::Config;
use countersign::identity::Resolver;
use countersign::identity::XfccMode;
use countersign::identity::xfcc;
use countersign::trust::Bundles;
use libfuzzer_sys::fuzz_target;

// Line feeds stand for the ends of headers: no header has one within.
fuzz_target!(|data: &[u8]| {
    let values: Vec<_> = data.split(|byte| *byte == b'\n').collect();
    let parsed = xfcc::parse(values.iter().copied());
    let request = request(&values);

    let alone = resolve(XfccMode::AppendForward { by: None }, &request);
    assert!(alone.is_none(), "append_forward believes no element alone");
    if let Some(caller) = resolve(XfccMode::SanitizeSet, &request) {
        let forwarded = parsed.expect("a caller comes from a well-formed header").expect("and from one that is there");
        assert_eq!(forwarded.elements, 1);
        assert_eq!(forwarded.last.uri, xfcc::San::One(caller.as_str()));
    }
});

fn resolve(xfcc: XfccMode, request: &Attributes) -> Option<String> {
    let config = Config { xfcc, ..Config::default() };
    let caller =
        Resolver::new(config).resolve(request, &Bundles::default(), UnixTime::from_seconds(1_795_515_072)).ok()??;
    Some(caller.spiffe_id.to_string())
}

fn request(values: &[&[u8]]) -> Attributes {
    let header =
        |value: &&[u8]| RawHeader { key: xfcc::HEADER.to_owned(), raw_value: value.to_vec(), ..RawHeader::default() };
    let http = Http { header_map: Some(values.iter().map(header).collect()), ..Http::default() };
    Attributes { request: Some(Request { http: Some(http), ..Request::default() }), ..Attributes::default() }
}
