# `make demo` and `make test` are all a new user needs; both make the environment first, once.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(shell cat requirements.lock pyproject.toml | cksum | cut -d' ' -f1)
# The newest Python on PATH that is 3.11 or later.
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
  command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV_VERSION := 0.13.8
# A user without a home of their own (nobody, a CI account) has no place for a cache.
ifeq ($(shell [ -n "$$HOME" ] && [ -w "$$HOME" ] && echo yes),)
export HOME := $(CURDIR)/$(VENV)
endif
# uv brings certificates of its own, and does not know that of a company's proxy; the machine does.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem /etc/pki/tls/certs/ca-bundle.crt),)
export UV_SYSTEM_CERTS := true
endif
export GX_ANALYTICS_ENABLED := false
# Many a container sets it; each process that the tests start would compile all of us anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test deploy-test browser matrix torture check lint format bench reference setup clean

setup: $(READY)

demo: $(READY)  ## real migrations on real data, under traffic
	@$(BIN)/crossfade demo $(ARGS)

test: $(READY)  ## the whole test suite; three at once keep two cores busy, since some wait for others
	@$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

deploy-test: $(READY)  ## what deploy/ holds, with real workers that are killed; minutes
	@$(BIN)/python -m pytest -m deploy -s tests/deploy $(ARGS)

browser: $(READY)  ## Dagster's pages in Debian's Chromium; CROSSFADE_SCREENSHOTS=docs/images keeps pictures of them
	@$(BIN)/python -m pytest -m browser tests/browser $(ARGS)

matrix: $(READY)  ## the tests on PostgreSQL 14 to 18, e.g. ARGS="tests/catalog --versions 14 18"
	@PYTHONPATH=pipelines:. $(BIN)/python -m tests.matrix $(ARGS)

torture: $(READY)  ## hours of it, e.g. ARGS="--seeds 3 --minutes 30"
	@PYTHONPATH=pipelines:. $(BIN)/python -m tests.torture $(ARGS)

check: lint  ## what CI runs before the tests
lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright

format: $(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY)  ## ratios to a baseline of the same run; ARGS="--rows 10000000 bigint"
	@$(BIN)/python -m benchmarks $(ARGS)

reference: $(READY)  ## write the JSON Schemas and the pages of the kinds of change under docs/
	@$(BIN)/crossfade schema --write docs
	@$(BIN)/crossfade explain --write docs/changes

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "crossfade needs Python 3.11 or later on PATH (or PYTHON=/path/to/python)"; exit 1; }
	@echo "setting up $(VENV) with $(PYTHON) (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make a virtual environment; install its venv module (Debian: apt-get install python3-venv)"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps -e .
	@rm -f $(VENV)/.ready-*
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
