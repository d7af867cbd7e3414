//! Throw-away certificate authorities and the leaves they sign, with the profile of X509-SVID §4 and §5.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use anyhow::Result;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::SanType;
use time::Duration;
use time::OffsetDateTime;

use super::token::SigningKey;

/// The trust domain of everything in the demo and the end-to-end tests.
pub(crate) const TRUST_DOMAIN: &str = "demo.example";

/// The SPIFFE ID of an agent of the demo.
pub(crate) fn agent_id(name: &str) -> String {
    format!("spiffe://{TRUST_DOMAIN}/ns/agents/sa/{name}")
}

/// The SPIFFE ID of the proxy: what stands as `By` in the header it forwards.
pub(crate) fn proxy_id() -> String {
    format!("spiffe://{TRUST_DOMAIN}/ns/gateways/sa/envoy")
}

/// The SPIFFE ID of Countersign, where it serves over TLS.
pub(crate) fn authorizer_id() -> String {
    format!("spiffe://{TRUST_DOMAIN}/ns/security/sa/countersign")
}

/// Countersign's own leaf: an X509-SVID that a client which knows no SPIFFE takes for a server on this machine.
pub(crate) fn authorizer() -> Leaf {
    Leaf { uris: vec![authorizer_id()], ..Leaf::local_server() }
}

/// A certificate authority that lives as long as the process.
pub(crate) struct Authority(pub(super) CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, both PEM.
#[derive(Debug, Clone)]
pub(crate) struct Keyed {
    /// The leaf, then intermediates where there are any. The authorities here are roots, those of SPIRE may not be.
    pub(crate) certificate: String,
    /// PKCS #8.
    pub(crate) key: String,
}

/// What a leaf says. The default is valid now, for an hour, for client and server.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    /// URI SANs: one in a real SVID.
    pub(crate) uris: Vec<String>,
    /// DNS SANs, any ASCII text.
    pub(crate) dns: Vec<String>,
    /// IP address SANs.
    pub(crate) addresses: Vec<IpAddr>,
    /// Subject's common name; none leaves the subject empty, and so the SAN critical.
    pub(crate) common_name: Option<String>,
    /// Key usages, always marked critical.
    pub(crate) key_usages: Vec<KeyUsagePurpose>,
    /// Start of validity, from now.
    pub(crate) begins_in: Duration,
    /// End of validity, from now.
    pub(crate) ends_in: Duration,
}

impl Default for Leaf {
    fn default() -> Self {
        Self {
            uris: Vec::new(),
            dns: Vec::new(),
            addresses: Vec::new(),
            common_name: None,
            key_usages: vec![KeyUsagePurpose::DigitalSignature],
            begins_in: Duration::minutes(-5),
            ends_in: Duration::hours(1),
        }
    }
}

impl Leaf {
    /// An agent's X509-SVID.
    pub(crate) fn svid(spiffe_id: &str) -> Self {
        Self { uris: vec![spiffe_id.to_owned()], ..Self::default() }
    }

    /// A server on this machine.
    pub(crate) fn local_server() -> Self {
        Self {
            dns: vec!["localhost".to_owned()],
            addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            common_name: Some("localhost".to_owned()),
            ..Self::default()
        }
    }
}

impl Authority {
    /// A new self-signed authority of the demo's trust domain.
    ///
    /// # Errors
    /// When the library can make no key or certificate.
    pub(crate) fn new(common_name: &str) -> Result<Self> {
        Self::of(TRUST_DOMAIN, common_name)
    }

    /// A new self-signed authority of this trust domain.
    ///
    /// # Errors
    /// When the library can make no key or certificate.
    pub(crate) fn of(trust_domain: &str, common_name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(Some(common_name));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![SanType::URI(format!("spiffe://{trust_domain}").try_into()?)];
        set_validity(&mut params, Duration::minutes(-5), Duration::days(1));
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// The authority's own certificate: what others trust.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Signs a leaf with a key of its own.
    ///
    /// # Errors
    /// When a name is no ASCII, or the library cannot sign.
    pub(crate) fn issue(&self, leaf: &Leaf) -> Result<Keyed> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(leaf.common_name.as_deref());
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages.clone_from(&leaf.key_usages);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        for uri in &leaf.uris {
            params.subject_alt_names.push(SanType::URI(uri.as_str().try_into()?));
        }
        for name in &leaf.dns {
            params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
        }
        params.subject_alt_names.extend(leaf.addresses.iter().copied().map(SanType::IpAddress));
        set_validity(&mut params, leaf.begins_in, leaf.ends_in);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Keyed { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// Fills `dir` with all that the demo and the tests need, and gives back the mesh's authority, to sign more:
///
/// | file | what |
/// |---|---|
/// | `mesh-ca.pem` | the SPIFFE authority of the trust domain |
/// | `rogue-ca.pem` | an authority that nobody trusts |
/// | `web-ca.pem` | the authority of the issuer's HTTPS certificate |
/// | `planner`, `ledger` `.pem`, `.key` | two agents' X509-SVIDs |
/// | `stranger.pem`, `.key` | the planner's name, signed by the rogue authority |
/// | `envoy.pem`, `.key` | the proxy's certificate |
/// | `countersign.pem`, `.key` | the authorizer's X509-SVID |
/// | `issuer.pem`, `.key` | the issuer's HTTPS certificate |
/// | `issuer-signing.key` | the key that signs tokens |
///
/// # Errors
/// When a certificate cannot be made or a file not be written.
pub(crate) fn write_all(dir: &Path) -> Result<Authority> {
    let (mesh, rogue, web) = (Authority::new("mesh")?, Authority::new("rogue")?, Authority::new("web")?);
    for (name, authority) in [("mesh-ca", &mesh), ("rogue-ca", &rogue), ("web-ca", &web)] {
        write_private(&dir.join(format!("{name}.pem")), &authority.pem())?;
    }
    let envoy = Leaf { uris: vec![proxy_id()], ..Leaf::local_server() };
    let authorizer = authorizer();
    for (name, authority, leaf) in [
        ("planner", &mesh, Leaf::svid(&agent_id("planner"))),
        ("ledger", &mesh, Leaf::svid(&agent_id("ledger"))),
        ("stranger", &rogue, Leaf::svid(&agent_id("planner"))),
        ("envoy", &mesh, envoy),
        ("countersign", &mesh, authorizer),
        ("issuer", &web, Leaf::local_server()),
    ] {
        authority.issue(&leaf)?.write(dir, name)?;
    }
    SigningKey::generate()?.write(dir)?;
    Ok(mesh)
}

impl Keyed {
    /// Writes `NAME.pem` and `NAME.key`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn write(&self, dir: &Path, name: &str) -> Result<()> {
        write_private(&dir.join(format!("{name}.pem")), &self.certificate)?;
        write_private(&dir.join(format!("{name}.key")), &self.key)
    }
}

/// Writes a file that only its owner reads.
pub(super) fn write_private(path: &Path, text: &str) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

fn subject(common_name: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(common_name) = common_name {
        name.push(DnType::CommonName, common_name);
    }
    name
}

fn set_validity(params: &mut CertificateParams, begins_in: Duration, ends_in: Duration) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now.saturating_add(begins_in);
    params.not_after = now.saturating_add(ends_in);
}
