//! A real Envoy in front of the upstream, set up as it should be unless a test says otherwise.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value as Json;
use serde_json::json;

use super::super::peers::certs::authorizer_id;
use super::child::Child;
use super::client::Call;
use super::client::Client;
use super::eventually;
use super::merged;
use super::tool;

/// What a test wants different from the rule.
#[derive(Default)]
pub(crate) struct EnvoySetup {
    /// How clients come in.
    pub(crate) transport: Transport,
    /// Whether Countersign is asked over mutual TLS.
    pub(crate) checks_over_tls: bool,
    /// Merged over the HTTP connection manager.
    pub(crate) manager: Json,
    /// Merged over the `ext_authz` filter.
    pub(crate) filter: Json,
    /// Path prefix → the route's `context_extensions`; all other paths have none.
    pub(crate) routes: Vec<(&'static str, Json)>,
}

/// How clients come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Transport {
    /// TLS with a valid client certificate.
    #[default]
    MutualTls,
    /// TLS with a client certificate that may have expired.
    ExpiredToo,
    /// TLS with any client certificate at all, which nobody verifies.
    Unverified,
    /// No TLS.
    Plaintext,
}

/// A running Envoy.
pub(crate) struct Envoy {
    child: Child,
    admin: Client,
    listeners: HashMap<String, SocketAddr>,
    access_log: PathBuf,
}

impl Envoy {
    /// Starts it before an upstream, with Countersigns to ask.
    pub(crate) async fn start(dir: &Path, setup: &EnvoySetup, checks: &[&str], upstream: &str) -> Self {
        Self::run(dir, &bootstrap(setup, checks, upstream)).await
    }

    /// Starts it with this configuration, and waits until it is live.
    pub(crate) async fn run(dir: &Path, bootstrap: &Json) -> Self {
        let config = dir.join("envoy.json");
        fs::write(&config, bootstrap.to_string()).unwrap();
        let mut command = Command::new(tool("ENVOY"));
        command.arg("-c").arg(&config);
        command.args(["--admin-address-path", "envoy.admin", "--use-dynamic-base-id", "--concurrency", "2"]);
        command.args(["--log-level", "warning", "--file-flush-interval-msec", "50"]);
        // Whoever gives it secrets wants to know its name.
        command.args(["--service-node", "test", "--service-cluster", "test"]);
        let child = Child::start("envoy", &mut command, dir);
        let (admin, listeners) = eventually("Envoy", async || {
            child.must_run();
            listening(&dir.join("envoy.admin")).await
        })
        .await;
        Self { child, admin, listeners, access_log: dir.join("access.log") }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener("inbound")
    }

    /// Where clients of the listener with this name connect.
    pub(crate) fn listener(&self, name: &str) -> SocketAddr {
        self.listeners[name]
    }

    /// A counter, by its full name.
    pub(crate) async fn counter(&self, name: &str) -> u64 {
        let statistics = self.admin.send(&Call::get(&format!("/stats?filter=^{name}$"))).await.text();
        statistics.trim_end().rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// The dynamic metadata that `ext_authz` left for the request with this path.
    pub(crate) async fn metadata(&self, target: &str) -> Json {
        self.child.must_run();
        eventually("the access log's line", async || {
            let log = fs::read_to_string(&self.access_log).unwrap_or_default();
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
            lines.find(|line| line["target"] == target).map(|line| line["metadata"].clone())
        })
        .await
    }
}

/// The admin side and the listeners' addresses, once Envoy is live.
async fn listening(admin_file: &Path) -> Option<(Client, HashMap<String, SocketAddr>)> {
    let admin = Client::plaintext(fs::read_to_string(admin_file).ok()?.parse().ok()?);
    if admin.try_send(&Call::get("/ready")).await.ok()?.status != 200 {
        return None;
    }
    let listeners = admin.try_send(&Call::get("/listeners")).await.ok()?.text();
    let listener = |line: &str| {
        let (name, address) = line.split_once("::")?;
        Some((name.to_owned(), address.parse().ok()?))
    };
    Some((admin, listeners.lines().map(listener).collect::<Option<_>>()?))
}

fn bootstrap(setup: &EnvoySetup, checks: &[&str], upstream: &str) -> Json {
    let mut chain = json!({"filters": [{
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": merged(manager(setup), &setup.manager),
    }]});
    if setup.transport != Transport::Plaintext {
        chain["transport_socket"] = mutual_tls(setup.transport);
    }
    json!({
        "admin": {"address": envoy_address("127.0.0.1:0")},
        "static_resources": {
            "listeners": [{
                "name": "inbound",
                "address": envoy_address("127.0.0.1:0"),
                "filter_chains": [chain],
            }],
            "clusters": [countersign_cluster(checks, setup.checks_over_tls), cluster("accounts", &[upstream])],
        },
    })
}

fn mutual_tls(transport: Transport) -> Json {
    let chain_verification = if transport == Transport::Unverified { "ACCEPT_UNTRUSTED" } else { "VERIFY_TRUST_CHAIN" };
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": true,
            "common_tls_context": {
                "tls_certificates": [own_certificate()],
                "validation_context": {
                    "trusted_ca": {"filename": "mesh-ca.pem"},
                    "allow_expired_certificate": transport == Transport::ExpiredToo,
                    "trust_chain_verification": chain_verification,
                },
            },
        },
    })
}

