//! Criterion: each stage on the fixture's request, and the whole check, bytes in to bytes out.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark measures, and ends with a message where it cannot"
)]

mod fixture;

use std::hint::black_box;
use std::sync::Arc;

use countersign::app::App;
use countersign::app::Environment;
use countersign::app::evaluator::Evaluator;
use countersign::clock::UnixTime;
use countersign::config::Settings;
use countersign::decision_log::Record;
use countersign::ext_authz::Outgoing;
use countersign::ext_authz::decode::decode;
use countersign::identity;
use countersign::input;
use countersign::route::Possession;
use countersign::token;
use countersign::trust;
use countersign::trust::Bundles;
use criterion::Criterion;
use criterion::criterion_group;
use criterion::criterion_main;
use prost::Message as _;
use uuid::Uuid;

use fixture::Fixture;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Within the life of the fixture's tokens and certificate.
const NOW: UnixTime = UnixTime::from_seconds(1_795_515_072);

fn stages(criterion: &mut Criterion) {
    let fixture = Fixture::new("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0");
    let wire = &fixture.requests[0];
    let attributes = decode(wire).unwrap();

    criterion.bench_function("decode", |bench| bench.iter(|| decode(black_box(wire)).unwrap()));

    let trust = Bundles::default();
    let mut resolver = identity::Resolver::new(identity::Config {
        principal: true,
        certificate: true,
        xfcc: identity::XfccMode::SanitizeSet,
        ..identity::Config::default()
    });
    criterion.bench_function("identity", |bench| {
        bench.iter(|| resolver.resolve(black_box(&attributes), &trust, NOW).unwrap());
    });

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let verifying = fixture.verifying("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0");
    let verifying = Settings::load(&verifying, &|_| None).unwrap().settings;
    let (material, problems) = runtime.block_on(trust::refresh::load_once(&verifying.spiffe));
    assert!(problems.is_empty(), "{problems:?}");
    let mut resolver = identity::Resolver::new(verifying.caller);
    criterion.bench_function("identity, verified", |bench| {
        bench.iter(|| resolver.resolve(black_box(&attributes), &material.bundles, NOW).unwrap());
    });

    let settings = Settings::load(&fixture.config, &|_| None).unwrap().settings;
    let config = Arc::new(settings.token);
    let (keys, problems) = runtime.block_on(token::refresh::load_once(Arc::clone(&config), NOW));
    assert!(problems.is_empty(), "{problems:?}");
    let http = attributes.http().unwrap();
    let credential = token::credential(http).unwrap().unwrap();
    let proofs = token::Proofs::new();
    let presented = token::Presented {
        credential,
        http,
        caller: None,
        proof: Possession::Optional,
        issuers: None,
        proofs: &proofs,
        answer: None,
    };
    let mut verifier = token::Verifier::new(Arc::clone(&config));
    criterion.bench_function("token, cached", |bench| {
        bench.iter(|| verifier.verify(black_box(&presented), &keys, NOW).unwrap());
    });
    criterion.bench_function("token, new", |bench| {
        bench.iter(|| token::Verifier::new(Arc::clone(&config)).verify(black_box(&presented), &keys, NOW).unwrap());
    });

    let reading = input::Config { normalise: true, parse_body: true };
    criterion.bench_function("input", |bench| bench.iter(|| input::view(black_box(&attributes), &reading).unwrap()));
}

fn whole(criterion: &mut Criterion) {
    let fixture = Fixture::new("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0");
    let environment: Environment = Arc::new(|_| None);
    let app = App::load(&fixture.config, &environment).unwrap();
    let mut evaluator = Evaluator::new(app).unwrap();
    let mut requests = fixture.requests.iter().cycle();
    criterion.bench_function("check", |bench| {
        bench.iter(|| {
            let mut record = Record::new(Uuid::nil(), NOW);
            let outgoing = evaluator.check(black_box(requests.next().unwrap()), NOW, &mut record);
            let Outgoing::Answer(response) = outgoing else { panic!("keys are there") };
            assert_eq!(response.status.as_ref().map(|status| status.code), Some(0), "{:?}", record.outcome);
            response.encode_to_vec()
        });
    });
}

criterion_group!(benches, stages, whole);
criterion_main!(benches);
