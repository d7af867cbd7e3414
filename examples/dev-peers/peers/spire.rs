//! SPIRE itself: trust domains, each with a server and an agent on this machine, which may be federated.
//!
//! Nodes attest by join token, workloads by the path of their program, so nothing here needs root. Keys are kept in
//! memory: what ends is gone.

mod config;
mod process;
mod workload;

use std::env;
use std::fs;
use std::net::IpAddr;
use std::net::SocketAddrV4;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use serde_json::Value as Json;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use self::config::Addresses;
use self::config::Files;
use self::process::Process;
pub(crate) use self::workload::Svid;
use super::certs::Authority;
use super::certs::Keyed;
use super::certs::Leaf;

/// How long a server or an agent may take to be ready: normally one second.
const PATIENCE: Duration = Duration::from_secs(30);

/// The installed programs.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    server: PathBuf,
    agent: PathBuf,
}

/// What a trust domain is made of.
pub(crate) struct Settings<'a> {
    /// Its name.
    pub(crate) trust_domain: &'a str,
    /// How long its certificates live.
    pub(crate) lives: Lives,
    /// How others fetch its bundle.
    pub(crate) endpoint: Endpoint<'a>,
    /// The root above the server, whose authority is then an intermediate. None: the server is its own root.
    pub(crate) root: Option<&'a Authority>,
}

/// How long certificates live, as SPIRE writes durations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lives {
    authority: &'static str,
    default_svid: &'static str,
    agent: &'static str,
}

/// How the bundle endpoint proves itself: SPIFFE Federation §5.
#[derive(Clone, Copy)]
pub(crate) enum Endpoint<'a> {
    /// By the server's own X509-SVID.
    HttpsSpiffe,
    /// By a certificate of the web's kind, which this authority signs.
    HttpsWeb(&'a Authority),
}

/// A registration: who may be whom.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The SPIFFE ID's path.
    pub(crate) path: &'static str,
    /// The program that may have it.
    pub(crate) program: PathBuf,
    /// The trust domains whose bundles it gets too.
    pub(crate) federates_with: Vec<String>,
    /// The life of its X509-SVIDs in seconds.
    pub(crate) x509_seconds: u32,
    /// The life of its JWT-SVIDs in seconds.
    pub(crate) jwt_seconds: u32,
    /// DNS names in its X509-SVIDs, for clients that look for one.
    pub(crate) dns_names: Vec<&'static str>,
}

/// A running trust domain.
pub(crate) struct TrustDomain {
    name: String,
    programs: Programs,
    proves_itself_by_svid: bool,
    addresses: Addresses,
    files: Files,
    server: Process,
    agent: Option<Process>,
}

impl Programs {
    /// Those that `SPIRE_SERVER` and `SPIRE_AGENT` name.
    ///
    /// # Errors
    /// When one is not named or not there.
    pub(crate) fn from_environment() -> Result<Self> {
        let program = |variable| {
            let path =
                env::var_os(variable).with_context(|| format!("`{variable}` is not set: the Makefile sets it"))?;
            fs::canonicalize(&path).with_context(|| format!("no `{}`", path.display()))
        };
        Ok(Self { server: program("SPIRE_SERVER")?, agent: program("SPIRE_AGENT")? })
    }

    /// The agent's program, which also is the workload that [`TrustDomain::x509_svids`] runs.
    pub(crate) fn agent(&self) -> &Path {
        &self.agent
    }
}

impl Lives {
    /// Minutes: nothing expires in a test, and authorities and SVIDs still change in a longer one.
    pub(crate) const ORDINARY: Self = Self { authority: "6m", default_svid: "1m", agent: "2m" };

    /// The shortest with which SPIRE can still renew its own certificates in time.
    pub(crate) const SHORT: Self = Self { authority: "60s", default_svid: "20s", agent: "30s" };
}

