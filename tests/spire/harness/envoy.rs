//! A real Envoy that takes its certificates and what it trusts from SPIRE agents.

use std::path::Path;

use serde_json::Value as Json;
use serde_json::json;

use super::super::super::harness::envoy::cluster;
use super::super::super::harness::envoy::envoy_address;
use super::super::super::harness::envoy::ext_authz;
use super::super::super::harness::merged;

/// A listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door {
    pub(crate) name: &'static str,
    pub(crate) transport: Transport,
    /// The [`Asker`] by whose connections it has its requests checked.
    pub(crate) asks_as: &'static str,
}

/// How clients come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// TLS with a client certificate that one of the trust domains vouches for, each for its own names.
    MutualTls,
    /// TLS with a client certificate that nobody has verified.
    Unverified,
    /// No TLS.
    Plaintext,
}

/// Connections to Countersign.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) name: &'static str,
    /// The agent and the SPIFFE ID of the client certificate. None: TLS without one.
    pub(crate) identity: Option<(&'static str, &'static str)>,
    /// Merged over the TLS context.
    pub(crate) tls: TlsVersions,
}

/// The versions of TLS that are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsVersions {
    /// As Envoy does it by itself.
    Usual,
    /// TLS 1.1, which nobody should speak any more.
    OnlyOneDotOne,
}

/// What Envoy is made of.
pub(crate) struct Proxy<'a> {
    /// Name and socket of each agent; the first gives the listeners' certificate.
    pub(crate) agents: &'a [(&'static str, &'a Path)],
    pub(crate) doors: &'a [Door],
    pub(crate) askers: &'a [Asker],
    /// Countersign's address.
    pub(crate) checks: &'a str,
    pub(crate) upstream: &'a str,
}

/// The proxy's own SPIFFE ID.
pub(crate) const GATEWAY: &str = "spiffe://prod.example/gateway";
/// Whom it expects behind `checks`.
pub(crate) const COUNTERSIGN: &str = "spiffe://prod.example/countersign";

/// What SPIRE's SDS calls the bundles of all trust domains, for Envoy's SPIFFE validator.
const ALL_BUNDLES: &str = "ALL";

impl Proxy<'_> {
    /// Envoy's configuration.
    pub(crate) fn bootstrap(&self) -> Json {
        let agents = self.agents.iter().map(|(name, socket)| agent_cluster(name, socket));
        let askers = self.askers.iter().map(|asker| self.checks_cluster(asker));
        let clusters: Vec<_> = agents.chain(askers).chain([cluster("accounts", &[self.upstream])]).collect();
        let listeners: Vec<_> = self.doors.iter().map(|door| self.listener(door)).collect();
        json!({
            "admin": {"address": envoy_address("127.0.0.1:0")},
            "static_resources": {"listeners": listeners, "clusters": clusters},
        })
    }

    fn listener(&self, door: &Door) -> Json {
        let mut chain = json!({"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager(door),
        }]});
        if door.transport != Transport::Plaintext {
            chain["transport_socket"] = self.downstream_tls(door.transport);
        }
        json!({"name": door.name, "address": envoy_address("127.0.0.1:0"), "filter_chains": [chain]})
    }

    fn downstream_tls(&self, transport: Transport) -> Json {
        let (agent, _) = self.agents[0];
        let validation = match transport {
            Transport::Unverified => {
                json!({"validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"}})
            }
            _ => json!({"validation_context_sds_secret_config": sds(ALL_BUNDLES, agent)}),
        };
        let certificate = json!({"tls_certificate_sds_secret_configs": [sds(GATEWAY, agent)]});
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "require_client_certificate": true,
                "common_tls_context": merged(certificate, &validation),
            },
        })
    }

    /// Connections end soon, so that new ones show the certificates of the moment.
    fn checks_cluster(&self, asker: &Asker) -> Json {
        merged(
            cluster(asker.name, &[self.checks]),
            &json!({
                "connect_timeout": "5s",
                "transport_socket": upstream_tls(asker, self.agents[0].0),
                "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http2_protocol_options": {}},
                    "common_http_protocol_options": {"max_connection_duration": "2s"},
                }},
            }),
        )
    }
}

fn upstream_tls(asker: &Asker, own_agent: &str) -> Json {
    let agent = asker.identity.map_or(own_agent, |(agent, _)| agent);
    let mut context = json!({
        "alpn_protocols": ["h2"],
        "combined_validation_context": {
            "default_validation_context": {
                "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": COUNTERSIGN}}],
            },
            "validation_context_sds_secret_config": sds(ALL_BUNDLES, agent),
        },
    });
    if let Some((agent, id)) = asker.identity {
        context["tls_certificate_sds_secret_configs"] = json!([sds(id, agent)]);
    }
    if asker.tls == TlsVersions::OnlyOneDotOne {
        context["tls_params"] =
            json!({"tls_minimum_protocol_version": "TLSv1_1", "tls_maximum_protocol_version": "TLSv1_1"});
    }
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": context,
        },
    })
}

/// A secret that the agent in the cluster of this name gives, and gives anew when it changes.
fn sds(secret: &str, agent: &str) -> Json {
    json!({
        "name": secret,
        "sds_config": {
            "resource_api_version": "V3",
            "api_config_source": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": agent}}],
            },
        },
    })
}

fn agent_cluster(name: &str, socket: &Path) -> Json {
    merged(
        cluster(name, &[&format!("unix://{}", socket.display())]),
        &json!({
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }},
        }),
    )
}

fn manager(door: &Door) -> Json {
    let filter = merged(
        ext_authz(),
        &json!({
            "status_on_error": {"code": "ServiceUnavailable"},
            "grpc_service": {"envoy_grpc": {"cluster_name": door.asks_as}},
        }),
    );
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": door.name,
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"uri": true, "cert": true, "chain": true},
        "use_remote_address": true,
        "route_config": {"virtual_hosts": [{
            "name": "accounts",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "accounts"}}],
        }]},
        "http_filters": [
            {"name": "envoy.filters.http.ext_authz", "typed_config": filter},
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            },
        ],
    })
}
