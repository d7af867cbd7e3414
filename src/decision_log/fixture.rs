//! A record with everything in it, for the tests.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;
use uuid::Uuid;

use super::Format;
use super::Mask;
use super::Outcome;
use super::Record;
use super::Revision;
use crate::clock::UnixTime;
use crate::decision::Reason;
use crate::facts::Actor;
use crate::facts::Attributes;
use crate::facts::Body;
use crate::facts::Caller;
use crate::facts::Delegation;
use crate::facts::Http;
use crate::facts::HttpView;
use crate::facts::Peer;
use crate::facts::Proof;
use crate::facts::Rendered;
use crate::facts::Request;
use crate::facts::RequestView;
use crate::facts::Shape;
use crate::facts::User;
use crate::spiffe_id::SpiffeId;
use crate::telemetry::Stage;
use crate::telemetry::Timings;
use crate::telemetry::TraceContext;

pub(super) const PLANNER: &str = "spiffe://prod.example/ns/agents/sa/planner";

pub(super) fn record() -> Record {
    let http = Http {
        method: "POST".to_owned(),
        path: "/orders/42?verbose=1".to_owned(),
        host: "orders.example".to_owned(),
        headers: vec![("authorization".to_owned(), "Bearer token".to_owned())],
        ..Http::default()
    };
    Record {
        decision_id: Uuid::from_u128(0x723a_c2ff_356a_49d4_a371_4105_65f8_0228),
        timestamp: UnixTime::from_seconds(1_795_515_072),
        trace: TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        message_bytes: 1500,
        revision: Some(Revision { number: 7, policy: "b1946ac9".into(), shape: Shape::Strict }),
        entry_point: "envoy/authz/allow".into(),
        attributes: Some(attributes(http)),
        request: Some(view()),
        caller: Some(Caller {
            spiffe_id: SpiffeId::parse(PLANNER).unwrap(),
            proof: Proof::PeerCertificate,
            certificate: None,
        }),
        user: Some(Arc::new(user())),
        outcome: Outcome::Denied {
            reason: Reason::PolicyDenied,
            detail: "orders above 1000 need approval".to_owned(),
            http_status: 403,
        },
        timings: timings(),
        erased: Vec::new(),
    }
}

pub(super) fn attributes(http: Http) -> Attributes {
    Attributes {
        source: Some(Peer { principal: PLANNER.to_owned(), ..Peer::default() }),
        request: Some(Request { time: None, http: Some(http) }),
        ..Attributes::default()
    }
}

fn view() -> RequestView {
    RequestView {
        parsed_path: vec!["orders".to_owned(), "42".to_owned()],
        parsed_query: vec![("verbose".to_owned(), vec!["1".to_owned()])],
        body: Body::Absent,
        http: Some(HttpView {
            host: "orders.example".to_owned(),
            path: "/orders/42".to_owned(),
            path_raw: "/orders/42".to_owned(),
            segments: vec!["orders".to_owned(), "42".to_owned()],
        }),
    }
}

fn user() -> User {
    let Json::Object(claims) = json!({"sub": "alice", "email": "alice@example.com"}) else { panic!("an object") };
    let planner = Actor { subject: PLANNER.to_owned(), issuer: None };
    User {
        issuer: "https://idp.example".to_owned(),
        subject: "alice".to_owned(),
        audience: vec!["orders-api".to_owned()],
        client_id: Some("assistant".to_owned()),
        scopes: vec!["orders:write".to_owned()],
        roles: Vec::new(),
        groups: Vec::new(),
        tenant: None,
        token_type: Some("at+jwt".to_owned()),
        issued_at: None,
        expires_at: 1_795_515_372,
        claims,
        delegation: Some(Delegation { actors: vec![planner], may_act: None }),
        rendered: Rendered::default(),
    }
}

fn timings() -> Timings {
    let mut timings = Timings::default();
    for (stage, nanos) in Stage::ALL.into_iter().zip([2_100, 900, 1_400, 1_800, 27_500, 1_300]) {
        timings.add(stage, Duration::from_nanos(nanos));
    }
    timings.set_total(Duration::from_nanos(36_200));
    timings
}

pub(super) fn format(include_input: bool, mask: Mask) -> Format {
    Format::new(Uuid::from_u128(0xbd74_41a2_1205_4263_9499_ff35_361f_1ffa), include_input, mask)
}

/// The record as its line, bodies shed as on the way to the queue.
pub(super) fn line(format: &Format, mut record: Record) -> String {
    record.shed_bodies();
    let mut bytes = Vec::new();
    format.write_line(&record, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

pub(super) fn event(format: &Format, record: Record) -> Json {
    serde_json::from_str(&line(format, record)).unwrap()
}
