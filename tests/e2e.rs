//! End to end: the built program behind a real Envoy with mutual TLS, an issuer over HTTPS and a service to protect.
//!
//! `make test` installs the peers and names them in `ENVOY`, `GHZ` and `OPA`; a test that misses one fails.

#[cfg(test)]
mod e2e {
    #[path = "../../examples/dev-peers/peers"]
    mod peers {
        pub(super) mod certs;
        pub(super) mod issuer;
        pub(super) mod token;
        pub(super) mod upstream;
    }

    mod harness;

    mod answers;
    mod callers;
    mod closed;
    mod effects;
    mod ghz;
    mod listeners;
    mod load;
    mod negation;
    mod owned_headers;
    mod policies;
    mod reload;
    mod shutdown;
    mod tokens;
    mod wire;
    mod workloads;
}
