"""Every store of a finished sweep, bit by bit: what is changed, cut, emptied or exchanged is measured again or refused
by name, and no other number is ever shown.
"""

import hashlib
import itertools
import json
import logging
import random
import shutil
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from alchemy.figures.draw import finish
from alchemy.results.cells import Cells
from alchemy.results.digests import Damaged, sha256, write_json
from alchemy.results.runs import read_results
from alchemy.runs.job import sweep_of, work
from alchemy.runs.plan import plan
from alchemy.runs.settings import CONF
from alchemy.runs.sweep import announce
from tests.helpers.made import change_run

WORDS = ["model.layers=1", "model.heads=2", "train.steps=4", "train.check_every=2", "train.batch=4"]
WORDS += ["train.check_problems=4", "train.mark=null", "train.snapshots=2", "study=trajectory", "study.count=8"]
WORDS += ["shift.axis=task", "shift.levels=[0,1]"]
WIDTHS = (8, 12)


class Sweep:
    """A finished sweep over two widths: its stores, and what comes out of it when its command is given again."""

    def __init__(self, folder):
        self.folder, self.jobs = folder, folder / "outputs" / "run" / "now"
        with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
            self.configs = [compose("config", [*WORDS, f"model.width={width}"]) for width in WIDTHS]
        self.jobs.mkdir(parents=True)
        announce(self.jobs, len(WIDTHS))
        for number, cfg in enumerate(self.configs):
            cfg.output = str(folder / "outputs")
            home = self.jobs / str(number)
            (home / ".hydra").mkdir(parents=True)
            OmegaConf.save(cfg, home / ".hydra" / "config.yaml")
            facts = work(cfg, plan(cfg), home, number) | {"overrides": [f"model.width={WIDTHS[number]}"]}
            its = {"status": "ok", "config": sha256(home / ".hydra" / "config.yaml")}
            its |= {"job": number, "sweep": sweep_of(home)}
            write_json(home / "run.json", facts | its)
        self.table = self.shown()
        self.records = [self.again(number) for number in range(2)]
        self.whole = folder.with_name(f"{folder.name} whole")
        shutil.copytree(folder, self.whole)

    def files(self, *parts):
        """The files of some stores, in a fixed order."""
        found = [path for part in parts for path in (self.folder / "outputs" / part).rglob("*") if path.is_file()]
        return sorted(path for path in found if not path.name.endswith(".lock"))

    def shown(self):
        """The table of the sweep's folder, and what failed in it."""
        try:
            results = read_results(self.jobs)
        except Damaged as error:
            return "", [], [str(error)]
        cells = results.cells.to_csv(index=False) if results.good else ""
        return cells, results.caption if results.good else [], results.failures()

    def again(self, number):
        """The records that the command of a job writes when it is given again."""
        cfg = self.configs[number]
        home = self.folder / "again"
        home.mkdir(exist_ok=True)
        work(cfg, plan(cfg), home, number)
        return (home / "records.jsonl").read_text(encoding="utf-8")

    def mend(self):
        shutil.rmtree(self.folder)
        shutil.copytree(self.whole, self.folder)

    def holds(self, what):
        """Whether, after `what` was done to a file, each number is the same or its loss is told."""
        cells, caption, failures = self.shown()
        if not failures:
            assert (cells, caption) == self.table[:2], f"{what}: another table, without a word"
        for said in failures:
            assert len(said) < 600, what
            assert "outputs" in said, f"{what}: {said}"

    def comes_out(self, what, numbers=(0, 1)):
        for number in numbers:
            try:
                assert self.again(number) == self.records[number], f"{what}: other records"
            except Damaged as error:
                assert "remove " in str(error), what


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    logging.disable(logging.CRITICAL)
    yield Sweep(tmp_path_factory.mktemp("stored") / "lab")
    logging.disable(logging.NOTSET)


def flip(path, rng):
    content = bytearray(path.read_bytes())
    bit = rng.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    return f"bit {bit} of {path.name}"


HARMS = {
    "emptied": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "null": lambda content: b"null",
    "a list": lambda content: b"[1]",
    "a number": lambda content: b"3",
    "zeros": lambda content: bytes(len(content)),
    "doubled": lambda content: content + content,
}
FEW = [False, pytest.param(True, marks=pytest.mark.slow)]


