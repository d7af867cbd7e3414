//! Takes secrets out of a text: parameters with a secret's name, passwords before a host, and whatever looks like a
//! JWT. It would rather mask too much than too little.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::MASKED;
use super::names::Names;

/// How often a value is decoded in search of a parameter inside it: a URL in a URL in a URL.
const MAX_DECODINGS: u32 = 3;

/// Shortest run that is taken for a JWT: its first part, `{"alg":"…"}`, is never shorter, even cut off by a bound.
const MIN_JWT_BYTES: usize = 16;

/// How every JWT begins: `{"` in base64url, and the first letter of a member's name.
const JWT_START: &str = "eyJ";

/// The text without secrets.
pub(super) fn redact<'a>(text: &'a str, names: &Names) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    for pass in [mask_parameters, mask_user_information, mask_tokens] {
        if let Some(masked) = pass(&text, names) {
            text = Cow::Owned(masked);
        }
    }
    text
}

/// `access_token=…` and its like, anywhere: in a query, a fragment, a matrix parameter, also escaped. A masked value
/// goes on to the next `&`, since every other separator may stand in a value.
fn mask_parameters(text: &str, names: &Names) -> Option<String> {
    if !text.contains(['=', '%']) {
        return None;
    }
    let mut masked = Vec::new();
    let mut found = false;
    for part in text.split('&') {
        let kept = secret_at(part, names, MAX_DECODINGS).and_then(|at| part.get(..at));
        found |= kept.is_some();
        masked.push(kept.map_or(Cow::Borrowed(part), |kept| format!("{kept}{MASKED}").into()));
    }
    found.then(|| masked.join("&"))
}

/// Where a secret value begins in a part without `&`.
fn secret_at(part: &str, names: &Names, decodings: u32) -> Option<usize> {
    let mut name_at = 0;
    for (equals, _) in part.match_indices('=') {
        let value_at = equals.saturating_add(1);
        let name = percent_decode_str(part.get(name_at..equals)?).decode_utf8_lossy();
        if value_at < part.len() && names.is_secret(last_word(&name)) {
            return Some(value_at);
        }
        name_at = value_at;
    }
    let decodings = decodings.checked_sub(1).filter(|_| part.contains('%'))?;
    let decoded = percent_decode_str(part).decode_utf8_lossy();
    let hidden = decoded.split('&').any(|part| secret_at(part, names, decodings).is_some());
    // Which escaped bytes are the secret's is not worth knowing: all that the parameter holds goes.
    hidden.then(|| part.find('=').map_or(0, |equals| equals.saturating_add(1)))
}

/// The name at the end of what stands before an equals sign: `/callback?a` is about `a`.
fn last_word(text: &str) -> &str {
    let in_name = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | '[' | ']');
    text.trim_end().rsplit(|letter| !in_name(letter)).next().unwrap_or_default()
}

/// `user:password@`: in a URL, or before a host alone.
fn mask_user_information(text: &str, _: &Names) -> Option<String> {
    let mut masked = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('@') {
        let ends =
            |letter: char| letter.is_whitespace() || matches!(letter, '/' | '?' | '#' | '&' | '=' | ',' | ';' | '"');
        let at = before.rfind(ends).map_or(0, |end| before.ceil_char_boundary(end.saturating_add(1)));
        let (kept, user) = before.split_at_checked(at)?;
        masked.push_str(kept);
        masked.push_str(if user.contains(':') { MASKED } else { user });
        masked.push('@');
        rest = after;
    }
    masked.push_str(rest);
    (masked != text).then_some(masked)
}

/// JWTs that stand somewhere unexpected: in a path, in a header with another name.
fn mask_tokens(text: &str, _: &Names) -> Option<String> {
    let mut masked = String::new();
    let mut rest = text;
    while let Some((before, found)) = rest.find(JWT_START).and_then(|at| rest.split_at_checked(at)) {
        let in_token = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        let (token, after) = found.split_at_checked(found.find(|letter| !in_token(letter)).unwrap_or(found.len()))?;
        masked.push_str(before);
        masked.push_str(if token.len() < MIN_JWT_BYTES { token } else { MASKED });
        rest = after;
    }
    masked.push_str(rest);
    (masked != text).then_some(masked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        redact(text, &Names::default()).into_owned()
    }

    #[test]
    fn k5_a_secret_parameter_is_masked_however_it_is_written() {
        for (text, expected) in [
            ("/a?access_token=canary", "/a?access_token=[masked]"),
            ("/a?b=1&access_token=canary&c=2", "/a?b=1&access_token=[masked]&c=2"),
            ("/a?ACCESS_TOKEN=canary", "/a?ACCESS_TOKEN=[masked]"),
            ("/a?access%5Ftoken=canary", "/a?access%5Ftoken=[masked]"),
            ("/a?access%255Ftoken=canary", "/a?access%255Ftoken=[masked]"),
            ("/a?access_token=x;canary", "/a?access_token=[masked]"),
            ("/a?access_token=x=canary", "/a?access_token=[masked]"),
            ("/a?b=1;access_token=canary", "/a?b=1;access_token=[masked]"),
            ("/a;access_token=canary", "/a;access_token=[masked]"),
            ("/a#access_token=canary", "/a#access_token=[masked]"),
            ("/a%3Faccess_token=canary", "/a%3Faccess_token=[masked]"),
            ("/a%3Faccess_token%3Dcanary", "[masked]"),
            ("access_token=canary", "access_token=[masked]"),
            ("/a?to=https%3A%2F%2Fb%3Fx%3D1%26access_token%3Dcanary&c=2", "/a?to=[masked]&c=2"),
            ("/a?to=https%253A%252F%252Fb%253Faccess_token%253Dcanary", "/a?to=[masked]"),
            ("/a?x[access_token]=canary", "/a?x[access_token]=[masked]"),
            ("/a?client_assertion=canary&subject_token=canary", "/a?client_assertion=[masked]&subject_token=[masked]"),
            ("https://alice:canary@b.example/c", "https://[masked]@b.example/c"),
            ("alice:canary@b.example", "[masked]@b.example"),
            ("/verify/eyJcanarycanarycanary.eyJ.canary-_/x", "/verify/[masked]/x"),
        ] {
            assert_eq!(redacted(text), expected);
        }
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for text in [
            "",
            "/a?b=1&c=2",
            "/a?access_token=",
            "/100%",
            "text/html;q=0.9",
            "alice@example.com",
            "eyJ",
            "é=é&%ff",
            "@@",
            "é@é",
        ] {
            assert!(matches!(redact(text, &Names::default()), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn k6_hostile_length_costs_linear_time() {
        let began = std::time::Instant::now();
        for unit in ["a=", "%25", "&token=", "@:", "eyJ", "%3D%26", "é"] {
            drop(redacted(&unit.repeat(100_000)));
        }
        assert!(began.elapsed().as_secs() < 5);
    }
}
