"""What alchemy.testing exports: laws one by one, worlds from options, and what Hypothesis draws."""

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings

import alchemy.testing
from alchemy.data.batch import Role
from alchemy.data.sampling import in_side
from alchemy.data.shift import AXES, Shift, lengthen
from alchemy.data.task import Distribution
from alchemy.data.vocabulary import END
from alchemy.testing import laws_of, laws_of_shift, parametrize_with_laws, world_of
from alchemy.testing.strategies import batches, distributions, levels
from tests.helpers.command import environment
from tests.helpers.worlds import ROOT, WORLDS

CIPHER, MIXTURE = WORLDS["cipher"], WORLDS["mixture"]
QUICK = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@pytest.mark.parametrize("name", WORLDS)
def test_each_law_of_a_world_has_a_name_of_its_own(name):
    names = [law for law, _ in laws_of(WORLDS[name], learnable=True)]
    assert len(set(names)) == len(names)
    both = sum("both modes ask alike" in law for law in names)
    assert both == (len(AXES) if name in ("arithmetic", "facts", "mixture") else 0)
    assert ("an element is asked about as often as its exposure says" in names) == (name in ("facts", "mixture"))


def test_an_axis_is_given_by_its_name_its_function_or_its_shift():
    named, moved, shifted = (dict(laws_of_shift(axis, CIPHER)) for axis in ("length", lengthen, Shift("length", ())))
    assert list(named) == list(shifted)
    assert [law.replace("length:", "lengthen:") for law in named] == list(moved)
    for law in ("level 0 is training", "rows are well formed"):
        named[f"length: {law}"]()
        moved[f"lengthen: {law}"]()
    with pytest.raises(ValueError, match=r"shift\.axis=mood is not an axis: use one of task, "):
        list(laws_of_shift("mood", CIPHER))


def test_worlds_are_called_by_their_names_or_classes():
    [mark] = [parametrize_with_laws([CIPHER, WORLDS["diverse"], CIPHER], axes=[]).mark]
    ids = mark.kwargs["ids"]
    assert {one.partition(":")[0] for one in ids} == {"Cipher", "Cipher2", "Cipher3"}
    assert mark.args[0] == "law"
    assert parametrize_with_laws({"mine": CIPHER}, axes=[]).mark.kwargs["ids"][0].startswith("mine: ")


def test_a_world_of_options_is_that_of_a_run_with_them(tmp_path):
    assert world_of(ROOT / "conf" / "task" / "cipher.yaml") == CIPHER
    (tmp_path / "experiment" / "deep").mkdir(parents=True)
    option = tmp_path / "experiment" / "deep" / "long.yaml"
    option.write_text("# @package _global_\ntask: {length: 6}\n")
    assert world_of(option).length == 6
    option.write_text("task: {length: 6}\n")
    with pytest.raises(ValueError, match=r"the first line of that file must be # @package _global_"):
        world_of(option)
    with pytest.raises(ValueError, match=r"long\.yaml chooses no world: name a file in a folder task or experiment"):
        world_of(tmp_path / "long.yaml")


def test_what_is_exported_is_there_by_its_name():
    assert {"LawBroken", "check_shift", "check_world", "laws_of", "parametrize_with_laws"} <= set(
        alchemy.testing.__all__
    )
    assert all(getattr(alchemy.testing, name).__doc__ for name in alchemy.testing.__all__)


def test_without_hypothesis_its_extra_is_named():
    code = "import sys; sys.modules['hypothesis'] = None; import alchemy.testing.strategies"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=False)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: hypothesis is not installed: pip install '.[testing]' in the lab's checkout"
    )


@QUICK
@given(levels("task", CIPHER))
def test_levels_are_those_that_the_world_has(level):
    assert level in (0, 1, 2, 3)


@QUICK
@given(distributions(MIXTURE))
def test_distributions_are_of_the_world(where):
    assert set(sum(where.compositions, ())) <= set(range(len(MIXTURE.vocabulary.rules)))
    assert len(where.chains) == len(where.compositions)


@QUICK
@given(batches(CIPHER, distributions(CIPHER, noise=False), most=8, side="train"))
def test_batches_are_of_their_side(batch):
    assert 1 <= len(batch) <= 8
    assert ((batch.tokens == END).sum(axis=1) == 1).all()
    for row in range(len(batch)):
        element = batch.tokens[row : row + 1, batch.role[row] == Role.ELEMENT]
        rules = batch.tokens[row, batch.role[row] == Role.TRANSFORMATION] - CIPHER.vocabulary.first_rule
        where = Distribution((tuple(rules.tolist()),), element.shape[1])
        assert in_side(CIPHER.vocabulary, where, element, rules[:1] * 0, "train").all()
