//! End to end with OpenID providers that others wrote: users' tokens of Keycloak and of oidc-provider, through a real Envoy.
//!
//! `make e2e-oidc` installs the peers and names them in `ENVOY`, `KEYCLOAK` and `OIDC_PROVIDER`; a test that misses one
//! fails. A plain `cargo test` leaves this out, as the providers need Java and Node.js.

#[cfg(test)]
mod e2e {
    #[path = "../../examples/dev-peers/peers"]
    mod peers {
        pub(super) mod certs;
        pub(super) mod issuer;
        pub(super) mod token;
        pub(super) mod upstream;
    }

    #[expect(dead_code, reason = "shared with tests/e2e.rs, which uses the rest")]
    mod harness;

    #[path = "../oidc"]
    mod oidc {
        mod harness;

        mod bound;
        mod delegation;
        mod demo;
        mod dpop;
        mod introspection;
        mod keycloak;
        mod light;
        mod login;
        mod possession;
        mod withdrawal;
    }
}