@pytest.mark.parametrize("slow", FEW)
def test_a_flipped_bit_in_a_job_s_folder_changes_no_number(sweep, slow):
    rng = random.Random(int(slow))
    files = [path for path in sweep.files("run/now") if path.name in ("records.jsonl", "run.json")]
    for _ in range(150 if slow else 12):
        path = rng.choice(files)
        content = path.read_bytes()
        sweep.holds(flip(path, rng))
        path.write_bytes(content)
    assert sweep.shown() == sweep.table


@pytest.mark.parametrize("slow", FEW)
def test_a_flipped_bit_in_a_model_or_a_cell_changes_no_number(sweep, slow):
    rng = random.Random(10 + slow)
    files = sweep.files("models", "cells")
    assert {path.suffix for path in files} == {".json", ".safetensors", ".parquet"}
    for _ in range(150 if slow else 6):
        sweep.comes_out(flip(rng.choice(files), rng), numbers=[rng.randrange(2)] if not slow else (0, 1))
        sweep.mend()


@pytest.mark.parametrize("slow", FEW)
def test_files_that_are_exchanged_change_no_number(sweep, slow):
    """All pairs of files of one kind, within and between models, cells and jobs."""
    pairs = []
    for parts in (("run/now",), ("models", "cells")):
        files = [path for path in sweep.files(*parts) if path.suffix != ".yaml"]
        pairs += [pair for pair in itertools.combinations(files, 2) if pair[0].suffix == pair[1].suffix]
    assert len(pairs) > 60
    for one, other in pairs if slow else random.Random(0).sample(pairs, 8):
        contents = one.read_bytes(), other.read_bytes()
        one.write_bytes(contents[1])
        other.write_bytes(contents[0])
        what = f"{one} exchanged with {other}"
        sweep.holds(what)
        if "run" not in one.relative_to(sweep.folder / "outputs").parts:
            sweep.comes_out(what)
        sweep.mend()


def test_records_cut_at_any_line_are_a_failed_job(sweep):
    path = sweep.jobs / "0" / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for number in range(len(lines)) if len(lines) < 40 else [*range(5), *range(5, len(lines), 37), len(lines) - 1]:
        path.write_bytes(b"".join(lines[:number]))
        _, _, failures = sweep.shown()
        [said] = failures
        assert f"{path} has changed since it was written: run that job again" in said
    path.write_bytes(b"".join(lines))
    assert sweep.shown() == sweep.table


@pytest.mark.parametrize("harm", HARMS)
def test_whole_files_of_something_else_change_no_number(sweep, harm):
    for path in sweep.files("run/now"):
        content = path.read_bytes()
        path.write_bytes(HARMS[harm](content))
        sweep.holds(f"{path.name} {harm}")
        if path.name in ("run.json", "records.jsonl"):
            assert len(sweep.shown()[2]) == 1
        path.write_bytes(content)
    for path in sweep.files("models", "cells")[:: 1 if harm == "cut" else 5]:
        path.write_bytes(HARMS[harm](path.read_bytes()))
        sweep.comes_out(f"{path.name} {harm}")
        sweep.mend()


KINDS: dict[str, object] = {
    "rows_of": None,
    "overrides": None,
    "training": None,
    "seed": None,
    "parameters": None,
    "held_out": {},
}
KINDS |= {"records": {}, "length": "4", "reached": "yes", "count": [], "exact_match": "1", "status": "ok?"}


@pytest.mark.parametrize("name", KINDS)
def test_a_run_json_of_the_wrong_kind_is_a_failed_job_though_its_checksum_is_right(sweep, name):
    path = sweep.jobs / "1" / "run.json"
    content = path.read_bytes()
    facts = {key: value for key, value in json.loads(content).items() if key != "checksum"}
    write_json(path, facts | {name: KINDS[name]})
    [said] = sweep.shown()[2]
    assert f"{path} cannot be read: run that job again" in said
    path.write_bytes(content)


def test_a_job_is_known_in_its_own_sweep_alone(sweep):
    """Copied over another, taken away, and brought from another sweep."""
    zero, one = (sweep.jobs / str(number) for number in (0, 1))
    shutil.rmtree(one)
    assert any(f"{one} is not there" in said for said in sweep.shown()[2])
    shutil.copytree(zero, one)
    assert any(f"{one} is not job 1 of this sweep" in said for said in sweep.shown()[2])
    sweep.mend()
    shutil.copytree(zero, sweep.jobs / "2")
    assert any(f"{sweep.jobs / '2'} is not job 2 of this sweep" in said for said in sweep.shown()[2])
    sweep.mend()
    change_run(zero, sweep="another")
    assert any(f"{zero} is not job 0 of this sweep" in said for said in sweep.shown()[2])
    sweep.mend()
    (zero / ".hydra" / "config.yaml").write_text("seed: 0\n")
    assert any("config.yaml has changed since it was written" in said for said in sweep.shown()[2])
    sweep.mend()
    assert sweep.shown() == sweep.table


