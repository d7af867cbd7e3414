//! The two trust domains of `make demo SPIRE=1`, each a real SPIRE server with its agent.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;
use serde_json::Value as Json;
use serde_json::json;

use crate::peers::certs::Authority;
use crate::peers::certs::Leaf;
use crate::peers::certs::TRUST_DOMAIN;
use crate::peers::certs::agent_id;
use crate::peers::spire::Endpoint;
use crate::peers::spire::Entry;
use crate::peers::spire::Lives;
use crate::peers::spire::Programs;
use crate::peers::spire::Settings;
use crate::peers::spire::TrustDomain;

/// The domain that is federated with the demo's own.
const PARTNER: &str = "partner.example";

/// How long an X509-SVID lives: short enough to see one change.
const SVID_SECONDS: u32 = 20;

/// The programs that are workloads, besides SPIRE's own command line, which is the agents'.
#[derive(Debug, clap::Args)]
pub(crate) struct Workloads {
    /// Envoy's program.
    #[arg(long)]
    envoy: PathBuf,
    /// Countersign's program.
    #[arg(long)]
    countersign: PathBuf,
}

/// Both domains, as long as it is kept.
pub(crate) struct Domains {
    own: TrustDomain,
    partner: TrustDomain,
}

impl Domains {
    /// Starts and federates them, with everybody registered, and writes `forged.pem` and `forged.key`: the planner's
    /// name, signed by the partner's root.
    ///
    /// # Errors
    /// When a program cannot be started or refuses.
    pub(crate) async fn start(dir: &Path, workloads: &Workloads) -> Result<Self> {
        let (programs, root) = (Programs::from_environment()?, Authority::of(PARTNER, "the partner's root")?);
        let (mut own, mut partner) =
            tokio::try_join!(start(&programs, dir, TRUST_DOMAIN, None), start(&programs, dir, PARTNER, Some(&root)),)?;
        tokio::try_join!(own.federate_with(&partner), partner.federate_with(&own))?;
        let (envoy, countersign) = (found(&workloads.envoy)?, found(&workloads.countersign)?);
        let entries = [
            entry("/ns/agents/sa/planner", programs.agent(), PARTNER),
            entry("/ns/agents/sa/ledger", programs.agent(), PARTNER),
            entry("/ns/gateways/sa/envoy", &envoy, PARTNER),
            entry("/ns/gateways/sa/another", &envoy, PARTNER),
            entry("/ns/authorizers/sa/countersign", &countersign, PARTNER),
        ];
        let partners = [entry("/ns/agents/sa/seller", programs.agent(), TRUST_DOMAIN)];
        tokio::try_join!(own.register(&entries), partner.register(&partners))?;
        tokio::try_join!(own.start_agent(), partner.start_agent())?;
        let first = tokio::try_join!(own.x509_svid("/ns/agents/sa/planner"), partner.x509_svid("/ns/agents/sa/seller"));
        first.with_context(|| format!("{}\n{}", own.tail(), partner.tail()))?;
        root.issue(&Leaf::svid(&agent_id("planner")))?.write(dir, "forged")?;
        Ok(Self { own, partner })
    }

    /// Where the agents listen, by their trust domains.
    pub(crate) fn workload_apis(&self) -> Json {
        json!({TRUST_DOMAIN: self.own.workload_api(), PARTNER: self.partner.workload_api()})
    }
}

async fn start(programs: &Programs, dir: &Path, trust_domain: &str, root: Option<&Authority>) -> Result<TrustDomain> {
    let dir = dir.join(trust_domain);
    fs::create_dir(&dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    let settings = Settings { trust_domain, lives: Lives::SHORT, endpoint: Endpoint::HttpsSpiffe, root };
    TrustDomain::start(programs, &dir, &settings).await
}

fn entry(path: &'static str, program: &Path, federates_with: &str) -> Entry {
    Entry {
        path,
        program: program.to_owned(),
        federates_with: vec![federates_with.to_owned()],
        x509_seconds: SVID_SECONDS,
        jwt_seconds: SVID_SECONDS,
        // For clients that look for a name and not for a SPIFFE ID, as Python's.
        dns_names: vec!["localhost"],
    }
}

/// The program as `unix:path:` attests it.
fn found(program: &Path) -> Result<PathBuf> {
    fs::canonicalize(program).with_context(|| format!("no `{}`", program.display()))
}
