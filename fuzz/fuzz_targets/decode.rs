//! Any bytes are answered: as a `CheckRequest`, through both readings to a document, and as a JSON body. What strict mode
//! takes for JSON means the same in the plugin's reading.

#![no_main]

use countersign::ext_authz::decode::decode;
use countersign::facts::Attributes;
use countersign::facts::Body;
use countersign::facts::Facts;
use countersign::facts::Http;
use countersign::facts::Request;
use countersign::facts::Shape;
use countersign::input;
use libfuzzer_sys::fuzz_target;

const STRICT: input::Config = input::Config { normalise: true, parse_body: true };
const OPA_ENVOY: input::Config = input::Config { normalise: false, parse_body: true };

fuzz_target!(|data: &[u8]| {
    if let Ok(attributes) = decode(data) {
        show(&attributes, &STRICT, Shape::Strict);
        show(&attributes, &OPA_ENVOY, Shape::OpaEnvoy { caller: false, user: false });
    }
    if let Some(Body::Parsed(strict)) = json_body(data, &STRICT) {
        assert_eq!(json_body(data, &OPA_ENVOY), Some(Body::Parsed(strict)));
    }
});

fn show(attributes: &Attributes, config: &input::Config, shape: Shape) {
    if let Ok(request) = input::view(attributes, config) {
        let facts = Facts { attributes, request: &request, caller: None, user: None, shape };
        serde_json::to_value(facts).expect("every document is JSON");
    }
}

fn json_body(body: &[u8], config: &input::Config) -> Option<Body> {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let http = Http { path: "/".to_owned(), headers, raw_body: body.to_vec(), ..Http::default() };
    let request = Request { time: None, http: Some(http) };
    let attributes = Attributes { request: Some(request), ..Attributes::default() };
    input::view(&attributes, config).ok().map(|view| view.body)
}
