# What a person types is what CI runs. Everything installs into .venv; nothing else is touched.
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
SOURCES := engine runtime tests bench docs

.PHONY: help demo test test-fast check lint types imports lua docs bench bench-memory clean

help:
	@echo "make demo    run recipes/starter.yaml and generate a clip with its int8 variant"
	@echo "make test    checks and the whole test suite"
	@echo "make check   ruff, mypy, import-linter, luacheck"
	@echo "make bench   benchmarks: tables and ratios"
	@echo "make bench-memory  the full-size model loaded and exported: hours, 18 GB of memory"
	@echo "make clean   remove .venv and what the demo made"

# One stamp per set of extras: a second call installs nothing.
$(VENV)/.engine: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[engine]'
	@touch $@

# ViSQOL builds libsvm; without a C++ compiler its tests are skipped, or fail under LOFI_REQUIRE_ALL.
comma  := ,
VISQOL := $(if $(shell command -v g++)$(LOFI_REQUIRE_ALL),visqol$(comma))

$(VENV)/.test: $(VENV)/.engine constraints-oldest.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[engine,japanese,m4a,datasets,lowvram,lyrics,$(VISQOL)test,lint]'
	@# Its dependency torchaudio has no build for every torch, and a broken one breaks transformers.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps audiobox-aesthetics
	@# The oldest ONNX Runtime that variants may ask for: tests open them with it, apart from ours.
	$(PYTHON) -m venv $(VENV)/oldest
	$(VENV)/oldest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-oldest.txt onnxruntime numpy
	@touch $@

demo: $(VENV)/.engine
	$(BIN)/lofi-recipe run recipes/starter.yaml
	@echo
	@echo "A clip by the int8 variant just published:"
	@$(BIN)/lofi-recipe generate recipes/starter.yaml "rainy night coding" --variant int8 --out published/demo-int8.wav
	@echo "A track by the procedural backend, which needs no model:"
	@$(BIN)/lofi-runtime generate "rainy night coding" --backend procedural --duration-sec 30 --out published/demo-procedural.wav

# A file's tests stay in one process; torch gets one thread in each.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder

test: check
	$(PYTEST)

test-fast: $(VENV)/.test
	$(PYTEST) -m "not pipeline and not index"

check: lint types imports lua

lint: $(VENV)/.test
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: $(VENV)/.test
	$(BIN)/mypy

imports: $(VENV)/.test
	$(BIN)/lint-imports

lua:
	@if command -v luacheck >/dev/null; then luacheck --quiet nvim-plugin; \
	elif [ -n "$$LOFI_REQUIRE_ALL" ]; then echo "luacheck is missing" >&2; exit 1; \
	else echo "luacheck is absent: the Lua lint is skipped"; fi

docs: $(VENV)/.test
	$(BIN)/python docs/make_reference.py

# Needs a bundle's folder: make bench publishes none.
NEEDS_BUNDLE := bench/bench_eta.py

# These need long, or gigabytes of memory and of disk.
LONG_BENCHES := bench/bench_full_size.py bench/bench_load_memory.py bench/bench_export_memory.py \
	bench/bench_soak.py bench/bench_speed.py

bench: $(VENV)/.test
	@status=0; for script in $(filter-out $(LONG_BENCHES) $(NEEDS_BUNDLE),$(sort $(wildcard bench/bench_*.py))); do \
		echo "== $$script"; $(BIN)/python $$script || status=1; done; exit $$status

bench-memory: $(VENV)/.test
	@status=0; for script in $(LONG_BENCHES); do \
		echo "== $$script"; $(BIN)/python $$script || status=1; done; exit $$status

clean:
	rm -rf $(VENV) published recipes/runs
