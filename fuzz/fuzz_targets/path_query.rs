//! Any request target is answered, and what strict mode accepts is unambiguous: its normal form is its own, has no dot
//! segments, and the plugin's reading accepts it too.

#![no_main]

use countersign::facts::Attributes;
use countersign::facts::Http;
use countersign::facts::Request;
use countersign::facts::RequestView;
use countersign::input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|target: &str| {
    let plugins = view(target, false);
    let Some(strict) = view(target, true) else { return };
    assert!(plugins.is_some(), "strict mode accepts less, never more");

    let http = strict.http.expect("strict mode has a normalised view");
    assert!(http.segments.iter().all(|segment| segment != "." && segment != ".."));
    assert!(!http.path.contains(['\\', '#', '?', ' ']));
    let again = view(&http.path, true).and_then(|view| view.http).expect("a normal form is accepted");
    assert_eq!(again.path, http.path);
    assert_eq!(again.segments, http.segments);
});

fn view(target: &str, normalise: bool) -> Option<RequestView> {
    let http = Http { method: "GET".to_owned(), path: target.to_owned(), ..Http::default() };
    let request = Request { time: None, http: Some(http) };
    let attributes = Attributes { request: Some(request), ..Attributes::default() };
    input::view(&attributes, &input::Config { normalise, parse_body: true }).ok()
}
