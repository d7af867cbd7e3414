//! The secret by which replicas know one another's nonces (RFC 9449 §8).

use std::path::Path;

use aws_lc_rs::hmac;
use thiserror::Error;

use super::DpopConfig;
use crate::fetch;
use crate::fetch::FetchError;
use crate::problem::Problem;
use crate::secret::Secret;

/// As long as the HMAC's output: a shorter one would be the easier thing to guess (RFC 2104 §3).
const MIN_BYTES: usize = 32;
/// What is longer is not a secret but another file.
const MAX_BYTES: usize = 4096;
/// What the key is for, so that the same secret makes another key elsewhere.
const LABEL: &[u8] = b"countersign dpop nonce v1";

/// What stands in [`DpopConfig::nonce_secret_file`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NonceSecret(Secret<Vec<u8>>);

/// Why a file is not taken. Nothing of what it holds is in it.
#[derive(Debug, Error)]
enum FileError {
    #[error(transparent)]
    Read(#[from] FetchError),
    #[error("holds {0} bytes, and a secret has at least {MIN_BYTES}")]
    Short(usize),
}

impl NonceSecret {
    /// Reads the secret, where the configuration names a file for it and asks for nonces.
    ///
    /// # Errors
    /// A file that cannot be read, or is too short or too long.
    pub fn read(config: &DpopConfig) -> Result<Option<Self>, Vec<Problem>> {
        let Some(path) = config.nonce_secret_file.as_deref().filter(|_| config.nonce) else { return Ok(None) };
        Self::in_file(path).map(Some).map_err(|error| {
            let hint = "make one by `openssl rand -base64 32`, the same for all replicas";
            vec![Problem::error("dpop.nonce_secret_file", format!("`{}`: {error}", path.display())).hint(hint)]
        })
    }

    /// One newline at the end is the editor's, not the secret's.
    fn in_file(path: &Path) -> Result<Self, FileError> {
        let mut bytes = fetch::read_now(path, MAX_BYTES)?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if bytes.len() < MIN_BYTES { Err(FileError::Short(bytes.len())) } else { Ok(Self(Secret::new(bytes))) }
    }

    /// The key of nonces.
    pub(super) fn key(&self) -> hmac::Key {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose());
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, LABEL).as_ref())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    fn config(path: PathBuf, nonce: bool) -> DpopConfig {
        DpopConfig {
            targets: Vec::new(),
            max_age: Duration::from_mins(1),
            nonce,
            nonce_secret_file: Some(path),
            nonce_secret: None,
        }
    }

    fn read(content: &[u8]) -> Result<Option<NonceSecret>, Vec<Problem>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, content).unwrap();
        NonceSecret::read(&config(path, true))
    }

    fn secret(content: &[u8]) -> Vec<u8> {
        read(content).unwrap().unwrap().0.expose().clone()
    }

    #[test]
    fn l17_a_newline_at_the_end_is_no_part_of_the_secret() {
        let text = [b'a'; MIN_BYTES].as_slice();
        for end in ["", "\n", "\r\n"] {
            assert_eq!(secret(&[text, end.as_bytes()].concat()), text, "{end:?}");
        }
        assert_eq!(secret(&[text, b"\n\n"].concat()), [text, b"\n"].concat());
        assert_eq!(secret(&[text, b"\r"].concat()), [text, b"\r"].concat());
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(secret(&bytes), bytes, "it need not be text");
    }

    #[test]
    fn l17_k5_a_file_that_is_no_secret_is_told_without_what_it_holds() {
        for (content, told) in [
            (b"".to_vec(), "holds 0 bytes, and a secret has at least 32"),
            (b"c4n4ry".repeat(5), "holds 30 bytes"),
            ([b"c".repeat(31).as_slice(), b"\n"].concat(), "holds 31 bytes"),
            (b"c4n4ry".repeat(1000), "the document has more than 4096 bytes"),
        ] {
            let problems = read(&content).unwrap_err();
            let [problem] = problems.as_slice() else { panic!("{problems:?}") };
            assert_eq!((problem.path.as_str(), problem.is_error()), ("dpop.nonce_secret_file", true));
            assert!(problem.message.contains(told) && !problem.to_string().contains("c4n4ry"), "{problem}");
        }
        assert!(read(&[b'a'; MAX_BYTES]).is_ok());
        for path in ["/missing/secret", "/dev/zero", "/"] {
            assert!(NonceSecret::read(&config(path.into(), true)).is_err(), "{path}");
            assert_eq!(NonceSecret::read(&config(path.into(), false)).unwrap(), None, "{path}");
        }
    }

    #[test]
    fn k5_the_secret_does_not_print() {
        let secret = NonceSecret(Secret::new(b"c4n4ry".repeat(6)));
        assert_eq!(format!("{secret:?}"), "NonceSecret([secret])");
    }

    #[test]
    fn l17_the_key_is_not_the_secret_itself() {
        let secret = NonceSecret(Secret::new(vec![b'a'; MIN_BYTES]));
        let own = hmac::Key::new(hmac::HMAC_SHA256, secret.0.expose());
        assert_ne!(hmac::sign(&secret.key(), b"x").as_ref(), hmac::sign(&own, b"x").as_ref());
        assert_eq!(hmac::sign(&secret.key(), b"x").as_ref(), hmac::sign(&secret.clone().key(), b"x").as_ref());
    }
}
