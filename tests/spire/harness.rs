//! What a test starts besides Countersign: SPIRE for two trust domains, and an Envoy with certificates of theirs.

pub(super) mod endpoint;
pub(super) mod envoy;

use std::env;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value as Json;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

use self::envoy::Asker;
use self::envoy::Door;
use self::envoy::Proxy;
use self::envoy::TlsVersions;
use self::envoy::Transport;
use super::super::harness::client::Client;
use super::super::harness::envoy::Envoy;
use super::super::harness::merged;
use super::super::harness::server::Server;
use super::super::harness::tool;
use super::super::harness::write_policy;
use super::super::peers::certs::Authority;
use super::super::peers::certs::Keyed;
use super::super::peers::spire::Endpoint;
use super::super::peers::spire::Entry;
use super::super::peers::spire::Lives;
use super::super::peers::spire::Programs;
use super::super::peers::spire::Settings;
use super::super::peers::spire::TrustDomain;
use super::super::peers::upstream;

/// How long the certificates of a test live.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetimes {
    pub(super) spire: Lives,
    pub(super) x509_seconds: u32,
    pub(super) jwt_seconds: u32,
}

impl Lifetimes {
    /// Longer than a test.
    pub(super) const ORDINARY: Self = Self { spire: Lives::ORDINARY, x509_seconds: 60, jwt_seconds: 60 };
    /// So that all of them change while a test looks on.
    pub(super) const SECONDS: Self = Self { spire: Lives::SHORT, x509_seconds: 10, jwt_seconds: 10 };
}

/// The listener as it should be.
pub(super) const MESH: Door = Door { name: "mesh", transport: Transport::MutualTls, asks_as: "gateway" };
/// A listener that lets everybody in who has any certificate.
pub(super) const UNVERIFIED: Door = Door { name: "unverified", transport: Transport::Unverified, asks_as: "gateway" };
/// A listener without TLS.
pub(super) const PLAINTEXT: Door = Door { name: "plaintext", transport: Transport::Plaintext, asks_as: "gateway" };

/// Envoy's names for the agents.
pub(super) const PROD_AGENT: &str = "agent of prod.example";
pub(super) const PARTNER_AGENT: &str = "agent of partner.example";

/// The proxy that may ask Countersign.
const GATEWAY: Asker = Asker { name: "gateway", identity: Some((PROD_AGENT, envoy::GATEWAY)), tls: TlsVersions::Usual };

/// The DNS name in the certificates of proxies and of Countersign.
pub(super) const SERVER_NAME: &str = "localhost";

/// Countersign's policy: each of three workloads has a right of its own, whatever proves it.
const POLICY: &str = r#"package envoy.authz

default allow := false

allow if {
	input.caller.spiffe_id == "spiffe://prod.example/planner"
	input.http.method == "GET"
}

allow if {
	input.caller.trust_domain == "partner.example"
	input.caller.segments == ["seller"]
	input.http.segments[0] == "offers"
}
"#;

/// prod.example, where Countersign and Envoy are, and partner.example, which it is federated with. The server of the
/// latter is an intermediate authority below a root of its own, so its SVIDs are chains.
pub(super) struct Domains {
    pub(super) prod: TrustDomain,
    pub(super) partner: TrustDomain,
    pub(super) partner_root: Authority,
    // Last, so that the folder goes after those who write to it.
    dir: TempDir,
}

impl Domains {
    /// Starts and federates both, and registers everybody.
    pub(super) async fn start(lifetimes: Lifetimes) -> Self {
        Self::start_with(lifetimes, Endpoint::HttpsSpiffe).await
    }