fn own_certificate() -> Json {
    json!({"certificate_chain": {"filename": "envoy.pem"}, "private_key": {"filename": "envoy.key"}})
}

/// The proxy proves itself to Countersign, and asks nobody else.
fn upstream_tls() -> Json {
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": {
                "tls_certificates": [own_certificate()],
                "validation_context": {
                    "trusted_ca": {"filename": "mesh-ca.pem"},
                    "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": authorizer_id()}}],
                },
            },
        },
    })
}

fn manager(setup: &EnvoySetup) -> Json {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "inbound",
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"uri": true, "cert": true, "dns": true, "subject": true},
        "use_remote_address": true,
        "route_config": {"virtual_hosts": [{"name": "accounts", "domains": ["*"], "routes": routes(setup)}]},
        "access_log": [{
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": "access.log",
                "log_format": {"json_format": {
                    "target": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
                    "status": "%RESPONSE_CODE%",
                    "metadata": "%DYNAMIC_METADATA(envoy.filters.http.ext_authz)%",
                }},
            },
        }],
        "http_filters": [
            {"name": "envoy.filters.http.ext_authz", "typed_config": merged(ext_authz(), &setup.filter)},
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            },
        ],
    })
}

/// The `ext_authz` filter as it should be.
pub(crate) fn ext_authz() -> Json {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "failure_mode_allow": false,
        "validate_mutations": true,
        "include_peer_certificate": true,
        "encode_raw_headers": true,
        "with_request_body": {"max_request_bytes": 65_536, "allow_partial_message": false, "pack_as_bytes": true},
        // As in the harness: an unoptimised build on a busy machine.
        "grpc_service": {"envoy_grpc": {"cluster_name": "countersign"}, "timeout": "5s"},
    })
}

fn routes(setup: &EnvoySetup) -> Vec<Json> {
    let special = setup.routes.iter().map(|(prefix, extensions)| {
        json!({
            "match": {"prefix": prefix},
            "route": {"cluster": "accounts"},
            "typed_per_filter_config": {"envoy.filters.http.ext_authz": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
                "check_settings": {"context_extensions": extensions},
            }},
        })
    });
    let rest = json!({"match": {"prefix": "/"}, "route": {"cluster": "accounts"}});
    special.chain([rest]).collect()
}

/// Checked for health much more often than the `drain_delay` of the tests.
fn countersign_cluster(checks: &[&str], tls: bool) -> Json {
    let socket = if tls { json!({"transport_socket": upstream_tls()}) } else { Json::Null };
    merged(
        merged(cluster("countersign", checks), &socket),
        &json!({
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }},
            "health_checks": [{
                "timeout": "1s",
                "interval": "0.1s",
                "no_traffic_interval": "0.1s",
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                "grpc_health_check": {},
            }],
        }),
    )
}

/// A cluster of fixed addresses.
pub(crate) fn cluster(name: &str, addresses: &[&str]) -> Json {
    let endpoint = |address: &&str| json!({"endpoint": {"address": envoy_address(address)}});
    json!({
        "name": name,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": addresses.iter().map(endpoint).collect::<Vec<_>>()}],
        },
    })
}

/// An address as Countersign's configuration writes it, as Envoy's has it.
pub(crate) fn envoy_address(address: &str) -> Json {
    if let Some(path) = address.strip_prefix("unix://") {
        return json!({"pipe": {"path": path}});
    }
    let address: SocketAddr = address.parse().unwrap();
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}
