"""Live progress: what the trackers' own libraries read back is what the store has of each training."""

import importlib.util
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from alchemy.results import store
from alchemy.results.store import Partial
from alchemy.runs import track
from alchemy.runs.plan import plan
from alchemy.runs.settings import CONF
from alchemy.runs.track import Curve, Job, Mlflow, TensorBoard, Told, check, points, said_of, tracking
from alchemy.training.fit import Recipe, fit_model
from tests.helpers.command import TINY, environment
from tests.helpers.recipes import QUICK
from tests.helpers.worlds import tiny_model

LACKING = [name for needed in track.NEEDED.values() for name in needed if importlib.util.find_spec(name) is None]
WITHOUT = pytest.mark.skipif(bool(LACKING), reason=f"{LACKING} not installed: make .venv/.track, or make slow")
WORDS = [*TINY, "train.steps=12", "model.width=8", "shift.axis=task", "shift.levels=[0]"]
SWEEP = ["-m", "seed=0,1", "workers=2", *WORDS]
METRICS = ("loss", "exact_match", "rows_per_second")
CHECKS = [
    {"step": 2, "rows": 16, "loss": 3.0, "exact_match": 0.0, "seconds": 4.0},
    {"step": 4, "rows": 32, "loss": 2.0, "exact_match": 0.25, "seconds": 5.0},
    {"step": 6, "rows": 64, "loss": 1.0, "exact_match": 0.5, "seconds": 9.0},
]
NETWORK = """
import sys
def heard(event, words):
    if event in ("socket.getaddrinfo", "socket.connect") and "socket.AF_UNIX" not in str(words):
        open({said!r}, "a").write(f"{{event}} {{words}}\\n")
sys.addaudithook(heard)
"""


def alchemy(folder, *words):
    """Runs the command in `folder`, whose every process notes what it asks of the network; returns its stdout."""
    (folder / "sitecustomize.py").write_text(NETWORK.format(said=str(folder / "network")))
    known = environment()
    known["PYTHONPATH"] = f"{folder}:{known['PYTHONPATH']}"
    command = [sys.executable, "-m", "alchemy", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=known, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    assert not (folder / "network").exists(), (folder / "network").read_text()
    return done.stdout


def curve(checks):
    """What a tracker should have: by metric, its points at x = rows."""
    return {name: [(point.rows, pytest.approx(point.values[name])) for point in points(checks, 0)] for name in METRICS}


def expected(folder):
    """The same by seed, from the models in the store."""
    records = [json.loads(path.read_text()) for path in folder.glob("outputs/models/*/model.json")]
    return {record["settings"]["seed"]: curve(record["checks"]) for record in records}


def read_tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in METRICS}