impl TrustDomain {
    /// Starts the server with its state in `dir`, an empty folder with a short path: sockets stand in it.
    ///
    /// # Errors
    /// When it cannot be started or does not become ready.
    pub(crate) async fn start(programs: &Programs, dir: &Path, settings: &Settings<'_>) -> Result<Self> {
        let (addresses, files) = (Addresses::free()?, Files(dir.to_owned()));
        if let Some(root) = settings.root {
            let root = Keyed { certificate: root.pem(), key: root.0.key().serialize_pem() };
            root.write(dir, "root")?;
        }
        if let Endpoint::HttpsWeb(authority) = settings.endpoint {
            let addresses = vec![IpAddr::V4(*addresses.bundle.ip())];
            authority.issue(&Leaf { addresses, ..Leaf::local_server() })?.write(dir, "web")?;
        }
        fs::write(files.server_config(), config::server(settings, &addresses, &files))?;
        fs::write(files.agent_config(), config::agent(settings.trust_domain, &addresses, &files))?;
        let mut command = Command::new(&programs.server);
        command.arg("run").arg("-config").arg(files.server_config()).current_dir(dir);
        let mut server = Process::start(&mut command, &dir.join("server.log"))?;
        until_ready(&mut server, addresses.server_health).await?;
        Ok(Self {
            name: settings.trust_domain.to_owned(),
            programs: programs.clone(),
            proves_itself_by_svid: matches!(settings.endpoint, Endpoint::HttpsSpiffe),
            addresses,
            files,
            server,
            agent: None,
        })
    }

    /// Starts the agent, or another one after [`Self::stop_agent`], on the same socket.
    ///
    /// # Errors
    /// When it cannot be started or does not become ready.
    pub(crate) async fn start_agent(&mut self) -> Result<()> {
        fs::write(self.files.bootstrap_bundle(), self.administer("bundle show", &[]).await?)?;
        let token = self.administer("token generate", &["-output", "json", "-spiffeID", &self.id("/node")]).await?;
        let token: Json = serde_json::from_str(&token)?;
        let token = token.get("value").and_then(Json::as_str).context("no join token in the server's answer")?;
        let mut command = Command::new(&self.programs.agent);
        command.arg("run").arg("-config").arg(self.files.agent_config()).args(["-joinToken", token]);
        let mut agent = Process::start(command.current_dir(&self.files.0), &self.files.0.join("agent.log"))?;
        until_ready(&mut agent, self.addresses.agent_health).await?;
        self.agent = Some(agent);
        Ok(())
    }

    /// Kills the agent.
    pub(crate) fn stop_agent(&mut self) {
        self.agent = None;
    }

    /// Registers workloads.
    ///
    /// # Errors
    /// When the server refuses one.
    pub(crate) async fn register(&self, entries: &[Entry]) -> Result<()> {
        let entries: Vec<Json> = entries.iter().map(|entry| self.registration(entry)).collect();
        let file = self.files.0.join("entries.json");
        fs::write(&file, json!({"entries": entries}).to_string())?;
        self.administer("entry create", &["-data", &file.display().to_string()]).await.map(drop)
    }

    fn registration(&self, entry: &Entry) -> Json {
        json!({
            "spiffe_id": self.id(entry.path),
            "parent_id": self.id("/node"),
            "selectors": [{"type": "unix", "value": format!("path:{}", entry.program.display())}],
            "federates_with": entry.federates_with,
            "x509_svid_ttl": entry.x509_seconds,
            "jwt_svid_ttl": entry.jwt_seconds,
            "dns_names": entry.dns_names,
        })
    }

    /// Trusts another domain, and keeps its bundle fresh from its endpoint.
    ///
    /// # Errors
    /// When a server refuses.
    pub(crate) async fn federate_with(&self, other: &Self) -> Result<()> {
        let file = self.files.0.join(format!("{}.json", other.name));
        fs::write(&file, other.bundle().await?)?;
        let (file, url, server) = (file.display().to_string(), other.endpoint_url(), other.id("/spire/server"));
        let mut arguments = vec!["-trustDomain", &other.name, "-bundleEndpointURL", &url];
        arguments.extend(["-trustDomainBundleFormat", "spiffe", "-trustDomainBundlePath", &file]);
        if other.proves_itself_by_svid {
            arguments.extend(["-bundleEndpointProfile", "https_spiffe", "-endpointSpiffeID", &server]);
        } else {
            arguments.extend(["-bundleEndpointProfile", "https_web"]);
        }
        self.administer("federation create", &arguments).await.map(drop)
    }

