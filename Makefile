# make demo | test | bench | bench-peers | lint | docs: each sets up a virtual environment with what it needs.

PYTHON ?= python3
EDGE := .venv-edge
DEV := .venv-dev
TFLITE := .venv-tflite
ARM := .venv-arm
SBOM := .venv-sbom
PEERS := .venv-peers
LOWEST := .venv-lowest
# Processes that run test files side by side.
JOBS ?= 2
export SEMEDGE_TFLITE_PYTHON ?= $(CURDIR)/$(TFLITE)/bin/python
APT_PACKAGES := $(shell grep -v '^\#' apt-packages.txt)

.PHONY: demo station test reliability test-slow test-lowest bench bench-full bench-learned bench-peers lint docs format pictures constraints sbom release-check apt clean

demo: $(EDGE)/ready
	$(EDGE)/bin/semedge demo --pictures demo-pictures

# A complete station with real parts: simulated GenICam camera, broker, webhook, OPC UA, Chromium.
station: $(DEV)/ready apt
	$(DEV)/bin/python tests/system/whole_station.py

test: $(DEV)/ready $(DEV)/aravis $(DEV)/cluster $(EDGE)/ready $(TFLITE)/ready $(ARM)/ready apt
	$(DEV)/bin/python -m pytest tests -m "not slow and not alone" --numprocesses $(JOBS) --dist loadfile
	$(DEV)/bin/python -m pytest tests -m "not slow and alone"

test-slow: $(DEV)/ready $(DEV)/aravis $(DEV)/cluster $(EDGE)/ready $(TFLITE)/ready apt
	$(DEV)/bin/python -m pytest tests -m slow

# The quick tests of the edge with the lowest versions that pyproject.toml allows, which uv finds.
test-lowest: $(LOWEST)/ready apt
	$(LOWEST)/bin/python -m pytest tests/edge -m "not slow and not alone"

# Every fault of docs/reliability.md, and the page of their figures; in about a quarter of an hour.
reliability: $(DEV)/ready $(DEV)/aravis apt
	@mkdir -p runs
	$(DEV)/bin/python -m pytest tests/edge tests/system -m fault -o junit_family=xunit1 \
	  --junitxml=runs/reliability.xml; \
	  status=$$?; \
	  $(DEV)/bin/python tests/reliability.py runs/reliability.xml > runs/reliability.md && \
	  mv runs/reliability.md docs/reliability.md; exit $$status

bench: $(DEV)/ready
	SEMEDGE_BENCH_SHORT=1 $(DEV)/bin/python -m pytest benchmarks -q --benchmark-json=benchmarks/short.json
	$(DEV)/bin/python benchmarks/table.py benchmarks/short.json --command "make bench"

bench-full: $(DEV)/ready
	$(DEV)/bin/python -m pytest benchmarks -q --ignore=benchmarks/test_bench_learned.py \
	  --benchmark-json=benchmarks/last.json
	$(DEV)/bin/python benchmarks/table.py benchmarks/last.json --command "make bench-full" \
	  --readme benchmarks/README.md

# The detector of `semedge learn`.
bench-learned: $(DEV)/ready
	$(DEV)/bin/python -m pytest benchmarks/test_bench_learned.py -q \
	  --benchmark-json=benchmarks/learned.json
	$(DEV)/bin/python benchmarks/table.py benchmarks/learned.json --command "make bench-learned" \
	  --readme benchmarks/README.md --marker learned

# The same graphs by other runtimes, which need packages of their own.
bench-peers: $(PEERS)/ready
	$(PEERS)/bin/python -m pytest benchmarks/test_bench_peers.py -q --benchmark-json=benchmarks/peers.json
	$(PEERS)/bin/python benchmarks/table.py benchmarks/peers.json --command "make bench-peers" \
	  --readme benchmarks/README.md --marker peers

lint: $(DEV)/ready
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports --no-cache

# The manual, as pages in runs/site; a link that leads nowhere is an error.
docs: $(DEV)/docs
	NO_MKDOCS_2_WARNING=1 $(DEV)/bin/mkdocs build --strict --quiet

format: $(DEV)/ready
	$(DEV)/bin/ruff check --fix .
	$(DEV)/bin/ruff format .

