# `make heatmap`, `make headline`, `make paper` and `make test` set up .venv by themselves, once. `make slow` and
# `make ray` are the rest of the tests; `make plain` are those of `make test` on other instructions.
PYTHON ?= python3
export OMP_NUM_THREADS ?= 1

.PHONY: heatmap headline paper bench bench-gpu docs test plain slow ray clean

heatmap: .venv/.ready
	@.venv/bin/python -m alchemy experiment=mirage

headline: .venv/.ready
	@.venv/bin/python -m alchemy experiment=reasoning_tax/headline

paper: .venv/.ready
	@.venv/bin/python -m alchemy paper quick=$(or $(quick),false) large=$(or $(large),false)

bench: .venv/.bench
	@.venv/bin/python -m benchmarks $(if $(rounds),rounds=$(rounds)) $(if $(compare),compare=$(compare)) $(if $(only),only="$(only)")

bench-gpu: .venv/.bench
	@.venv/bin/python -m benchmarks.gpu $(if $(slots),slots=$(slots)) $(if $(device),device=$(device))

docs: .venv/.docs
	@.venv/bin/python docs/pages.py
	@.venv/bin/zensical build --strict --clean
	@echo outputs/docs/site/index.html

test: .venv/.ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=5 -m "not slow"

plain: .venv/.ready # the same tests as a processor without AVX does them: other bits in what is trained, the same outcomes
	ATEN_CPU_CAPABILITY=default MKL_ENABLE_INSTRUCTIONS=SSE4_2 ONEDNN_MAX_CPU_ISA=SSE41 NUMBA_CPU_NAME=generic \
	.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

slow: .venv/.slurm .venv/.browser .venv/.track .venv/.hf .venv/.docs .venv/.notebook
	.venv/bin/python -m pytest -n 2 --dist loadfile --durations=5 -m slow

ray: .venv-ray/.ready
	.venv-ray/bin/python -m pytest -m slow tests/system/test_engines.py

.venv-ray/.ready: requirements.ray.lock
	test -x .venv-ray/bin/python || $(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python -m pip install -q --no-compile --no-deps -r requirements.ray.lock
	.venv-ray/bin/python -m pip install -q --no-compile --no-deps --no-build-isolation -e .
	@touch $@

.venv/.ready: pyproject.toml requirements.lock
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -q --no-compile -r requirements.lock
	.venv/bin/python -m pip install -q --no-compile --no-deps --no-build-isolation -e .
	@env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -c "import alchemy.runs.job, alchemy.training.fit, alchemy.measures.cell, alchemy.paper.replicate, torch._dynamo" # compiles what a run imports
	@touch $@

.venv/.%: .venv/.ready requirements.%.lock
	.venv/bin/python -m pip install -q --no-compile -r requirements.$*.lock
	@touch $@

clean:
	rm -rf .venv .venv-ray outputs/* .cache .mypy_cache .pytest_cache .ruff_cache
