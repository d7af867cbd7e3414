//! Stand-ins for what surrounds Countersign in production: a SPIFFE authority, an identity provider, a service to
//! protect. The demo runs them as a process, the end-to-end tests in their own. Never for production: keys lie in
//! files, and whoever can read the folder can be anybody.

pub(crate) mod certs;
pub(crate) mod issuer;
#[expect(dead_code, reason = "the tests of tests/spire.rs play with it")]
pub(crate) mod spire;
pub(crate) mod token;
pub(crate) mod upstream;
