//! One introspection endpoint: how it is asked (RFC 7662 §2.1).

use serde_json::Map;
use serde_json::Value as Json;
use thiserror::Error;

use super::IntrospectionConfig;
use super::answer;
use super::answer::AnswerError;
use crate::fetch;
use crate::fetch::Client;
use crate::fetch::FetchError;
use crate::fetch::FetchLimits;
use crate::fetch::Url;
use crate::secret::Secret;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum AskError {
    /// Nothing came, or a refusal.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The secret or the root certificates cannot be used.
    #[error(transparent)]
    File(FetchError),
    /// The secret's file has nothing in it, or no text, or more than one line.
    #[error("the `client_secret_file` holds no single line of text")]
    Secret,
    /// The asking ended before its end.
    #[error("the question was lost")]
    Lost,
    /// What came is no answer.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl AskError {
    /// Whether it tells of trouble with asking, and not of the one token: a client can choose a token over which the endpoint
    /// stumbles, or what stands before it, and it must not be able to silence the endpoint for everybody by that.
    pub(super) fn is_of_any_token(&self) -> bool {
        match self {
            // The client is refused, there is too much, or nobody is behind the proxy.
            Self::Fetch(FetchError::Status(status)) => matches!(status.as_u16(), 401 | 429 | 502..=504),
            Self::Fetch(FetchError::TooLarge(_)) | Self::Answer(_) | Self::Lost => false,
            Self::Fetch(_) | Self::File(_) | Self::Secret => true,
        }
    }
}

/// The longest secret that is read: 4096 bits in base64 have 683 characters.
const MAX_SECRET_BYTES: usize = 4096;
/// Root certificates, a few of them.
const MAX_CA_BYTES: usize = 512 * 1024;

/// Where to ask, ready to be asked: connections are kept, and the secret is in memory.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    client: Client,
    url: Url,
    client_id: String,
    secret: Secret<String>,
}

impl Endpoint {
    /// Reads the secret and the root certificates.
    ///
    /// # Errors
    /// Where either cannot be used.
    pub(super) async fn open(config: &IntrospectionConfig) -> Result<Self, AskError> {
        let secret = fetch::read(&config.client_secret_file, MAX_SECRET_BYTES).await.map_err(AskError::File)?;
        let secret = String::from_utf8(secret).map_err(|_no_text| AskError::Secret)?;
        // Editors and `echo` end a file with a line's end, which is in no secret.
        let secret = secret.trim_end_matches(['\r', '\n']).to_owned();
        if secret.is_empty() || secret.contains(char::is_control) {
            return Err(AskError::Secret);
        }
        let client = fetch::web_client(config.ca_file.as_deref(), MAX_CA_BYTES).await.map_err(AskError::File)?;
        let url = fetch::https("`url`", &config.url)?;
        Ok(Self { client, url, client_id: config.client_id.clone(), secret: Secret::new(secret) })
    }

    /// Asks about one token: its claims, or `None` where it is not active.
    ///
    /// # Errors
    /// Where no answer comes within `limits`, or none that is understood.
    pub(super) async fn ask(
        &self,
        token: &Secret<String>,
        limits: FetchLimits,
    ) -> Result<Option<Map<String, Json>>, AskError> {
        let form = [("token", token.expose().as_str()), ("token_type_hint", "access_token")];
        let credentials = fetch::Basic { client_id: &self.client_id, secret: &self.secret };
        let post = || fetch::post_form(&self.client, self.url.clone(), &credentials, &form, limits.bytes);
        let asking = async {
            let body = match post().await {
                // A server may close a kept connection just when it is used again, and asking twice does no harm.
                Err(FetchError::Request(_)) => post().await?,
                answered => answered?,
            };
            Ok(answer::read(&body)?)
        };
        limits.within(asking).await
    }
}
