# Needs Python 3.11 or 3.12, git and make; everything else goes into .venv, no root rights.
#   make run      the app on http://127.0.0.1:7860
#   make demo     the example photo speaks: out/demo.mp4
#   make test     the fast tests          make check   linter and types

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
HOST ?= 127.0.0.1
PORT ?= 7860
PYTEST_ARGS ?=
# People see what is being fetched; a log in CI need not.
PIP_FLAGS := $(if $(CI),-qq,)

# Which build of PyTorch: auto, or cpu, cu126, … as the place below names them. The CPU build is a
# tenth of the default one on Linux; auto asks for it only where there is no NVIDIA driver and the
# place that holds it answers.
TORCH ?= auto
TORCH_BUILDS := https://download.pytorch.org/whl
# The same OpenCV without windows, for machines that lack the system's display libraries.
HEADLESS_CV := opencv-contrib-python-headless==4.11.0.86

# A candidate must really run (version managers leave dead shims) and be able to make a venv.
FIND_PYTHON = for name in $(PYTHON) python3.12 python3.11 python3 python; do \
	"$$name" -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
	2>/dev/null && echo "$$name" && break; done

.DEFAULT_GOAL := help
.PHONY: help install run demo test screenshots check format clean

help:
	@sed -n '2,4s/^# *//p' Makefile

$(PY):
	@found="$$($(FIND_PYTHON))"; \
	if [ -z "$$found" ]; then \
		echo "No Python 3.11 or 3.12 that can make a virtual environment was found; install one" \
			"(on Debian and Ubuntu also python3-venv), or say: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with $$found"; "$$found" -m venv $(VENV)

$(INSTALLED): requirements.txt constraints.txt | $(PY)
	@echo "Installing what requirements.txt pins (once, some minutes)"
	@extra=; \
	if [ "$(TORCH)" != auto ]; then \
		extra="--extra-index-url $(TORCH_BUILDS)/$(TORCH)"; \
	elif [ "$$(uname -s)" = Linux ] && ! nvidia-smi >/dev/null 2>&1 && $(PY) -c \
		'import urllib.request as r; r.urlopen("$(TORCH_BUILDS)/cpu/torch/", timeout=3)' 2>/dev/null; then \
		extra="--extra-index-url $(TORCH_BUILDS)/cpu"; \
	fi; \
	$(PIP) install $(PIP_FLAGS) $$extra -r requirements.txt
	@if $(PIP) show --quiet opencv-contrib-python 2>/dev/null && ! $(PY) -c 'import cv2' 2>/dev/null; then \
		echo "This machine has no display libraries: taking OpenCV without windows"; \
		$(PIP) install $(PIP_FLAGS) --no-deps --force-reinstall $(HEADLESS_CV); \
	fi
	@touch $@

$(INSTALLED_DEV): requirements-dev.txt $(INSTALLED)
	@$(PIP) install $(PIP_FLAGS) -r requirements-dev.txt
	@touch $@

install: $(INSTALLED)

run: $(INSTALLED)
	@$(PY) app.py --host $(HOST) --port $(PORT)

demo: $(INSTALLED)
	@$(PY) -m lipsync demo

test: $(INSTALLED_DEV)
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n auto $(PYTEST_ARGS)

screenshots: $(INSTALLED_DEV)
	@PYTHONPATH=. $(PY) tests/screenshots.py

check: $(INSTALLED_DEV)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

format: $(INSTALLED_DEV)
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

clean:
	rm -rf $(VENV) out .pytest_cache .mypy_cache .ruff_cache
