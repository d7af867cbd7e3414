# What the tests and the gates need beyond Rust, Python 3 and make: the one place where it is pinned.
# Each tool is installed below .tools/ in a folder that carries its version, so a changed pin installs anew.

CARGO_DENY_VERSION          = 0.20.2
CARGO_FUZZ_VERSION          = 0.13.2
ENVOY_VERSION               = 1.40.0
GHZ_VERSION                 = 0.93.0
KEYCLOAK_VERSION            = 26.7.3
KUBERNETES_VALIDATE_VERSION = 1.37.0
OIDC_PROVIDER_VERSION       = 9.13.3
OPA_VERSION                 = 1.22.2
SPIFFE_HELPER_VERSION       = 0.11.0
SPIRE_VERSION               = 1.13.3
