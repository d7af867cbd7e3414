//! The token as it stands in the request: RFC 6750 §2.1 and RFC 9449 §7.1, and nowhere else.

use crate::decision::Denial;
use crate::decision::Reason;
use crate::decision::Scheme;
use crate::facts::HeaderProblem;
use crate::facts::Http;

/// The only place a token is read from. Query and body never hold one (RFC 9700 §4.3.2).
const AUTHORIZATION: &str = "authorization";

/// A token and the scheme that it came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credential<'a> {
    /// Bearer, or DPoP with a proof beside it.
    pub scheme: Scheme,
    /// The token, a token68.
    pub token: &'a str,
}

/// The token of a request; `None` where there is no `Authorization` header at all.
///
/// # Errors
/// A [`Denial`] where the header is there but holds no single token: repeated, of another scheme, or malformed.
pub fn credential(http: &Http) -> Result<Option<Credential<'_>>, Denial> {
    match http.single_header(AUTHORIZATION) {
        Ok(None) => Ok(None),
        Ok(Some(value)) => read(value).map(Some),
        Err(HeaderProblem::Repeated) => Err(Denial::new(Reason::TokenRepeated, "several authorization headers")),
        Err(HeaderProblem::NotText) => Err(Denial::new(Reason::TokenMalformed, "the authorization header is no text")),
    }
}

fn read(value: &str) -> Result<Credential<'_>, Denial> {
    if value.is_empty() {
        return Err(Denial::new(Reason::TokenMalformed, "the authorization header is empty"));
    }
    // A proxy joins repeated headers with a comma. None stands in a bearer token, but other schemes' parameters have it.
    if value.contains(',') && value.split(',').any(|part| after_scheme(part.trim_start()).is_some()) {
        return Err(Denial::new(Reason::TokenRepeated, "several credentials in one authorization header"));
    }
    let Some((scheme, rest)) = after_scheme(value) else {
        return Err(Denial::new(Reason::TokenScheme, "the authorization scheme is neither Bearer nor DPoP"));
    };
    let token = rest.trim_start_matches(' ');
    if !is_token68(token) {
        let denial = Denial::new(Reason::TokenMalformed, "what follows the scheme is no token68");
        return Err(Denial { scheme, ..denial });
    }
    Ok(Credential { scheme, token })
}

/// The scheme, where it is one that brings a token, and what follows it: nothing, or the space or tab that ends it and more.
fn after_scheme(credential: &str) -> Option<(Scheme, &str)> {
    let end = credential.find([' ', '\t']).unwrap_or(credential.len());
    let (scheme, rest) = credential.split_at_checked(end)?;
    let known = [Scheme::Bearer, Scheme::Dpop].into_iter().find(|known| scheme.eq_ignore_ascii_case(known.name()));
    Some((known?, rest))
}

/// RFC 9110 §11.2.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    !body.is_empty() && body.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::RawHeader;

    fn merged(value: &str) -> Http {
        Http { headers: vec![("authorization".to_owned(), value.to_owned())], ..Http::default() }
    }

    fn separate(values: &[&[u8]]) -> Http {
        let header = |value: &&[u8]| RawHeader {
            key: "Authorization".to_owned(),
            raw_value: value.to_vec(),
            ..RawHeader::default()
        };
        Http { header_map: Some(values.iter().map(header).collect()), ..Http::default() }
    }

    const BEARER: Option<Credential<'_>> = Some(Credential { scheme: Scheme::Bearer, token: "a.b.c" });

    fn refused(http: &Http) -> Reason {
        credential(http).expect_err("refused").reason
    }

    #[test]
    fn a_bearer_token_is_found_in_either_form() {
        assert_eq!(credential(&merged("Bearer a.b.c")).unwrap(), BEARER);
        assert_eq!(credential(&separate(&[b"Bearer a.b.c"])).unwrap(), BEARER);
        assert_eq!(credential(&Http::default()).unwrap(), None);
    }

    #[test]
    fn e1_two_credentials_are_never_chosen_from() {
        for value in [
            "Bearer a,Bearer b",
            "Bearer a, Bearer b",
            "Basic eA==,Bearer b",
            "Bearer a,Basic eA==",
            "Bearer a,",
            "DPoP a, DPoP b",
            "Bearer a, DPoP b",
        ] {
            assert_eq!(refused(&merged(value)), Reason::TokenRepeated, "{value}");
        }
        assert_eq!(refused(&separate(&[b"Bearer a", b"Bearer b"])), Reason::TokenRepeated);
        assert_eq!(refused(&separate(&[b"Bearer a", b""])), Reason::TokenRepeated);
        let mixed_case = [("authorization", "Bearer a"), ("Authorization", "Bearer b")];
        let headers = mixed_case.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        assert_eq!(refused(&Http { headers, ..Http::default() }), Reason::TokenRepeated);
        assert_eq!(Reason::TokenRepeated.http_status(), 400);
    }

    #[test]
    fn e1_an_empty_header_is_malformed_and_never_anonymous() {
        assert_eq!(refused(&merged("")), Reason::TokenMalformed);
        assert_eq!(refused(&separate(&[b""])), Reason::TokenMalformed);
        assert_eq!(Reason::TokenMalformed.http_status(), 401);
    }

    #[test]
    fn e2_the_scheme_has_no_case_and_spaces_may_repeat() {
        for value in ["bearer a.b.c", "BEARER a.b.c", "Bearer  a.b.c", "bEaReR     a.b.c"] {
            assert_eq!(credential(&merged(value)).unwrap(), BEARER, "{value}");
        }
        for value in ["DPoP a.b.c", "dpop a.b.c", "DPOP   a.b.c"] {
            let dpop = Credential { scheme: Scheme::Dpop, token: "a.b.c" };
            assert_eq!(credential(&merged(value)).unwrap(), Some(dpop), "{value}");
        }
    }

    #[test]
    fn e2_what_is_no_token68_is_malformed() {
        for value in [
            "Bearer",
            "Bearer ",
            "DPoP",
            "DPoP ",
            "DPoP\ta.b.c",
            "Bearer\ta.b.c",
            "Bearer \ta.b.c",
            "Bearer a.b.c ",
            "Bearer a b",
            "Bearer a=b",
            "Bearer =",
            "Bearer a;b",
            "Bearer \"a\"",
            "Bearer ä",
        ] {
            assert_eq!(refused(&merged(value)), Reason::TokenMalformed, "{value}");
        }
        assert_eq!(refused(&separate(&[b"Bearer \xff"])), Reason::TokenMalformed);
    }

    #[test]
    fn e2_other_schemes_are_refused_by_name() {
        for value in
            ["Basic eA==", "DPoPx a.b.c", "Bearerx a", "Bear a", " Bearer a", "Digest a=\"b\", c=\"d\"", "a.b.c"]
        {
            assert_eq!(refused(&merged(value)), Reason::TokenScheme, "{value}");
        }
    }

    #[test]
    fn e3_a_token_in_query_or_body_is_no_token() {
        let http = Http {
            path: "/orders?access_token=a.b.c".to_owned(),
            query: "access_token=a.b.c".to_owned(),
            headers: vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
            body: "access_token=a.b.c".to_owned(),
            raw_body: b"access_token=a.b.c".to_vec(),
            ..Http::default()
        };
        assert_eq!(credential(&http).unwrap(), None);
    }
}