    /// Its bundle as the server has it now, in the format of SPIFFE Trust Domain and Bundle §4.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn bundle(&self) -> Result<String> {
        self.administer("bundle show", &["-format", "spiffe"]).await
    }

    /// Has a new key sign JWT-SVIDs from now on.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) async fn rotate_jwt_authority(&self) -> Result<()> {
        let prepared = self.prepared_authority("jwt").await?;
        self.administer("localauthority jwt activate", &["-authorityID", &prepared]).await.map(drop)
    }

    /// Has a new authority sign X509-SVIDs from now on, and gives the name of the old one, which is trusted still.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) async fn rotate_x509_authority(&self) -> Result<String> {
        let prepared = self.prepared_authority("x509").await?;
        let active = self.administer("localauthority x509 show", &["-output", "json"]).await?;
        self.administer("localauthority x509 activate", &["-authorityID", &prepared]).await?;
        authority_id(&active, "/active/authority_id")
    }

    /// Has the SVIDs of an old authority renewed.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) async fn taint_x509_authority(&self, authority: &str) -> Result<()> {
        self.administer("localauthority x509 taint", &["-authorityID", authority]).await.map(drop)
    }

    /// Takes a tainted authority out of the bundle.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) async fn revoke_x509_authority(&self, authority: &str) -> Result<()> {
        self.administer("localauthority x509 revoke", &["-authorityID", authority]).await.map(drop)
    }

    async fn prepared_authority(&self, kind: &str) -> Result<String> {
        let prepared = self.administer(&format!("localauthority {kind} prepare"), &["-output", "json"]).await?;
        authority_id(&prepared, "/prepared_authority/authority_id")
    }

    /// All X509-SVIDs of the agent's program.
    ///
    /// # Errors
    /// When the agent does not answer, or has none for it.
    pub(crate) async fn x509_svids(&self) -> Result<Vec<Svid>> {
        workload::x509_svids(&self.programs.agent, &self.workload_api()).await
    }

    /// The X509-SVID of the agent's program with this path, as soon as there is one.
    ///
    /// # Errors
    /// When there never is.
    pub(crate) async fn x509_svid(&self, path: &str) -> Result<Svid> {
        let (id, start) = (self.id(path), Instant::now());
        loop {
            let svids = self.x509_svids().await;
            let failed = svids.as_ref().err().map(ToString::to_string);
            if let Some(svid) = svids.into_iter().flatten().find(|svid| svid.id == id) {
                return Ok(svid);
            }
            if start.elapsed() > PATIENCE {
                bail!("no SVID for `{id}`: {}", failed.unwrap_or_default());
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// A JWT-SVID of the agent's program.
    ///
    /// # Errors
    /// When the agent does not answer, or does not let it be that.
    pub(crate) async fn jwt_svid(&self, path: &str, audience: &str) -> Result<String> {
        workload::jwt_svid(&self.programs.agent, &self.workload_api(), &self.id(path), audience).await
    }

    /// The SPIFFE ID with this path.
    pub(crate) fn id(&self, path: &str) -> String {
        format!("spiffe://{}{path}", self.name)
    }

    /// The socket of the agent's Workload API and SDS.
    pub(crate) fn workload_api(&self) -> PathBuf {
        self.files.agent_socket()
    }

    /// Where the bundle is published.
    pub(crate) fn endpoint_url(&self) -> String {
        format!("https://{}/", self.addresses.bundle)
    }

    /// The last lines of both logs.
    pub(crate) fn tail(&self) -> String {
        let agent = self.agent.as_ref().map(Process::tail).unwrap_or_default();
        format!("--- SPIRE server, {} ---\n{}\n--- agent ---\n{agent}", self.name, self.server.tail())
    }

    /// Runs a command of the server's: `entry create` and the like.
    async fn administer(&self, command: &str, arguments: &[&str]) -> Result<String> {
        let mut server = Command::new(&self.programs.server);
        server.args(command.split(' ')).arg("-socketPath").arg(self.files.server_socket()).args(arguments);
        process::output(server).await
    }
}

fn authority_id(answer: &str, pointer: &str) -> Result<String> {
    let answer: Json = serde_json::from_str(answer)?;
    let id = answer.pointer(pointer).and_then(Json::as_str);
    Ok(id.with_context(|| format!("no `{pointer}` in the server's answer: {answer}"))?.to_owned())
}

/// Waits until the health listener says that all is well.
async fn until_ready(process: &mut Process, health: SocketAddrV4) -> Result<()> {
    let start = Instant::now();
    while !is_ready(health).await {
        process.must_run()?;
        if start.elapsed() > PATIENCE {
            bail!("not ready after {PATIENCE:?}\n{}", process.tail());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn is_ready(health: SocketAddrV4) -> bool {
    let ask = async {
        let (mut stream, mut answer) = (TcpStream::connect(health).await?, String::new());
        stream.write_all(b"GET /ready HTTP/1.0\r\n\r\n").await?;
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    ask.await.is_ok_and(|answer| answer.starts_with("HTTP/1.0 200 "))
}
