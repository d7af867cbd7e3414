//! The stage as a whole, by the IDs of the threat catalogue. Tokens are signed by another implementation.

mod cache;
mod claims;
mod delegation;
mod differential;
mod dpop;
mod forge;
mod headers;
mod introspection;
mod jose;
mod keys;
mod mapped;
mod mutation;
mod refresh;
mod revoked;
mod sources;
mod wycheproof;
