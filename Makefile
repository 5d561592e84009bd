# make run        analyse the two sample exams into out/ (light: no torch)
# make serve      the web application with the sample exams: address and one-time passwords (PORT=8080)
# make page       build the front end into web/dist (Node comes from PyPI)
# make install    add the training and development tools to .venv
# make test       the test suite, doctests included, without what needs other programs to talk to
# make quick      the quick round for developers: make test without what is marked slow
# make test-pacs  the tests against Orthanc, DCMTK and PostgreSQL (the longest on SQLite only: make test)
# make test-web   the front end's own tests, then the whole application in Chromium
# make pacs-demo  a PACS and a node on this machine: two exams go in, their results come back
# make soak       kills at random while exams are sent, for MINUTES=30 (SOAK=--postgres)
# make soak-web   kills at random while readings are signed, for MINUTES=10 (SOAK=--postgres)
# make fuzz       hostile traffic on every door, for MINUTES=10 (FUZZ="--tls --deidentify --ups --postgres")
# make docs       the documentation as a site in out/site, checked: links, anchors, nothing from the net
# make lint       ruff, mypy, import contracts; Biome and TypeScript for the front end
# make bench      speed and memory, as ratios against a named peer

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check --quiet
FIND_PYTHON = for p in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done

NPM := $(PY) deploy/npm.py
PAGE := web/dist/index.html
MODULES := web/node_modules/.package-lock.json
NODE := out/demonstration

MINUTES = $(if $(filter fuzz soak-web,$@),10,30)
PORT = 8080

.PHONY: run serve page install test quick test-pacs test-web pacs-demo soak soak-web fuzz lint docs bench clean
.DELETE_ON_ERROR:

run: $(VENV)/.sample
	$(VENV)/bin/mammolens analyze --sample --out out

serve: $(VENV)/.serve $(PAGE)
	$(VENV)/bin/mammolens node demo $(NODE)
	$(VENV)/bin/mammolens serve --config $(NODE)/node.toml --port $(PORT)

page: $(PAGE)

install: $(VENV)/.dev

test: $(VENV)/.dev
	$(PY) -m pytest -n 2 -m "not pacs and not web"

quick: $(VENV)/.dev
	$(PY) -m pytest -n 2 -m "not slow and not pacs and not web"

test-pacs: $(VENV)/.dev
	$(PY) -m pytest -n 2 -m "pacs and not longest and not web" -ra --durations 10

test-web: $(VENV)/.dev $(MODULES) $(PAGE)
	$(NPM) test
	$(PY) -m pytest -m web -ra --durations 10 tests/web

pacs-demo: $(VENV)/.dev
	$(PY) deploy/loopback/demo.py

soak: $(VENV)/.dev
	$(PY) deploy/loopback/soak.py --minutes $(MINUTES) $(SOAK)

soak-web: $(VENV)/.dev
	$(PY) deploy/loopback/soak_web.py --minutes $(MINUTES) $(SOAK)

fuzz: $(VENV)/.dev
	$(PY) deploy/loopback/fuzz.py --minutes $(MINUTES) $(FUZZ)

lint: $(VENV)/.dev $(MODULES)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(NPM) run check

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

bench: $(VENV)/.dev
	$(PY) benchmarks/bench_import.py
	$(PY) benchmarks/bench_prepare.py
	$(PY) benchmarks/bench_exam.py
	$(PY) benchmarks/bench_evaluate.py

$(PY):
	@python="$$($(FIND_PYTHON))"; \
	test -n "$$python" || { echo "mammolens needs Python 3.11 or newer: make PYTHON=/path/to/python" >&2; exit 1; }; \
	echo "creating $(VENV) with $$python"; $$python -m venv $(VENV)

$(VENV)/.sample: pyproject.toml | $(PY)
	@echo "installing mammolens (inference only)"
	$(PIP) --editable '.[sample]'
	@touch $@

$(VENV)/.serve: pyproject.toml constraints-node.txt | $(PY)
	@echo "installing mammolens with its web application"
	$(PIP) --constraint constraints-node.txt --editable '.[sample,serve,report,dicom,web]'
	@touch $(VENV)/.sample $@

$(VENV)/.dev: pyproject.toml constraints-cpu.txt constraints-node.txt | $(PY)
	@echo "installing mammolens with its training and development tools (some minutes)"
	$(PIP) --constraint constraints-cpu.txt --constraint constraints-node.txt \
		--editable '.[sample,dev,train,data,bench,report,dicom,scale,serve,postgres,docs,web]'
	@touch $(VENV)/.sample $(VENV)/.serve $@

# Node is in the virtual environment whichever of the two made it.
$(MODULES): web/package.json web/package-lock.json
	@test -e $(VENV)/.serve || $(MAKE) $(VENV)/.serve
	$(NPM) ci
	@touch $@

$(PAGE): $(MODULES) $(shell find web/src web/public web/index.html web/*.ts web/*.json -type f 2>/dev/null)
	$(NPM) run build
	@touch $@

clean:
	rm -rf $(VENV) web/node_modules web/dist build dist out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
