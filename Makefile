# Needs only make and Python 3.11 or later; everything else goes into .venv, pinned by hash.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help pacs programs viewer spark demo test check lint sbom audit bench soak browser screenshots fix lock clean install install-dev

# The first Python that is recent enough, the system's own before others: distributions build theirs with profile-guided
# optimisation, version managers mostly do not, and all then takes a fifth longer. A shim may exist and still not run.
PYTHON ?= $(shell for p in /usr/bin/python3 python3 python3.13 python3.12 python3.11 python3.14 python; do \
	$$p -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# What is installed is named after what was asked for: a changed lock, project file or Python installs anew.
SUM = $(shell { cat $(1) pyproject.toml; echo '$(PYTHON)'; } | cksum | cut -d' ' -f1)
RUNTIME := $(VENV)/installed-$(call SUM,requirements.lock)
DEV := $(VENV)/installed-dev-$(call SUM,requirements-dev.lock)
ARGS ?=

# A browser: that of the system, or the one that Playwright keeps for the user; Debian's, where one may install it.
HAS_BROWSER = $(BIN)/python -m tests.browsers
INSTALL_BROWSER = { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo "installing chromium" >&2 && \
	timeout 600 sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
	--no-install-recommends chromium-headless-shell >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
	--no-install-recommends chromium >/dev/null'; } </dev/null

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(RUNTIME) ## the region in one command: feeds, matching, one history; serves until Ctrl-C (ARGS=--exit: stops)
	@$(BIN)/traitdunion demo $(ARGS)

test: $(DEV) ## all tests; fetches a browser and the viewer where they can be had, else what needs them is skipped by name
	@$(HAS_BROWSER) || $(INSTALL_BROWSER) || echo "no browser: the tests that need one are skipped" >&2
	@test -e .traitdunion/viewer/index.html || $(BIN)/traitdunion viewer install >/dev/null || true
	@$(BIN)/python -m pytest -n logical --maxprocesses 8 -m "not soak" $(ARGS)

check: lint sbom audit test ## style, types, walls between packages, what we are made of, then all tests

sbom: $(DEV) ## what the service is made of, as a CycloneDX bill: build/sbom.json
	@mkdir -p build && $(BIN)/cyclonedx-py requirements requirements.lock --output-reproducible --of JSON -o build/sbom.json

audit: $(DEV) ## known vulnerabilities of what the service is made of; fails when there is one, passes when nobody can be asked
	@mkdir -p build && rm -f build/audit.txt
	@$(BIN)/pip-audit --require-hashes --disable-pip --progress-spinner off -r requirements.lock -o build/audit.txt \
		2>build/audit.log || { cat build/audit.txt 2>/dev/null && exit 1; echo "nobody could be asked:"; }
	@tail -n 1 build/audit.log
	@grep -sc 'could not be audited' build/audit.txt | sed 's/$$/ packages could not be looked up/'

lint: $(DEV) ## style, types and walls only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

pacs: $(RUNTIME) ## three archives (Orthanc) on this machine with the demonstration's pictures; installs Debian's packages
	@test -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so && command -v storescu >/dev/null || { \
		test "$$(id -u)" = 0 || { echo "as root: apt-get install orthanc orthanc-dicomweb dcmtk" >&2; exit 1; }; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends orthanc orthanc-dicomweb dcmtk >/dev/null; }
	@$(BIN)/traitdunion pacs start

viewer: $(RUNTIME) ## the image viewer (OHIF, prebuilt, fetched by npm), which the service then serves at /viewer
	@$(BIN)/traitdunion viewer install $(ARGS)

# Quick where everything is there; what cannot be had is said, and the tests that need it are skipped by name.
PACKAGES := orthanc orthanc-dicomweb dcmtk dicom3tools
APT := DEBIAN_FRONTEND=noninteractive timeout 300 apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=20 \
	-o DPkg::Lock::Timeout=120
programs: $(DEV) ## what some tests need beside Python, as far as it can be had: Orthanc, DCMTK, dicom3tools, OHIF, Chromium
	@dpkg -s $(PACKAGES) >/dev/null 2>&1 || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		{ $(APT) install -y --no-install-recommends $(PACKAGES) >/dev/null 2>&1 || { $(APT) update && \
		$(APT) install -y --no-install-recommends $(PACKAGES); } >/dev/null 2>&1; }; } || \
		echo "not installed: $(PACKAGES) (as root on Debian: apt-get install)" >&2
	@test -e .traitdunion/viewer/index.html || $(BIN)/traitdunion viewer install || true
	@command -v chromium >/dev/null || $(BIN)/python -m playwright install chromium || \
		echo "not installed: chromium" >&2

spark: $(DEV) ## Spark for traitdunion train --engine spark (half a gigabyte; Java 17 or later must be there)
	@command -v "$${JAVA_HOME:+$$JAVA_HOME/bin/}java" >/dev/null || { \
		echo "Java 17 or later is missing (Debian: apt-get install openjdk-17-jre-headless)" >&2; exit 1; }
	$(PIP) install --quiet --require-hashes --no-build-isolation -r requirements-spark.lock

bench: $(DEV) ## benchmarks: tables, and bench/results/latest.json (ARGS: suites; --full: hours)
	@$(BIN)/python -m bench $(ARGS)

soak: $(DEV) ## the long-running tests
	@$(BIN)/python -m pytest -m soak --timeout 7200 $(ARGS)

browser: $(DEV) ## Chromium for the tests that work like people: Debian's as root, else Playwright's own
	@$(HAS_BROWSER) || $(INSTALL_BROWSER) || $(BIN)/python -m playwright install chromium

screenshots: $(DEV) ## pictures of every page of the workbench, from a running make demo (ARGS: its address)
	@$(BIN)/python -m bench.screenshots $(ARGS)

fix: $(DEV) ## repair style where that is mechanical
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(RUNTIME) ## .venv with what the service needs
install-dev: $(DEV) ## .venv with what tests and checks need too

$(RUNTIME): | $(BIN)/python
	$(call install,requirements.lock)
	@touch $@

$(DEV): | $(BIN)/python
	$(call install,requirements-dev.lock)
	@touch $@ $(RUNTIME)

define install
	@echo "installing $(1) into $(VENV)"
	@$(PIP) install --quiet --require-hashes -r $(1)
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/installed-$(if $(findstring dev,$(1)),,[0-9])*
endef

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed; name it with make PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)

# The index that answers is the configured one; no host name enters the lock files.
UV := build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml build/lock/build.in
lock: ## renew the lock files from pyproject.toml (ARGS=--upgrade: newest versions)
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip --disable-pip-version-check install --quiet 'uv>=0.8,<1'
	@echo 'setuptools>=77' > build/lock/build.in
	@$(UV) --extra train --extra dev -o requirements-dev.lock $(ARGS)
	@$(UV) -c requirements-dev.lock -o requirements.lock
	@$(UV) --extra train --extra spark -c requirements-dev.lock -o requirements-spark.lock $(ARGS)

clean: ## remove what was built and cached; data (.traitdunion) stays
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