# The pictures of the README and the manual: the demo's first 40 frames, the heat map of frame 17, a
# film, the live page, and the tutorial's.
pictures: $(EDGE)/ready $(DEV)/ready apt
	rm -rf demo-pictures
	$(EDGE)/bin/semedge demo --frames 40 --pictures demo-pictures
	mkdir -p docs/pictures
	cp demo-pictures/overview.png docs/pictures/overview.png
	cp demo-pictures/*/*-17-*-overlay.png docs/pictures/heat-map.png
	$(DEV)/bin/python tests/system/page_picture.py docs/pictures/page.png
	PATH=$(CURDIR)/$(EDGE)/bin:$$PATH $(DEV)/bin/python tests/system/tutorial_pictures.py docs/pictures

# What an edge device installs: no TensorFlow.
$(EDGE)/ready: pyproject.toml
	$(PYTHON) -m venv $(EDGE)
	$(EDGE)/bin/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(DEV)/ready: pyproject.toml
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/pip install --quiet --disable-pip-version-check --editable ".[train,bench,dev]"
	touch $@

$(LOWEST)/ready: pyproject.toml
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct \
	  --editable ".[dev]" "scipy>=1.12"
	touch $@

$(PEERS)/ready: pyproject.toml
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check --editable ".[peers]"
	touch $@

# Compiled against Debian packages; where they are missing, the tests of Aravis are skipped.
$(DEV)/aravis: $(DEV)/ready | apt
	$(DEV)/bin/pip install --quiet --disable-pip-version-check --editable ".[aravis]" || \
	  echo "PyGObject could not be built; the tests of Aravis are skipped."
	touch $@

# MkDocs and its theme.
$(DEV)/docs: $(DEV)/ready
	$(DEV)/bin/pip install --quiet --disable-pip-version-check --editable ".[docs]"
	touch $@

# Ray, for scoring many files and ablations on a cluster.
$(DEV)/cluster: $(DEV)/ready
	$(DEV)/bin/pip install --quiet --disable-pip-version-check --editable ".[cluster]"
	touch $@

# The other runtime, which no Python after 3.11 has: its tests are then skipped, with the reason.
$(TFLITE)/ready: pyproject.toml
	$(PYTHON) -m venv $(TFLITE)
	if $(PYTHON) -c 'import sys; sys.exit(sys.version_info >= (3, 12))'; then \
	  $(TFLITE)/bin/pip install --quiet --disable-pip-version-check --no-deps --editable . && \
	  $(TFLITE)/bin/pip install --quiet --disable-pip-version-check \
	    tflite-runtime "numpy<2" "opencv-python-headless<4.12" simplejpeg tifffile click rich pydantic; \
	fi
	touch $@

# Python and the edge's packages for 64-bit Arm, which an emulator runs.
$(ARM)/ready: $(EDGE)/ready tests/arm/set_up.sh | apt
	mkdir -p $(ARM)
	sh tests/arm/set_up.sh $(ARM) $(EDGE)/bin/python || \
	  echo "Nothing could be set up for Arm; its test is skipped."
	touch $@

# Debian packages of the tests, where that can be done; the tests that lack one say which.
apt:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && \
	   ! dpkg-query --show $(APT_PACKAGES) > /dev/null 2>&1; then \
	  apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
	    $(APT_PACKAGES) > /dev/null || \
	  echo "Some Debian packages could not be installed; the tests that need them are skipped."; \
	fi

# The versions that the tests ran with, for `pip install -c constraints.txt`.
constraints: $(DEV)/ready
	(echo "# The versions that the tests ran with: pip install -c constraints.txt semedge[...]; made by \`make constraints\`."; \
	  $(DEV)/bin/pip freeze --exclude-editable | grep -v '^-e\|@ file') > constraints.txt

# What an edge device installs, as a CycloneDX document.
sbom: $(EDGE)/ready
	test -x $(SBOM)/bin/cyclonedx-py || { $(PYTHON) -m venv $(SBOM) && \
	  $(SBOM)/bin/pip install --quiet --disable-pip-version-check cyclonedx-bom; }
	mkdir -p runs
	$(SBOM)/bin/cyclonedx-py environment --output-reproducible --of JSON -o runs/sbom.json $(EDGE)/bin/python
	@echo "runs/sbom.json"

# The sdist and the wheel of the last commit, each installed in a fresh environment.
release-check:
	PYTHON=$(PYTHON) sh tests/release_check.sh runs/release

clean:
	rm -rf .venv-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
