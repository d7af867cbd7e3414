//! What must hold of challenges and protected resources.

use crate::config::format::Fault;
use crate::config::limits;
use crate::config::walk::Section;
use crate::decision::Quotable;
use crate::route::MAX_DOCUMENT_BYTES;
use crate::route::Metadata;
use crate::route::ProtectedResource;
use crate::route::ResourceFault;
use crate::token::IssuerConfig;

/// Text between quotes.
pub(crate) fn realm(text: &str) -> Result<(), Fault> {
    Quotable::text(text).map(drop).map_err(|fault| Fault::new(fault.to_string(), "write plain words, as `orders`"))
}

/// Scopes with one space between two (RFC 6749 §3.3).
pub(crate) fn scope(text: &str) -> Result<(), Fault> {
    let hint = "write it like `orders:read orders:write`";
    Quotable::words(text).map(drop).map_err(|fault| Fault::new(fault.to_string(), hint))
}

/// One scope, or one address.
pub(crate) fn word(text: &str) -> Result<(), Fault> {
    let hint = "write one word, without spaces, quotes and backslashes";
    Quotable::word(text).map(drop).map_err(|fault| Fault::new(fault.to_string(), hint))
}

/// An HTTPS address with a host that a request can be for. What is no HTTPS address at all is told by its format.
pub(crate) fn resource(text: &str) -> Result<(), Fault> {
    let metadata = Metadata { resource: text.to_owned(), ..Metadata::default() };
    match ProtectedResource::new(metadata) {
        Err(fault) if text.starts_with("https://") => {
            Err(Fault::new(fault.to_string(), "write it like `https://api.example/mcp`, as clients call it"))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// RFC 6750 §2 knows three ways, of which two leave tokens in logs (RFC 9700 §4.3.2).
pub(crate) fn bearer_method(text: &str) -> Result<(), Fault> {
    match text {
        "body" | "query" => {
            Err(Fault::new("is a way in which tokens are not read", "write `header`, or remove the key"))
        }
        _ => Ok(()),
    }
}

/// A JWS in its compact form (RFC 7515 §7.1); nobody here verifies it.
pub(crate) fn jwt(text: &str) -> Result<(), Fault> {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if text.split('.').count() == 3 && text.split('.').all(is_part) {
        return Ok(());
    }
    Err(Fault::new("is no signed JWT", "write three parts with dots between them, as the signer gives it"))
}

/// The resource, unless its document is too long; an address that is none is told already.
pub(crate) fn document(
    section: &mut Section<'_>,
    made: Result<ProtectedResource, ResourceFault>,
) -> Option<ProtectedResource> {
    if let Err(fault @ ResourceFault::TooLong) = &made {
        let hint = format!("say less: clients are sent {MAX_DOCUMENT_BYTES} bytes at most");
        section.refuse(&[""], fault.to_string(), hint);
    }
    made.ok()
}

/// What holds between resources, and between them and the issuers.
pub(crate) fn across_sections(
    root: &mut Section<'_>,
    resources: &[Option<ProtectedResource>],
    issuers: &[IssuerConfig],
) {
    if resources.len() > limits::RESOURCES {
        let hint = format!("at most {} are taken", limits::RESOURCES);
        root.refuse(&["protected_resources"], format!("has {} items", resources.len()), hint);
        return;
    }
    for (index, resource) in resources.iter().enumerate().filter_map(|(index, one)| Some((index, one.as_ref()?))) {
        let meets = |other: &Option<ProtectedResource>| other.as_ref().is_some_and(|other| other.meets(resource));
        if let Some(first) = resources.iter().take(index).position(meets) {
            let message = format!("has its document where protected_resources[{first}] has its own");
            root.refuse(&[&format!("protected_resources[{index}].resource")], message, "make one entry of the two");
        }
        for (at, server) in resource.metadata().authorization_servers.iter().enumerate() {
            if !issuers.iter().any(|issuer| issuer.issuer == *server) {
                let path = format!("protected_resources[{index}].authorization_servers[{at}]");
                let message = format!("sends clients to `{server}`, whose tokens are not believed here");
                root.warn(&path, message, "add it below `issuers`, byte for byte the same");
            }
        }
    }
}
