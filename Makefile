# make setup | quick | burst | bundle | keep | restore | test | test-slurm | campaign | lint | audit | bench | results | screenshot | lock
# make burst DATA=/path: ten minutes of one GPU
# make bundle TIER=desk, or RESULTS=results/quick/own/name: one archive to publish; MASKS=yes adds which labels are wrong
# make quick STUDIES=all: every study; STUDIES=low_quality_data: that one
PYTHON ?= python3
BIN := .venv/bin
CORES ?= all
STUDIES ?=
DATA ?=
MINUTES ?=
TIER ?= quick
RESULTS ?= results/$(TIER)
MASKS ?=

.PHONY: setup quick burst bundle keep restore test browser test-slurm campaign nightly lint audit bench results
.PHONY: screenshot lock

setup: .venv/.complete

.venv/.complete: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "noiselab needs Python 3.11 or later")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.txt
	touch $@

quick: setup
	$(BIN)/snakemake --cores $(CORES) $(if $(STUDIES),--config studies=$(STUDIES))
	@echo "The report: results/quick/report.html"

# Measures the GPU, says what fits, trains that, stops in time; again, it goes on.
burst: setup
	$(BIN)/python workflow/scripts/burst.py $(if $(DATA),--data $(DATA)) $(if $(MINUTES),--minutes $(MINUTES))

# Of finished results, as they were configured; what has changed since is made again before.
BUNDLE = $(BIN)/snakemake --cores $(CORES) --configfile $(RESULTS)/config.json
bundle: setup
	$(if $(MASKS),$(BUNDLE) -- masks)
	$(BUNDLE) --forcerun crate bundle -- bundle
	@echo "The archive: $(RESULTS)/bundle.zip"

# Scored runs without their weights, by family and data set; elsewhere, where the data are prepared, a
# plan goes on from them without training these again.
KEPT = docs/results/runs/$(notdir $(RESULTS))
keep: setup
	$(BIN)/python workflow/scripts/keep_runs.py --results $(RESULTS) --out $(KEPT)
restore: setup
	$(BIN)/python workflow/scripts/restore_runs.py --results $(RESULTS) $(or $(FROM),$(wildcard $(KEPT)/*/*.zip))

# On two cores, each test on one of them; a file's tests share what they were prepared with. Long files
# come first (tests/conftest.py).
test: setup browser
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# What the browser tests of the report need of npm. Where there is none, these tests are skipped.
browser:
	@test -d tests/browser/node_modules || ! command -v npm > /dev/null \
	  || (cd tests/browser && timeout 60 npm ci --ignore-scripts) || echo "no axe-core: its tests are skipped"

# On a Slurm cluster that it brings up here: as root, on Debian. Elsewhere the tests are skipped.
test-slurm: setup
	$(BIN)/pytest tests/slurm -rs

# Random faults in a small workflow on this machine (docs/RELIABILITY.md), a quarter to half an hour on two free
# cores. A seed gives the same faults again; nightly: ten times as many, from a seed of the day.
FAULTS ?= 100
SEED ?= 0
campaign: setup
	OMP_NUM_THREADS=1 $(BIN)/python tests/campaign/run.py --faults $(FAULTS) --seed $(SEED) \
	  --out results/campaign/$(SEED)

nightly:
	$(MAKE) campaign FAULTS=1000 SEED=$$(date +%Y%m%d)

# Known faults of the pinned packages, where the database of open-source faults is within reach.
audit: setup
	@if $(BIN)/python -c 'import socket; socket.getaddrinfo("api.osv.dev", 443)' 2> /dev/null; then \
	  timeout 300 $(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit --no-deps --disable-pip -s osv -r requirements.txt; \
	else echo "no database of known faults within reach: the packages were not checked"; fi

lint: setup audit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile rules
	$(BIN)/snakemake --lint

# Two hours or so, nothing else running; NOISELAB_DATA: a folder of real photos. A part of it:
# .venv/bin/python benchmarks/bench.py --only NAME. Packages that are only measured against stay apart.
PEERS = .peers
bench: setup
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --target $(PEERS) -r benchmarks/peers.txt \
	  || echo "without cleanlab and Opacus, which could not be installed"
	PYTHONPATH=$(PEERS) $(BIN)/python benchmarks/bench.py --quick

# For a tier that takes days, `make_results.py --finished results/desk` publishes what is finished so far.
# docs/RESULTS.md and docs/results/ from results/quick and what is built of results/desk, as far as they were run;
# then what each tier is planned to cost, and the marked numbers of README and docs from docs/results/.
results: setup
	$(BIN)/python workflow/scripts/make_results.py --tiers --results $(wildcard results/quick results/desk/only/built)

# Pictures of results/quick/report.html for README and docs/START.md; they need a browser (chromium).
PICTURE = $(BIN)/python workflow/scripts/take_screenshot.py
PHONE = --width 390 --height 844
screenshot: setup
	$(PICTURE)
	$(PICTURE) --at section-claims --out docs/images/report_claims.png
	$(PICTURE) $(PHONE) --out docs/images/report_phone.png
	$(PICTURE) $(PHONE) --dark --at table1 --out docs/images/report_table.png

# Pins for every platform and Python from 3.11 on; envs/ gets the same.
lock: setup
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
	  --no-emit-index-url requirements.in --output-file requirements.txt
	$(BIN)/python envs/lock.py
