# make run        analyse the two sample exams into out/ (light: no torch)
# make install    add the training and development tools to .venv
# make test       the test suite, doctests included, without what needs other programs to talk to
# make quick      the quick round for developers: make test without what is marked slow
# make test-pacs  the tests against Orthanc, DCMTK and PostgreSQL (the longest on SQLite only: make test)
# make pacs-demo  a PACS and a node on this machine: two exams go in, their results come back
# make soak       kills at random while exams are sent, for MINUTES=30 (SOAK=--postgres)
# make fuzz       hostile traffic on every door, for MINUTES=10 (FUZZ="--tls --deidentify --ups --postgres")
# make docs       the documentation as a site in out/site, checked: links, anchors, nothing from the net
# make lint       ruff, mypy, import contracts
# make bench      speed and memory, as ratios against a named peer

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check --quiet
FIND_PYTHON = for p in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done

MINUTES = $(if $(filter fuzz,$@),10,30)

.PHONY: run install test quick test-pacs pacs-demo soak fuzz lint docs bench clean
.DELETE_ON_ERROR:

run: $(VENV)/.sample
	$(VENV)/bin/mammolens analyze --sample --out out

install: $(VENV)/.dev

test: $(VENV)/.dev
	$(PY) -m pytest -n 2 -m "not pacs"

quick: $(VENV)/.dev
	$(PY) -m pytest -n 2 -m "not slow and not pacs"

test-pacs: $(VENV)/.dev
	$(PY) -m pytest -n 2 -m "pacs and not longest" -ra --durations 10

pacs-demo: $(VENV)/.dev
	$(PY) deploy/loopback/demo.py

soak: $(VENV)/.dev
	$(PY) deploy/loopback/soak.py --minutes $(MINUTES) $(SOAK)

fuzz: $(VENV)/.dev
	$(PY) deploy/loopback/fuzz.py --minutes $(MINUTES) $(FUZZ)

lint: $(VENV)/.dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

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

$(VENV)/.dev: pyproject.toml constraints-cpu.txt constraints-node.txt | $(PY)
	@echo "installing mammolens with its training and development tools (some minutes)"
	$(PIP) --constraint constraints-cpu.txt --constraint constraints-node.txt \
		--editable '.[sample,dev,train,data,bench,report,dicom,serve,postgres,docs]'
	@touch $(VENV)/.sample $@

clean:
	rm -rf $(VENV) build dist out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
