# Everything runs in .venv. The first target that needs it makes it with whichever Python >= 3.12 is found;
# to choose one: `make clean`, then `make test PYTHON=/path/to/python3.13`.
# ARGS goes to the command that a target runs: `make test ARGS="tests/test_grid.py -x"`.

VENV := .venv
BIN  := $(VENV)/bin
RUN  := $(VENV)/.installed-run
DEV  := $(VENV)/.installed-dev
HUB  := .venv-hub
NODE := build/node
PIP  := $(BIN)/python -m pip install -qq --disable-pip-version-check
OUT  ?= demo

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench docs hub-check slurm-check foreign-check clean
.DELETE_ON_ERROR:

# pip compiles what it installs; this lets Python keep the compiled form of our own modules too.
unexport PYTHONDONTWRITEBYTECODE

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUN)  ## run the whole chain on synthetic tracks and leave figures in demo/ (OUT=DIR)
	$(BIN)/mimtpy demo --out $(OUT) $(ARGS)

test: $(RUN)  ## run the tests and the doctests
	$(BIN)/python -m pytest $(or $(ARGS),--numprocesses 2 --dist loadfile)

check: $(DEV)  ## lint, import contracts, types, docstrings, and the wheel in a clean environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python tools/validate_docstrings.py mimtpy_cloud
	sh tools/check-wheel.sh $(BIN)/python

format: $(DEV)  ## format the code and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV)  ## run the benchmarks (long)
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(DEV)  ## build the documentation into site/
	$(BIN)/sphinx-build -W --keep-going -q -b html docs site $(ARGS)
	@echo "open site/index.html"

hub-check: $(HUB)/.installed $(NODE)/.installed  ## run the notebook on a real JupyterHub with Dask Gateway, on loopback
	PYTHONPATH=tests:deploy $(HUB)/bin/python deploy/hub/check.py $(ARGS)

slurm-check: $(RUN)  ## run a mosaic on a real Slurm, on loopback (as root, on Debian; nothing is installed)
	PYTHONPATH=tests:deploy $(BIN)/python deploy/slurm/check.py $(ARGS)

foreign-check: $(RUN)  ## let other programs read what we write (installs them into build/foreign)
	$(BIN)/python tools/foreign/mintpy_check.py
	$(BIN)/python tools/foreign/cog_check.py
	PYTHONPATH=tests $(BIN)/python tools/foreign/kite_check.py
	PYTHONPATH=tests sh tools/foreign/gmt_check.sh $(BIN)/python

clean:  ## remove the environment and everything that was built
	rm -rf $(VENV) $(HUB) build dist site demo docs/generated .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find mimtpy_cloud tests -name __pycache__ -type d -exec rm -rf {} +

# A virtual environment whose interpreter is gone or too old is made anew.
ifneq ($(shell $(BIN)/python -c 'import sys; print(sys.version_info >= (3, 12))' 2>/dev/null),True)
.PHONY: $(VENV)/pyvenv.cfg
endif
$(VENV)/pyvenv.cfg:
	@python=$$(PYTHON="$(PYTHON)" sh tools/find-python.sh) && echo "making $(VENV) with $$python" && \
		"$$python" -m venv --clear $(VENV)

$(RUN): $(VENV)/pyvenv.cfg pyproject.toml mimtpy_cloud/_version.py
	@echo "installing mimtpy_cloud with what it and its tests need"
	@$(PIP) --editable '.[test]'
	@touch $@

$(DEV): $(RUN)
	@echo "installing the development tools"
	@$(PIP) --editable '.[test,dev,docs]'
	@touch $@

# A hub has its own environment: users do not share the one of the tests. Its proxy comes from npm.
$(HUB)/.installed: pyproject.toml deploy/hub/requirements.txt
	@echo "installing JupyterHub, Dask Gateway and mimtpy_cloud in $(HUB)"
	@python=$$(PYTHON="$(PYTHON)" sh tools/find-python.sh) && "$$python" -m venv --clear $(HUB)
	@$(HUB)/bin/python -m pip install -qq --disable-pip-version-check --editable '.[cluster]' -r deploy/hub/requirements.txt
	@touch $@

$(NODE)/.installed:
	@command -v npm >/dev/null || { echo "make hub-check needs node and npm, for the proxy of JupyterHub"; exit 1; }
	@npm install --silent --no-fund --no-audit --prefix $(NODE) configurable-http-proxy@5
	@touch $@
