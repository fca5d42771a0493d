"""A shift of one's own: named in settings, checked before anything of it is called, and nothing that a record names."""

import re
import sys

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from alchemy.data.shift import AXES, Shift, axis_module, describe, lengthen, moving
from alchemy.results.digests import sha256, write_json
from alchemy.runs.job import work
from alchemy.runs.plan import examine, plan
from alchemy.runs.settings import CONF
from alchemy.runs.targets import named_in, own_axes
from tests.helpers.mistakes import said

WORDS = ["model.layers=1", "model.heads=2", "model.width=8", "train.steps=2", "train.batch=4", "train.check_problems=4"]
WORDS += ["study.count=8", "train.mark=null"]
OWN = "+shift.own.narrow=shifts_of_mine.narrow"
MODULE = """
from dataclasses import replace

from alchemy.data.shift import asking
from tests.helpers.command import word


def narrow(task, level):
    if not 0 <= level < 3:
        raise ValueError(f"shift.axis=narrow has no level {level}: use 0 to 2 in shift.levels")
    return asking(task.train, task.train.compositions[:level]) if level else task.train


def wide(task, level):
    return None


def other(level, task):
    return task.train


shifts = [narrow]
"""
WORDED = """

def describe(task, where):
    return f"only {len(where.compositions)}" if where != task.train else ""
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The file of a module with shifts, which can be imported."""
    (tmp_path / "shifts_of_mine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("shifts_of_mine", None)
    yield tmp_path / "shifts_of_mine.py"
    sys.modules.pop("shifts_of_mine", None)


def composed(*words):
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return compose("config", [*WORDS, *words])


def test_an_axis_of_ones_own_is_one_like_the_others(module, cipher):
    todo = plan(composed(OWN, "+shift.grid.narrow=[0,1,2]", "shift.axis=[narrow,length]"))
    assert [(shift.axis, shift.levels) for shift in todo.shifts] == [
        ("narrow", (0, 1, 2)),
        ("length", (-2, -1, 0, 1, 2)),
    ]
    narrow, length = todo.shifts
    assert narrow.at(cipher, 2).compositions == cipher.train.compositions[:2]
    assert [narrow.describe(cipher, level) for level in (0, 1)] == ["", "F1F1"]
    assert [axis_module(shift) for shift in todo.shifts] == ["shifts_of_mine", "alchemy.data.shift"]
    assert axis_module("length") == axis_module(length) == axis_module(lengthen) == "alchemy.data.shift"
    assert moving("length") is moving(length) is lengthen
    assert "narrow" not in AXES
    everything = plan(composed(OWN, "+shift.grid.narrow=[0,1]")).shifts
    assert [shift.axis for shift in everything if shift.axis != "format"] == [
        "task",
        "element",
        "length",
        "steps",
        "narrow",
    ]


def test_its_module_may_say_what_its_levels_are(module, cipher):
    module.write_text(MODULE + WORDED)
    [shift] = plan(composed(OWN, "shift.axis=narrow", "shift.levels=[0,1]")).shifts
    assert [shift.describe(cipher, level) for level in (0, 1)] == ["", "only 1"]
    assert describe(cipher, shift.at(cipher, 1)) == "F1F1"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["shift.axis=narrow"], "shift.axis=narrow is not an axis: use one of task, composition, "),
        ([OWN, "shift.axis=narow"], "shift.axis=narow is not an axis: use one of narrow, task, composition, "),
        ([OWN, "shift.axis=narrow"], "shift.grid lacks the axis narrow: add levels as shift.grid.narrow, or set"),
        ([OWN, "shift.axis=narrow", "shift.levels=[0,3]"], "shift.axis=narrow has no level 3: use 0 to 2"),
        (["+shift.grid.narrow=[0]"], "shift.grid.narrow is not a setting"),
        (["shift.own=shifts_of_mine.narrow"], "shift.own=shifts_of_mine.narrow must be settings by name"),
        (["+shift.own.narrow=1"], "shift.own.narrow=1 must be text"),
        (["+shift.own.narrow=[x.y]"], "shift.own.narrow=['x.y'] must be text"),
        (["+shift.own.length=shifts_of_mine.narrow"], "shift.own.length cannot name an axis of your own"),
        (["+shift.own.all=shifts_of_mine.narrow"], "shift.own.all cannot name an axis of your own"),
        (["+shift.own={a b: shifts_of_mine.narrow}"], "shift.own.a b cannot name an axis of your own"),
        (["+shift.own.narrow=narrow"], "shift.own.narrow=narrow names nothing: it must be a shift: a function of task"),
        (["+shift.own.narrow=shifts_of_mine.narow"], "shift.own.narrow=shifts_of_mine.narow cannot be imported"),
        (["+shift.own.narrow=no_such.narrow"], "shift.own.narrow=no_such.narrow cannot be imported"),
        (["+shift.own.narrow=shifts_of_mine.shifts"], "shift.own.narrow=shifts_of_mine.shifts does not belong there"),
        (["+shift.own.narrow=shifts_of_mine.other"], "shift.own.narrow=shifts_of_mine.other does not belong there"),
        (["+shift.own.narrow=os.getcwd"], "shift.own.narrow=os.getcwd does not belong there"),
        (["+shift.own.narrow._target_=shifts_of_mine.narrow"], "shift.own.narrow._target_ has no place there"),
    ],
)
def test_a_mistake_is_one_sentence(module, words, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}") as told:
        plan(composed(*words))
    assert len(str(told.value)) <= 300


