# make demo    environment, simulated archive, store, and the app on its address
# make test    environment and the whole test suite
# make check   ruff, format, types
# make serve   the app alone; PORT=8502 and ADDRESS=0.0.0.0 say where, for both
# make screenshot   docs/screenshot.png from the running demo
# make gpu     what wants a GPU: its tests and its measurements
# make weights   train the weights that ship; MINUTES=10 a slice, again until it says that all is done

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501
ADDRESS ?= 127.0.0.1
APP = $(BIN)/streamlit run streamlit_app.py --server.address $(ADDRESS) --server.port $(PORT) --server.headless true
READY := $(VENV)/.ready
TEST_READY := $(VENV)/.ready-test

.PHONY: demo serve free-port test check screenshot gpu weights clean

demo: free-port $(READY)
	$(BIN)/python -m index.build
	@echo "the map: http://$(ADDRESS):$(PORT)"
	$(APP)

serve: free-port $(READY)
	$(APP)

# Asked first: an environment and a store take minutes.
free-port:
	@$(PYTHON) -c 'import socket; socket.create_server(("$(ADDRESS)", $(PORT)))' 2>/dev/null || \
	{ echo "$(ADDRESS):$(PORT) is in use or cannot be served: stop what runs there, or choose another port," \
	"such as make $(or $(MAKECMDGOALS),demo) PORT=8502" >&2; exit 2; }

test: $(TEST_READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: $(TEST_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

screenshot: $(TEST_READY)
	$(BIN)/python bench/screenshot.py

# --no-compile: modules are compiled when they are first imported, most of them never.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(TEST_READY): $(READY)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[test,bench]'
	@touch $@

clean:
	rm -rf $(VENV) data

# Everything that wants a GPU, checked and measured in one go.
gpu: $(TEST_READY)
	$(BIN)/python -m pytest -m gpu -ra tests
	$(BIN)/python bench/embed.py
	$(BIN)/python bench/stream.py
	$(BIN)/python bench/search.py
	$(BIN)/python bench/views.py
	$(BIN)/python bench/pretrain.py --profile

COUNTRY := $(or $(AFTERIMAGE_DATA),data)/weights/country.safetensors
MINUTES ?= 10

# On a machine without this environment: python3 -m encoder.recipe, with the packed file, does the same.
weights: $(READY) $(COUNTRY)
	$(BIN)/python -m encoder.recipe --country $(COUNTRY) --out $(dir $(COUNTRY)) --minutes $(MINUTES)

$(COUNTRY): | $(READY)
	mkdir -p $(dir $@)
	$(BIN)/python -m encoder.stream_pack --out $@ --grounds-per-biome 5 --seed 100
