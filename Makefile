# `make help` lists what can be made. Nothing but make and a Python 3.11 or newer need be there.

# A Python that is named is used, or refused if too old; otherwise the first that will do.
PYTHONS = $(if $(PYTHON),$(PYTHON),python3 python python3.14 python3.13 python3.12 python3.11)
COLAB_PYTHONS = $(if $(PYTHON_COLAB),$(PYTHON_COLAB),python3.13 $(HOME)/.pyenv/versions/3.13*/bin/python)

RUN = .venv/bin/python -m
RUN_COLAB = .venv-colab/bin/python -m
RUN_TORCH = .venv-torch/bin/python -m

# Tests run in two processes, each with whole files; with ARGS="-n 0" in one.
SIDE_BY_SIDE = -n 2 --dist loadfile
PYTEST = pytest $(SIDE_BY_SIDE)

# Passed on to what a target runs: make test ARGS="-k depth"
ARGS =

.PHONY: help lab test nightly test-colab nightly-colab test-torch test-pythons colab-python chromium \
	bench notebooks addresses pictures atlas course slides page app handout export docs \
	types release lint format lock clean

# What is made of the package for readers, or done with its files, is no matter of Colab's versions.
NOT_COLAB = --ignore=tests/browser $(foreach made,app contributing fresh_clone handout page readme \
	release security site types,--ignore=tests/test_$(made).py)

help:  ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

lab: .venv/.ready  ## set up, once, and open JupyterLab on the first notebook
	@$(RUN) tools.lab $(ARGS)

test: .venv/.ready chromium  ## all tests but the slow ones: units, doctests, notebooks, browser
	$(RUN) $(PYTEST) $(ARGS)

nightly: .venv/.ready chromium  ## all tests, the slow ones too
	$(RUN) $(PYTEST) -m "slow or not slow" $(ARGS)

test-colab: .venv-colab/.ready  ## most units, doctests and notebooks on the versions of Google Colab
	$(RUN_COLAB) $(PYTEST) $(NOT_COLAB) -m "not slow and not numerics" $(ARGS)

nightly-colab: .venv-colab/.ready  ## what test-colab leaves out
	$(RUN_COLAB) $(PYTEST) $(NOT_COLAB) -m "slow or numerics" $(ARGS)

test-torch: .venv-torch/.ready  ## what examines PyTorch's modules, with PyTorch
	$(RUN_TORCH) pytest tests/pytorch $(ARGS)

test-pythons: .venv/.ready  ## most units, doctests and notebooks on every other Python that is found
	@sh tools/pythons.sh requirements.lock.txt $(SIDE_BY_SIDE) --ignore=tests/browser \
		-m "not slow and not numerics" $(ARGS)

bench: .venv/.ready  ## measure what is claimed about speed
	$(RUN) benchmarks $(ARGS)

notebooks: .venv/.ready  ## run all notebooks and store their outputs
	$(RUN) tools.notebooks $(ARGS)

addresses: .venv/.ready  ## write the repository's address into all badges and set-up cells
	$(RUN) tools.addresses

pictures: .venv/.ready chromium  ## make the README's pictures from the running explorer
	$(RUN) tools.pictures

atlas: .venv/.ready  ## make the README's map of all initializers and activations
	$(RUN) tools.atlas

course: .venv/.ready  ## make the teaching plan's picture of the course
	$(RUN) tools.course $(ARGS)

slides: .venv/.ready  ## make a slide show of every notebook, for the browser, in build/slides
	@$(RUN) tools.slides $(ARGS)

page: .venv/.ready  ## make the explorer as one page that needs no Python, in build/page
	@$(RUN) tools.page $(ARGS)

app: .venv/.ready  ## serve the explorer to a class, a kernel a reader
	@$(RUN) tools.app $(ARGS)

handout: .venv/.ready  ## make the one-page handout, a PDF, in build
	@$(RUN) tools.handout $(ARGS)

export: .venv/.ready  ## make a page of every notebook, to be read without Jupyter, in build/export
	@$(RUN) tools.export $(ARGS)

docs: .venv/.ready  ## make the documentation's site, in build/docs
	@$(RUN) tools.site $(ARGS)

types: .venv/.ready  ## check the types, by pyright's own rules
	$(RUN) basedpyright

release: .venv/.ready  ## build wheel and sdist, in dist, and try both in empty environments
	@$(RUN) tools.release $(ARGS)

lint: .venv/.ready  ## check style and format, in notebooks too
	$(RUN) ruff check
	$(RUN) ruff format --check

format: .venv/.ready  ## put style and format right where a machine can
	$(RUN) ruff check --fix
	$(RUN) ruff format

lock:  ## pin the newest versions again (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: python3 -m pip install uv" >&2; exit 1; }
	uv --no-config pip compile pyproject.toml --extra lab --extra test --extra publish --group build \
		--universal --python-version 3.11 $(LOCK_OPTIONS) -o requirements.lock.txt
	uv --no-config pip compile requirements.colab.in \
		--universal --python-version 3.13 $(LOCK_OPTIONS) -o requirements.colab.txt

LOCK_OPTIONS = --quiet --upgrade --generate-hashes --no-annotate --custom-compile-command "make lock"

clean:  ## remove the virtual environments and everything else that make made
	rm -rf .venv .venv-* .pytest_cache .ruff_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The notice that no Chromium can be had comes from the tests, which then skip or fail.
chromium: .venv/.ready
	@$(RUN) tools.chromium

colab-python:
	@sh tools/find_python.sh $(COLAB_PYTHONS)

.venv/.ready: requirements.lock.txt pyproject.toml
	@sh tools/make_venv.sh .venv requirements.lock.txt $(PYTHONS)

.venv-colab/.ready: requirements.colab.txt pyproject.toml
	@sh tools/make_venv.sh .venv-colab requirements.colab.txt $(COLAB_PYTHONS)

# PyTorch is in no lock: which build of it suits depends on the machine. TORCH names one.
TORCH = torch>=2.6

.venv-torch/.ready: requirements.lock.txt pyproject.toml
	@sh tools/make_venv.sh .venv-torch requirements.lock.txt $(PYTHONS)
	@rm .venv-torch/.ready
	.venv-torch/bin/python -m pip --disable-pip-version-check install --quiet "$(TORCH)"
	@touch .venv-torch/.ready
