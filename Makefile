# Countersign's commands. Each gate of .ci/run is one target here.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CARGO ?= cargo

include tools/versions.mk
include tools/install.mk

# Where the tests find the real peers. A test that misses one fails: there are no skips.
export ENVOY GHZ OPA SPIRE_SERVER SPIRE_AGENT SPIFFE_HELPER KEYCLOAK OIDC_PROVIDER

.PHONY: help
help: ## Say what there is
	@awk -F ':.*## ' '/^##@ / { print "\n" substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2 }' Makefile

##@ Try it

# Which demo, where it is not the plain one.
DEMO = $(if $(and $(SPIRE),$(OIDC)),$(error SPIRE and OIDC are two demos: name one),$(if $(SPIRE),spire)$(if $(OIDC),oidc))

.PHONY: demo
demo: tools-demo$(DEMO:%=-%) ## Two agents, two users and a real Envoy, in seconds once it is built; SPIRE=1 (needs Go): with real SPIRE; OIDC=1 (needs Node.js): with users who log in; OIDC=browser: you log in
	@python3 -B tools/demo$(DEMO:%=_%).py $(if $(filter browser,$(OIDC)),--browser)

##@ Test

.PHONY: test
test: tools-test ## Unit, case, property and end-to-end tests; installs the peers they need
	$(CARGO) test --locked

.PHONY: e2e-spire
e2e-spire: tools-spire ## End-to-end tests with real SPIRE, two federated trust domains; building it takes minutes, once
	$(CARGO) test --locked --test spire

.PHONY: e2e-oidc
e2e-oidc: tools-oidc ## End-to-end tests with real OpenID providers: Keycloak, which needs Java and Maven, and oidc-provider, which needs Node.js
	$(CARGO) test --locked --test oidc

.PHONY: fuzz-smoke
fuzz-smoke: $(CARGO_FUZZ) ## Ten seconds of every fuzz target
	tools/fuzz_smoke.sh $(CARGO_FUZZ)

.PHONY: bench-smoke
bench-smoke: ## Every benchmark once, unoptimised and unmeasured: they still run
	$(CARGO) test --locked --bench '*' -- --test

.PHONY: k8s-check
k8s-check: $(VALIDATE) $(ENVOY) ## The program as it ships: its builtins; manifests against their schemas, every Envoy and Countersign configuration against it
	$(CARGO) build --locked --quiet
	target/debug/countersign test -c tests/shipped/config.yaml
	$(dir $(VALIDATE))python tools/k8s_check.py --envoy $(ENVOY) --countersign target/debug/countersign

.PHONY: image-check
image-check: ## The image's build steps without an engine: a static binary in the image's root, run there
	tools/image_check.sh

##@ Hold the line

.PHONY: presubmit
presubmit: lint test e2e-spire e2e-oidc doc deny gen-check k8s-check ## All that a change must pass before review, but for fuzzing and the image

# Targets that a plain `cargo test` leaves out are not among all targets.
.PHONY: lint
lint: ## Formatting, and clippy with warnings as errors
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --test spire --test oidc -- -D warnings

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml

.PHONY: doc
doc: ## The API's documentation, private items too, with warnings as errors, and the links of the pages
	python3 tools/check_links.py
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

# The advisories' database is a git repository, which not every machine reaches: `cargo deny check advisories` by hand.
.PHONY: deny
deny: $(CARGO_DENY) ## Licences, bans, duplicates and sources of all dependencies
	$(CARGO_DENY) --locked check --deny warnings bans licenses sources

.PHONY: gen
gen: ## Make the checked-in files that are generated
	COUNTERSIGN_GENERATE=1 $(CARGO) test --locked --test generated

.PHONY: gen-check
gen-check: ## Whether they are as they would be made now
	$(CARGO) test --locked --test generated

##@ Measure

.PHONY: bench
bench: ## Criterion: each stage, and the whole check
	$(CARGO) bench --locked --bench stages

.PHONY: bench-server
bench-server: ## CPU per check of the whole server, over that of a server that does nothing
	$(CARGO) bench --locked --bench server

.PHONY: bench-flood
bench-flood: ## What a flood of tokens, new, unknown or bad, does to the traffic beside it and to memory
	$(CARGO) bench --locked --bench flood

##@ Tools

.PHONY: tools
tools: tools-test tools-spire tools-oidc $(VALIDATE) $(CARGO_DENY) $(CARGO_FUZZ) ## Everything below .tools/, as tools/versions.mk pins it

.PHONY: tools-demo
tools-demo: $(ENVOY)

.PHONY: tools-demo-spire
tools-demo-spire: $(ENVOY) $(SPIRE_SERVER) $(SPIRE_AGENT)

.PHONY: tools-demo-oidc
tools-demo-oidc: $(ENVOY) $(OIDC_PROVIDER)

.PHONY: tools-test
tools-test: $(ENVOY) $(GHZ) $(OPA)

.PHONY: tools-spire
tools-spire: $(ENVOY) $(SPIRE_SERVER) $(SPIRE_AGENT) $(SPIFFE_HELPER)

.PHONY: tools-oidc
tools-oidc: $(ENVOY) $(KEYCLOAK) $(OIDC_PROVIDER)