def read_mlflow(output):
    """By the name of each run: the run, and its metrics."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{output / 'mlflow.db'}")
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    return {
        run.info.run_name: (
            run,
            {
                name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
                for name in METRICS
            },
        )
        for run in runs
    }


def job_in(folder, name="tensorboard"):
    settings = {"output": str(folder), "name": "run", "track": name, "task": {"length": 4}}
    return Job(folder / "run" / "now", settings, "0123456789abcdef")


def test_the_speed_is_between_checks_and_only_what_is_new_is_told():
    assert [point.values["rows_per_second"] for point in points(CHECKS, 0)] == [4.0, 16.0, 8.0]
    assert points(CHECKS, 2) == points(CHECKS, 0)[2:]
    assert not points(CHECKS, 3)


def test_a_missing_tracker_is_named_before_anything_is_done(monkeypatch):
    monkeypatch.setitem(track.NEEDED, "mlflow", ("json", "no_such_package"))
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        cfg = compose("config", ["track=mlflow"])
    with pytest.raises(ValueError, match=r"needs no_such_package: pip install 'shift-alchemy\[track\]'"):
        plan(cfg)


@pytest.mark.slow
def test_nothing_of_a_tracker_is_imported_unasked(tmp_path):
    code = "import sys; from alchemy.__main__ import main; main(); print(*sys.modules, sep='\\n')"
    command = [sys.executable, "-c", code, *WORDS]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment(), check=True)
    imported = {name.split(".")[0] for name in done.stdout.splitlines()}
    assert "torch" in imported
    assert not imported & {"tensorboard", "mlflow", "sqlalchemy"}


@pytest.mark.slow
@WITHOUT
def test_tensorboard_reads_every_curve_of_a_sweep_and_again_when_nothing_is_trained(tmp_path):
    for _ in range(2):
        said = alchemy(tmp_path, *SWEEP, "track=tensorboard")
        sweep = (tmp_path / said.splitlines()[-1]).parent
        want = expected(tmp_path)
        assert {seed: read_tensorboard(sweep / str(seed) / "tensorboard") for seed in (0, 1)} == want
        assert all(len(points) == 6 for points in want[0].values())
    assert said.count("done before") == 2


@pytest.mark.slow
@WITHOUT
def test_mlflow_reads_every_curve_of_a_sweep_and_again_when_nothing_is_trained(tmp_path):
    sweeps = [alchemy(tmp_path, *SWEEP, "track=mlflow").splitlines() for _ in range(2)]
    assert sum("done before" in line for line in sweeps[1]) == 2
    output = tmp_path / "outputs"
    runs, want = read_mlflow(output), expected(tmp_path)
    folders = [(tmp_path / lines[-1]).parent.relative_to(output) for lines in sweeps]
    assert set(runs) == {f"{folder}/{number}" for folder in folders for number in (0, 1)}
    for name, (run, metrics) in runs.items():
        seed = int(name[-1])
        assert metrics == want[seed]
        assert run.info.status == "FINISHED"
        assert {"seed": str(seed), "model.width": "8", "train.steps": "12"}.items() <= run.data.params.items()
        model = json.loads((output / "models" / run.data.tags["fingerprint"] / "model.json").read_text())
        assert model["settings"]["seed"] == seed
    assert {path.name for path in tmp_path.iterdir()} <= {"outputs", "sitecustomize.py", "__pycache__"}


@pytest.mark.slow
@WITHOUT
def test_a_tracker_changes_no_model_and_one_that_fails_costs_a_warning(tmp_path):
    alchemy(tmp_path, *WORDS)
    before = {path: path.read_bytes() for path in tmp_path.glob("outputs/models/*/model.safetensors")}
    (tmp_path / "outputs" / "mlflow.db").write_text("no database at all, but a text that is long enough\n" * 100)
    for path in before:
        path.unlink()  # so that it is trained again
    said = alchemy(tmp_path, *WORDS, "track=mlflow")
    assert said.count("track=mlflow failed") == 1
    assert {path: path.read_bytes() for path in tmp_path.glob("outputs/models/*/model.safetensors")} == before


@pytest.mark.slow
@WITHOUT
def test_a_training_that_goes_on_shows_its_whole_curve(cipher, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "PAUSE", 0.0)
    recipe = Recipe(**{**QUICK, "steps": 20, "check_every": 4, "mark": None})

    def stop(at):
        if at.step == 12:
            raise KeyboardInterrupt

    def train(report):
        with tracking("tensorboard", job_in(tmp_path)) as tell:
            return fit_model(cipher, tiny_model(cipher), recipe, 0, report, Told(Partial(tmp_path / "part"), tell))

    with pytest.raises(KeyboardInterrupt):
        train(stop)
    shown = tmp_path / "run" / "now" / "tensorboard"
    assert len(read_tensorboard(shown)["loss"]) == 3
    checks = train(lambda at: None)
    assert [check.step for check in checks] == [4, 8, 12, 16, 20]
    assert read_tensorboard(shown) == curve([vars(check) for check in checks])


@pytest.mark.slow
@WITHOUT
def test_a_full_disk_and_a_locked_database_are_one_warning_each(tmp_path, caplog):
    full = Curve(TensorBoard, job_in(tmp_path))
    full.tell(CHECKS[:1])
    full.tracker.file._writer.close()
    full.tracker.file._writer = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
    for known in (2, 3):
        full.tell(CHECKS[:known])
    full.tracker.file.close()
    assert caplog.text.count("track=tensorboard failed") == 1
    assert "No space left" in caplog.text

    locked = Curve(Mlflow, job_in(tmp_path, "mlflow"))
    locked.tell(CHECKS[:1])
    other = sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for known in (2, 3):
        locked.tell(CHECKS[:known])
    other.close()
    assert caplog.text.count("track=mlflow failed") == 1
    assert "database is locked" in caplog.text
    ((run, metrics),) = read_mlflow(tmp_path).values()
    assert metrics == curve(CHECKS[:1])
    assert run.info.status == "RUNNING"


@pytest.mark.slow
@WITHOUT
def test_a_failed_job_says_so_and_one_that_is_begun_again_has_one_run(tmp_path):
    job = job_in(tmp_path, "mlflow")

    def fail():
        with tracking("mlflow", job) as tell:
            tell(CHECKS[:2])
            raise ValueError("the loss is nan")

    with pytest.raises(ValueError, match="the loss is nan"):
        fail()
    ((run, _),) = read_mlflow(tmp_path).values()
    assert run.info.status == "FAILED"
    with tracking("mlflow", job) as tell:
        tell(CHECKS)
    ((run, metrics),) = read_mlflow(tmp_path).values()
    assert run.info.status == "FINISHED"
    assert metrics == curve(CHECKS)
    assert run.data.params["task.length"] == "4"


def delete_experiment(file):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{file}")
    client.delete_experiment(client.get_experiment_by_name("run").experiment_id)


def delete_run(file):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{file}")
    (run,) = client.search_runs([client.get_experiment_by_name("run").experiment_id])
    client.delete_run(run.info.run_id)


@pytest.mark.slow
@WITHOUT
def test_what_was_deleted_in_mlflow_s_own_page_is_restored(tmp_path, caplog):
    job = job_in(tmp_path, "mlflow")

    def train(*between):
        with tracking("mlflow", job) as tell:
            for known, act in enumerate(between, 1):
                tell(CHECKS[:known])
                act(tmp_path / "mlflow.db")
            tell(CHECKS)

    train()
    delete_experiment(tmp_path / "mlflow.db")
    train(delete_run, delete_experiment)
    assert "failed" not in caplog.text
    ((run, metrics),) = read_mlflow(tmp_path).values()
    assert (run.info.status, metrics) == ("FINISHED", curve(CHECKS))


def spoil(file, how):
    if how == "a folder":
        file.mkdir()
    elif how == "garbage":
        file.write_text("no database at all, but a text that is long enough\n" * 100)
    else:
        with sqlite3.connect(file) as made:
            made.execute("CREATE TABLE experiments (name TEXT)")
            made.executemany("INSERT INTO experiments VALUES (?)", [("a" * 900,)] * 100)
        made.close()
        if how == "cut":
            file.write_bytes(file.read_bytes()[:10_000])


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("a folder", "(unable to open database file): make it a file that can be written"),
        ("garbage", "(file is not a database): move it away"),
        ("cut", "(database disk image is malformed): move it away"),
        ("locked", "(database is locked): end what else is writing into it"),
    ],
)
def test_a_database_that_cannot_be_used_is_known_before_mlflow_tries_for_minutes(how, said, tmp_path, monkeypatch):
    file = tmp_path / "mlflow.db"
    check(file)
    spoil(file, how)
    monkeypatch.setattr(track, "BUSY", 0.1)
    with sqlite3.connect(file if how == "locked" else ":memory:", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            check(file)
        other.execute("ROLLBACK")
    other.close()
    assert str(caught.value) == f"{file} cannot be used {said}"


def test_a_warning_is_one_short_sentence_without_what_a_library_says_of_itself():
    query = (
        "(sqlite3.OperationalError) database is locked\n[SQL: INSERT INTO metrics]\n(Background on this error at: x)"
    )
    assert said_of("mlflow", RuntimeError(query)) == (
        "track=mlflow failed ((sqlite3.OperationalError) database is locked); the job goes on without it, and once "
        "that is mended the same command shows the whole curve"
    )
    for error in (RuntimeError("far too long " * 100), OSError(28, "No space left", "/a/b" * 200), ValueError()):
        said = said_of("tensorboard", error)
        assert len(said) <= 300
        assert "\n" not in said
        assert said.endswith("the whole curve")


@WITHOUT
def test_a_file_in_the_place_of_tensorboard_s_folder_is_one_warning(tmp_path, caplog):
    job = job_in(tmp_path)
    job.folder.mkdir(parents=True)
    (job.folder / "tensorboard").write_text("mine")
    with tracking("tensorboard", job) as tell:
        tell(CHECKS)
    assert caplog.text.count("track=tensorboard failed") == 1
    assert "tensorboard cannot be used (File exists)" in caplog.text
    assert (job.folder / "tensorboard").read_text() == "mine"
