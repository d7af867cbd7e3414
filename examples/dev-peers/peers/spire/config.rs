//! The two programs' configuration files.

use std::net::Ipv4Addr;
use std::net::SocketAddrV4;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use anyhow::Result;

use super::Endpoint;
use super::Lives;
use super::Settings;

/// Where a domain's server and agent listen.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    /// For agents.
    pub(super) server: SocketAddrV4,
    /// The bundle endpoint.
    pub(super) bundle: SocketAddrV4,
    /// The server's readiness.
    pub(super) server_health: SocketAddrV4,
    /// The agent's readiness.
    pub(super) agent_health: SocketAddrV4,
}

impl Addresses {
    /// Free ports.
    ///
    /// SPIRE takes no port 0, so they are found before it starts. They are ports of a loopback address that nobody else
    /// is given in the meantime.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn free() -> Result<Self> {
        let address = own_loopback_address();
        let free = || {
            let port = TcpListener::bind((address, 0))?.local_addr()?.port();
            anyhow::Ok(SocketAddrV4::new(address, port))
        };
        Ok(Self { server: free()?, bundle: free()?, server_health: free()?, agent_health: free()? })
    }
}

/// One of 127.0.0.0/8, another one for each process and each call.
fn own_loopback_address() -> Ipv4Addr {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let number = process::id().wrapping_mul(64).wrapping_add(CALLS.fetch_add(1, Ordering::Relaxed));
    let [_, second, third, fourth] = number.to_be_bytes();
    Ipv4Addr::new(127, second, third, fourth)
}

/// What stands in a domain's folder.
#[derive(Debug, Clone)]
pub(super) struct Files(pub(super) PathBuf);

impl Files {
    /// `NAME` in the folder, as text for a configuration file.
    fn quoted(&self, name: &str) -> String {
        quoted(&self.0.join(name))
    }

    /// The socket of the server's administration.
    pub(super) fn server_socket(&self) -> PathBuf {
        self.0.join("server.sock")
    }

    /// The socket of the Workload API and of Envoy's SDS.
    pub(super) fn agent_socket(&self) -> PathBuf {
        self.0.join("agent.sock")
    }

    /// What the agent trusts its server by, PEM.
    pub(super) fn bootstrap_bundle(&self) -> PathBuf {
        self.0.join("bootstrap.pem")
    }

    /// The server's configuration.
    pub(super) fn server_config(&self) -> PathBuf {
        self.0.join("server.conf")
    }

    /// The agent's configuration.
    pub(super) fn agent_config(&self) -> PathBuf {
        self.0.join("agent.conf")
    }
}

fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

/// The server's configuration file.
///
/// It looks for new registration entries each second, and not each fifth, which is what the tests would wait for.
pub(super) fn server(settings: &Settings<'_>, addresses: &Addresses, files: &Files) -> String {
    let Settings { trust_domain, lives, endpoint, root } = settings;
    let Lives { authority, default_svid, agent } = lives;
    let Addresses { server, bundle, server_health, .. } = addresses;
    let (data, socket, database) =
        (files.quoted("server-data"), files.quoted("server.sock"), files.quoted("server-data/datastore.sqlite3"));
    let profile = match endpoint {
        Endpoint::HttpsSpiffe => "profile \"https_spiffe\" {}".to_owned(),
        Endpoint::HttpsWeb(_) => format!(
            "profile \"https_web\" {{ serving_cert_file {{ cert_file_path = {} key_file_path = {} file_sync_interval = \"1h\" }} }}",
            files.quoted("web.pem"),
            files.quoted("web.key")
        ),
    };
    let upstream = root.as_ref().map_or_else(String::new, |_| {
        format!(
            "UpstreamAuthority \"disk\" {{ plugin_data {{ cert_file_path = {} key_file_path = {} }} }}",
            files.quoted("root.pem"),
            files.quoted("root.key")
        )
    });
    format!(
        r#"server {{
  trust_domain = "{trust_domain}"
  bind_address = "{server_ip}"
  bind_port = {server_port}
  socket_path = {socket}
  data_dir = {data}
  ca_ttl = "{authority}"
  default_x509_svid_ttl = "{default_svid}"
  agent_ttl = "{agent}"
  experimental {{ cache_reload_interval = "1s" }}
  federation {{
    bundle_endpoint {{ address = "{bundle_ip}" port = {bundle_port} refresh_hint = "5s" {profile} }}
  }}
}}
plugins {{
  DataStore "sql" {{ plugin_data {{ database_type = "sqlite3" connection_string = {database} }} }}
  NodeAttestor "join_token" {{ plugin_data {{}} }}
  KeyManager "memory" {{ plugin_data {{}} }}
  {upstream}
}}
{health}"#,
        server_ip = server.ip(),
        server_port = server.port(),
        bundle_ip = bundle.ip(),
        bundle_port = bundle.port(),
        health = health_checks(*server_health),
    )
}

/// The agent's configuration file. It asks for changes each second, and does not hash the programs that it attests.
pub(super) fn agent(trust_domain: &str, addresses: &Addresses, files: &Files) -> String {
    format!(
        r#"agent {{
  trust_domain = "{trust_domain}"
  trust_bundle_path = {bootstrap}
  server_address = "{ip}"
  server_port = {port}
  socket_path = {socket}
  data_dir = {data}
  experimental {{ sync_interval = "1s" }}
}}
plugins {{
  NodeAttestor "join_token" {{ plugin_data {{}} }}
  KeyManager "memory" {{ plugin_data {{}} }}
  WorkloadAttestor "unix" {{ plugin_data {{ discover_workload_path = true workload_size_limit = -1 }} }}
}}
{health}"#,
        bootstrap = quoted(&files.bootstrap_bundle()),
        ip = addresses.server.ip(),
        port = addresses.server.port(),
        socket = quoted(&files.agent_socket()),
        data = files.quoted("agent-data"),
        health = health_checks(addresses.agent_health),
    )
}

fn health_checks(address: SocketAddrV4) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!("health_checks {{ listener_enabled = true bind_address = \"{ip}\" bind_port = {port} }}\n")
}
