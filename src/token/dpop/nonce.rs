//! Nonces that need no memory (RFC 9449 §8): each is the HMAC of the number of a stretch of time.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::secret::NonceSecret;
use crate::clock::UnixTime;

/// Makes nonces, and knows those of its key.
#[derive(Debug)]
pub(super) struct Nonces {
    /// `None` where the machine gave no randomness: no nonce is good then.
    key: Option<hmac::Key>,
}

impl Nonces {
    /// With a random key, which this process alone has.
    pub(super) fn new() -> Self {
        let random = aws_lc_rs::rand::SystemRandom::new();
        Self { key: hmac::Key::generate(hmac::HMAC_SHA256, &random).ok() }
    }

    /// With the key that all derive who have the secret.
    pub(super) fn shared(secret: &NonceSecret) -> Self {
        Self { key: Some(secret.key()) }
    }

    /// The nonce of the stretch of `seconds` that `now` is in.
    pub(super) fn current(&self, seconds: i64, now: UnixTime) -> String {
        self.of(stretch(seconds, now)).unwrap_or_default()
    }

    /// Whether it is the nonce of this stretch or the one before: good for one to two stretches.
    pub(super) fn is_good(&self, nonce: &str, seconds: i64, now: UnixTime) -> bool {
        let this = stretch(seconds, now);
        [this, this.saturating_sub(1)].into_iter().any(|stretch| {
            self.of(stretch).is_some_and(|own| verify_slices_are_equal(own.as_bytes(), nonce.as_bytes()).is_ok())
        })
    }

    fn of(&self, stretch: i64) -> Option<String> {
        let tag = hmac::sign(self.key.as_ref()?, &stretch.to_be_bytes());
        Some(URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }
}

fn stretch(seconds: i64, now: UnixTime) -> i64 {
    now.seconds().checked_div_euclid(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l17_a_nonce_is_good_for_its_stretch_and_the_next() {
        let (own, other) = (Nonces::new(), Nonces::new());
        let at = UnixTime::from_seconds;
        let nonce = own.current(60, at(600));
        for (second, is_good) in [(600, true), (659, true), (660, true), (719, true), (720, false), (599, false)] {
            assert_eq!(own.is_good(&nonce, 60, at(second)), is_good, "{second}");
        }
        assert_eq!(nonce, own.current(60, at(659)));
        for forged in ["", "A", &other.current(60, at(600)), &format!("{nonce}A"), &nonce.to_uppercase()] {
            assert!(!own.is_good(forged, 60, at(600)), "{forged}");
        }
    }
}
