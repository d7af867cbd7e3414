//! Keycloak: one for all tests of the process, as it takes half a minute to start, and a realm for each test.

use std::fs;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child as Process;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::super::super::harness::child::Child;
use super::super::super::harness::client::Call;
use super::super::super::harness::client::Client;
use super::super::super::harness::client::Reply;
use super::super::super::harness::eventually_within;
use super::super::super::harness::tool;
use super::super::super::peers::certs;
use super::super::super::peers::certs::Authority;
use super::super::super::peers::certs::Keyed;
use super::form;
use super::granted;
use super::introspection;
use super::issuer;
use super::keyed;
use super::proof::ProofKey;
use super::realm::ACCOUNTS;
use super::realm::SECRET;
use super::realm::representation;
use super::text;

/// How long Keycloak may take to be ready: half a minute on a quiet machine, more than a minute on a busy one.
const START_PATIENCE: Duration = Duration::from_mins(5);

/// The administrator of a Keycloak that ends with the tests, and the password of everybody in it.
const ADMIN: &str = "admin";
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Where tokens are asked for, in a realm.
const TOKEN_ENDPOINT: &str = "/protocol/openid-connect/token";

/// A running Keycloak.
pub(crate) struct Keycloak {
    // First, so that it is looked at before its folder goes.
    child: Child,
    _keeper: Keeper,
    address: SocketAddr,
    /// Signs the agents whose certificates Keycloak believes.
    pub(crate) mesh: Authority,
    dir: PathBuf,
}

/// A realm of it.
pub(crate) struct Realm {
    keycloak: &'static Keycloak,
    name: &'static str,
}

impl Keycloak {
    /// The one of this process.
    async fn shared() -> &'static Self {
        static SHARED: OnceCell<Keycloak> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    async fn start() -> Self {
        let dir = TempDir::new().unwrap().keep();
        let mesh = certs::write_all(&dir).unwrap();
        write_trust_store(&dir);
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = Child::start("keycloak", &mut command(address), &dir);
        let keycloak = Self { _keeper: Keeper::of(child.id(), &dir), child, address, mesh, dir };
        // Keycloak listens before its administrator is there.
        eventually_within(START_PATIENCE, "Keycloak's administrator", async || {
            keycloak.child.must_run();
            let asked = keycloak.client(&keycloak.planner()).try_send(&admin_login()).await.ok();
            asked.filter(|reply| reply.status == 200)
        })
        .await;
        keycloak
    }

    /// A client with this certificate.
    pub(crate) fn client(&self, identity: &Keyed) -> Client {
        Client::with_certificate(self.address, "127.0.0.1", &fs::read_to_string(self.web_ca()).unwrap(), identity)
    }

    /// The file of the authority whose agents Keycloak believes.
    pub(crate) fn mesh_ca(&self) -> PathBuf {
        self.dir.join("mesh-ca.pem")
    }

    fn web_ca(&self) -> PathBuf {
        self.dir.join("web-ca.pem")
    }

    fn planner(&self) -> Keyed {
        keyed(&self.dir, "planner")
    }

    /// Asks the admin API; the test fails when it refuses.
    async fn administer(&self, path: &str, body: &Json) -> Reply {
        let client = self.client(&self.planner());
        let login: Json = serde_json::from_str(&client.send(&admin_login()).await.text()).unwrap();
        let call = Call::new("POST", path).bearer(&text(&login, "access_token"));
        let reply = client.send(&call.body("application/json", body.to_string())).await;
        assert_eq!(reply.status, 201, "POST {path}: {}", reply.text());
        reply
    }
}

impl Realm {
    /// A realm of this name, which no other test has: alice may pay, bob may not.
    pub(crate) async fn new(name: &'static str) -> Self {
        let keycloak = Keycloak::shared().await;
        keycloak.administer("/admin/realms", &representation(name)).await;
        Self { keycloak, name }
    }

