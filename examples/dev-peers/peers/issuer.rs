//! An identity provider as far as Countersign sees one: discovery and a JWK Set over HTTPS. Its keys rotate and its
//! answers fail on request.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use anyhow::Context;
use anyhow::Result;
use axum::Router;
use axum::extract::Path as PathParameter;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Json as JsonResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use axum::serve::Listener;
use clap::ValueEnum;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::server::TlsStream;

use super::token::SigningKey;

/// A running issuer, and the handle to play with it. It serves as long as the runtime that started it.
#[derive(Clone)]
pub(crate) struct Issuer(Arc<Shared>);

/// What becomes of the keys that the issuer had when it makes a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OldKeys {
    /// Still published: tokens signed by them go on being good.
    Keep,
    /// Gone, as after a compromise.
    Drop,
}

/// How the JWK Set is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Answer {
    /// As it should be.
    Keys,
    /// Status 500.
    Error,
    /// A page for people, status 200.
    Html,
    /// Nothing at all, for as long as the client waits.
    Silence,
}

struct Shared {
    dir: PathBuf,
    url: String,
    state: Mutex<IssuerState>,
}

struct IssuerState {
    /// The newest, which signs, comes last.
    keys: Vec<SigningKey>,
    answer: Answer,
    fetches: u64,
}

impl Issuer {
    /// Serves with the certificate and the signing key of `dir`.
    ///
    /// # Errors
    /// When a file is missing or the address is taken.
    pub(crate) async fn start(dir: &Path, listen: SocketAddr) -> Result<Self> {
        let listener = TlsListener {
            acceptor: TlsAcceptor::from(Arc::new(server_config(dir)?)),
            tcp: TcpListener::bind(listen).await.with_context(|| format!("cannot listen on `{listen}`"))?,
        };
        let issuer = Self(Arc::new(Shared {
            dir: dir.to_owned(),
            url: format!("https://{}", listener.tcp.local_addr()?),
            state: Mutex::new(IssuerState { keys: vec![SigningKey::read(dir)?], answer: Answer::Keys, fetches: 0 }),
        }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks.json", get(jwks))
            .route("/development/status", get(status))
            .route("/development/rotate/{old_keys}", post(rotate))
            .route("/development/answer/{answer}", post(answer))
            .with_state(issuer.clone());
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the issuer stopped");
            }
        });
        Ok(issuer)
    }

    /// Its identifier, `iss`, and where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    /// Signs with a new key from now on: [`SigningKey::read`] gives it.
    ///
    /// # Errors
    /// When the key cannot be made or written.
    pub(crate) fn rotate(&self, old_keys: OldKeys) -> Result<()> {
        let key = SigningKey::generate()?;
        key.write(&self.0.dir)?;
        let mut state = self.state();
        if old_keys == OldKeys::Drop {
            state.keys.clear();
        }
        state.keys.push(key);
        Ok(())
    }

    /// Answers for the JWK Set in this way from now on.
    pub(crate) fn set_answer(&self, answer: Answer) {
        self.state().answer = answer;
    }

    /// How often the JWK Set was asked for.
    pub(crate) fn fetches(&self) -> u64 {
        self.state().fetches
    }

    /// The state stays whole whatever panics, as each change is one assignment.
    fn state(&self) -> MutexGuard<'_, IssuerState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn discovery(State(issuer): State<Issuer>) -> Response {
    let url = issuer.url();
    JsonResponse(json!({
        "issuer": url,
        "jwks_uri": format!("{url}/jwks.json"),
        "id_token_signing_alg_values_supported": ["ES256"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
    }))
    .into_response()
}

async fn jwks(State(issuer): State<Issuer>) -> Response {
    let (answer, keys) = {
        let mut state = issuer.state();
        state.fetches = state.fetches.saturating_add(1);
        let keys: Vec<_> = state.keys.iter().map(SigningKey::public).cloned().collect();
        (state.answer, keys)
    };
    match answer {
        Answer::Keys => JsonResponse(json!({"keys": keys})).into_response(),
        Answer::Error => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Answer::Html => Html("<h1>Under maintenance</h1>").into_response(),
        Answer::Silence => std::future::pending().await,
    }
}

async fn status(State(issuer): State<Issuer>) -> Response {
    JsonResponse(json!({"issuer": issuer.url(), "fetches": issuer.fetches()})).into_response()
}

async fn rotate(State(issuer): State<Issuer>, PathParameter(old_keys): PathParameter<String>) -> Response {
    match OldKeys::from_str(&old_keys, true).map(|old_keys| issuer.rotate(old_keys)) {
        Ok(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
        Err(problem) => (StatusCode::BAD_REQUEST, format!("{problem}\n")).into_response(),
    }
}

async fn answer(State(issuer): State<Issuer>, PathParameter(answer): PathParameter<String>) -> Response {
    match Answer::from_str(&answer, true) {
        Ok(answer) => {
            issuer.set_answer(answer);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(problem) => (StatusCode::BAD_REQUEST, format!("{problem}\n")).into_response(),
    }
}

/// Accepts TLS connections one after the other: enough for the one client that an issuer has here.
struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = Listener::accept(&mut self.tcp).await;
            match self.acceptor.accept(stream).await {
                Ok(stream) => return (stream, peer),
                Err(error) => tracing::debug!(%error, "no TLS handshake"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

fn server_config(dir: &Path) -> Result<ServerConfig> {
    let (certificate, key) = (dir.join("issuer.pem"), dir.join("issuer.key"));
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect)
        .with_context(|| format!("cannot read `{}`", certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(&key).with_context(|| format!("cannot read `{}`", key.display()))?;
    Ok(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?)
}
