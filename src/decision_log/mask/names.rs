//! Which names stand before a secret.

/// A name that ends so, without case and punctuation, is a secret's: `access_token`, `Txn-Token`, `client_secret`,
/// `X-Api-Key`, `Set-Cookie`, `X-Amz-Signature`, `Workload-Identity-Token`, `X-SPIFFE-JWT-SVID`.
const SECRET_ENDS: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "assertion",
    "signature",
    "credential",
    "credentials",
    "apikey",
    "accesskey",
    "authorization",
    "cookie",
    "jwtsvid",
];

/// Names that are secret only as a whole. `code` is OAuth's authorization code; browsers that cannot set
/// `Authorization` put tokens into `Sec-WebSocket-Protocol`; certificates are no secrets, but name people.
const SECRET_NAMES: &[&str] = &[
    "clientcert",
    "clientcertchain",
    "code",
    "dpop",
    "pwd",
    "secwebsocketprotocol",
    "sid",
    "sig",
    "xforwardedclientcert",
];

/// Our own route settings: `countersign.token` holds `required`, not a token.
const OWN_PREFIX: &str = "countersign.";

/// The built-in names, and the operator's.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    pub(super) fn add(&mut self, name: &str) {
        self.0.push(fold(name));
    }

    /// Whether what stands behind this name is secret. `a[b]` is secret if `a` or `b` is.
    pub(super) fn is_secret(&self, name: &str) -> bool {
        !name.starts_with(OWN_PREFIX) && name.split(['[', ']']).any(|word| self.is_secret_word(word))
    }

    fn is_secret_word(&self, word: &str) -> bool {
        let word = fold(word);
        SECRET_ENDS.iter().any(|end| word.ends_with(end))
            || SECRET_NAMES.contains(&word.as_str())
            || (!word.is_empty() && self.0.contains(&word))
    }
}

/// Letters and digits alone, lower case: `Txn-Token`, `txn_token` and `txnToken` are one name.
fn fold(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k5_secrets_are_known_by_name() {
        let names = Names::default();
        for secret in [
            "authorization",
            "Proxy-Authorization",
            "cookie",
            "Set-Cookie",
            "DPoP",
            "Txn-Token",
            "x-forwarded-client-cert",
            "client_assertion",
            "subject_token",
            "actor_token",
            "Workload-Identity-Token",
            "workload-proof-token",
            "x-spiffe-jwt-svid",
            "access_token",
            "accessToken",
            "ACCESS-TOKEN",
            "id_token",
            "refresh_token",
            "client_secret",
            "code",
            "x-api-key",
            "access_token[]",
            "credentials[access_token]",
            "token[0]",
            " access_token ",
        ] {
            assert!(names.is_secret(secret), "{secret}");
        }
    }

    #[test]
    fn other_names_are_not() {
        let names = Names::default();
        for plain in ["", "accept", ":path", "subject_token_type", "x-request-id", "host", "key", "countersign.token"] {
            assert!(!names.is_secret(plain), "{plain}");
        }
    }

    #[test]
    fn the_operator_adds_names() {
        let mut names = Names::default();
        names.add("X-Tenant-Key");
        names.add("");
        assert!(names.is_secret("x_tenant_key"));
        assert!(!names.is_secret("tenant_key"));
        assert!(!names.is_secret(""));
    }
}