RECORDS = [{"value": None}, {"value": "1"}, {"value": True}, {"value": float("inf")}, {"error": -1.0}, {"error": "x"}]
RECORDS += [{"count": -1}, {"count": 2.5}, {"metric": 3}, {"metric": None}, {"at": []}, {"at": {}}]


@pytest.mark.parametrize("wrong", RECORDS, ids=str)
def test_records_of_the_wrong_kind_are_refused_though_their_digest_is_right(sweep, wrong):
    path = sweep.jobs / "0" / "records.jsonl"
    first, *others = path.read_text().splitlines(keepends=True)
    content = (json.dumps(json.loads(first) | wrong) + "\n" + "".join(others)).encode()
    path.write_bytes(content)
    change_run(path.parent, records={"sha256": hashlib.sha256(content).hexdigest(), "lines": 1 + len(others)})
    with pytest.raises(ValueError, match=r"records\.jsonl line 1 is not a record: run that job again"):
        read_results(sweep.jobs)
    sweep.mend()


def test_a_table_is_that_of_its_own_run(sweep, tmp_path, capsys):
    """Both files exchanged with those of another run, and the record taken away."""
    from alchemy.results.query import main

    assert finish(sweep.jobs) == 0
    other = tmp_path / "other"
    shutil.copytree(sweep.jobs, other)
    (other / "0" / "records.jsonl").write_text("")
    change_run(other / "0", records={"sha256": hashlib.sha256(b"").hexdigest(), "lines": 0})
    capsys.readouterr()
    assert main([str(other)]) == 1
    assert "cells.csv has changed since it was written" in capsys.readouterr().err
    (sweep.jobs / "cells.json").unlink()
    assert main([str(sweep.jobs)]) == 1
    sweep.mend()


def test_a_training_that_was_put_down_goes_on_only_where_it_is_its_own(sweep, monkeypatch):
    """Re-signed with no checks, other numbers, other tensors: it is begun anew, and comes to the same bits."""
    from safetensors.torch import load, save

    from alchemy.results import store

    monkeypatch.setattr(store, "PAUSE", -1)
    cfg = sweep.configs[0]
    todo = plan(cfg)
    home = sweep.folder / "outputs" / "models" / store.fingerprint(todo.settings)
    weights = (home / "model.safetensors").read_bytes()
    partial = store.Partial(home.with_name(f".{home.name}.partial"))
    state = {f"model.{name}": value for name, value in load(weights).items()}
    good = [{"step": 2, "rows": 8, "loss": 1.0, "exact_match": 0.0, "seconds": 1.0}]
    for checks, its in (
        ([], state),
        (good, state),  # no memory of an optimiser
        ([{"a": 1.0}], state),
        (good, {name: value.int() for name, value in state.items()}),
        (good, dict([*state.items()][1:])),
    ):
        shutil.rmtree(home, ignore_errors=True)
        partial.put_down(its, checks)
        assert save(its)
        assert sweep.again(0) == sweep.records[0]
        assert (home / "model.safetensors").read_bytes() == weights
    sweep.mend()


def test_a_table_that_has_changed_is_written_anew_and_never_asked(sweep, capsys):
    from alchemy.results.query import main

    assert finish(sweep.jobs) == 0
    cells = sweep.jobs / "cells.csv"
    kept = cells.read_bytes()
    assert main([str(sweep.jobs)]) == 0
    cells.write_bytes(kept.replace(b"0.", b"1.", 1))
    capsys.readouterr()
    assert main([str(sweep.jobs)]) == 1
    assert f"{cells} has changed since it was written" in capsys.readouterr().err
    assert finish(sweep.jobs) == 0
    assert cells.read_bytes() == kept
    assert len(pd.read_csv(cells)) > 10


def test_force_knows_no_cell(sweep):
    cells = Cells(Path(sweep.folder), "key", force=True)
    assert plan(sweep.configs[0]).task.train not in cells