    /// The same, with another bundle endpoint of partner.example.
    pub(super) async fn start_with(lifetimes: Lifetimes, endpoint: Endpoint<'_>) -> Self {
        let (programs, dir) = (Programs::from_environment().unwrap(), TempDir::new().unwrap());
        let partner_root = Authority::of("partner.example", "the partner's root").unwrap();
        let start = |trust_domain: &'static str, root, endpoint| {
            let (programs, dir) = (&programs, dir.path().join(trust_domain));
            fs::create_dir(&dir).unwrap();
            async move {
                let settings = Settings { trust_domain, lives: lifetimes.spire, endpoint, root };
                TrustDomain::start(programs, &dir, &settings).await.unwrap()
            }
        };
        let (mut prod, mut partner) = tokio::join!(
            start("prod.example", None, Endpoint::HttpsSpiffe),
            start("partner.example", Some(&partner_root), endpoint)
        );
        tokio::try_join!(prod.federate_with(&partner), partner.federate_with(&prod)).unwrap();
        let (envoy, helper) = (program(tool("ENVOY")), program(tool("SPIFFE_HELPER")));
        let countersign = program(env!("CARGO_BIN_EXE_countersign"));
        let entry = |path, program: &Path, federates_with: &str| Entry {
            path,
            program: program.to_owned(),
            federates_with: vec![federates_with.to_owned()],
            x509_seconds: lifetimes.x509_seconds,
            jwt_seconds: lifetimes.jwt_seconds,
            // For the tests' clients, which look for a name and not for a SPIFFE ID.
            dns_names: if program == programs.agent() { Vec::new() } else { vec![SERVER_NAME] },
        };
        let in_prod = |path, program| entry(path, program, "partner.example");
        let in_partner = |path, program| entry(path, program, "prod.example");
        let agents_of_prod = [
            in_prod("/planner", programs.agent()),
            in_prod("/ledger", programs.agent()),
            in_prod("/gateway", &envoy),
            in_prod("/another-gateway", &envoy),
            in_prod("/countersign", &countersign),
            in_prod("/countersign", &helper),
        ];
        let agents_of_partner = [in_partner("/seller", programs.agent()), in_partner("/gateway", &envoy)];
        tokio::try_join!(prod.register(&agents_of_prod), partner.register(&agents_of_partner)).unwrap();
        tokio::try_join!(prod.start_agent(), partner.start_agent()).unwrap();
        tokio::try_join!(prod.x509_svid("/planner"), partner.x509_svid("/seller")).unwrap();
        Self { prod, partner, partner_root, dir }
    }

    /// The folder of everything else that the test starts.
    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A Countersign that is what the agent says and proves callers by what the agent trusts, with these changes.
    pub(super) async fn countersign(&self, number: usize, settings: &Json) -> Server {
        let spiffe = json!({"workload_api": self.workload_api(), "svid_id": envoy::COUNTERSIGN});
        self.countersign_by(number, &spiffe, settings).await
    }

    /// The same, with identity and trust from where `spiffe` says.
    pub(super) async fn countersign_by(&self, number: usize, spiffe: &Json, settings: &Json) -> Server {
        write_policy(&self.dir().join("policy"), POLICY, &json!({}));
        let base = json!({
            // Much more time than in production: the tests run an unoptimised build on a busy machine.
            "policy": {"paths": ["policy"], "time_limit": "1s"},
            "routes": {"token": "off"},
            "caller": {"principal": true, "certificate": true, "xfcc": "sanitize_set", "verify_peer_certificate": true},
            "listeners": {
                "workers": 2,
                "drain_delay": "0s",
                "tls": {"enabled": true, "allowed_proxies": [envoy::GATEWAY]},
            },
            "spiffe": spiffe,
        });
        let server = Server::start(self.dir(), number, &merged(base, settings)).await;
        server.ready().await;
        server
    }

    /// The agent of prod.example, as a configuration writes its address.
    pub(super) fn workload_api(&self) -> String {
        format!("unix://{}", self.prod.workload_api().display())
    }

    /// A client of one of Envoy's listeners with this certificate.
    pub(super) async fn client(&self, envoy: &Envoy, door: &Door, identity: &Keyed) -> Client {
        let trusted = self.prod.x509_svid("/planner").await.unwrap().bundle;
        Client::with_certificate(envoy.listener(door.name), SERVER_NAME, &trusted, identity)
    }

    /// Envoy with these listeners, the connections of the gateway to Countersign and these.
    pub(super) async fn envoy(&self, doors: &[Door], more_askers: &[Asker], checks: &str) -> Envoy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap().to_string();
        upstream::start(listener);
        let (prod, partner) = (self.prod.workload_api(), self.partner.workload_api());
        let askers: Vec<_> = [GATEWAY].iter().chain(more_askers).copied().collect();
        let proxy = Proxy {
            agents: &[(PROD_AGENT, &prod), (PARTNER_AGENT, &partner)],
            doors,
            askers: &askers,
            checks,
            upstream: &upstream,
        };
        Envoy::run(self.dir.path(), &proxy.bootstrap()).await
    }
}

/// The sum of a metric's series with these labels, which is a whole number.
pub(super) async fn metric(server: &Server, name: &str, labels: &[&str]) -> i64 {
    server.metric(name, labels).await.to_string().parse().unwrap()
}

fn program(path: impl AsRef<Path>) -> PathBuf {
    fs::canonicalize(path).unwrap()
}

impl Drop for Domains {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}\n{}", self.prod.tail(), self.partner.tail());
        }
    }
}
