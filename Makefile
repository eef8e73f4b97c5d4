SHELL := bash
PYTHON ?= python3
EXTRAS ?= dev
VENV := .venv
FOLDERS := schemas codec models transforms logger stores pipelines serving src
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

# make setup | demo | test | test-torch | bench | lint | proto | wheel
.PHONY: setup demo test test-torch bench lint format proto types wheel clean

setup: $(VENV)/.done-$(EXTRAS)

# Extensions are rebuilt when a .pyx file is newer than the last build.
$(VENV)/.done-$(EXTRAS): pyproject.toml setup.py $(wildcard */*.pyx */*/*.pyx */*/*.h)
	@if [ -n "$(UV)" ]; then \
	  [ -x $(BIN)/python ] || $(UV) venv --quiet --python $(PYTHON) $(VENV); \
	  $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python -e '.[$(EXTRAS)]'; \
	else \
	  [ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV); \
	  $(BIN)/python -m pip --version > /dev/null 2>&1 || $(BIN)/python -m ensurepip > /dev/null; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'; \
	fi
	@$(BIN)/python -m compileall -q $(FOLDERS)  # a third of a second of each start where the environment keeps Python from doing it
	@touch $@

demo:
	@$(MAKE) --no-print-directory setup EXTRAS=pipeline
	@$(BIN)/python -m demo --fault $(or $(FAULT),nan)

test: setup
	$(BIN)/python -m pytest -m "not torch" $(ARGS)

# Apart, because torch is 5 GB.
test-torch:
	@$(MAKE) --no-print-directory setup EXTRAS=dev,train
	$(BIN)/python -m pytest -m torch $(ARGS)

bench: setup
	$(BIN)/python -m bench

# The package as it is installed, for the type checker: a folder of links.
types:
	@rm -rf build/types && mkdir -p build/types/tracewinnow
	@ln -s $(CURDIR)/src/tracewinnow/* build/types/tracewinnow/
	@for d in $(filter-out src,$(FOLDERS)); do [ ! -d $$d ] || ln -s $(CURDIR)/$$d build/types/tracewinnow/$$d; done

lint: setup types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p tracewinnow

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Generated with an old compiler on purpose: its code runs with every protobuf from 4.25 on.
proto:
	@rm -rf build/protoc build/proto && mkdir -p build/proto
	@$(PYTHON) -m pip install --quiet --target build/protoc 'grpcio-tools==1.62.3' 'setuptools<81'
	@PYTHONPATH=build/protoc $(PYTHON) -m grpc_tools.protoc -Itracewinnow/schemas=schemas --python_out=build/proto --pyi_out=build/proto \
	  $(patsubst schemas/%,tracewinnow/schemas/%,$(wildcard schemas/*.proto))
	@mv build/proto/tracewinnow/schemas/* schemas/

wheel: setup
	$(BIN)/python -m build

clean:
	rm -rf build dist *.egg-info