    /// The Keycloak it is in.
    pub(crate) const fn keycloak(&self) -> &'static Keycloak {
        self.keycloak
    }

    /// Its entry in Countersign's configuration, with these changes.
    pub(crate) fn issuer(&self, more: &Json) -> Json {
        issuer(&self.url(""), &self.keycloak.web_ca(), "RS256", more)
    }

    /// The address of one of its endpoints; its own is the issuer of its tokens.
    pub(crate) fn url(&self, endpoint: &str) -> String {
        format!("https://{}{}", self.keycloak.address, self.path(endpoint))
    }

    /// The path of one of its endpoints.
    pub(crate) fn path(&self, endpoint: &str) -> String {
        format!("/realms/{}{endpoint}", self.name)
    }

    /// A client whose certificate means nothing to the realm.
    pub(crate) fn browser(&self) -> Client {
        self.keycloak.client(&self.keycloak.planner())
    }

    /// What a user's password gets this client.
    pub(crate) async fn login(&self, client_id: &str, user: &str) -> Json {
        self.login_by(&self.browser(), client_id, user).await
    }

    /// The same, over a connection with another certificate.
    pub(crate) async fn login_by(&self, connection: &Client, client_id: &str, user: &str) -> Json {
        granted(connection, &self.password_grant(client_id, user)).await
    }

    /// The same, with a proof of the key that the tokens are to be bound to (RFC 9449 §5).
    pub(crate) async fn login_with(&self, key: &ProofKey, connection: &Client, client_id: &str, user: &str) -> Json {
        let proof = key.proof(&json!({"htm": "POST", "htu": self.url(TOKEN_ENDPOINT)}));
        granted(connection, &self.password_grant(client_id, user).header("dpop", proof)).await
    }

    fn password_grant(&self, client_id: &str, user: &str) -> Call {
        let fields = [
            ("grant_type", "password"),
            ("client_id", client_id),
            ("username", user),
            ("password", PASSWORD),
            ("scope", "openid"),
            // Keycloak looks at it only where the client has one.
            ("client_secret", SECRET),
        ];
        form(&self.host(), &self.path(TOKEN_ENDPOINT), &fields)
    }

    /// An access token for a user's password.
    pub(crate) async fn access_token(&self, client_id: &str, user: &str) -> String {
        text(&self.login(client_id, user).await, "access_token")
    }

    /// Revokes what this public client was given (RFC 7009).
    pub(crate) async fn revoke(&self, client_id: &str, token: &str) {
        let call = form(
            &self.host(),
            &self.path("/protocol/openid-connect/revoke"),
            &[("client_id", client_id), ("token", token)],
        );
        let reply = self.browser().send(&call).await;
        assert_eq!(reply.status, 200, "not revoked: {}", reply.text());
    }

    /// Ends the session that a login began.
    pub(crate) async fn log_out(&self, client_id: &str, login: &Json) {
        let fields = [("client_id", client_id), ("refresh_token", &text(login, "refresh_token"))];
        let reply =
            self.browser().send(&form(&self.host(), &self.path("/protocol/openid-connect/logout"), &fields)).await;
        assert_eq!(reply.status, 204, "not logged out: {}", reply.text());
    }

    /// Where a resource asks what has become of a token, with these changes (RFC 7662).
    pub(crate) fn introspection(&self, dir: &Path, more: &Json) -> Json {
        let url = self.url("/protocol/openid-connect/token/introspect");
        introspection(&url, (ACCOUNTS, SECRET), dir, &self.keycloak.web_ca(), more)
    }

    fn host(&self) -> String {
        self.keycloak.address.to_string()
    }

    /// The user's token for this audience that a client gets for one that is for itself (RFC 8693 §2.1).
    pub(crate) async fn exchanged(&self, client_id: &str, token: &str, audience: &str) -> String {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("client_id", client_id),
            ("client_secret", SECRET),
            ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", audience),
        ];
        let call = form(&self.host(), &self.path(TOKEN_ENDPOINT), &fields);
        text(&granted(&self.browser(), &call).await, "access_token")
    }

    /// Signs with a new key from now on, and goes on publishing the old one.
    pub(crate) async fn rotate(&self) {
        let component = json!({
            "name": "the next key",
            "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "parentId": self.name,
            // Above the 100 of the key that a realm begins with.
            "config": {"priority": ["200"], "active": ["true"], "enabled": ["true"]},
        });
        self.keycloak.administer(&format!("/admin/realms/{}/components", self.name), &component).await;
    }
}

/// Kills Keycloak's processes and removes its folder when this process ends, however it does: statics are never dropped.
struct Keeper(#[expect(dead_code, reason = "held for its standard input, which ends with it")] Process);

impl Keeper {
    /// Keeps a process group by the id of its first process.
    fn of(group: u32, dir: &Path) -> Self {
        let script = r#"read -r _; kill -s KILL -- "-$1"; rm -rf -- "$2""#;
        let mut command = Command::new("sh");
        command.args(["-c", script, "keeper", &group.to_string()]).arg(dir);
        // A group of its own, as an interrupt at the terminal is not for it; null, as nobody waits for its output's end.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

/// As `make tools` optimised it, on HTTPS alone, with its database in memory, for tests of seconds.
fn command(address: SocketAddr) -> Command {
    let mut command = Command::new(fs::canonicalize(tool("KEYCLOAK")).unwrap());
    command.args(["start", "--optimized", "--cache=local", "--http-enabled=false", "--http-host=127.0.0.1"]);
    command.arg(format!("--https-port={}", address.port())).arg(format!("--hostname=https://{address}"));
    command.args(["--https-certificate-file=issuer.pem", "--https-certificate-key-file=issuer.key"]);
    command.args(["--https-trust-store-file=trust.p12", &format!("--https-trust-store-password={PASSWORD}")]);
    command.envs([("KC_BOOTSTRAP_ADMIN_USERNAME", ADMIN), ("KC_BOOTSTRAP_ADMIN_PASSWORD", PASSWORD)]);
    command.env("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx384m");
    command.env("JAVA_OPTS_APPEND", "-XX:-UseG1GC -XX:+UseSerialGC -XX:TieredStopAtLevel=1");
    // The script waits for Java: both go at once.
    command.process_group(0);
    command
}

/// The authority of clients' certificates, in Java's form.
fn write_trust_store(dir: &Path) {
    let mut keytool = Command::new("keytool");
    keytool.current_dir(dir).args(["-importcert", "-noprompt", "-alias", "mesh", "-file", "mesh-ca.pem"]);
    keytool.args(["-keystore", "trust.p12", "-storetype", "PKCS12", "-storepass", PASSWORD]);
    let output = keytool.output().unwrap();
    assert!(output.status.success(), "keytool: {output:?}");
}

fn admin_login() -> Call {
    let fields = [("grant_type", "password"), ("client_id", "admin-cli"), ("username", ADMIN), ("password", PASSWORD)];
    form("localhost", "/realms/master/protocol/openid-connect/token", &fields)
}
