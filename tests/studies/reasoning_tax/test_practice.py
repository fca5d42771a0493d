"""Practice of half of the facts: what comes back of the other half, by hand, by dose, and what it costs the base."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from alchemy.data.seeds import stream
from alchemy.measures.knowledge import halves
from alchemy.studies.reasoning_tax.coordinates import Part, unit
from alchemy.studies.reasoning_tax.evaluation import evaluation_set, loss, loss_in_bits, untaught_bits
from alchemy.studies.reasoning_tax.practice import USUAL, Practice, Practising, first_half, practised, recovery
from alchemy.training.fit import fit_model
from alchemy.training.objectives import supervised
from tests.helpers.knowing import FIRST, RECIPE, WORLD, rows, trained
from tests.helpers.worlds import ROOT

STRONG = Practice(learning_rate=3e-3, batch=32)
GENTLE = Practice(learning_rate=1e-4, batch=32)
DOSES = (2, 5, 9)
BITS = ("lost", "recovered", "missing", "control", "storage", "latent")


@pytest.fixture(scope="module")
def questions():
    return evaluation_set(WORLD, trained(), 120, 0)


@pytest.fixture(scope="module")
def taught():
    """A model that was taught chains until it forgot facts."""
    model, recipe = trained(), replace(RECIPE, steps=30, check_every=30, check_problems=1)
    objective = supervised(recipe, lambda count: rows(count, "chains", chains=1.0))
    fit_model(WORLD, model, recipe, 0, lambda at: None, objective=objective, held_out=rows(1))
    return model


def same(one, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_practice_shows_the_first_half_alone_and_teaches_every_weight():
    batch = first_half(WORLD, stream(0, "half"))(100)
    assert len(batch) == 100
    assert halves(WORLD, batch).all()
    frozen, free = trained().requires_grad_(False), trained()
    frozen.norm.requires_grad_(True)
    before = [weights.clone() for weights in free.state_dict().values()]
    one, other = (practised(WORLD, model, USUAL, STRONG, [5], 0)[5].state_dict() for model in (frozen, free))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not any(torch.equal(*pair) for pair in zip(before, one.values(), strict=True))
    assert all(torch.equal(*pair) for pair in zip(before, free.state_dict().values(), strict=True))


def test_a_rate_stays_the_same_after_the_warm_up():
    recipe = Practice(learning_rate=0.3, batch=8).recipe((4, 6))
    assert [recipe.rate(step) for step in (0, 1, 2, 3, 5)] == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.3])
    assert (recipe.steps, recipe.check_every, recipe.batch) == (6, 2, 8)


def test_one_course_has_what_practices_of_each_length_have_bit_for_bit(taught):
    course = practised(WORLD, taught, USUAL, STRONG, DOSES, 0)
    assert list(course) == list(DOSES)
    for dose in DOSES:
        assert same(course[dose], practised(WORLD, taught, USUAL, STRONG, [dose], 0)[dose])
    assert not same(course[2], course[5])
    assert not same(course[9], practised(WORLD, taught, USUAL, STRONG, [9], 1)[9])


def test_the_curve_is_that_of_separate_practices(questions, taught):
    both = {USUAL: STRONG, "gentle": GENTLE}
    found = recovery(questions, {"opening": taught, "kl": trained()}, Practising(both, DOSES, 5), 0)
    places = {Part("practice", "kl", practice=name, dose=dose) for name in both for dose in DOSES}
    assert set(found["kl"]) == {Part("split", "kl"), *places}
    for name, practice in both.items():
        for dose in DOSES:
            again, control = (practised(WORLD, model, name, practice, [dose], 0)[dose] for model in (taught, trained()))
            its = found["opening"][Part("practice", "opening", practice=name, dose=dose)]
            whole = loss(questions, taught, again, control)
            assert its == {metric: whole[metric] for metric in its}
            if (name, dose) == (USUAL, 5):
                assert found["opening"][Part("split", "opening")] == whole
            unmoved = found["kl"][Part("practice", "kl", practice=name, dose=dose)]  # the base has lost nothing
            assert unmoved["control_bits"] == its["control_bits"]
            assert unmoved["lost_bits"] == unmoved["storage_bits"] == unmoved["latent_bits"] == (0, 0)
            assert unmoved["recovered_bits"][0] == -unmoved["control_bits"][0] == -unmoved["missing_bits"][0]
    assert recovery(questions, {}, Practising(both, DOSES, 5), 0) == {}


def test_the_loss_in_bits_by_hand():
    """Two facts in four models; the errors are of differences, which both facts may share."""
    before, after = np.array([6.0, 4.0]), np.array([3.0, 1.0])
    again, control = np.array([5.0, 2.0]), np.array([6.5, 3.0])
    found = loss_in_bits(before, after, again, control)
    means = {"lost": 3.0, "recovered": 1.5, "missing": 1.5, "control": 0.25, "storage": 1.25, "latent": 1.75}
    assert {name: value for name, (value, _) in found.items()} == {f"{name}_bits": its for name, its in means.items()}
    errors = {"lost": 0.0, "recovered": 0.5, "missing": 0.5, "control": 0.75, "storage": 0.25, "latent": 0.25}
    assert {name: error for name, (_, error) in found.items()} == pytest.approx(
        {f"{name}_bits": its / 2**0.5 for name, its in errors.items()}
    )
    assert {unit(part, f"{name}_bits") for part in ("practice", "split") for name in BITS} == {"bits"}


def sure(rate):
    """A model that holds the digit 3 likely at `rate` and the other four digits alike, whatever it reads, and nothing
    else.
    """
    model = trained()
    likely = torch.full((len(WORLD.vocabulary),), -60.0)
    likely[FIRST : FIRST + 5] = float(np.log((1 - rate) / 4)) if rate < 1 else -60.0
    likely[WORLD.vocabulary.ids["3"]] = float(np.log(rate))
    with torch.no_grad():
        model.tokens.weight[:, 0] = 1e5  # of the stream this alone is left, as the root of its width
        model.norm.weight[:] = 1.0
        model.output.weight.zero_()
        model.output.weight[:, 0] = likely / 32**0.5
    return model


def test_the_loss_in_bits_of_four_models_by_hand(questions):
    """Every fact that is not taught again has the attribute 3 3, one of 25. A model that holds 3 likely at r has
    log2(25 r²) bits of it: with r = 2^0, 2^-2, 2^-1 and 2^-1/4, 4, 2 and 1/2 fewer than all. Of the 4 bits lost,
    practice brings 2 back and 2 are missing; but as it costs the base half a bit, only 3/2 are called lost for good.
    """
    tokens, second = questions.facts.tokens.copy(), np.arange(120) % 2 > 0
    tokens[np.ix_(second, [3, 4])] = WORLD.vocabulary.ids["3"]
    facts = replace(questions.facts, tokens=tokens)
    by_hand = replace(questions, base=sure(1.0), facts=facts, second=second)
    found = loss(by_hand, model=sure(1 / 4), again=sure(1 / 2), control=sure(2**-0.25))
    bits = {name: value for name, (value, _) in found.items() if name.endswith("_bits")}
    expected = {"lost": 4.0, "recovered": 2.0, "missing": 2.0, "control": 0.5, "storage": 1.5, "latent": 2.5}
    assert bits == pytest.approx({f"{name}_bits": its for name, its in expected.items()}, abs=1e-3)


def test_the_gentle_practice_costs_this_base_nothing_and_a_strong_one_much(questions):
    """The practices of the settings; on a base of the headline experiment see test_headline.py."""
    settings = OmegaConf.load(ROOT / "conf" / "study" / "reasoning_tax.yaml")
    before = untaught_bits(questions, trained())

    def costs(practice):
        made = practised(WORLD, trained(), "gentle", practice, settings.doses, 0)
        return [(before - untaught_bits(questions, one)).mean() for one in made.values()]

    gentle = instantiate(settings.practice.gentle)
    assert np.abs(costs(gentle)).max() <= 0.01  # one seed: 0.002
    assert max(costs(replace(gentle, learning_rate=3e-3))) > 0.1


@pytest.mark.parametrize(
    ("doses", "split_at", "words"),
    [
        ((), 5, "must be ascending"),
        ((0, 5), 5, "must be ascending"),
        ((5, 5), 5, "must be ascending"),
        ((9, 5), 5, "must be ascending"),
        ((5, 9), 7, r"study\.split_at=7 is none of study\.doses=\[5, 9\]"),
    ],
)
def test_doses_that_make_no_curve_are_told(doses, split_at, words):
    with pytest.raises(ValueError, match=words):
        Practising({USUAL: STRONG}, doses, split_at)
    with pytest.raises(ValueError, match="lacks usual"):
        Practising({"gentle": GENTLE}, (5,), 5)