def test_what_is_no_distribution_is_told(module):
    with pytest.raises(TypeError, match=r"shift\.axis=wide level 0 gives None, and must give a Distribution"):
        plan(composed("+shift.own.wide=shifts_of_mine.wide", "shift.axis=wide", "shift.levels=[0]"))


def test_without_a_plus_it_is_told_on_the_command_line():
    for words in ("shift.own.narrow=shifts_of_mine.narrow", "shift.own={narrow: shifts_of_mine.narrow}"):
        assert said([words]).startswith("an axis of your own is put in with a +, such as +shift.own.narrow=")


def test_a_stored_record_causes_no_import(trap, tmp_path):
    cfg = composed("+shift.own.narrow=trap.spring")
    with pytest.raises(ValueError, match="from a stored record, and no option of conf/ names it"):
        examine(cfg, named_in(CONF))
    assert not trap()
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    option = tmp_path / "own" / "experiment" / "narrow.yaml"
    option.write_text("# @package _global_\nshift: {own: {narrow: trap.spring}}\n")
    with pytest.raises(ValueError, match="does not belong there"):
        examine(cfg, named_in(CONF, tmp_path / "own"))
    for settings in (None, [], {"shift": None}, {"shift": {"own": ["x"]}}, {"shift": {"own": {"narrow": 3}}}):
        assert own_axes(settings) == {}


def test_a_job_with_it_comes_out_again_where_its_options_are_named(module, tmp_path, capsys):
    cfg = composed(OWN, "shift.axis=[narrow,task]", "shift.levels=[0,1]", f"output={tmp_path}/outputs")
    home = tmp_path / "job"
    (home / ".hydra").mkdir(parents=True)
    OmegaConf.save(cfg, home / ".hydra" / "config.yaml")
    facts = work(cfg, plan(cfg), home, 0) | {"overrides": WORDS, "status": "ok"}
    write_json(home / "run.json", facts | {"config": sha256(home / ".hydra" / "config.yaml")})
    cells = (home / "records.jsonl").read_text()
    assert '"axis": "narrow"' in cells
    assert '"setting": "F1F1"' in cells
    assert {name.partition(" ")[0] for name in facts["rows_of"]} == {"narrow", "task"}
    rerun = word("rerun")
    assert rerun([str(home)]) == 1
    assert "shift.own.narrow=shifts_of_mine.narrow is from a stored record" in capsys.readouterr().err
    (tmp_path / "options" / "experiment").mkdir(parents=True)
    option = tmp_path / "options" / "experiment" / "narrow.yaml"
    option.write_text("# @package _global_\nshift: {own: {narrow: shifts_of_mine.narrow}}\n")
    assert rerun([str(home), "--config-dir", str(tmp_path / "options")]) == 0, capsys.readouterr().err


def test_a_shift_is_a_value():
    assert Shift("length", (0,)) == Shift("length", (0,))
    assert Shift("mine", (0,), moves=lengthen) != Shift("mine", (0,), moves=AXES["steps"])
    with pytest.raises(ValueError, match="mood is not an axis"):
        Shift("mood", (0,))
