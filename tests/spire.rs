//! End to end with SPIRE: two federated trust domains, whose agents give Envoy and Countersign their certificates.
//!
//! `make e2e-spire` installs the peers and names them in `ENVOY`, `SPIRE_SERVER`, `SPIRE_AGENT` and `SPIFFE_HELPER`; a
//! test that misses one fails. A plain `cargo test` leaves this out, as building SPIRE takes minutes.

#[cfg(test)]
mod e2e {
    #[path = "../../examples/dev-peers/peers"]
    mod peers {
        pub(super) mod certs;
        pub(super) mod issuer;
        pub(super) mod spire;
        pub(super) mod token;
        pub(super) mod upstream;
    }

    #[expect(dead_code, reason = "shared with tests/e2e.rs, which uses the rest")]
    mod harness;

    #[path = "../spire"]
    mod spire {
        mod harness;

        mod agent;
        mod callers;
        mod command;
        mod federation;
        mod files;
        mod proxies;
        mod rotation;
    }
}
